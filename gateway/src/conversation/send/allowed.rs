//! Whether a user may send to a conversation.

use std::time::Duration;

use sluice_protocol::{ConversationType, ErrorCode, MemberRole, SendMessage};

use crate::conversation::inside::Inside;
use crate::conversation::key::id_for;
use crate::conversation::send::receiver;
use crate::conversation::{Actor, Context, Ruled};
use crate::identity::User;
use crate::refusal::Refusal;
use crate::store::{ConversationRow, MemberRow, Rows, UserList};

/// The conversation that a message is for, if its sender may send there.
pub(super) fn conversation(
    rows: &dyn Rows,
    context: Context<'_>,
    by: &Actor,
    user: &User,
    message: &SendMessage,
) -> Ruled<ConversationRow> {
    let kind = message.conversation_type();
    let id = match kind {
        ConversationType::Peer => {
            let to = receiver(context, message)?;
            if to == user.id {
                return Err(Refusal::parameter("target_id").into());
            }
            to.as_str().to_owned()
        }
        ConversationType::Group | ConversationType::Discussion => message.target_id.clone(),
        ConversationType::System => return Err(ErrorCode::SYSTEM_CONVERSATION.into()),
        ConversationType::Room => return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into()),
    };
    let inside = Inside::of(rows, context, by, kind.into(), &id)?;
    may_say(rows, context, user, &inside)?;
    Ok(inside.conversation)
}

/// Whether who is inside may say something there now, new or in the place of what was said.
pub(in crate::conversation) fn may_say(
    rows: &dyn Rows,
    context: Context<'_>,
    user: &User,
    inside: &Inside,
) -> Ruled<()> {
    if inside.kind == ConversationType::Peer {
        if let Some(gag) = context.policy.peer_gags.get(&user.id, context.now) {
            return Err(gagged(context, ErrorCode::MUTED_IN_PEER, "global", gag.until_ms).into());
        }
        let to = id_for(user.id.as_str(), inside.kind, &inside.conversation.key);
        return is_wanted(rows, context, user.id.as_str(), &to);
    }
    if inside.kind == ConversationType::Group
        && let Some(gag) = context.policy.group_gags.get(&user.id, context.now)
    {
        return Err(gagged(context, ErrorCode::MUTED_IN_GROUP, "global", gag.until_ms).into());
    }
    match &inside.member {
        Some(member) => may_speak(rows, context, &inside.conversation, member),
        None => Ok(()),
    }
}

/// Whether one user's messages may go to another.
fn is_wanted(rows: &dyn Rows, context: Context<'_>, from: &str, to: &str) -> Ruled<()> {
    if rows.is_listed(context.app_key, UserList::OnlyWanted, "", to)? {
        return match rows.is_listed(context.app_key, UserList::Whitelist, to, from)? {
            true => Ok(()),
            false => Err(ErrorCode::NOT_ON_ALLOW_LIST.into()),
        };
    }
    if rows.is_listed(context.app_key, UserList::Blacklist, to, from)? {
        return Err(ErrorCode::IN_BLACKLIST.into());
    }
    Ok(())
}

/// Whether neither the member is muted nor, for this member, the whole group.
fn may_speak(rows: &dyn Rows, context: Context<'_>, conversation: &ConversationRow, member: &MemberRow) -> Ruled<()> {
    let code = ErrorCode::MUTED_IN_GROUP;
    match member.muted_until_ms {
        Some(i64::MAX) => return Err(gagged(context, code, "user", None).into()),
        Some(until_ms) if until_ms > context.now.unix_ms => {
            return Err(gagged(context, code, "user", Some(until_ms)).into());
        }
        _ => {}
    }
    let leads = matches!(member.role(), MemberRole::Owner | MemberRole::Manager);
    if conversation.muted
        && !leads
        && !rows.is_listed(
            context.app_key,
            UserList::MuteException,
            &conversation.key,
            &member.user_id,
        )?
    {
        return Err(gagged(context, code, "group", None).into());
    }
    Ok(())
}

/// What somebody is told who may not send before `until_ms`, or without end.
fn gagged(context: Context<'_>, code: ErrorCode, detail: &'static str, until_ms: Option<i64>) -> Refusal {
    let left_ms = until_ms.map_or(0, |until_ms| until_ms.saturating_sub(context.now.unix_ms));
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
    Refusal::with_detail(code, detail).retry_after(left)
}
