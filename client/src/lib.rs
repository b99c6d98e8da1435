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
//!
//! # Conversations
//!
//! One-to-one and in groups, messages are kept by the server, and nobody misses any. With [`Options::sync`] a client follows all
//! conversations of its user: it gets what came while it was away and what comes now, each message once and in order.
//! [`Client::submit`] sends, and keeps trying where the connection dies before the answer is there.
//!
//! ```no_run
//! use sluice_client::{Client, ConversationId, Event, Options, OutgoingMessage, Reconnect, SendOutcome, SyncOptions};
//!
//! # async fn run(token: &str) -> Result<(), sluice_client::ClientError> {
//! let options = Options::new("127.0.0.1:7400", "dev", "alice", token)
//!     .reconnect(Reconnect::Automatic)
//!     .sync(SyncOptions::default());
//! let (client, mut events) = Client::connect(options).await?;
//! let bob = ConversationId::peer("bob");
//! match client.submit(OutgoingMessage::text(bob.clone(), "hello")).await {
//!     SendOutcome::Sent(sent) => println!("message {} of the conversation", sent.sequence),
//!     SendOutcome::Failed(error) => println!("not sent: {error}"),
//!     SendOutcome::Unknown { message, error } => println!("submit it again later: {message:?}: {error}"),
//! }
//! while let Some(event) = events.next().await {
//!     if let Event::ConversationMessage(message) = event {
//!         println!("{}: {:?}", message.sender.user_id, message.content);
//!         client.mark_read(&message.conversation, message.sequence).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod attributes;
mod client;
mod connection;
mod conversation;
mod entering;
mod error;
mod event;
mod following;
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
mod submission;
mod sync;
mod transport;

#[cfg(test)]
mod tests;

pub use attributes::{
    Attribute, AttributeRefusal, Attributes, AttributesChanged, AttributesWritten, DeleteAttributes, SetAttributes,
};
pub use client::Client;
pub use conversation::{
    Conversation, ConversationChanged, ConversationCreated, ConversationGap, ConversationId, ConversationInfo,
    ConversationKickedOut, ConversationKind, ConversationList, ConversationMember, ConversationMembers,
    ConversationMembersPage, ConversationMembersWritten, ConversationMessage, ConversationQuery, ConversationUpdate,
    ConversationsPage, ConversationsSynced, GroupDismissed, Invited, MemberRefusal, MessageHistory, MessageTakenBack,
    MessagesPage, MessagesQuery, NewConversation, NewGroup, Position, PositionMoved, Recalled, RoleChange, Step,
};
pub use entering::{ChatRoomOptions, History, RoomOptions, SwitchOptions};
pub use error::ClientError;
pub use event::{Closed, Event, Events, RoomRejoined};
pub use likes::Likes;
pub use members::{Member, Members, MembersPage, RoomStatus};
pub use message::{MessageKind, OutgoingMessage, RoomMessage, SentMessage, Target};
pub use moderation::{KickedOut, MessageRecalled, Mute, MuteChanged, SystemMessage};
pub use options::{Options, Reconnect, Transport, Trust};
pub use pending::Pending;
pub use resume::ResumeTicket;
pub use room::{Gap, MemberCount, MemberDigest, MemberJoined, MemberLeft, RoomDestroyed, RoomEntered, RoomResumed};
pub use session::Session;
pub use sluice_protocol::{
    ErrorCode, LeaveReason, Limits, MediaInfo, MemberEvents, MemberRole, MessageKeep, MuteScope, Platform, Priority,
    RoomDestroyedReason, RoomPreset, SenderInfo, UserInfo,
};
pub use submission::{SendOutcome, Submission};
pub use sync::{KnownConversation, SyncOptions, SyncPage};
