//! Sluice, an edge gateway for chat: the server.
//!
//! Start with [`Server`], which joins the parts, and `ARCHITECTURE.md`, which follows one message through them. The
//! modules follow the data: `accept` → `admission` → `transport` → `handshake` → `session` → `command` → `room` →
//! `fan_out` → `outbox` → `writer`; a later one never imports an earlier one. `worker`, `server`, `http` and the command line
//! are the shells around them.

pub mod config;
mod conversation;
pub mod development;
pub mod in_memory;
pub mod metrics;

mod accept;
mod admission;
mod api;
mod class;
mod clock;
mod command;
mod fan_out;
mod frames;
mod handshake;
mod http;
mod identity;
mod message_id;
mod missed;
mod outbox;
mod policy;
mod push;
mod rate_limit;
mod refusal;
mod room;
mod server;
mod session;
mod store;
mod timer_wheel;
mod transport;
mod turn;
mod words;
mod worker;
mod writer;

pub use accept::quic::ResetSecretError;
pub use api::openapi_document;
pub use handshake::TlsError;
pub use push::PushError;
pub use server::{Addresses, Server, ServerError};
pub use session::token::TokenKeyError;
