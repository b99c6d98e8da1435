//! Questions: one conversation, its members, the list.

use prost::Message;
use sluice_protocol::{
    ConversationInfo, ConversationMember, ConversationMembers, ConversationType, Conversations, ErrorCode, IdProfile,
    MemberRole, OwnConversation, QueryConversation, QueryConversationMembers, QueryConversations, UserId, limits,
    reply,
};

use crate::conversation::inside::{Inside, NOT_MADE, users};
use crate::conversation::key::id_for;
use crate::conversation::send::unsigned;
use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, ConversationsQuery, MemberRow, Read, Rows, UNREAD_LOOKED_AT};

/// Messages looked at for one page of the list to count those that are unread, or it would hold up one of two threads for seconds. A page of as many as
/// are given to who names no limit has room for all of them.
const LOOKED_AT_MAX: i64 = limits::CONVERSATIONS_PAGE_DEFAULT as i64 * UNREAD_LOOKED_AT;

/// Whether a list says how many messages are unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Counted,
    /// Nobody looks at it.
    LeftOut,
}

pub(super) fn conversation(
    rows: &dyn Rows,
    context: Context<'_>,
    by: &Actor,
    command: &QueryConversation,
) -> Ruled<Outcome> {
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let own = match &inside.member {
        Some(member) => own(rows, &inside.conversation, member)?,
        None => OwnConversation {
            info: Some(info(&inside.conversation, by.user_id())),
            ..OwnConversation::default()
        },
    };
    Ok(Outcome::answer(reply::Result::OwnConversation(own)))
}

