//! What the app's server does to users and messages, as a member is told of it.

use bytes::Bytes;
use sluice_protocol::{LeaveReason, MuteScope};

use crate::message::MessageKind;

/// Whether somebody may not send, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mute {
    /// May send.
    #[default]
    None,
    /// May not until then.
    Until {
        /// Milliseconds since 1970-01-01 UTC.
        unix_ms: i64,
    },
    /// May not until somebody says otherwise.
    WithoutEnd,
}

impl Mute {
    pub(crate) fn of(muted: bool, until_ms: i64) -> Self {
        match (muted, until_ms) {
            (false, _) => Self::None,
            (true, 0) => Self::WithoutEnd,
            (true, unix_ms) => Self::Until { unix_ms },
        }
    }
}

/// This user was put out of a room. The last event of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KickedOut {
    /// The room.
    pub room_id: String,
    /// [`LeaveReason::Kicked`] or [`LeaveReason::Blocked`].
    pub reason: LeaveReason,
    /// With `Blocked`: until when, milliseconds since 1970-01-01 UTC. Joining before answers 23409.
    pub until_ms: i64,
    /// The words of the app's server; may be empty.
    pub extra: String,
}

impl From<sluice_protocol::RoomKickedOut> for KickedOut {
    fn from(event: sluice_protocol::RoomKickedOut) -> Self {
        Self {
            reason: event.reason(),
            room_id: event.room_id,
            until_ms: event.until_ms,
            extra: event.extra,
        }
    }
}

/// Whether this user, or everybody, may send has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MuteChanged {
    /// The room; empty when it holds for all rooms.
    pub room_id: String,
    /// For whom.
    pub scope: MuteScope,
    /// What holds now.
    pub mute: Mute,
    /// The words of the app's server; may be empty.
    pub extra: String,
}

impl From<sluice_protocol::RoomMuteChanged> for MuteChanged {
    fn from(event: sluice_protocol::RoomMuteChanged) -> Self {
        Self {
            scope: event.scope(),
            mute: Mute::of(event.muted, event.until_ms),
            room_id: event.room_id,
            extra: event.extra,
        }
    }
}

/// A message of a room is taken back: hide it where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageRecalled {
    /// The room.
    pub room_id: String,
    /// [`RoomMessage::message_id`](crate::RoomMessage::message_id).
    pub message_id: u64,
    /// Its place in the room; 0 when the room does not keep it any more.
    pub sequence: u64,
    /// In whose name the app's server took it back.
    pub operator_id: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub recalled_at_ms: i64,
}

impl From<sluice_protocol::RoomMessageRecalled> for MessageRecalled {
    fn from(event: sluice_protocol::RoomMessageRecalled) -> Self {
        Self {
            room_id: event.room_id,
            message_id: event.message_id,
            sequence: event.sequence,
            operator_id: event.operator_id,
            recalled_at_ms: event.recalled_at_ms,
        }
    }
}

/// A message of the app's server to everybody who is online, in no room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemMessage {
    /// Unique for the server.
    pub message_id: u64,
    /// When the server took it, milliseconds since 1970-01-01 UTC.
    pub server_time_ms: i64,
    /// In whose name; need not be a user.
    pub sender_id: String,
    /// What kind of message.
    pub kind: MessageKind,
    /// The message itself.
    pub content: Bytes,
    /// The app's own string beside the content; may be empty.
    pub extended_data: String,
}

impl From<sluice_protocol::SystemMessage> for SystemMessage {
    fn from(message: sluice_protocol::SystemMessage) -> Self {
        Self {
            kind: MessageKind::of_wire(message.r#type, message.object_name),
            message_id: message.message_id,
            server_time_ms: message.server_time_ms,
            sender_id: message.sender_id,
            content: message.content,
            extended_data: message.extended_data,
        }
    }
}
