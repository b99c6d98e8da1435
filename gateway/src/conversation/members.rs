//! Coming into a conversation and going: added, removed, joined, quit.

use std::collections::BTreeSet;

use sluice_protocol::{
    AddMembers, ConversationType, ErrorCode, JoinConversation, MemberRefusal, MemberRole, MembersChanged,
    QuitConversation, RemoveMembers, UserId, reply,
};

use crate::conversation::inside::{Inside, find, shared, users};
use crate::conversation::look::info;
use crate::conversation::{Actor, Context, Outcome, Ruled, Tell, notices};
use crate::store::{ConversationRow, MemberRow, Read, Rows, RowsMut, UserList};

/// Members read at once.
const PAGE: usize = 1000;

/// What became of the users that a command names.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// For whom it was done, or who was so already.
    pub done: Vec<UserId>,
    /// For whom something is another now.
    pub changed: Vec<UserId>,
    pub refused: Vec<MemberRefusal>,
}

pub(super) fn add(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &AddMembers) -> Ruled<Outcome> {
    let users = users(context, &command.user_ids, "user_ids")?;
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    shared(inside.kind)?;
    if !context.settings.members_may_add {
        inside.require(MemberRole::Manager)?;
    }
    let mut conversation = inside.conversation;
    let judged = bring(rows, context, &mut conversation, &users)?;
    let mut tell = Vec::new();
    if !judged.changed.is_empty() {
        let others = others(rows, context, &conversation, &judged.changed)?;
        tell.push(notices::joined(&conversation, by, others, &judged.changed));
        tell.push(notices::invited(&conversation, by, judged.changed.clone()));
    }
    Ok(judged.outcome(&conversation, tell))
}

pub(super) fn remove(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &RemoveMembers) -> Ruled<Outcome> {
    let users = users(context, &command.user_ids, "user_ids")?;
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    shared(inside.kind)?;
    inside.require(MemberRole::Manager)?;
    let mut conversation = inside.conversation;
    let mut judged = Judged::default();
    let mut owner_went = false;
    for user in users {
        match rows.member(conversation.id, user.as_str())? {
            None => judged.refuse(&user, ErrorCode::NOT_A_MEMBER),
            Some(member) if member.role() == MemberRole::Owner && matches!(by, Actor::User(_)) => {
                judged.refuse(&user, ErrorCode::OWNER_STAYS);
            }
            Some(member) => {
                owner_went |= member.role() == MemberRole::Owner;
                put_out(rows, context, &conversation, &member)?;
                judged.change(user);
            }
        }
    }
    if judged.changed.is_empty() {
        return Ok(judged.outcome(&conversation, Vec::new()));
    }
    conversation.member_count -= i64::try_from(judged.changed.len()).unwrap_or(i64::MAX);
    members_changed(rows, context, &mut conversation)?;
    let others = others(rows, context, &conversation, &judged.changed)?;
    let mut tell = vec![
        notices::left(&conversation, by, others, &judged.changed),
        notices::kicked(&conversation, by, judged.changed.clone()),
    ];
    if conversation.member_count == 0 {
        end(rows, context, &conversation)?;
    } else if owner_went && let Some(heir) = promote_the_first(rows, &conversation)? {
        let all = context.audiences.of(rows, &conversation)?;
        tell.push(notices::changed(&conversation, by, all, &[heir]));
    }
    Ok(judged.outcome(&conversation, tell))
}

pub(super) fn join(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &JoinConversation) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let (kind, found) = find(rows, context, by, command.r#type, &command.id)?;
    shared(kind)?;
    let mut conversation = found.ok_or(ErrorCode::CONVERSATION_UNKNOWN)?;
    if rows.member(conversation.id, user.id.as_str())?.is_some() {
        let judged = Judged {
            done: vec![user.id.clone()],
            ..Judged::default()
        };
        return Ok(judged.outcome(&conversation, Vec::new()));
    }
    if kind == ConversationType::Group && !context.settings.groups_open {
        return Err(ErrorCode::JOIN_NOT_ALLOWED.into());
    }
    if !has_room(context, &conversation) {
        return Err(ErrorCode::CONVERSATION_FULL.into());
    }
    let judged = bring(rows, context, &mut conversation, std::slice::from_ref(&user.id))?;
    let all = context.audiences.of(rows, &conversation)?;
    let tell = notices::joined(&conversation, by, all.users.iter().cloned(), &judged.changed);
    Ok(judged.outcome(&conversation, vec![tell]))
}

