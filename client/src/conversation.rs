//! Which conversation, and what is known of it.
//!
//! [`ConversationId`] names one. The commands are methods of [`Client`](crate::Client), in `calls.rs`; what comes unasked is in `events.rs`.

mod calls;
mod events;
mod history;
mod list;
mod members;
mod message;
mod options;

use sluice_protocol::{ConversationType, MemberRole, limits};

use crate::error::ClientError;
use crate::options::measure;

pub use events::{
    ConversationChanged, ConversationGap, ConversationKickedOut, ConversationMembers, ConversationsSynced,
    GroupDismissed, Invited, MessageTakenBack, PositionMoved,
};
pub use history::{MessageHistory, MessagesPage, MessagesQuery, Step};
pub use list::{ConversationList, ConversationQuery, ConversationsPage};
pub use members::{ConversationMember, ConversationMembersPage, ConversationMembersWritten, MemberRefusal, RoleChange};
pub use message::{ConversationMessage, Recalled};
pub use options::{ConversationCreated, ConversationUpdate, NewConversation, NewGroup};

pub(crate) use calls::messages_page;

/// What kind of conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConversationKind {
    /// Two users.
    Peer,
    /// A group, with an owner and managers.
    Group,
    /// A conversation that users made, in which all may do the same.
    Discussion,
    /// What the app's server writes to one user. Nobody sends there.
    System,
}

/// Names a conversation as this user does.
///
/// ```
/// use sluice_client::{ConversationId, OutgoingMessage};
///
/// let message = OutgoingMessage::text(ConversationId::peer("bob"), "hello");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId {
    /// What kind of conversation.
    pub kind: ConversationKind,
    /// The other user of [`ConversationKind::Peer`], the sender of [`ConversationKind::System`], the id that the server or the app chose for others.
    pub id: String,
}

impl ConversationId {
    /// The conversation with this user.
    pub fn peer(user_id: impl Into<String>) -> Self {
        Self::new(ConversationKind::Peer, user_id)
    }

    /// This group.
    pub fn group(id: impl Into<String>) -> Self {
        Self::new(ConversationKind::Group, id)
    }

    /// This discussion.
    pub fn discussion(id: impl Into<String>) -> Self {
        Self::new(ConversationKind::Discussion, id)
    }

    /// What the app's server writes in the name of this sender.
    pub fn system(sender_id: impl Into<String>) -> Self {
        Self::new(ConversationKind::System, sender_id)
    }

    fn new(kind: ConversationKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }

    /// `None` for rooms, and for types that this library does not know.
    pub(crate) fn of_wire(kind: i32, id: impl Into<String>) -> Option<Self> {
        let kind = match ConversationType::try_from(kind).ok()? {
            ConversationType::Peer => ConversationKind::Peer,
            ConversationType::Group => ConversationKind::Group,
            ConversationType::Discussion => ConversationKind::Discussion,
            ConversationType::System => ConversationKind::System,
            ConversationType::Room => return None,
        };
        Some(Self::new(kind, id))
    }

    /// The conversation of something that `sender_id` said to `target_id`: all who hear of it get the same bytes.
    pub(crate) fn of_message(kind: i32, target_id: String, sender_id: &str, own_user_id: &str) -> Option<Self> {
        let named = Self::of_wire(kind, target_id)?;
        Some(match named.kind {
            ConversationKind::Peer | ConversationKind::System if sender_id != own_user_id => {
                Self::new(named.kind, sender_id)
            }
            _ => named,
        })
    }

    pub(crate) fn wire_type(&self) -> ConversationType {
        match self.kind {
            ConversationKind::Peer => ConversationType::Peer,
            ConversationKind::Group => ConversationType::Group,
            ConversationKind::Discussion => ConversationType::Discussion,
            ConversationKind::System => ConversationType::System,
        }
    }

    /// Which characters an id may have is the app's choice, so it is only measured.
    pub(crate) fn check(&self, parameter: &'static str) -> Result<(), ClientError> {
        measure(parameter, &self.id, 1, limits::CONVERSATION_ID_BYTES)
    }
}

