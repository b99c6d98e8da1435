//! Pages of what was said.

use prost::Message;
use sluice_protocol::{ConversationMessage, ErrorCode, HistoryDirection, Messages, QueryMessages, limits, reply};

use crate::conversation::inside::Inside;
use crate::conversation::send::unsigned;
use crate::conversation::{Actor, Context, No, Outcome, Ruled};
use crate::store::{ConversationRow, Direction, MessageRow, MessagesQuery, Read, Rows, Since, StoreError};

/// Messages looked at for one page. Where few are of the types asked for, the page ends there and the client asks on.
const LOOKED_AT_MAX: i64 = 5_000;

/// Messages read at once: a page may be full after a few, if they are large.
const ROWS_AT_ONCE: i64 = 64;

/// A message takes so much beside itself in a page, at most.
const MESSAGE_OVERHEAD_BYTES: usize = 16;

pub(super) fn page(rows: &dyn Rows, context: Context<'_>, by: &Actor, command: &QueryMessages) -> Ruled<Outcome> {
    if !context.settings.history && matches!(by, Actor::User(_)) {
        return Err(ErrorCode::HISTORY_SERVICE_OFF.into());
    }
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let from = inside.member.as_ref().map_or(1, |member| member.first_sequence.max(1));
    let page = of(rows, &inside.conversation, from, command).map_err(|error| match error {
        // Whoever asks may come back.
        StoreError::Busy => No::Store(error),
        error => {
            tracing::error!(%error, "history cannot be read");
            ErrorCode::HISTORY_FAILED.into()
        }
    })?;
    Ok(Outcome::answer(reply::Result::Messages(page)))
}

/// A page of a conversation, of messages from this one on.
pub(super) fn of(
    rows: &dyn Rows,
    conversation: &ConversationRow,
    from: i64,
    command: &QueryMessages,
) -> Read<Messages> {
    match Bounds::of(rows, conversation, from, command)? {
        Some(bounds) => read(rows, conversation, bounds, command),
        None => Ok(Messages::default()),
    }
}

/// What a message's row says, as its members got it. A row that says nothing is left out: others are not to be missed because of it.
pub(super) fn message_of(row: &MessageRow) -> Option<ConversationMessage> {
    match ConversationMessage::decode(row.event.as_slice()) {
        Ok(message) => Some(message),
        Err(error) => {
            tracing::error!(%error, conversation = row.conversation, sequence = row.sequence, "a message is damaged");
            None
        }
    }
}

/// The messages that are asked for, by sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    direction: Direction,
    first: i64,
    last: i64,
}

impl Bounds {
    /// `None`: there are none.
    fn of(rows: &dyn Rows, conversation: &ConversationRow, from: i64, command: &QueryMessages) -> Read<Option<Self>> {
        // Those before it were deleted, because they were old. From there on there are all.
        let oldest = rows.messages(&MessagesQuery {
            conversation: conversation.id,
            from_sequence: from,
            beyond: None,
            direction: Direction::Newer,
            kinds: Vec::new(),
            limit: 1,
        })?;
        let Some(oldest) = oldest.first() else { return Ok(None) };
        let whole = Self {
            direction: match command.direction() {
                HistoryDirection::Older => Direction::Older,
                HistoryDirection::Newer => Direction::Newer,
            },
            first: oldest.sequence,
            last: conversation.last_sequence,
        };
        let id = i64::try_from(command.message_id).unwrap_or(i64::MAX);
        let since = |since| rows.first_since(conversation.id, since);
        // The first that is not before what was named, and the first behind it.
        let bounds = match (whole.direction, id, command.time_ms) {
            (_, 0, 0) => Some(whole),
            (Direction::Older, 0, ms) => Some(whole.before(since(Since::TimeMs(ms))?)),
            (Direction::Older, id, _) => Some(whole.before(since(Since::MessageId(id))?)),
            (Direction::Newer, 0, ms) => whole.since(since(Since::TimeMs(ms.saturating_add(1)))?),
            (Direction::Newer, id, _) => whole.since(since(Since::MessageId(id.saturating_add(1)))?),
        };
        Ok(bounds.filter(|bounds| !bounds.is_empty()))
    }

