//! Attributes of rooms, which the vendor calls entries.

use serde_json::{Value, json};
use sluice_protocol::{ErrorCode, RoomId, UserId};

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::room::{FAILED, pairs};
use crate::api::paths::shared::{ROOM, unexpected};
use crate::config::ApiScope;
use crate::room::{self, Order, Write};

/// Longest key and value, as the vendor has it; a policy may allow less.
const KEY_BYTES: usize = 128;
const VALUE_BYTES: usize = 4 * 4096;

/// Keys that one call writes or asks for, as the vendor has it.
const WRITTEN_PER_CALL: usize = 20;
const ASKED_PER_CALL: usize = 100;

/// 20 keys and values, and what JSON puts around them.
const ENTRIES_BYTES: usize = 128 * 1024;

const KEY: Field = Field::required(
    "key",
    Kind::Text { bytes_max: KEY_BYTES },
    "Letters, digits and `+ = - _`.",
);

const OWNER: Field = Field::required(
    "entryOwnerId",
    Kind::User,
    "Whom they belong to from now on; need not be inside.",
);

const REFUSED: &[Answer] = &[
    Answer::new("key", AnswerKind::Text, "The key."),
    Answer::new("code", AnswerKind::Number, "Why it was refused."),
    Answer::new("errorMessage", AnswerKind::Text, "The same in words."),
];

const WRITTEN: &[Answer] = &[FAILED_KEYS];

pub(super) const FAILED_KEYS: Answer = Answer::new(
    FAILED,
    AnswerKind::Objects(REFUSED),
    "Only where some of several keys were refused: which, and why. All others are written.",
)
.sometimes();

const LISTED: &[Answer] = &[
    Answer::new("key", AnswerKind::Text, "The key."),
    Answer::new("value", AnswerKind::Text, "The value."),
    Answer::new("userId", AnswerKind::Text, "Whom it belongs to; empty: nobody."),
    Answer::new(
        "autoDelete",
        AnswerKind::Text,
        "`1`: it goes when its owner leaves, `0`: it stays.",
    ),
    Answer::new(
        "lastSetTime",
        AnswerKind::Text,
        "When it was set, milliseconds since 1970-01-01 UTC.",
    ),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/chatroom/entry/set",
        group: Group::Attribute,
        scope: ApiScope::Attribute,
        effect: Effect::Changes,
        summary: "Sets an attribute of a room, whoever it belongs to. Members are told.",
        fields: &[
            ROOM,
            Field::required(
                "userId",
                Kind::User,
                "Whom it belongs to from now on; need not be inside.",
            ),
            KEY,
            Field::required("value", Kind::Text { bytes_max: VALUE_BYTES }, "The value."),
            Field::optional(
                "autoDelete",
                Kind::Flag,
                "Whether it goes when its owner leaves; it stays where it is missing.",
            ),
        ],
        answers: &[],
        run: |call| {
            Box::pin(async move {
                let entries = vec![(call.required_text("key")?, call.required_text("value")?)];
                let owner = call.user("userId")?;
                set(call, owner, entries).await
            })
        },
    },
    Path {
        path: "/chatroom/entry/batch/set",
        group: Group::Attribute,
        scope: ApiScope::Attribute,
        effect: Effect::Changes,
        summary: "Sets up to 20 attributes of a room, whoever they belong to. Members are told once.",
        fields: &[
            ROOM,
            OWNER,
            Field::required(
                "entryInfo",
                Kind::Object {
                    bytes_max: ENTRIES_BYTES,
                },
                "An object of values by key.",
            ),
            Field::optional(
                "autoDelete",
                Kind::Flag,
                "Whether they go when their owner leaves; they stay where it is missing.",
            ),
        ],
        answers: WRITTEN,
        run: |call| {
            Box::pin(async move {
                let entries = pairs(&call.object("entryInfo").unwrap_or_default())?;
                let owner = call.user("entryOwnerId")?;
                set(call, owner, entries).await
            })
        },
    },
    Path {
        path: "/chatroom/entry/remove",
        group: Group::Attribute,
        scope: ApiScope::Attribute,
        effect: Effect::Changes,
        summary: "Deletes an attribute of a room, whoever it belongs to. 23427 where there is none.",
        fields: &[ROOM, Field::required("userId", Kind::User, "In whose name."), KEY],
        answers: &[],
        run: |call| {
            Box::pin(async move {
                let keys = vec![call.required_text("key")?];
                let by = call.user("userId")?;
                delete(call, by, keys).await
            })
        },
    },
    Path {
        path: "/chatroom/entry/batch/remove",
        group: Group::Attribute,
        scope: ApiScope::Attribute,
        effect: Effect::Changes,
        summary: "Deletes up to 20 attributes of a room, whoever they belong to. Members are told once.",
        fields: &[
            ROOM,
            Field::required("entryOwnerId", Kind::User, "In whose name."),
            Field::required(
                "entryKeys",
                Kind::Array {
                    bytes_max: ENTRIES_BYTES,
                },
                "A list of keys.",
            ),
        ],
        answers: WRITTEN,
        run: |call| {
            Box::pin(async move {
                let keys = call.texts("entryKeys");
                let by = call.user("entryOwnerId")?;
                delete(call, by, keys).await
            })
        },
    },
    Path {
        path: "/chatroom/entry/query",
        group: Group::Attribute,
        scope: ApiScope::Attribute,
        effect: Effect::Asks,
        summary: "Lists attributes of a room.",
        fields: &[
            ROOM,
            Field::optional(
                "keys",
                Kind::Text { bytes_max: KEY_BYTES },
                "Which; all where it is missing.",
            )
            .many(ASKED_PER_CALL),
        ],
        answers: &[Answer::new(
            "keys",
            AnswerKind::Objects(LISTED),
            "Those that exist, by key.",
        )],
        run: |call| Box::pin(query(call)),
    },
];

