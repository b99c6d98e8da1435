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
//! A connection that is lost is opened again if [`Options::reconnect`] says so: the session is resumed, and the app goes on with
//! the same [`Client`] and [`Events`]. Otherwise the app decides after [`Event::Closed`], by
//! [`ErrorCode::retry`](sluice_protocol::ErrorCode::retry), and goes on with [`Client::resume`] or a new [`Client::connect`].
//! The library keeps no messages; of rooms it keeps which the client is inside, and the newest message's number.

#![warn(missing_docs)]

mod attributes;
mod client;
mod connection;
mod entering;
mod error;
mod event;
mod likes;
mod members;
mod message;
mod moderation;
mod options;
mod pending;
mod places;
mod reconnecting;
mod resume;
mod room;
mod session;
mod transport;

#[cfg(test)]
mod tests;

pub use attributes::{
    Attribute, AttributeRefusal, Attributes, AttributesChanged, AttributesWritten, DeleteAttributes, SetAttributes,
};
pub use client::Client;
pub use entering::{ChatRoomOptions, History, RoomOptions, SwitchOptions};
pub use error::ClientError;
pub use event::{Closed, Event, Events, RoomRejoined};
pub use likes::Likes;
pub use members::{Member, Members, MembersPage, RoomStatus};
pub use message::{MessageKind, OutgoingMessage, RoomMessage, SentMessage};
pub use moderation::{KickedOut, MessageRecalled, Mute, MuteChanged, SystemMessage};
pub use options::{Options, Reconnect, Transport, Trust};
pub use pending::Pending;
pub use resume::ResumeTicket;
pub use room::{Gap, MemberCount, MemberDigest, MemberJoined, MemberLeft, RoomDestroyed, RoomEntered, RoomResumed};
pub use session::Session;
pub use sluice_protocol::{
    ErrorCode, LeaveReason, Limits, MemberEvents, MuteScope, Platform, Priority, RoomDestroyedReason, RoomPreset,
    UserInfo,
};