pub(super) fn members(
    rows: &dyn Rows,
    context: Context<'_>,
    by: &Actor,
    command: &QueryConversationMembers,
) -> Ruled<Outcome> {
    if !command.cursor.is_empty() && UserId::parse(&command.cursor, IdProfile::Wide).is_err() {
        return Err(Refusal::parameter("cursor").into());
    }
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let limit = usize::try_from(match command.limit {
        0 => limits::CONVERSATION_MEMBERS_PAGE,
        limit => limit,
    });
    let limit = limit.unwrap_or(usize::MAX);
    let mut found = match inside.conversation.id {
        NOT_MADE => of_two(by.user_id(), &command.id, &command.cursor),
        id => rows.members(id, &command.cursor, limit.saturating_add(1))?,
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = match found.last() {
        Some(last) if more => last.user_id.clone(),
        _ => String::new(),
    };
    let page = ConversationMembers {
        members: found.iter().map(member).collect(),
        next_cursor,
        member_count: small(inside.conversation.member_count),
    };
    Ok(Outcome::answer(reply::Result::ConversationMembers(page)))
}

pub(super) fn list(rows: &dyn Rows, context: Context<'_>, by: &Actor, command: &QueryConversations) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    list_of(rows, context, user.id.as_str(), command, Unread::Counted)
}

/// The list of a user, whoever asks for it.
pub(super) fn list_of(
    rows: &dyn Rows,
    context: Context<'_>,
    user: &str,
    command: &QueryConversations,
    unread: Unread,
) -> Ruled<Outcome> {
    let containing = users(context, &command.containing_user_ids, "containing_user_ids")?;
    let limit = match command.limit {
        0 => limits::CONVERSATIONS_PAGE_DEFAULT,
        limit => limit,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = rows.conversations(&ConversationsQuery {
        app: context.app_key.to_owned(),
        user_id: user.to_owned(),
        kind: command
            .type_plus_one
            .checked_sub(1)
            .map(|kind| i32::try_from(kind).unwrap_or(-1)),
        containing: containing.iter().map(|user| user.as_str().to_owned()).collect(),
        name_contains: command.name_contains.clone(),
        after_ms: (command.updated_after_ms > 0).then_some(command.updated_after_ms),
        with_temporary: false,
        skip: usize::try_from(command.skip).unwrap_or(usize::MAX),
        limit: limit.saturating_add(1),
    })?;
    let mut page = Conversations {
        conversations: Vec::new(),
        more: found.len() > limit,
    };
    let (mut bytes, mut looked_at) = (0, 0);
    for (conversation, member) in found.iter().take(limit) {
        let unread = match unread {
            Unread::Counted => {
                looked_at += looked_at_of(conversation, member);
                if looked_at > LOOKED_AT_MAX {
                    page.more = true;
                    break;
                }
                self::unread(rows, member)?
            }
            Unread::LeftOut => 0,
        };
        let own = with_unread(conversation, member, unread);
        bytes += own.encoded_len();
        if bytes > limits::PAGE_BYTES && !page.conversations.is_empty() {
            page.more = true;
            break;
        }
        page.conversations.push(own);
    }
    Ok(Outcome::answer(reply::Result::Conversations(page)))
}

/// A conversation as one of its members sees it.
pub(super) fn own(rows: &dyn Rows, conversation: &ConversationRow, member: &MemberRow) -> Read<OwnConversation> {
    Ok(with_unread(conversation, member, unread(rows, member)?))
}

fn with_unread(conversation: &ConversationRow, member: &MemberRow, unread: u32) -> OwnConversation {
    OwnConversation {
        info: Some(info(conversation, &member.user_id)),
        role: member.role,
        delivered_sequence: unsigned(member.delivered_sequence),
        read_sequence: unsigned(member.read_sequence),
        unread,
        first_sequence: unsigned(member.first_sequence),
    }
}

/// Messages that [`unread`] may look at.
fn looked_at_of(conversation: &ConversationRow, member: &MemberRow) -> i64 {
    (conversation.last_sequence - unread_after(member)).clamp(0, UNREAD_LOOKED_AT)
}

fn unread_after(member: &MemberRow) -> i64 {
    member.read_sequence.max(member.first_sequence - 1)
}

/// Messages that a member has not read, as far as they are counted.
pub(super) fn unread(rows: &dyn Rows, member: &MemberRow) -> Read<u32> {
    let after = unread_after(member);
    let limit = usize::try_from(limits::UNREAD_MAX).unwrap_or(usize::MAX);
    let count = rows.count_unread(member.conversation, after, &member.user_id, limit)?;
    Ok(u32::try_from(count).unwrap_or(limits::UNREAD_MAX))
}

/// What is known of a conversation, by the name it has for this user.
pub(super) fn info(conversation: &ConversationRow, user: &str) -> ConversationInfo {
    let kind = ConversationType::try_from(conversation.kind).unwrap_or_default();
    ConversationInfo {
        r#type: conversation.kind,
        id: id_for(user, kind, &conversation.key),
        name: conversation.name.clone(),
        creator_id: conversation.creator_id.clone(),
        notice: conversation.notice.clone(),
        attributes: conversation.attributes.clone(),
        member_count: small(conversation.member_count),
        created_at_ms: conversation.created_at_ms,
        updated_at_ms: conversation.updated_at_ms,
        last_sequence: unsigned(conversation.last_sequence),
        last_message_id: unsigned(conversation.last_message_id),
        last_message_at_ms: conversation.last_message_at_ms,
        muted: conversation.muted,
        expires_at_ms: conversation.expires_at_ms.unwrap_or(0),
    }
}

pub(super) fn member(row: &MemberRow) -> ConversationMember {
    ConversationMember {
        user_id: row.user_id.clone(),
        role: row.role,
        joined_at_ms: row.joined_at_ms,
        delivered_sequence: unsigned(row.delivered_sequence),
        read_sequence: unsigned(row.read_sequence),
        muted_until_ms: row.muted_until_ms.unwrap_or(0),
    }
}

pub(super) fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Two users who have not written to each other yet.
fn of_two(one: &str, other: &str, after: &str) -> Vec<MemberRow> {
    let mut both = [one, other];
    both.sort_unstable();
    let row = |user: &str| MemberRow {
        user_id: user.to_owned(),
        role: MemberRole::Member.into(),
        ..MemberRow::default()
    };
    both.into_iter().filter(|user| *user > after).map(row).collect()
}