async fn set(call: Call, owner: UserId, entries: Vec<(String, String)>) -> Answered {
    check_count(entries.len())?;
    let write = Write::Set {
        entries,
        force: true,
        take_over: true,
        delete_on_leave: call.flag("autoDelete").unwrap_or(false),
        if_version: None,
    };
    carry_out(call, owner, write).await
}

async fn delete(call: Call, by: UserId, keys: Vec<String>) -> Answered {
    check_count(keys.len())?;
    let write = Write::Delete {
        keys,
        force: true,
        if_version: None,
    };
    carry_out(call, by, write).await
}

pub(super) fn check_count(count: usize) -> Result<(), Failure> {
    if (1..=WRITTEN_PER_CALL).contains(&count) {
        return Ok(());
    }
    Err(Failure::new(
        Code(ErrorCode::TOO_MANY_ATTRIBUTES.number()),
        format!("found {count} keys, expected 1 to {WRITTEN_PER_CALL}"),
    ))
}

async fn carry_out(call: Call, by: UserId, write: Write) -> Answered {
    let asked = match &write {
        Write::Set { entries, .. } => entries.len(),
        Write::Delete { keys, .. } => keys.len(),
    };
    let mut refused = order(&call, call.room("chatroomId")?, by, write).await?;
    if refused.is_empty() {
        return done();
    }
    if refused.len() < asked {
        return answer(json!({ FAILED: failed(&refused) }));
    }
    match refused.pop() {
        Some((_, failure)) if refused.is_empty() => Err(failure),
        last => {
            refused.extend(last);
            let code = Code(ErrorCode::ATTRIBUTES_PARTLY_FAILED.number());
            Err(Failure::new(code, json!(failed(&refused)).to_string()))
        }
    }
}

/// Has a room write attributes; returns the keys that were refused.
pub(super) async fn order(
    call: &Call,
    room: RoomId,
    by: UserId,
    write: Write,
) -> Result<Vec<(String, Failure)>, Failure> {
    let by = Some(call.nameless(by));
    match call.order(room, Order::WriteAttributes { by, write }).await? {
        room::Answer::AttributesWritten { refused, .. } => {
            let failure = |(key, refusal)| (key, Failure::from(refusal));
            Ok(refused.into_iter().map(failure).collect())
        }
        other => Err(unexpected(&other)),
    }
}

/// Keys that were refused, as answers name them.
pub(super) fn failed(refused: &[(String, Failure)]) -> Vec<Value> {
    let refused = refused.iter();
    refused
        .map(|(key, failure)| json!({ "key": key, "code": failure.code.0, "errorMessage": failure.message }))
        .collect()
}

async fn query(call: Call) -> Answered {
    let order = Order::Attributes(call.texts("keys"));
    match call.order(call.room("chatroomId")?, order).await? {
        room::Answer::Attributes(attributes) => {
            let keys: Vec<_> = attributes
                .iter()
                .map(|(key, attribute)| {
                    json!({
                        "key": key,
                        "value": attribute.value,
                        "userId": attribute.owner,
                        "autoDelete": if attribute.goes_with_owner { "1" } else { "0" },
                        "lastSetTime": attribute.set_at_ms.to_string(),
                    })
                })
                .collect();
            answer(json!({ "keys": keys }))
        }
        other => Err(unexpected(&other)),
    }
}
