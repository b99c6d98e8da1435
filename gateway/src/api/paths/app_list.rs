//! Lists of an app that hold in all its rooms: types of messages that count as low or are never shed, and rooms that do not end by being idle.

use serde_json::json;
use sluice_protocol::limits;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::shared::{ROOM, entry_for_ever};
use crate::config::ApiScope;
use crate::policy::{ALLOWED_TYPES, KEEP_ALIVE, LOW_TYPES, ListError, ListOf, Name};
use crate::room::Order;

/// Types of one call: as many as a list may have.
const TYPES_PER_CALL: usize = 20;

/// Object names of messages. The vendor calls the field one thing here and another there.
const TYPES: Field = Field::required(
    "objectName",
    Kind::Text {
        bytes_max: limits::OBJECT_NAME_BYTES,
    },
    "Types of messages, by their object names.",
)
.many(TYPES_PER_CALL)
.or(&["objectNames", "objectnames"]);

const TYPES_ALLOWED: Field = Field::required(
    "objectnames",
    Kind::Text {
        bytes_max: limits::OBJECT_NAME_BYTES,
    },
    "Types of messages, by their object names.",
)
.many(TYPES_PER_CALL)
.or(&["objectNames", "objectName"]);

const fn path(
    path: &'static str,
    group: Group,
    effect: Effect,
    summary: &'static str,
    fields: &'static [Field],
    answers: &'static [Answer],
    run: fn(Call) -> crate::api::call::Running,
) -> Path {
    Path {
        path,
        group,
        scope: ApiScope::Room,
        effect,
        summary,
        fields,
        answers,
        run,
    }
}

pub(super) const PATHS: &[Path] = &[
    path(
        "/chatroom/message/priority/add",
        Group::Priority,
        Effect::Changes,
        "Has types of messages count as low in all rooms, whatever their priority: the first to be shed after barrage.",
        &[TYPES],
        &[],
        |call| Box::pin(add_texts(call, "objectName", &LOW_TYPES)),
    ),
    path(
        "/chatroom/message/priority/remove",
        Group::Priority,
        Effect::Changes,
        "Has types of messages count by their priority again. Those that are not on the list are passed over.",
        &[TYPES],
        &[],
        |call| Box::pin(remove_texts(call, "objectName", &LOW_TYPES)),
    ),
    path(
        "/chatroom/message/priority/query",
        Group::Priority,
        Effect::Asks,
        "Lists the types of messages that count as low.",
        &[],
        &[Answer::new("objectNames", AnswerKind::Texts, "Their object names.")],
        |call| {
            Box::pin(async move {
                let names = names(&call, &LOW_TYPES);
                answer(json!({ "objectNames": names }))
            })
        },
    ),
    path(
        "/chatroom/whitelist/add",
        Group::AllowList,
        Effect::Changes,
        "Protects types of messages in all rooms: they are never shed.",
        &[TYPES_ALLOWED],
        &[],
        |call| Box::pin(add_texts(call, "objectnames", &ALLOWED_TYPES)),
    ),
    path(
        "/chatroom/whitelist/delete",
        Group::AllowList,
        Effect::Changes,
        "Protects types of messages no more. Those that are not on the list are passed over.",
        &[TYPES_ALLOWED],
        &[],
        |call| Box::pin(remove_texts(call, "objectnames", &ALLOWED_TYPES)),
    ),
    path(
        "/chatroom/whitelist/query",
        Group::AllowList,
        Effect::Asks,
        "Lists the types of messages that are protected.",
        &[],
        &[Answer::new(
            "whitlistMsgType",
            AnswerKind::Texts,
            "Their object names. The vendor writes it so.",
        )],
        |call| {
            Box::pin(async move {
                let names = names(&call, &ALLOWED_TYPES);
                answer(json!({ "whitlistMsgType": names }))
            })
        },
    ),
    path(
        "/chatroom/keepalive/add",
        Group::KeepAlive,
        Effect::Changes,
        "Keeps a room from ending by being idle. It need not exist yet.",
        &[ROOM],
        &[],
        |call| Box::pin(keep_alive(call)),
    ),
    path(
        "/chatroom/keepalive/remove",
        Group::KeepAlive,
        Effect::Changes,
        "Lets a room end by being idle again. 1015 where it was not kept.",
        &[ROOM],
        &[],
        |call| Box::pin(let_end(call)),
    ),
    path(
        "/chatroom/keepalive/query",
        Group::KeepAlive,
        Effect::Asks,
        "Lists the rooms that do not end by being idle.",
        &[],
        &[Answer::new("chatroomIds", AnswerKind::Texts, "The rooms.")],
        |call| {
            Box::pin(async move {
                let rooms = names(&call, &KEEP_ALIVE);
                answer(json!({ "chatroomIds": rooms }))
            })
        },
    ),
];

async fn add_texts(call: Call, field: &'static str, list: &ListOf<String>) -> Answered {
    let entry = entry_for_ever(&call);
    let entries: Vec<_> = call
        .texts(field)
        .into_iter()
        .map(|name| (name, entry.clone()))
        .collect();
    call.keep(|keep| call.policies().enlist(call.app, list, &entries, call.now, keep))
        .await?;
    done()
}

async fn remove_texts(call: Call, field: &'static str, list: &ListOf<String>) -> Answered {
    let names = call.texts(field);
    call.keep(|keep| call.policies().strike(call.app, list, &names, call.now, keep))
        .await?;
    done()
}

fn names<K: Name>(call: &Call, list: &ListOf<K>) -> Vec<String> {
    let listed = call.policies().listed(call.app, list, call.now);
    listed.iter().map(|(name, _)| name.text().to_owned()).collect()
}

async fn keep_alive(call: Call) -> Answered {
    let entries = [(call.room("chatroomId")?, entry_for_ever(&call))];
    let kept = call
        .keep(
            |keep| match call.policies().enlist(call.app, &KEEP_ALIVE, &entries, call.now, keep) {
                Err(ListError::Full { max }) => Err(Failure::new(
                    Code::KEEP_ALIVE_FULL,
                    format!("{max} rooms are on the keep-alive list, and no more may be"),
                )),
                other => other.map_err(Failure::from),
            },
        )
        .await;
    kept.and_then(|()| done())
}

async fn let_end(call: Call) -> Answered {
    let rooms = [call.room("chatroomId")?];
    let struck = call
        .keep(|keep| call.policies().strike(call.app, &KEEP_ALIVE, &rooms, call.now, keep))
        .await?;
    if struck.is_empty() {
        return Err(Failure::new(Code::NOT_LISTED, "the room is not on the keep-alive list"));
    }
    // Whether a room is over is looked at when something is asked of it: now, if it has been idle for long enough already.
    let [room] = rooms;
    call.order(room, Order::Describe).await?;
    done()
}
