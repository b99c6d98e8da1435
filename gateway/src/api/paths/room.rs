//! Rooms: making and ending them, how they are.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sluice_protocol::{RoomId, limits};

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::entry;
use crate::api::paths::shared::{ROOM, entry_for_ever, unexpected};
use crate::api::times;
use crate::config::ApiScope;
use crate::room::{self, Description, Ends, NewRoom, Order, Tell, Write};
use crate::store::RoomList;

/// Rooms that one call makes, as the vendor has it.
const ROOMS_MADE_PER_CALL: usize = 100;

/// Rooms that one call ends or asks about. The vendor names no number.
const ROOMS_PER_CALL: usize = 20;

/// Users that one call excepts from a mute, as the vendor has it.
const EXCEPTED_PER_CALL: usize = 20;

/// Times of a room's end, in minutes: an hour to seven days, as the vendor has it.
const END_MINUTES_MIN: i64 = 60;
const END_MINUTES_MAX: i64 = 10_080;
const END_MINUTES_DEFAULT: i64 = 60;

/// Largest attributes of one call: 20 of 128 and 4096 bytes, and what JSON puts around them.
const ATTRIBUTES_BYTES: usize = 128 * 1024;

const DESTROY_TYPE: Field = Field::optional(
    "destroyType",
    Kind::Number { min: 0, max: 1 },
    "0: when there was no message and no join for destroyTime; 1: destroyTime after this call, whatever happens.",
);

/// 0 is what the vendor's library for Go sends for the default.
const DESTROY_TIME: Field = Field::optional(
    "destroyTime",
    Kind::Number {
        min: 0,
        max: END_MINUTES_MAX,
    },
    "Minutes, 60 to 10080; 0: 60.",
);

/// Where an answer says which of several rooms, keys or users were refused.
pub(super) const FAILED: &str = "failed";

const REFUSED: &[Answer] = &[
    Answer::new("chatroomId", AnswerKind::Text, "The room."),
    Answer::new("code", AnswerKind::Number, "Why it was refused."),
    Answer::new("errorMessage", AnswerKind::Text, "The same in words."),
];

pub(super) const FAILED_ANSWER: Answer = Answer::new(
    FAILED,
    AnswerKind::Objects(REFUSED),
    "Only where some of several rooms were refused: which, and why. All others are done.",
)
.sometimes();

