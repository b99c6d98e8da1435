//! Who is in a conversation, and what became of commands about them.

use sluice_protocol::{ErrorCode, MemberRole};

use crate::conversation::ConversationInfo;
use crate::moderation::Mute;

/// What a member's muting without an end has for a time on the wire.
const WITHOUT_END_MS: i64 = i64::MAX;

/// A user in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationMember {
    /// Who.
    pub user_id: String,
    /// What the user may do.
    pub role: MemberRole,
    /// When the user came, milliseconds since 1970-01-01 UTC.
    pub joined_at_ms: i64,
    /// Messages up to here have reached a device of the user, or have been read.
    pub delivered_sequence: u64,
    /// Messages up to here have been read.
    pub read_sequence: u64,
    /// Whether the user may not send.
    pub mute: Mute,
}

impl From<sluice_protocol::ConversationMember> for ConversationMember {
    fn from(member: sluice_protocol::ConversationMember) -> Self {
        Self {
            role: member.role(),
            user_id: member.user_id,
            joined_at_ms: member.joined_at_ms,
            delivered_sequence: member.delivered_sequence,
            read_sequence: member.read_sequence,
            mute: match member.muted_until_ms {
                0 => Mute::None,
                WITHOUT_END_MS => Mute::WithoutEnd,
                unix_ms => Mute::Until { unix_ms },
            },
        }
    }
}

/// A page of members, by user id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationMembersPage {
    /// Those on this page.
    pub members: Vec<ConversationMember>,
    /// What to ask for the next page with; `None` on the last.
    pub next_cursor: Option<String>,
    /// Users in it, all of them.
    pub member_count: u32,
}

impl From<sluice_protocol::ConversationMembers> for ConversationMembersPage {
    fn from(page: sluice_protocol::ConversationMembers) -> Self {
        Self {
            members: page.members.into_iter().map(ConversationMember::from).collect(),
            next_cursor: Some(page.next_cursor).filter(|cursor| !cursor.is_empty()),
            member_count: page.member_count,
        }
    }
}

/// A user whose role is another now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleChange {
    /// Who.
    pub user_id: String,
    /// The new role.
    pub role: MemberRole,
}

/// Why a command was not done for one of the users that it named.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberRefusal {
    /// Which user.
    pub user_id: String,
    /// Why.
    pub code: ErrorCode,
}

impl From<sluice_protocol::MemberRefusal> for MemberRefusal {
    fn from(refusal: sluice_protocol::MemberRefusal) -> Self {
        Self {
            user_id: refusal.user_id,
            code: refusal.code.into(),
        }
    }
}

/// What became of a command about members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationMembersWritten {
    /// How the conversation is now.
    pub info: ConversationInfo,
    /// For whom it was done; who was so already is in it.
    pub user_ids: Vec<String>,
    /// For whom it was not done, and why.
    pub refused: Vec<MemberRefusal>,
}

impl ConversationMembersWritten {
    pub(crate) fn of_wire(result: sluice_protocol::MembersChanged) -> Option<Self> {
        Some(Self {
            info: ConversationInfo::of_wire(result.conversation?)?,
            user_ids: result.user_ids,
            refused: result.refused.into_iter().map(MemberRefusal::from).collect(),
        })
    }
}
