//! Conversations that users make: discussions and groups.

use std::fmt::Write as _;

use aws_lc_rs::{digest, rand};
use sluice_protocol::{
    ConversationCreated, ConversationType, CreateConversation, CreateGroup, ErrorCode, MemberRole, UserId, reply,
};

use crate::conversation::inside::{TEMPORARY, users};
use crate::conversation::look::info;
use crate::conversation::members::{mute_left_with, newcomer};
use crate::conversation::server::settle_ahead;
use crate::conversation::{Actor, Context, Outcome, Ruled, Tell, notices};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, RowsMut};

/// Random bytes of an id that the server chooses: nobody guesses one, since whoever knows it may join.
const ID_BYTES: usize = 12;
/// The same in hexadecimal.
pub(super) const ID_DIGITS: usize = 2 * ID_BYTES;

pub(super) fn discussion(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    command: &CreateConversation,
) -> Ruled<Outcome> {
    let members = members(context, by, &command.user_ids)?;
    let temporary = command.temporary_seconds > 0;
    // Any discussion that lasts is found by its members while they are those it was made with, however it was made.
    let members_digest = (!temporary).then(|| digest_of(&members));
    if command.unique
        && let Some(members_digest) = &members_digest
        && let Some(found) = rows.conversation_of_members(context.app_key, members_digest)?
    {
        return Ok(created(&found, true, Vec::new()));
    }
    let id = new_id()?;
    let new = ConversationRow {
        kind: ConversationType::Discussion.into(),
        key: if temporary { format!("{TEMPORARY}{id}") } else { id },
        name: command.name.clone(),
        attributes: command.attributes.clone(),
        members_digest,
        expires_at_ms: temporary.then(|| context.now.unix_ms + i64::from(command.temporary_seconds) * 1000),
        ..ConversationRow::default()
    };
    make(rows, context, by, new, &members)
}

pub(super) fn group(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &CreateGroup) -> Ruled<Outcome> {
    // The app's server knows its groups by these ids: a user who took one first would own what it puts its users into.
    if matches!(by, Actor::User(_)) && !command.id.is_empty() && !context.settings.users_name_groups {
        return Err(Refusal::parameter("id").into());
    }
    let members = members(context, by, &command.user_ids)?;
    let kind = ConversationType::Group.into();
    let key = if command.id.is_empty() {
        new_id()?
    } else {
        command.id.clone()
    };
    if rows.conversation(context.app_key, kind, &key)?.is_some() {
        return Err(ErrorCode::GROUP_EXISTS.into());
    }
    let new = ConversationRow {
        kind,
        key,
        name: command.name.clone(),
        notice: command.notice.clone(),
        attributes: command.attributes.clone(),
        ..ConversationRow::default()
    };
    make(rows, context, by, new, &members)
}

/// Whoever makes it, then those it is made with.
fn members(context: Context<'_>, by: &Actor, user_ids: &[String]) -> Ruled<Vec<UserId>> {
    let mut members = users(context, user_ids, "user_ids")?;
    if let Actor::User(creator) = by {
        members.retain(|user| *user != creator.id);
        members.insert(0, creator.id.clone());
    }
    if members.len() > context.settings.members_max {
        return Err(ErrorCode::CONVERSATION_FULL.into());
    }
    Ok(members)
}

/// Makes a conversation of `new` and tells those who are in it. A user who makes a group is its owner; one that the app's server makes has none.
pub(super) fn make(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    new: ConversationRow,
    members: &[UserId],
) -> Ruled<Outcome> {
    let now_ms = context.now.unix_ms;
    let is_group = new.kind == i32::from(ConversationType::Group);
    // What the app's server has decided about a group of this id holds for this one.
    let muted = is_group && settle_ahead(rows, context, &new.key)?;
    let last_sequence = match is_group {
        true => rows.ended_group(context.app_key, &new.key)?,
        false => 0,
    };
    let row = ConversationRow {
        id: context.next_id(),
        muted,
        last_sequence,
        app: context.app_key.to_owned(),
        creator_id: by.user_id().to_owned(),
        member_count: i64::try_from(members.len()).unwrap_or(i64::MAX),
        members_version: context.next_id(),
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        ..new
    };
    rows.insert_conversation(&row)?;
    for user in members {
        let mut member = newcomer(context, &row, user);
        member.muted_until_ms = mute_left_with(rows, context, &row, user)?;
        if is_group && user.as_str() == by.user_id() {
            member.role = MemberRole::Owner.into();
        }
        rows.put_member(&member)?;
    }
    let invited = members.iter().filter(|user| user.as_str() != by.user_id());
    let mut tell = vec![notices::invited(&row, by, invited.cloned())];
    if let Actor::User(creator) = by {
        // So that all devices of who made it know of it.
        tell.push(notices::joined(&row, by, [creator.id.clone()], members));
    }
    Ok(created(&row, false, notices::heard(tell)))
}

fn created(row: &ConversationRow, existed: bool, tell: Vec<Tell>) -> Outcome {
    let result = ConversationCreated {
        conversation: Some(info(row, "")),
        existed,
    };
    Outcome::telling(reply::Result::ConversationCreated(result), tell)
}

/// Of exactly these users, in whatever order they were named.
fn digest_of(users: &[UserId]) -> String {
    let mut sorted: Vec<&str> = users.iter().map(UserId::as_str).collect();
    sorted.sort_unstable();
    // A line break is in no user id, so no two sets are written alike.
    hexadecimal(digest::digest(&digest::SHA256, sorted.join("\n").as_bytes()).as_ref())
}

/// An id that no conversation has, and nobody guesses.
pub(crate) fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; ID_BYTES];
    rand::fill(&mut bytes).map_err(|_| Refusal::with_detail(ErrorCode::INTERNAL_ERROR, "random"))?;
    Ok(hexadecimal(&bytes))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
