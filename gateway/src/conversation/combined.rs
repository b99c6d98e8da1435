//! Messages forwarded as one: their parts, put one by one and read by pages.
//!
//! Parts belong to who puts them. From when a message names them they do not change, and are read by way of the message alone: by who may read that.

use bytes::Bytes;
use prost::Message;
use sluice_protocol::{
    CombinedParts, ConversationMessage, Done, ErrorCode, MessageType, PutCombinedPart, QueryCombined, SendMessage,
    limits, reply,
};

use crate::conversation::inside::Inside;
use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::refusal::Refusal;
use crate::store::{CombinedRow, MessageRow, Rows, RowsMut};

/// What the parts of a user may count as that no message has named yet: twice the largest set there can be.
const NOT_SENT_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// What a part counts as at least, so that many small sets are not many more than large ones: they are summed up with each part.
const PART_BYTES_MIN: i64 = 16 * 1024;

/// Parts read at once: with the largest a page is full.
const PARTS_READ: usize = limits::PAGE_BYTES / limits::COMBINED_PART_BYTES;

/// Keeps a part, in the place of the one with this number.
pub(super) fn put(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &PutCombinedPart) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let (app, user, id) = (context.app_key, user.id.as_str(), command.combined_id.as_str());
    let part = i64::from(command.part);
    let set = rows.combined(app, user, id)?;
    let before = match &set {
        Some(set) if set.sent_at_ms.is_some() => return Err(Refusal::parameter("combined_id").into()),
        Some(_) => rows.part_bytes(app, user, id, part)?,
        None => None,
    };
    let set = set.unwrap_or_else(|| CombinedRow {
        app: app.to_owned(),
        user_id: user.to_owned(),
        combined_id: id.to_owned(),
        last_part: part,
        ..CombinedRow::default()
    });
    let grown = counted(i64::try_from(command.content.len()).unwrap_or(i64::MAX)) - before.map_or(0, counted);
    if rows.combined_bytes_not_sent(app, user)? + grown > NOT_SENT_BYTES_MAX {
        return Err(Refusal {
            detail: NOT_SENT_BYTES_MAX.to_string().into(),
            ..Refusal::new(ErrorCode::CONTENT_TOO_LARGE)
        }
        .into());
    }

    rows.put_part(app, user, id, part, &command.content)?;
    rows.put_combined(&CombinedRow {
        put_at_ms: context.now.unix_ms,
        parts: set.parts + i64::from(before.is_none()),
        last_part: set.last_part.max(part),
        bytes: set.bytes + grown,
        ..set
    })?;
    Ok(Outcome::answer(reply::Result::Done(Done {})))
}

/// A page of the parts that a message names.
pub(super) fn page(rows: &dyn Rows, context: Context<'_>, by: &Actor, command: &QueryCombined) -> Ruled<Outcome> {
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let first = inside.member.as_ref().map_or(0, |member| member.first_sequence);
    let message_id = i64::try_from(command.message_id).map_err(|_| ErrorCode::MESSAGE_UNKNOWN)?;
    let message = rows.message_by_id(inside.conversation.id, message_id)?;
    let message = message.filter(|message| message.sequence >= first);
    parts_of(rows, context, message, command.from_part)
}

/// A page of the parts of a message, if it is a combined one that was not taken back.
pub(super) fn parts_of(
    rows: &dyn Rows,
    context: Context<'_>,
    message: Option<MessageRow>,
    from_part: u32,
) -> Ruled<Outcome> {
    let unknown = ErrorCode::MESSAGE_UNKNOWN;
    let message = message
        .filter(|message| !message.recalled && message.kind == i32::from(MessageType::Combined))
        .ok_or(unknown)?;
    let event = ConversationMessage::decode(&*message.event).map_err(|_| unknown)?;
    let mut page = CombinedParts::default();
    let (mut bytes, mut next) = (0, i64::from(from_part));
    loop {
        let parts = rows.parts(
            context.app_key,
            &message.sender_id,
            &event.combined_id,
            next,
            PARTS_READ,
        )?;
        let read = parts.len();
        for part in parts {
            bytes += part.len();
            if bytes > limits::PAGE_BYTES {
                page.next_part = u32::try_from(next).unwrap_or(0);
                return Ok(Outcome::answer(reply::Result::CombinedParts(page)));
            }
            next += 1;
            page.parts.push(Bytes::from(part));
        }
        if read < PARTS_READ {
            return Ok(Outcome::answer(reply::Result::CombinedParts(page)));
        }
    }
}

/// The set that a message names, if it is complete.
pub(super) fn named(
    rows: &dyn Rows,
    context: Context<'_>,
    sender: &str,
    message: &SendMessage,
) -> Ruled<Option<CombinedRow>> {
    if message.r#type() != MessageType::Combined {
        return Ok(None);
    }
    let set = rows.combined(context.app_key, sender, &message.combined_id)?;
    match set {
        Some(set) if set.parts == set.last_part + 1 && set.sent_at_ms != Some(0) => Ok(Some(set)),
        _ => Err(Refusal::parameter("combined_id").into()),
    }
}

/// A message names it now.
pub(super) fn send(rows: &dyn RowsMut, context: Context<'_>, set: CombinedRow) -> Ruled<()> {
    rows.put_combined(&CombinedRow {
        sent_at_ms: Some(context.now.unix_ms),
        messages: set.messages + 1,
        ..set
    })?;
    Ok(())
}

/// A message does not name it any more. After the last it is deleted with what has passed.
pub(super) fn take_back(rows: &dyn RowsMut, context: Context<'_>, sender: &str, combined_id: &str) -> Ruled<()> {
    let Some(set) = rows.combined(context.app_key, sender, combined_id)? else {
        return Ok(());
    };
    let messages = set.messages - 1;
    rows.put_combined(&CombinedRow {
        sent_at_ms: if messages > 0 { set.sent_at_ms } else { Some(0) },
        messages,
        ..set
    })?;
    Ok(())
}

fn counted(bytes: i64) -> i64 {
    bytes.max(PART_BYTES_MIN)
}
