//! How far a user has got: delivered and read.

use sluice_protocol::{AckMessages, AckMessagesResult, ConversationType, ErrorCode, PositionMoved, frame::Body, reply};

use crate::conversation::audience::user;
use crate::conversation::inside::{Inside, NOT_MADE};
use crate::conversation::key::id_for;
use crate::conversation::send::unsigned;
use crate::conversation::{Actor, Audience, Command, Context, Outcome, Ruled, Tell, look};
use crate::store::{ConversationRow, MemberRow, Rows, RowsMut};

/// What an ack comes to.
#[derive(Debug)]
pub(crate) struct Move {
    to: AckMessages,
    /// What is unread once it is carried out.
    unread: u32,
}

/// Counts what is unread where an ack leads to: that may be a look at ten thousand messages, which is not for the thread that writes.
pub(super) fn ack(rows: &dyn Rows, context: Context<'_>, by: &Actor, command: &AckMessages) -> Ruled<Outcome> {
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let (before, after) = moving(&inside, command)?;
    let unread = match inside.conversation.id {
        NOT_MADE => 0,
        _ => look::unread(rows, &after)?,
    };
    let outcome = Outcome::answer(answer(&after, unread));
    if after == *before {
        return Ok(outcome);
    }
    let to = AckMessages {
        // Whatever comes meanwhile is not counted.
        delivered_sequence: unsigned(after.delivered_sequence),
        read_sequence: unsigned(after.read_sequence),
        ..command.clone()
    };
    Ok(Outcome {
        next: Some(Command::Move(Move { to, unread })),
        ..outcome
    })
}

/// Moves the positions of a user on. What was read has been delivered too.
pub(super) fn go(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &Move) -> Ruled<Outcome> {
    let Move { to, unread } = command;
    let inside = Inside::of(rows, context, by, to.r#type, &to.id)?;
    let (before, after) = moving(&inside, to)?;
    let outcome = Outcome::answer(answer(&after, *unread));
    if unsigned(after.read_sequence) != to.read_sequence {
        // Another device has got further, or the group is another one: what was counted is not what is unread.
        return Ok(Outcome {
            next: Some(Command::Ack(to.clone())),
            ..outcome
        });
    }
    if after == *before {
        return Ok(outcome);
    }
    rows.put_member(&after)?;
    let told = match inside.kind {
        // The other one sees what became of the messages.
        ConversationType::Peer => {
            let other = id_for(&after.user_id, inside.kind, &inside.conversation.key);
            vec![user(&after.user_id), user(&other)]
        }
        _ => vec![user(&after.user_id)],
    };
    let to = Audience::of(told.into_iter().flatten());
    let event = moved(inside.kind, &inside.conversation, &after);
    Ok(Outcome {
        tell: vec![Tell::event(to, inside.conversation.id, event)],
        ..outcome
    })
}

/// A member before an ack and after it.
fn moving<'a>(inside: &'a Inside, command: &AckMessages) -> Ruled<(&'a MemberRow, MemberRow)> {
    let Some(member) = &inside.member else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let last = inside.conversation.last_sequence;
    let up_to = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX).min(last);
    let read = member.read_sequence.max(up_to(command.read_sequence));
    let delivered = member.delivered_sequence.max(up_to(command.delivered_sequence));
    let after = MemberRow {
        delivered_sequence: delivered.max(read),
        read_sequence: read,
        ..member.clone()
    };
    Ok((member, after))
}

fn answer(member: &MemberRow, unread: u32) -> reply::Result {
    reply::Result::AckMessages(AckMessagesResult {
        delivered_sequence: unsigned(member.delivered_sequence),
        read_sequence: unsigned(member.read_sequence),
        unread,
    })
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