    fn before(self, sequence: Option<i64>) -> Self {
        let last = sequence.map_or(self.last, |sequence| self.last.min(sequence - 1));
        Self { last, ..self }
    }

    fn since(self, sequence: Option<i64>) -> Option<Self> {
        let first = self.first.max(sequence?);
        Some(Self { first, ..self })
    }

    fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// Those so many that come first in the direction of the question.
    fn nearest(self, count: i64) -> Self {
        match self.direction {
            Direction::Older => Self {
                first: self.first.max(self.last - count + 1),
                ..self
            },
            Direction::Newer => Self {
                last: self.last.min(self.first + count - 1),
                ..self
            },
        }
    }

    /// Those behind `nearest`.
    fn without(self, nearest: Self) -> Self {
        match self.direction {
            Direction::Older => Self {
                last: nearest.first - 1,
                ..self
            },
            Direction::Newer => Self {
                first: nearest.last + 1,
                ..self
            },
        }
    }

    /// All of them that are of the types asked for. They are bounded at both ends, so the store looks at no others.
    fn query(self, conversation: i64, command: &QueryMessages) -> MessagesQuery {
        let kinds = command.message_types.iter();
        MessagesQuery {
            conversation,
            from_sequence: self.first,
            beyond: Some(self.last + 1),
            direction: Direction::Older,
            kinds: kinds.map(|kind| i32::try_from(*kind).unwrap_or(-1)).collect(),
            limit: usize::MAX,
        }
    }
}

fn read(rows: &dyn Rows, conversation: &ConversationRow, bounds: Bounds, command: &QueryMessages) -> Read<Messages> {
    let limit = match command.limit {
        0 => limits::HISTORY_PAGE_DEFAULT,
        limit => limit.min(limits::HISTORY_PAGE_MAX),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let looked_at = bounds.nearest(LOOKED_AT_MAX);
    let mut left = looked_at;
    // In the direction of the question.
    let mut found: Vec<MessageRow> = Vec::new();
    let (mut bytes, mut full) = (0, false);
    while !full && !left.is_empty() {
        let some = left.nearest(ROWS_AT_ONCE);
        let mut rows = rows.messages(&some.query(conversation.id, command))?;
        if some.direction == Direction::Older {
            rows.reverse();
        }
        for row in rows {
            let row_bytes = row.event.len() + MESSAGE_OVERHEAD_BYTES;
            full = found.len() == limit || (bytes + row_bytes > limits::PAGE_BYTES && !found.is_empty());
            if full {
                break;
            }
            bytes += row_bytes;
            found.push(row);
        }
        left = left.without(some);
    }
    let beyond = match (full, found.last()) {
        (true, Some(last)) => last.message_id,
        _ if looked_at == bounds => 0,
        _ => edge(rows, conversation.id, looked_at)?,
    };
    if bounds.direction == Direction::Older {
        found.reverse();
    }
    let messages = found.iter().filter_map(message_of).map(|message| ConversationMessage {
        history: true,
        ..message
    });
    Ok(Messages {
        messages: messages.collect(),
        more: beyond != 0,
        beyond_message_id: unsigned(beyond),
    })
}

/// The message beyond which to ask on: the last that was looked at. 0 if nothing is there any more.
fn edge(rows: &dyn Rows, conversation: i64, looked_at: Bounds) -> Read<i64> {
    let sequence = match looked_at.direction {
        Direction::Older => looked_at.first,
        Direction::Newer => looked_at.last,
    };
    let found = rows.message(conversation, sequence)?;
    Ok(found.map_or(0, |found| found.message_id))
}