const QUERIED: &[Answer] = &[
    Answer::new("chrmId", AnswerKind::Text, "The room."),
    Answer::new(
        "chatroomId",
        AnswerKind::Text,
        "The room once more, as some of the vendor's libraries call it.",
    ),
    Answer::new("name", AnswerKind::Text, "Its name."),
    Answer::new("time", AnswerKind::Text, "When it was made, in UTC."),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/chatroom/create",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Changes,
        summary: "Makes rooms of the policy `live`. One that exists stays as it is.",
        fields: &[Field::required(
            "chatroom",
            Kind::NamedRooms,
            "The rooms: `chatroom[id]=name` in a form, an object of names by id in JSON.",
        )
        .many(ROOMS_MADE_PER_CALL)],
        answers: &[FAILED_ANSWER],
        run: |call| Box::pin(create(call)),
    },
    Path {
        path: "/chatroom/create_new",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Changes,
        summary: "Makes a room and says how it ends. One that exists keeps name, policy and end; the rest is said of it too.",
        fields: &[
            ROOM,
            Field::optional(
                "chatroomName",
                Kind::Text {
                    bytes_max: limits::ROOM_NAME_BYTES,
                },
                "Its name. Not one of the vendor's fields.",
            ),
            Field::optional(
                "policy",
                Kind::Text {
                    bytes_max: limits::POLICY_NAME_BYTES,
                },
                "The policy by name; `live` where it is missing. Not one of the vendor's fields.",
            ),
            DESTROY_TYPE,
            DESTROY_TIME,
            Field::optional("isBan", Kind::Flag, "Whether it is muted from the start."),
            Field::optional("whiteUserIds", Kind::User, "Users who are excepted from mutes.").many(EXCEPTED_PER_CALL),
            Field::optional("entryOwnerId", Kind::User, "Whom the first attributes belong to."),
            Field::optional(
                "entryInfo",
                Kind::Object {
                    bytes_max: ATTRIBUTES_BYTES,
                },
                "First attributes: an object of up to 20 values by key. Only with entryOwnerId. Those of others stay.",
            ),
        ],
        answers: &[entry::FAILED_KEYS],
        run: |call| Box::pin(create_new(call)),
    },
    Path {
        path: "/chatroom/destroy",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Changes,
        summary: "Ends rooms. Members are told and are outside. Rooms that do not exist are passed over.",
        fields: &[Field::required("chatroomId", Kind::Room, "The rooms.")
            .many(ROOMS_PER_CALL)
            .or(&["chatroomIds"])],
        answers: &[FAILED_ANSWER],
        run: |call| {
            Box::pin(async move {
                let rooms = call.rooms("chatroomId").into_iter();
                each(&call, rooms.map(|room| (room, Order::Destroy)).collect()).await
            })
        },
    },
    Path {
        path: "/chatroom/destroy/set",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Changes,
        summary: "Changes how a room ends.",
        fields: &[ROOM, DESTROY_TYPE, DESTROY_TIME],
        answers: &[],
        run: |call| {
            Box::pin(async move {
                let ends = ends(&call)?.unwrap_or(Ends::WhenIdle {
                    after: minutes(END_MINUTES_DEFAULT),
                });
                call.order(call.room("chatroomId")?, Order::SetEnds(ends)).await?;
                done()
            })
        },
    },
    Path {
        path: "/chatroom/query",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Asks,
        summary: "Tells name and age of rooms. Those that do not exist are left out.",
        fields: &[Field::required("chatroomId", Kind::Room, "The rooms.")
            .many(ROOMS_PER_CALL)
            .or(&["chatroomIds"])],
        answers: &[Answer::new(
            "chatRooms",
            AnswerKind::Objects(QUERIED),
            "Those that exist.",
        )],
        run: |call| Box::pin(query(call)),
    },
    Path {
        path: "/chatroom/get",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Asks,
        summary: "Tells how a room is. 23410 where it does not exist.",
        fields: &[ROOM],
        answers: &[
            Answer::new("chatroomId", AnswerKind::Text, "The room."),
            Answer::new(
                "chatroomName",
                AnswerKind::Text,
                "Its name. Not one of the vendor's fields.",
            ),
            Answer::new(
                "policy",
                AnswerKind::Text,
                "Its policy. Not one of the vendor's fields.",
            ),
            Answer::new(
                "createTime",
                AnswerKind::Number,
                "When it was made, milliseconds since 1970-01-01 UTC.",
            ),
            Answer::new("memberCount", AnswerKind::Number, "Users inside."),
            Answer::new(
                "destroyType",
                AnswerKind::Number,
                "0: when it is idle or empty, 1: at a time, 2: never by itself.",
            ),
            Answer::new(
                "destroyTime",
                AnswerKind::Number,
                "Minutes: how long it may be idle or empty, or what is left until its time.",
            ),
            Answer::new("ban", AnswerKind::Flag, "Whether it is muted."),
            Answer::new(
                "stopped",
                AnswerKind::Flag,
                "Whether distribution is stopped. Not one of the vendor's fields.",
            ),
        ],
        run: |call| Box::pin(get(call)),
    },
];

async fn create(call: Call) -> Answered {
    let rooms = call.named_rooms("chatroom").into_iter();
    let orders = rooms.map(|(room, name)| (room, Order::Create(new_room(name, None, None))));
    each(&call, orders.collect()).await
}

async fn create_new(call: Call) -> Answered {
    let room = call.room("chatroomId")?;
    let entries = first_attributes(&call)?;
    let name = call.text("chatroomName").unwrap_or_default();
    let new = new_room(name, call.text("policy"), ends(&call)?);
    call.order(room.clone(), Order::Create(new)).await?;
    let excepted = call.users("whiteUserIds");
    if !excepted.is_empty() {
        let order = Order::Enlist {
            list: RoomList::MuteException,
            users: excepted,
            entry: entry_for_ever(&call),
            tell: Tell::Nobody,
        };
        call.order(room.clone(), order).await?;
    }
    if call.flag("isBan") == Some(true) {
        let order = Order::Mute {
            muted: true,
            tell: Tell::Nobody,
            extra: String::new(),
        };
        call.order(room.clone(), order).await?;
    }
    if let Some((owner, entries)) = entries {
        let write = Write::Set {
            entries,
            force: false,
            take_over: false,
            delete_on_leave: false,
            if_version: None,
        };
        let refused = entry::order(&call, room, owner, write).await?;
        if !refused.is_empty() {
            // Some is done, if not of the attributes: there is the room.
            return answer(json!({ FAILED: entry::failed(&refused) }));
        }
    }
    done()
}

/// The first attributes of a call and their owner, who must be named with them.
#[expect(clippy::type_complexity, reason = "an owner and pairs of key and value")]
fn first_attributes(call: &Call) -> Result<Option<(sluice_protocol::UserId, Vec<(String, String)>)>, Failure> {
    let Some(object) = call.object("entryInfo") else {
        return Ok(None);
    };
    let owner = call.user("entryOwnerId")?;
    if object.is_empty() {
        return Ok(None);
    }
    entry::check_count(object.len())?;
    Ok(Some((owner, pairs(&object)?)))
}