pub(super) fn quit(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &QuitConversation) -> Ruled<Outcome> {
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    shared(inside.kind)?;
    let (Actor::User(user), Some(member)) = (by, &inside.member) else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let mut conversation = inside.conversation;
    if member.role() == MemberRole::Owner && conversation.member_count > 1 {
        return Err(ErrorCode::OWNER_STAYS.into());
    }
    put_out(rows, context, &conversation, member)?;
    conversation.member_count -= 1;
    members_changed(rows, context, &mut conversation)?;
    let judged = Judged {
        done: vec![user.id.clone()],
        changed: vec![user.id.clone()],
        ..Judged::default()
    };
    let left = context.audiences.of(rows, &conversation)?;
    let told = left.users.iter().chain(&judged.changed).cloned();
    let tell = notices::left(&conversation, by, told, &judged.changed);
    if conversation.member_count == 0 {
        end(rows, context, &conversation)?;
    }
    Ok(judged.outcome(&conversation, vec![tell]))
}

/// Puts users into a conversation that are not in it, as far as there is room.
pub(super) fn bring(
    rows: &dyn RowsMut,
    context: Context<'_>,
    conversation: &mut ConversationRow,
    users: &[UserId],
) -> Ruled<Judged> {
    let mut judged = Judged::default();
    for user in users {
        if rows.member(conversation.id, user.as_str())?.is_some() {
            judged.done.push(user.clone());
        } else if has_room(context, conversation) {
            let mut member = newcomer(context, conversation, user);
            member.muted_until_ms = mute_left_with(rows, context, conversation, user)?;
            rows.put_member(&member)?;
            conversation.member_count += 1;
            judged.change(user.clone());
        } else {
            judged.refuse(user, ErrorCode::CONVERSATION_FULL);
        }
    }
    if !judged.changed.is_empty() {
        members_changed(rows, context, conversation)?;
    }
    Ok(judged)
}

/// A member who comes now: the messages so far are not for this user.
pub(super) fn newcomer(context: Context<'_>, conversation: &ConversationRow, user: &UserId) -> MemberRow {
    MemberRow {
        conversation: conversation.id,
        user_id: user.as_str().to_owned(),
        app: conversation.app.clone(),
        role: MemberRole::Member.into(),
        joined_at_ms: context.now.unix_ms,
        first_sequence: conversation.last_sequence + 1,
        delivered_sequence: conversation.last_sequence,
        read_sequence: conversation.last_sequence,
        muted_until_ms: None,
    }
}

/// Ends a conversation: nothing of it stays but how far the numbers of a group went.
pub(super) fn end(rows: &dyn RowsMut, context: Context<'_>, conversation: &ConversationRow) -> Read<()> {
    if conversation.kind == i32::from(ConversationType::Group) {
        for list in [UserList::MuteException, UserList::LeftMuted] {
            loop {
                let page = rows.listed(context.app_key, list, &conversation.key, "", PAGE)?;
                for user in &page {
                    rows.remove_listed(context.app_key, list, &conversation.key, user)?;
                }
                if page.len() < PAGE {
                    break;
                }
            }
        }
        // Of an id that the server chose it is kept too: none tells it from one that somebody named. It is less than one of the messages took.
        if conversation.last_sequence > 0 {
            rows.put_ended_group(context.app_key, &conversation.key, conversation.last_sequence)?;
        }
    }
    rows.remove_conversation(conversation.id)
}

/// Keeps that something of a conversation is another now.
pub(super) fn touch(rows: &dyn RowsMut, context: Context<'_>, conversation: &mut ConversationRow) -> Read<()> {
    conversation.updated_at_ms = conversation.updated_at_ms.max(context.now.unix_ms);
    rows.update_conversation(conversation)
}

