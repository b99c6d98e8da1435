//! What the app's server asks about conversations.

use prost::Message as _;
use sluice_protocol::{
    ConversationMessage, ConversationType, ErrorCode, OwnConversation, QueryConversations, UserId, limits, reply,
};

use crate::conversation::history::message_of;
use crate::conversation::look::{Unread, info, list_of};
use crate::conversation::members::members_who;
use crate::conversation::server::{Found, NOBODY, Place, found, group, named};
use crate::conversation::{Context, Outcome, Ruled, combined};
use crate::store::{ConversationsQuery, Direction, MessagesQuery, Rows, UserList};

/// Messages read at once: of the largest, some MiB.
const MESSAGES_READ: usize = 100;

/// More than any list of a user has.
const LISTED_MAX: usize = 10_000;

pub(super) fn members(rows: &dyn Rows, context: Context<'_>, id: &str) -> Ruled<Outcome> {
    let Some(conversation) = group(rows, context, id)? else {
        return Ok(found(Found::Names(Vec::new())));
    };
    let all = context.audiences.of(rows, &conversation)?;
    let names = all.users.iter().map(|user| user.as_str().to_owned());
    Ok(found(Found::Names(names.collect())))
}

pub(super) fn groups_of(
    rows: &dyn Rows,
    context: Context<'_>,
    user: &UserId,
    skip: usize,
    limit: usize,
) -> Ruled<Outcome> {
    let groups = rows.conversations(&ConversationsQuery {
        app: context.app_key.to_owned(),
        user_id: user.as_str().to_owned(),
        kind: Some(ConversationType::Group.into()),
        skip,
        limit,
        ..ConversationsQuery::default()
    })?;
    let groups = groups.into_iter().map(|(group, _)| (group.key, group.name));
    Ok(found(Found::Groups(groups.collect())))
}

pub(super) fn gagged(rows: &dyn Rows, context: Context<'_>, id: &str) -> Ruled<Outcome> {
    let holds = |until_ms: i64| until_ms > context.now.unix_ms;
    let mut gagged = rows.listed_entries(context.app_key, UserList::LeftMuted, id, LISTED_MAX)?;
    gagged.retain(|(_, until_ms)| holds(*until_ms));
    if let Some(conversation) = group(rows, context, id)? {
        let muted = members_who(rows, conversation.id, |member| member.muted_until_ms.is_some_and(holds))?;
        gagged.extend(
            muted
                .into_iter()
                .map(|member| (member.user_id, member.muted_until_ms.unwrap_or(i64::MAX))),
        );
    }
    gagged.sort_unstable();
    Ok(found(Found::Entries(gagged)))
}

pub(super) fn are_muted(rows: &dyn Rows, context: Context<'_>, ids: &[String]) -> Ruled<Outcome> {
    let mut muted = Vec::with_capacity(ids.len());
    for id in ids {
        muted.push(match group(rows, context, id)? {
            Some(group) => group.muted,
            None => rows.is_listed(context.app_key, UserList::MutedAhead, NOBODY, id)?,
        });
    }
    Ok(found(Found::Flags(muted)))
}

pub(super) fn muted(rows: &dyn Rows, context: Context<'_>, skip: usize, limit: usize) -> Ruled<Outcome> {
    let (app, all) = (context.app_key, skip.saturating_add(limit));
    let mut muted = rows.muted_groups(app, "", all)?;
    muted.extend(rows.listed(app, UserList::MutedAhead, NOBODY, "", all)?);
    muted.sort_unstable();
    let page = muted.into_iter().skip(skip).take(limit);
    Ok(found(Found::Names(page.collect())))
}

pub(super) fn excepted(rows: &dyn Rows, context: Context<'_>, id: &str) -> Ruled<Outcome> {
    let names = rows.listed(context.app_key, UserList::MuteException, id, "", LISTED_MAX)?;
    Ok(found(Found::Names(names)))
}

pub(super) fn listed(rows: &dyn Rows, context: Context<'_>, list: UserList, owner: &UserId) -> Ruled<Outcome> {
    let mut entries = rows.listed_entries(context.app_key, list, owner.as_str(), LISTED_MAX)?;
    entries.sort_unstable_by(|(user, since), (other, than)| than.cmp(since).then_with(|| user.cmp(other)));
    Ok(found(Found::Entries(entries)))
}

pub(super) fn are_only_wanted(rows: &dyn Rows, context: Context<'_>, users: &[UserId]) -> Ruled<Outcome> {
    let mut flags = Vec::with_capacity(users.len());
    for user in users {
        flags.push(rows.is_listed(context.app_key, UserList::OnlyWanted, NOBODY, user.as_str())?);
    }
    Ok(found(Found::Flags(flags)))
}

pub(super) fn list(
    rows: &dyn Rows,
    context: Context<'_>,
    user: &UserId,
    kind: Option<ConversationType>,
    skip: usize,
    limit: usize,
) -> Ruled<Outcome> {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let question = QueryConversations {
        limit: small(limit),
        skip: small(skip),
        type_plus_one: kind.map_or(0, |kind| u32::try_from(i32::from(kind)).unwrap_or(0) + 1),
        ..QueryConversations::default()
    };
    list_of(rows, context, user.as_str(), &question, Unread::LeftOut)
}

pub(super) fn look(rows: &dyn Rows, context: Context<'_>, place: &Place) -> Ruled<Outcome> {
    let conversation = named(rows, context, place)?.ok_or(ErrorCode::CONVERSATION_UNKNOWN)?;
    let seen_by = place.as_user.as_ref().map_or(NOBODY, UserId::as_str);
    let own = OwnConversation {
        info: Some(info(&conversation, seen_by)),
        ..OwnConversation::default()
    };
    Ok(Outcome::answer(reply::Result::OwnConversation(own)))
}

pub(super) fn history(
    rows: &dyn Rows,
    context: Context<'_>,
    place: &Place,
    after: i64,
    limit: usize,
) -> Ruled<Outcome> {
    let conversation = named(rows, context, place)?.ok_or(ErrorCode::CONVERSATION_UNKNOWN)?;
    let mut query = MessagesQuery {
        conversation: conversation.id,
        from_sequence: 0,
        beyond: Some(after),
        direction: Direction::Newer,
        kinds: Vec::new(),
        limit: MESSAGES_READ,
    };
    let mut messages: Vec<ConversationMessage> = Vec::new();
    let (mut bytes, mut looked_at, mut last) = (0, 0, after);
    let mut more = true;
    while more && looked_at < limit && bytes < limits::PAGE_BYTES {
        query.limit = MESSAGES_READ.min(limit - looked_at);
        query.beyond = Some(last);
        let read = rows.messages(&query)?;
        more = read.len() == query.limit;
        for row in &read {
            if bytes >= limits::PAGE_BYTES {
                more = true;
                break;
            }
            (looked_at, last) = (looked_at + 1, row.sequence);
            // One that is damaged is left out here as it is for clients: whoever copies all of it gets the rest.
            if let Some(message) = message_of(row) {
                bytes += message.encoded_len();
                messages.push(message);
            }
        }
    }
    let next = (more && last < conversation.last_sequence).then_some(last);
    Ok(found(Found::Messages { messages, next }))
}

pub(super) fn parts(
    rows: &dyn Rows,
    context: Context<'_>,
    place: &Place,
    message_id: i64,
    from_part: u32,
) -> Ruled<Outcome> {
    let conversation = named(rows, context, place)?.ok_or(ErrorCode::CONVERSATION_UNKNOWN)?;
    let message = rows.message_by_id(conversation.id, message_id)?;
    combined::parts_of(rows, context, message, from_part)
}
