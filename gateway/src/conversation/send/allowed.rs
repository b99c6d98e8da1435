//! Whether a user may send to a conversation.

use std::time::Duration;

use sluice_protocol::{ConversationType, ErrorCode, MemberRole, SendMessage};

use crate::conversation::inside::Inside;
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
    match kind {
        ConversationType::Peer => {
            let to = receiver(context, message)?;
            if to == user.id {
                return Err(Refusal::parameter("target_id").into());
            }
            let inside = Inside::of(rows, context, by, kind.into(), to.as_str())?;
            if let Some(gag) = context.policy.peer_gags.get(&user.id, context.now) {
                return Err(gagged(context, ErrorCode::MUTED_IN_PEER, "global", gag.until_ms).into());
            }
            is_wanted(rows, context, user.id.as_str(), to.as_str())?;
            Ok(inside.conversation)
        }
        ConversationType::Group | ConversationType::Discussion => {
            let inside = Inside::of(rows, context, by, kind.into(), &message.target_id)?;
            if kind == ConversationType::Group
                && let Some(gag) = context.policy.group_gags.get(&user.id, context.now)
            {
                return Err(gagged(context, ErrorCode::MUTED_IN_GROUP, "global", gag.until_ms).into());
            }
            if let Some(member) = &inside.member {
                may_speak(rows, context, &inside.conversation, member)?;
            }
            Ok(inside.conversation)
        }
        ConversationType::System => Err(ErrorCode::SYSTEM_CONVERSATION.into()),
        ConversationType::Room => Err(ErrorCode::OPERATION_NOT_SUPPORTED.into()),
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
