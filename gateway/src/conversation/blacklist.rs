//! Whose messages a user does not want.

use sluice_protocol::{Blacklist, Done, EditBlacklist, ErrorCode, IdProfile, QueryBlacklist, UserId, limits, reply};

use crate::conversation::inside::users;
use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::refusal::Refusal;
use crate::store::{Rows, RowsMut, UserList};

/// Users on one page.
const PAGE: usize = limits::CONVERSATION_USERS_PER_COMMAND;

pub(super) fn edit(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &EditBlacklist) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    edit_of(rows, context, UserList::Blacklist, &user.id, command)
}

/// Changes a list of a user, whoever asks.
pub(super) fn edit_of(
    rows: &dyn RowsMut,
    context: Context<'_>,
    list: UserList,
    owner: &UserId,
    command: &EditBlacklist,
) -> Ruled<Outcome> {
    let users = users(context, &command.user_ids, "user_ids")?;
    if users.contains(owner) {
        return Err(Refusal::parameter("user_ids").into());
    }
    let (app, owner) = (context.app_key, owner.as_str());
    if command.add {
        let mut new = Vec::with_capacity(users.len());
        for user in users {
            if !rows.is_listed(app, list, owner, user.as_str())? {
                new.push(user);
            }
        }
        if !new.is_empty() && rows.listed_count(app, list, owner)? + new.len() > limits::BLACKLIST_USERS {
            return Err(ErrorCode::CONVERSATION_FULL.into());
        }
        for user in new {
            rows.put_listed(app, list, owner, user.as_str(), context.now.unix_ms)?;
        }
    } else {
        for user in users {
            rows.remove_listed(app, list, owner, user.as_str())?;
        }
    }
    Ok(Outcome::answer(reply::Result::Done(Done {})))
}

pub(super) fn page(rows: &dyn Rows, context: Context<'_>, by: &Actor, command: &QueryBlacklist) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    // It is the last user of the page before.
    if !command.cursor.is_empty() && UserId::parse(&command.cursor, IdProfile::Wide).is_err() {
        return Err(Refusal::parameter("cursor").into());
    }
    let owner = user.id.as_str();
    let mut user_ids = rows.listed(context.app_key, UserList::Blacklist, owner, &command.cursor, PAGE + 1)?;
    let more = user_ids.len() > PAGE;
    user_ids.truncate(PAGE);
    let next_cursor = match user_ids.last() {
        Some(last) if more => last.clone(),
        _ => String::new(),
    };
    let page = Blacklist { user_ids, next_cursor };
    Ok(Outcome::answer(reply::Result::Blacklist(page)))
}
