//! The Rust client for Sluice: one long connection over TCP, TLS or QUIC, and typed calls and events on it.
//!
//! [`Client::connect`] opens the transport and logs in. It gives two things: a [`Client`], a handle whose methods are
//! the commands, and [`Events`], from which the app reads what the server tells unasked. One background task keeps the
//! connection alive and ends when the last handle is dropped.
//!
//! ```no_run
//! use sluice_client::{Client, Event, Options, OutgoingMessage};
//!
//! # async fn run(token: &str) -> Result<(), sluice_client::ClientError> {
//! let (client, mut events) = Client::connect(Options::new("127.0.0.1:7400", "dev", "alice", token)).await?;
//! let room = client.enter_room("lobby", "").await?;
//! println!("{} users are inside", room.member_count);
//! let sent = client.send(OutgoingMessage::text("lobby", "hello")).await?;
//! println!("message {} of the room", sent.sequence);
//!
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::RoomMessage(message) => println!("{}: {:?}", message.sender.user_id, message.content),
//!         Event::Closed(closed) => println!("the connection ended: {}", closed.code),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every failure is a [`ClientError`] with a code of the protocol's one table.
//!
//! This library does not connect again by itself: after [`Event::Closed`] the app decides, by
//! [`ErrorCode::retry`](sluice_protocol::ErrorCode::retry), and starts with a new [`Client::connect`]. It keeps no
//! messages and no state of rooms.

#![warn(missing_docs)]

mod client;
mod connection;
mod error;
mod event;
mod likes;
mod message;
mod options;
mod pending;
mod room;
mod session;
mod transport;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use error::ClientError;
pub use event::{Closed, Event, Events};
pub use likes::Likes;
pub use message::{MessageKind, OutgoingMessage, RoomMessage, SentMessage};
pub use options::{Options, Transport, Trust};
pub use pending::Pending;
pub use room::{Gap, History, MemberCount, MemberDigest, MemberJoined, MemberLeft, RoomDestroyed, RoomEntered};
pub use session::Session;
pub use sluice_protocol::{
    ErrorCode, LeaveReason, Limits, MemberEvents, Platform, Priority, RoomDestroyedReason, RoomPreset, UserInfo,
};