/// What is known of a conversation, the same for all who are in it but for the id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationInfo {
    /// Which.
    pub conversation: ConversationId,
    /// May be empty.
    pub name: String,
    /// Who made it; empty if the app's server did.
    pub creator_id: String,
    /// Of a group: what it says to who reads it.
    pub notice: String,
    /// The app's own, as it was given.
    pub attributes: String,
    /// Users in it.
    pub member_count: u32,
    /// When it was made, milliseconds since 1970-01-01 UTC, like all times here.
    pub created_at_ms: i64,
    /// When name, notice, attributes or members were last changed.
    pub updated_at_ms: i64,
    /// Of the newest message that was kept; 0: there never was one. A group that was made with the id of one that ended goes on behind its numbers:
    /// before its first message this is the last of those.
    pub last_sequence: u64,
    /// Of the same message; 0: there never was one.
    pub last_message_id: u64,
    /// Of the same message.
    pub last_message_at_ms: i64,
    /// Whether only owner and managers may send.
    pub muted: bool,
    /// When it ends, if it is a temporary one.
    pub expires_at_ms: Option<i64>,
}

impl ConversationInfo {
    /// `None` for one of a type that this library does not know.
    pub(crate) fn of_wire(info: sluice_protocol::ConversationInfo) -> Option<Self> {
        Some(Self {
            conversation: ConversationId::of_wire(info.r#type, info.id)?,
            name: info.name,
            creator_id: info.creator_id,
            notice: info.notice,
            attributes: info.attributes,
            member_count: info.member_count,
            created_at_ms: info.created_at_ms,
            updated_at_ms: info.updated_at_ms,
            last_sequence: info.last_sequence,
            last_message_id: info.last_message_id,
            last_message_at_ms: info.last_message_at_ms,
            muted: info.muted,
            expires_at_ms: Some(info.expires_at_ms).filter(|ms| *ms > 0),
        })
    }
}

/// A conversation as this user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversation {
    /// What all see.
    pub info: ConversationInfo,
    /// What this user may do.
    pub role: MemberRole,
    /// How far this user has got.
    pub position: Position,
    /// Messages before this one are not for this user, who came later.
    pub first_sequence: u64,
}

impl Conversation {
    pub(crate) fn of_wire(own: sluice_protocol::OwnConversation) -> Option<Self> {
        Some(Self {
            role: own.role(),
            info: ConversationInfo::of_wire(own.info?)?,
            position: Position {
                delivered_sequence: own.delivered_sequence,
                read_sequence: own.read_sequence,
                unread: own.unread,
            },
            first_sequence: own.first_sequence,
        })
    }
}

/// How far a user has got in a conversation, on all devices together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// Messages up to here have reached a device, or have been read.
    pub delivered_sequence: u64,
    /// Messages up to here have been read.
    pub read_sequence: u64,
    /// Messages of others that count, after `read_sequence`; at most 999.
    pub unread: u32,
}

impl From<sluice_protocol::AckMessagesResult> for Position {
    fn from(result: sluice_protocol::AckMessagesResult) -> Self {
        Self {
            delivered_sequence: result.delivered_sequence,
            read_sequence: result.read_sequence,
            unread: result.unread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_between_two_is_of_the_conversation_with_the_other_one() {
        let peer = ConversationType::Peer.into();
        let named = |sender, own| ConversationId::of_message(peer, "bob".into(), sender, own);
        assert_eq!(named("alice", "alice"), Some(ConversationId::peer("bob")));
        assert_eq!(named("alice", "bob"), Some(ConversationId::peer("alice")));
        let system = ConversationType::System.into();
        let told = ConversationId::of_message(system, "bob".into(), "ops", "bob");
        assert_eq!(told, Some(ConversationId::system("ops")));
        let group = ConversationType::Group.into();
        let said = ConversationId::of_message(group, "g".into(), "alice", "bob");
        assert_eq!(said, Some(ConversationId::group("g")));
        assert_eq!(ConversationId::of_wire(ConversationType::Room.into(), "r"), None);
        assert_eq!(ConversationId::of_wire(99, "r"), None);
    }
}
