//! Fields and answers that paths about users of rooms have in common.

use serde_json::{Value, json};
use sluice_protocol::{UserId, limits};

use crate::api::call::Call;
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind};
use crate::api::times;
use crate::room;
use crate::room::Tell;
use crate::store::Entry;

/// Users of one call, as the vendor has it.
pub(super) const USERS_PER_CALL: usize = 20;

pub(super) const ROOM: Field = Field::required("chatroomId", Kind::Room, "The room.");

pub(super) const USERS: Field = Field::required("userId", Kind::User, "Whom it concerns.")
    .many(USERS_PER_CALL)
    .or(&["userIds"]);

pub(super) const MINUTE: Field = Field::required("minute", Kind::Minutes, "For how long, in minutes.");

pub(super) const NEED_NOTIFY: Field = Field::optional(
    "needNotify",
    Kind::Flag,
    "Whether those concerned are told; they are not where it is missing.",
);

pub(super) const EXTRA: Field = Field::optional(
    "extra",
    Kind::Text {
        bytes_max: limits::NOTICE_EXTRA_BYTES,
    },
    "Words for those who are told, carried unread.",
);

/// Users with the time at which something ends for them.
pub(super) const USERS_WITH_ENDS: &[Answer] = &[
    Answer::new("userId", AnswerKind::Text, "The user."),
    Answer::new(
        "time",
        AnswerKind::Text,
        "When it ends, in UTC: `2026-11-21 09:30:00`; empty: never.",
    ),
];

/// Whether those concerned are told.
pub(super) fn tell(call: &Call) -> Tell {
    if call.flag("needNotify").unwrap_or(false) {
        Tell::Users
    } else {
        Tell::Nobody
    }
}

/// An entry from now until the minutes of the call are over, with its words.
pub(super) fn entry_for_minutes(call: &Call) -> Result<Entry, Failure> {
    Ok(Entry {
        until_ms: Some(call.until_ms("minute")?),
        since_ms: call.now.unix_ms,
        text: call.text("extra").unwrap_or_default(),
    })
}

/// An entry without an end, and without words.
pub(super) fn entry_for_ever(call: &Call) -> Entry {
    Entry {
        until_ms: None,
        since_ms: call.now.unix_ms,
        text: String::new(),
    }
}

/// Users with the time at which something ends, as lists of the vendor show them.
pub(super) fn with_ends(listed: &[(UserId, Entry)]) -> Vec<Value> {
    let one = |(user, entry): &(UserId, Entry)| {
        let ends = entry.until_ms.map_or_else(String::new, times::text);
        json!({ "userId": user.as_str(), "time": ends })
    };
    listed.iter().map(one).collect()
}

/// An order that a room answers with something else than was asked.
pub(super) fn unexpected(answer: &room::Answer) -> Failure {
    tracing::error!(?answer, "a room gave another answer than was asked for");
    Failure::new(Code::INTERNAL, "a fault of the gateway")
}
