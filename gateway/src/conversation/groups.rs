//! What an owner does with a group, and what a conversation says of itself.

use sluice_protocol::{
    ConversationType, DismissGroup, Done, ErrorCode, MemberRole, MuteGroupMembers, SetGroupManagers, TransferGroup,
    UpdateConversation, UserId, reply,
};

use crate::conversation::inside::{Inside, shared, users};
use crate::conversation::members::{Judged, end, members_who, touch};
use crate::conversation::{Actor, Context, Outcome, Ruled, Tell, notices};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, MemberRow, RowsMut, UserList};

pub(super) fn update(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    command: &UpdateConversation,
) -> Ruled<Outcome> {
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    shared(inside.kind)?;
    inside.require(MemberRole::Manager)?;
    if command.notice.is_some() && inside.kind != ConversationType::Group {
        return Err(Refusal::parameter("notice").into());
    }
    let before = inside.conversation;
    let mut conversation = before.clone();
    let given = |now: &mut String, given: &Option<String>| {
        if let Some(given) = given {
            now.clone_from(given);
        }
    };
    given(&mut conversation.name, &command.name);
    given(&mut conversation.attributes, &command.attributes);
    given(&mut conversation.notice, &command.notice);
    if conversation == before {
        return Ok(done(Vec::new()));
    }
    touch(rows, context, &mut conversation)?;
    Ok(done(told(rows, context, by, &conversation, &[])?))
}

pub(super) fn dismiss(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &DismissGroup) -> Ruled<Outcome> {
    let inside = group(rows, context, by, &command.id)?;
    inside.require(MemberRole::Owner)?;
    let all = context.audiences.of(rows, &inside.conversation)?;
    end(rows, context, &inside.conversation)?;
    let tell = notices::dismissed(&inside.conversation, by, all);
    Ok(done(notices::heard(vec![tell])))
}

pub(super) fn transfer(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    command: &TransferGroup,
) -> Ruled<Outcome> {
    let heir = UserId::parse(&command.user_id, context.profile).map_err(|_| Refusal::parameter("user_id"))?;
    let inside = group(rows, context, by, &command.id)?;
    inside.require(MemberRole::Owner)?;
    let mut conversation = inside.conversation;
    let heir = rows
        .member(conversation.id, heir.as_str())?
        .ok_or(ErrorCode::NOT_A_MEMBER)?;
    if heir.role() == MemberRole::Owner {
        return Ok(done(Vec::new()));
    }
    // The app's server makes groups without an owner.
    let owner = members_who(rows, conversation.id, |member| member.role() == MemberRole::Owner)?;
    let mut roles: Vec<MemberRow> = owner
        .into_iter()
        .map(|owner| with_role(owner, MemberRole::Member))
        .collect();
    // An owner may speak.
    roles.push(MemberRow {
        muted_until_ms: None,
        ..with_role(heir, MemberRole::Owner)
    });
    for member in &roles {
        rows.put_member(member)?;
    }
    touch(rows, context, &mut conversation)?;
    Ok(done(told(rows, context, by, &conversation, &roles)?))
}

pub(super) fn set_managers(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    command: &SetGroupManagers,
) -> Ruled<Outcome> {
    let users = users(context, &command.user_ids, "user_ids")?;
    let inside = group(rows, context, by, &command.id)?;
    inside.require(MemberRole::Owner)?;
    let role = if command.manager {
        MemberRole::Manager
    } else {
        MemberRole::Member
    };
    let judged = Judged::default();
    each_member(rows, context, by, inside.conversation, judged, users, |member| {
        match member.role() {
            MemberRole::Owner => Err(ErrorCode::OWNER_STAYS),
            // A manager may speak.
            _ if command.manager => Ok(MemberRow {
                muted_until_ms: None,
                ..with_role(member.clone(), role)
            }),
            _ => Ok(with_role(member.clone(), role)),
        }
    })
}

pub(super) fn mute(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &MuteGroupMembers) -> Ruled<Outcome> {
    let users = users(context, &command.user_ids, "user_ids")?;
    let inside = group(rows, context, by, &command.id)?;
    inside.require(MemberRole::Manager)?;
    let mut conversation = inside.conversation;
    if users.is_empty() {
        let before = std::mem::replace(&mut conversation.muted, command.muted);
        let tell = if before == command.muted {
            Vec::new()
        } else {
            touch(rows, context, &mut conversation)?;
            told(rows, context, by, &conversation, &[])?
        };
        return Ok(Judged::default().outcome(&conversation, tell));
    }
    let muted_until_ms = command.muted.then(|| match command.seconds {
        0 => i64::MAX,
        seconds => context.now.unix_ms + i64::from(seconds) * 1000,
    });
    let mut judged = Judged::default();
    let mut inside = Vec::with_capacity(users.len());
    for user in users {
        let (app, list, group) = (context.app_key, UserList::LeftMuted, &conversation.key);
        // Who left muted is not inside, and may come back and speak.
        if !command.muted && rows.is_listed(app, list, group, user.as_str())? {
            rows.remove_listed(app, list, group, user.as_str())?;
            judged.done.push(user);
        } else {
            inside.push(user);
        }
    }
    each_member(rows, context, by, conversation, judged, inside, |member| {
        if command.muted && member.role() != MemberRole::Member {
            // Only the app's server mutes those who lead.
            return Err(ErrorCode::GROUP_PERMISSION);
        }
        if !command.muted && member.muted_until_ms.is_some() && member.user_id == by.user_id() {
            // Or its mute would be none.
            return Err(ErrorCode::GROUP_PERMISSION);
        }
        Ok(MemberRow {
            muted_until_ms,
            ..member.clone()
        })
    })
}

/// Changes the rows of users who are inside, and tells all members of those that are others now. `judged` has what became of others.
fn each_member(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    mut conversation: ConversationRow,
    mut judged: Judged,
    users: Vec<UserId>,
    changed: impl Fn(&MemberRow) -> Result<MemberRow, ErrorCode>,
) -> Ruled<Outcome> {
    let mut roles = Vec::new();
    for user in users {
        let Some(before) = rows.member(conversation.id, user.as_str())? else {
            judged.refuse(&user, ErrorCode::NOT_A_MEMBER);
            continue;
        };
        match changed(&before) {
            Err(code) => judged.refuse(&user, code),
            Ok(after) if after == before => judged.done.push(user),
            Ok(after) => {
                rows.put_member(&after)?;
                judged.change(user);
                roles.push(after);
            }
        }
    }
    if roles.is_empty() {
        return Ok(judged.outcome(&conversation, Vec::new()));
    }
    touch(rows, context, &mut conversation)?;
    let tell = told(rows, context, by, &conversation, &roles)?;
    Ok(judged.outcome(&conversation, tell))
}

fn group(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, id: &str) -> Ruled<Inside> {
    Inside::of(rows, context, by, ConversationType::Group.into(), id)
}

fn with_role(member: MemberRow, role: MemberRole) -> MemberRow {
    MemberRow {
        role: role.into(),
        ..member
    }
}

/// All members are told what a conversation says now.
pub(super) fn told(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    conversation: &ConversationRow,
    roles: &[MemberRow],
) -> Ruled<Vec<Tell>> {
    let all = context.audiences.of(rows, conversation)?;
    Ok(notices::heard(vec![notices::changed(conversation, by, all, roles)]))
}

fn done(tell: Vec<Tell>) -> Outcome {
    Outcome::telling(reply::Result::Done(Done {}), tell)
}
