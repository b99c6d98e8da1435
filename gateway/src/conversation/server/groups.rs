//! Groups as the app's server wants them.

use sluice_protocol::{AddMembers, ConversationType, ErrorCode, MuteGroupMembers, UpdateConversation, UserId};

use crate::conversation::server::{NOBODY, done, group};
use crate::conversation::{Actor, Context, Outcome, Ruled, create, groups, members};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, MemberRow, Read, RowsMut, UserList};

/// Groups that are not there but about which something is decided, in one app.
const GROUPS_AHEAD_MAX: usize = 10_000;

/// Users who are not in a group but gagged there, and users excepted from its mute: as many as the vendor lets be inside.
const USERS_ON_LIST_MAX: usize = 3000;

/// The app's words for a list that has no place.
const LIST_FULL: Refusal = Refusal::with_detail(ErrorCode::INVALID_PARAMETER, "list_full");

pub(super) fn bring(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    id: &str,
    name: Option<&str>,
    users: &[UserId],
) -> Ruled<Outcome> {
    let kind = ConversationType::Group.into();
    let is_there = group(rows, context, id)?.is_some();
    if !is_there {
        let new = ConversationRow {
            kind,
            key: id.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            ..ConversationRow::default()
        };
        create::make(rows, context, by, new, &[])?;
    }
    let adding = AddMembers {
        r#type: kind,
        id: id.to_owned(),
        user_ids: users.iter().map(|user| user.as_str().to_owned()).collect(),
    };
    let mut outcome = members::add(rows, context, by, &adding)?;
    if is_there && name.is_some() {
        let renaming = UpdateConversation {
            r#type: kind,
            id: id.to_owned(),
            name: name.map(str::to_owned),
            ..UpdateConversation::default()
        };
        outcome.tell.extend(groups::update(rows, context, by, &renaming)?.tell);
    }
    Ok(outcome)
}

pub(super) fn gag(
    rows: &dyn RowsMut,
    context: Context<'_>,
    by: &Actor,
    id: &str,
    users: &[UserId],
    until_ms: Option<i64>,
) -> Ruled<Outcome> {
    let (app, list) = (context.app_key, UserList::LeftMuted);
    let conversation = group(rows, context, id)?;
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for user in users {
        let member = match &conversation {
            Some(conversation) => rows.member(conversation.id, user.as_str())?,
            None => None,
        };
        match member {
            Some(member) => inside.push(member),
            None => outside.push(user.as_str()),
        }
    }
    if until_ms.is_some() {
        has_place(rows, context, list, id, &outside)?;
        if conversation.is_none() {
            put_ahead(rows, context, id)?;
        }
    }
    for user in outside {
        rows.remove_listed(app, list, id, user)?;
        if let Some(until_ms) = until_ms {
            rows.put_listed(app, list, id, user, until_ms)?;
        }
    }
    let Some(mut conversation) = conversation else {
        drop_ahead(rows, context, id)?;
        return Ok(done());
    };
    inside.retain(|member| member.muted_until_ms != until_ms);
    if inside.is_empty() {
        return Ok(done());
    }
    let changed = |member| MemberRow {
        muted_until_ms: until_ms,
        ..member
    };
    let inside: Vec<MemberRow> = inside.into_iter().map(changed).collect();
    for member in &inside {
        rows.put_member(member)?;
    }
    members::touch(rows, context, &mut conversation)?;
    Ok(Outcome {
        tell: groups::told(rows, context, by, &conversation, &inside)?,
        ..done()
    })
}

pub(super) fn mute(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, id: &str, muted: bool) -> Ruled<Outcome> {
    if group(rows, context, id)?.is_some() {
        let command = MuteGroupMembers {
            id: id.to_owned(),
            muted,
            ..MuteGroupMembers::default()
        };
        return groups::mute(rows, context, by, &command);
    }
    let (app, list) = (context.app_key, UserList::MutedAhead);
    if muted {
        put_ahead(rows, context, id)?;
        rows.put_listed(app, list, NOBODY, id, context.now.unix_ms)?;
    } else {
        rows.remove_listed(app, list, NOBODY, id)?;
        drop_ahead(rows, context, id)?;
    }
    Ok(done())
}

pub(super) fn except(
    rows: &dyn RowsMut,
    context: Context<'_>,
    id: &str,
    users: &[UserId],
    excepted: bool,
) -> Ruled<Outcome> {
    let (app, list) = (context.app_key, UserList::MuteException);
    let is_there = group(rows, context, id)?.is_some();
    if excepted {
        let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
        has_place(rows, context, list, id, &users)?;
        if !is_there {
            put_ahead(rows, context, id)?;
        }
        for user in users {
            rows.put_listed(app, list, id, user, context.now.unix_ms)?;
        }
    } else {
        for user in users {
            rows.remove_listed(app, list, id, user.as_str())?;
        }
        if !is_there {
            drop_ahead(rows, context, id)?;
        }
    }
    Ok(done())
}

/// What was decided about a group before it was there holds for the one that is being made: returns whether it is muted.
pub(in crate::conversation) fn settle_ahead(rows: &dyn RowsMut, context: Context<'_>, id: &str) -> Read<bool> {
    let app = context.app_key;
    if !rows.is_listed(app, UserList::GroupAhead, NOBODY, id)? {
        return Ok(false);
    }
    let muted = rows.is_listed(app, UserList::MutedAhead, NOBODY, id)?;
    rows.remove_listed(app, UserList::GroupAhead, NOBODY, id)?;
    rows.remove_listed(app, UserList::MutedAhead, NOBODY, id)?;
    Ok(muted)
}

/// Refuses what a list has no place for.
fn has_place(rows: &dyn RowsMut, context: Context<'_>, list: UserList, id: &str, users: &[&str]) -> Ruled<()> {
    let mut new = 0;
    for user in users {
        if !rows.is_listed(context.app_key, list, id, user)? {
            new += 1;
        }
    }
    if new > 0 && rows.listed_count(context.app_key, list, id)? + new > USERS_ON_LIST_MAX {
        return Err(LIST_FULL.into());
    }
    Ok(())
}

/// Remembers that something is decided about a group that is not there.
fn put_ahead(rows: &dyn RowsMut, context: Context<'_>, id: &str) -> Ruled<()> {
    let (app, list) = (context.app_key, UserList::GroupAhead);
    if !rows.is_listed(app, list, NOBODY, id)? {
        if rows.listed_count(app, list, NOBODY)? >= GROUPS_AHEAD_MAX {
            return Err(LIST_FULL.into());
        }
        rows.put_listed(app, list, NOBODY, id, context.now.unix_ms)?;
    }
    Ok(())
}

/// Forgets a group that is not there once nothing is decided about it any more.
fn drop_ahead(rows: &dyn RowsMut, context: Context<'_>, id: &str) -> Ruled<()> {
    let app = context.app_key;
    let nothing = rows.listed(app, UserList::LeftMuted, id, "", 1)?.is_empty()
        && rows.listed(app, UserList::MuteException, id, "", 1)?.is_empty()
        && !rows.is_listed(app, UserList::MutedAhead, NOBODY, id)?;
    if nothing {
        rows.remove_listed(app, UserList::GroupAhead, NOBODY, id)?;
    }
    Ok(())
}
