//! What is told of conversations, besides messages.

use sluice_protocol::{ConversationMember as WireMember, KickedFromConversation, MembersJoined, MembersLeft};

use crate::conversation::{Conversation, ConversationId, ConversationInfo, RoleChange};

/// Users came into a conversation, or left it, by themselves or by another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationMembers {
    /// Which.
    pub conversation: ConversationId,
    /// Who came or left.
    pub user_ids: Vec<String>,
    /// Who brought them or put them out: one of them, if by themselves; empty: the app's server.
    pub by_user_id: String,
    /// Users in it now.
    pub member_count: u32,
}

impl ConversationMembers {
    pub(crate) fn joined(event: MembersJoined) -> Option<Self> {
        Some(Self {
            conversation: ConversationId::of_wire(event.r#type, event.id)?,
            user_ids: event.user_ids,
            by_user_id: event.by_user_id,
            member_count: event.member_count,
        })
    }

    pub(crate) fn left(event: MembersLeft) -> Option<Self> {
        Some(Self {
            conversation: ConversationId::of_wire(event.r#type, event.id)?,
            user_ids: event.user_ids,
            by_user_id: event.by_user_id,
            member_count: event.member_count,
        })
    }
}

/// This user is in a conversation from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invited {
    /// What is known of it.
    pub info: ConversationInfo,
    /// Who invited; empty: the app's server.
    pub by_user_id: String,
}

impl Invited {
    pub(crate) fn of_wire(event: sluice_protocol::Invited) -> Option<Self> {
        Some(Self {
            info: ConversationInfo::of_wire(event.conversation?)?,
            by_user_id: event.by_user_id,
        })
    }
}

/// This user was put out of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationKickedOut {
    /// Which.
    pub conversation: ConversationId,
    /// By whom; empty: the app's server.
    pub by_user_id: String,
}

impl ConversationKickedOut {
    pub(crate) fn of_wire(event: KickedFromConversation) -> Option<Self> {
        Some(Self {
            conversation: ConversationId::of_wire(event.r#type, event.id)?,
            by_user_id: event.by_user_id,
        })
    }
}

/// What a conversation says of itself, its roles or whether all are muted has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationChanged {
    /// How it is now.
    pub info: ConversationInfo,
    /// By whom; empty: the app's server.
    pub by_user_id: String,
    /// Those whose role is another now, and which.
    pub roles: Vec<RoleChange>,
}

impl ConversationChanged {
    pub(crate) fn of_wire(event: sluice_protocol::ConversationChanged) -> Option<Self> {
        let role = |member: WireMember| RoleChange {
            role: member.role(),
            user_id: member.user_id,
        };
        Some(Self {
            info: ConversationInfo::of_wire(event.conversation?)?,
            by_user_id: event.by_user_id,
            roles: event.roles.into_iter().map(role).collect(),
        })
    }
}

/// A group is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDismissed {
    /// Which.
    pub conversation: ConversationId,
    /// By whom; empty: the app's server.
    pub by_user_id: String,
}

impl From<sluice_protocol::GroupDismissed> for GroupDismissed {
    fn from(event: sluice_protocol::GroupDismissed) -> Self {
        Self {
            conversation: ConversationId::group(event.id),
            by_user_id: event.by_user_id,
        }
    }
}

/// A message of a conversation was taken back. It may be one that this client has not got yet, which then comes as such.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageTakenBack {
    /// Which conversation, as this user names it.
    pub conversation: ConversationId,
    /// The message's place in it.
    pub sequence: u64,
    /// The message.
    pub message_id: u64,
    /// Who had sent it.
    pub sender_id: String,
    /// By whom; empty: the app's server.
    pub by_user_id: String,
    /// When, milliseconds since 1970-01-01 UTC.
    pub recalled_at_ms: i64,
}

impl MessageTakenBack {
    pub(crate) fn of_wire(event: sluice_protocol::MessageRecalled, own_user_id: &str) -> Option<Self> {
        let conversation = ConversationId::of_message(event.r#type, event.target_id, &event.sender_id, own_user_id)?;
        Some(Self {
            conversation,
            sequence: event.sequence,
            message_id: event.message_id,
            sender_id: event.sender_id,
            by_user_id: event.by_user_id,
            recalled_at_ms: event.recalled_at_ms,
        })
    }
}

/// A user got further: this one on another device, or the other one of two.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PositionMoved {
    /// Which conversation, as this user names it.
    pub conversation: ConversationId,
    /// Who.
    pub user_id: String,
    /// Messages up to here have reached a device, or have been read.
    pub delivered_sequence: u64,
    /// Messages up to here have been read.
    pub read_sequence: u64,
}

impl PositionMoved {
    pub(crate) fn of_wire(event: sluice_protocol::PositionMoved, own_user_id: &str) -> Option<Self> {
        // Like a message of that user to the target.
        let conversation = ConversationId::of_message(event.r#type, event.target_id, &event.user_id, own_user_id)?;
        Some(Self {
            conversation,
            user_id: event.user_id,
            delivered_sequence: event.delivered_sequence,
            read_sequence: event.read_sequence,
        })
    }
}

/// What came while this user was away is about to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationsSynced {
    /// The conversations with something new or unread, newest first, at most 50 besides those that this client knew.
    pub conversations: Vec<Conversation>,
    /// How many more have something new, of which nothing follows. [`Client::conversations`](crate::Client::conversations) tells which, and
    /// [`Client::history`](crate::Client::history) what.
    pub more_conversations: u32,
}

/// Messages of a conversation that this client does not get: they are kept no more, were not for this user, or the server does not tell history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationGap {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The first that is missing.
    pub first_sequence: u64,
    /// The last that is missing.
    pub last_sequence: u64,
}