/// The members who pass, in the order of their ids.
pub(super) fn members_who(
    rows: &dyn Rows,
    conversation: i64,
    pass: impl Fn(&MemberRow) -> bool,
) -> Read<Vec<MemberRow>> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = rows.members(conversation, &after, PAGE)?;
        let full = page.len() == PAGE;
        if let Some(last) = page.last() {
            after.clone_from(&last.user_id);
        }
        found.extend(page.into_iter().filter(|member| pass(member)));
        if !full {
            return Ok(found);
        }
    }
}

impl Judged {
    pub(super) fn change(&mut self, user: UserId) {
        self.done.push(user.clone());
        self.changed.push(user);
    }

    pub(super) fn refuse(&mut self, user: &UserId, code: ErrorCode) {
        self.refused.push(MemberRefusal {
            user_id: user.as_str().to_owned(),
            code: code.number(),
        });
    }

    /// The answer that says so, and the notices that somebody gets.
    pub(super) fn outcome(self, conversation: &ConversationRow, tell: Vec<Tell>) -> Outcome {
        let result = MembersChanged {
            conversation: Some(info(conversation, "")),
            user_ids: self.done.iter().map(|user| user.as_str().to_owned()).collect(),
            refused: self.refused,
        };
        Outcome::telling(reply::Result::MembersChanged(result), notices::heard(tell))
    }
}

fn has_room(context: Context<'_>, conversation: &ConversationRow) -> bool {
    usize::try_from(conversation.member_count).is_ok_and(|count| count < context.settings.members_max)
}

/// Members are others now: the conversation is not found any more by those it was made with.
fn members_changed(rows: &dyn RowsMut, context: Context<'_>, conversation: &mut ConversationRow) -> Read<()> {
    conversation.members_version = context.next_id();
    conversation.members_digest = None;
    touch(rows, context, conversation)
}

/// All members but these.
fn others(rows: &dyn Rows, context: Context<'_>, conversation: &ConversationRow, but: &[UserId]) -> Read<Vec<UserId>> {
    let but: BTreeSet<&UserId> = but.iter().collect();
    let all = context.audiences.of(rows, conversation)?;
    Ok(all.users.iter().filter(|user| !but.contains(user)).cloned().collect())
}

/// Takes a member's row. A mute stays, or whoever is muted would leave a group and come back to speak.
fn put_out(rows: &dyn RowsMut, context: Context<'_>, conversation: &ConversationRow, member: &MemberRow) -> Read<()> {
    if let Some(until_ms) = member.muted_until_ms
        && until_ms > context.now.unix_ms
    {
        let (app, group) = (context.app_key, &conversation.key);
        rows.put_listed(app, UserList::LeftMuted, group, &member.user_id, until_ms)?;
    }
    rows.remove_member(conversation.id, &member.user_id)?;
    Ok(())
}

/// Until when a user is muted who left so.
pub(super) fn mute_left_with(
    rows: &dyn RowsMut,
    context: Context<'_>,
    conversation: &ConversationRow,
    user: &UserId,
) -> Read<Option<i64>> {
    if conversation.kind != i32::from(ConversationType::Group) {
        return Ok(None);
    }
    let (app, group) = (context.app_key, &conversation.key);
    let until_ms = rows.listed_since(app, UserList::LeftMuted, group, user.as_str())?;
    if until_ms.is_some() {
        rows.remove_listed(app, UserList::LeftMuted, group, user.as_str())?;
    }
    Ok(until_ms.filter(|until_ms| *until_ms > context.now.unix_ms))
}

/// Makes the member the owner who has been inside for longest, when the owner was put out.
fn promote_the_first(rows: &dyn RowsMut, conversation: &ConversationRow) -> Read<Option<MemberRow>> {
    let all = members_who(rows, conversation.id, |_| true)?;
    let Some(mut first) = all.into_iter().min_by_key(|member| member.joined_at_ms) else {
        return Ok(None);
    };
    first.role = MemberRole::Owner.into();
    // An owner may speak.
    first.muted_until_ms = None;
    rows.put_member(&first)?;
    Ok(Some(first))
}