/// The texts of an object by key.
pub(super) fn pairs(object: &Map<String, Value>) -> Result<Vec<(String, String)>, Failure> {
    let pair = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok((key.clone(), text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok((key.clone(), value.to_string())),
        _ => Err(Failure::parameter("entryInfo: expected a text for each key")),
    };
    object.iter().map(pair).collect()
}

/// A room as the app's server makes it.
fn new_room(name: String, policy: Option<String>, ends: Option<Ends>) -> NewRoom {
    NewRoom {
        name,
        policy: policy.unwrap_or_else(|| "live".to_owned()),
        family: None,
        ends,
        attributes: Vec::new(),
    }
}

/// How a room is to end, where the call says so.
fn ends(call: &Call) -> Result<Option<Ends>, Failure> {
    let (kind, time) = (call.number("destroyType"), call.number("destroyTime").unwrap_or(0));
    if kind.is_none() && time == 0 {
        return Ok(None);
    }
    let time = if time == 0 { END_MINUTES_DEFAULT } else { time };
    if time < END_MINUTES_MIN {
        let expected = format!("destroyTime: expected {END_MINUTES_MIN} to {END_MINUTES_MAX} minutes, or 0");
        return Err(Failure::parameter(expected));
    }
    Ok(Some(match kind {
        Some(1) => Ends::At {
            unix_ms: call.now.unix_ms + time * 60_000,
        },
        _ => Ends::WhenIdle { after: minutes(time) },
    }))
}

fn minutes(minutes: i64) -> Duration {
    Duration::from_secs(u64::try_from(minutes).unwrap_or(0) * 60)
}

/// Gives an order to each of several rooms. Where all refuse, the call fails; where some do, it says which.
async fn each(call: &Call, orders: Vec<(RoomId, Order)>) -> Answered {
    let rooms: Vec<RoomId> = orders.iter().map(|(room, _)| room.clone()).collect();
    let mut failures = Vec::new();
    for (room, told) in rooms.iter().zip(call.orders(orders).await) {
        failures.extend(told.err().map(|failure| (room, failure)));
    }
    if failures.is_empty() {
        return done();
    }
    if failures.len() == rooms.len()
        && let Some((_, failure)) = failures.pop()
    {
        return Err(failure);
    }
    let failed: Vec<Value> = failures.iter().map(|(room, failure)| refused(room, failure)).collect();
    answer(json!({ FAILED: failed }))
}

/// One room of several that refused.
pub(super) fn refused(room: &RoomId, failure: &Failure) -> Value {
    json!({ "chatroomId": room.as_str(), "code": failure.code.0, "errorMessage": failure.message })
}

fn described(told: room::Answer) -> Result<Option<Description>, Failure> {
    match told {
        room::Answer::Described(described) => Ok(described),
        other => Err(unexpected(&other)),
    }
}

async fn query(call: Call) -> Answered {
    let rooms = call.rooms("chatroomId").into_iter();
    let mut found = Vec::new();
    for told in call.orders(rooms.map(|room| (room, Order::Describe)).collect()).await {
        found.extend(described(told?)?.map(|room| {
            json!({
                "chrmId": room.id.as_str(),
                "chatroomId": room.id.as_str(),
                "name": room.name,
                "time": times::text(room.created_at_ms),
            })
        }));
    }
    answer(json!({ "chatRooms": found }))
}

async fn get(call: Call) -> Answered {
    let told = call.order(call.room("chatroomId")?, Order::Describe).await?;
    let Some(found) = described(told)? else {
        return Err(Failure::new(Code::NO_SUCH_ROOM, "there is no such room"));
    };
    let in_minutes = |time: Duration| time.as_secs().div_ceil(60);
    let (kind, time) = match found.ends {
        Ends::WhenIdle { after } => (0, in_minutes(after)),
        Ends::WhenEmpty { delay } => (0, in_minutes(delay)),
        Ends::At { unix_ms } => {
            let left = u64::try_from(unix_ms - call.now.unix_ms).unwrap_or(0);
            (1, in_minutes(Duration::from_millis(left)))
        }
        Ends::Never => (2, 0),
    };
    answer(json!({
        "chatroomId": found.id.as_str(),
        "chatroomName": found.name,
        "policy": found.policy,
        "createTime": found.created_at_ms,
        "memberCount": found.members,
        "destroyType": kind,
        "destroyTime": time,
        "ban": found.rules.muted,
        "stopped": found.rules.stopped,
    }))
}
