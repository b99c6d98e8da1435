//! Users who talk in conversations over connections that may end at any moment, and a book that notices what must not happen.
//!
//! A [`Talker`] does what the protocol asks of a client: it keeps what it has sent until it is answered and sends it again with the
//! same id, asks for what it missed after each login, and gives each message to its application once and in order. What it sends, is
//! answered and is given goes into a [`Book`] that all of them share.

mod book;
mod line;
mod talker;

pub(crate) use book::{Book, Figures, Place};
pub(crate) use talker::{Talker, Talking};
