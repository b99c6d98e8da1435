//! How far a user has got: delivered and read.

use sluice_protocol::{AckMessages, AckMessagesResult, ConversationType, ErrorCode, PositionMoved, frame::Body, reply};

use crate::conversation::audience::user;
use crate::conversation::inside::{Inside, NOT_MADE};
use crate::conversation::key::id_for;
use crate::conversation::send::unsigned;
use crate::conversation::{Actor, Audience, Context, Outcome, Ruled, Tell, look};
use crate::store::{ConversationRow, MemberRow, RowsMut};

/// Moves the positions of a user on. What was read has been delivered too.
pub(super) fn ack(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &AckMessages) -> Ruled<Outcome> {
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let Some(member) = &inside.member else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let last = inside.conversation.last_sequence;
    let up_to = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX).min(last);
    let read = member.read_sequence.max(up_to(command.read_sequence));
    let delivered = member
        .delivered_sequence
        .max(up_to(command.delivered_sequence))
        .max(read);
    let moved = MemberRow {
        delivered_sequence: delivered,
        read_sequence: read,
        ..member.clone()
    };
    let unread = match inside.conversation.id {
        NOT_MADE => 0,
        _ => look::unread(rows, &moved)?,
    };
    let result = reply::Result::AckMessages(AckMessagesResult {
        delivered_sequence: unsigned(delivered),
        read_sequence: unsigned(read),
        unread,
    });
    if moved == *member {
        return Ok(Outcome::answer(result));
    }
    rows.put_member(&moved)?;
    let other = id_for(&member.user_id, inside.kind, &inside.conversation.key);
    let told = match inside.kind {
        // The other one sees what became of the messages.
        ConversationType::Peer => vec![user(&member.user_id), user(&other)],
        _ => vec![user(&member.user_id)],
    };
    let to = Audience::of(told.into_iter().flatten());
    let event = self::moved(inside.kind, &inside.conversation, &moved);
    let tell = Tell::event(to, inside.conversation.id, event);
    Ok(Outcome::telling(result, vec![tell]))
}

/// What those concerned are told of where a member is now.
pub(super) fn moved(kind: ConversationType, conversation: &ConversationRow, member: &MemberRow) -> Body {
    Body::PositionMoved(PositionMoved {
        r#type: kind.into(),
        target_id: id_for(&member.user_id, kind, &conversation.key),
        user_id: member.user_id.clone(),
        delivered_sequence: unsigned(member.delivered_sequence),
        read_sequence: unsigned(member.read_sequence),
    })
}
