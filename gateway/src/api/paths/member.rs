//! Members of rooms: who is inside, and putting users inside.

use serde_json::json;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::Failure;
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::room::FAILED;
use crate::api::paths::shared::{ROOM, unexpected};
use crate::api::times;
use crate::config::ApiScope;
use crate::room::{self, ListedFirst, Order};

/// Members that one call lists, as the vendor has it.
const MEMBERS_MAX: i64 = 500;

/// Users that one call asks about, as the vendor has it.
const ASKED_PER_CALL: usize = 1000;

/// Users that one call puts inside, as the vendor has it.
const JOINED_PER_CALL: usize = 50;

const LISTED: &[Answer] = &[
    Answer::new("id", AnswerKind::Text, "The user."),
    Answer::new("time", AnswerKind::Text, "When it came, in UTC."),
];

const REFUSED: &[Answer] = &[
    Answer::new("userId", AnswerKind::Text, "The user."),
    Answer::new("code", AnswerKind::Number, "Why it was refused."),
    Answer::new("errorMessage", AnswerKind::Text, "The same in words."),
];

const ASKED: &[Answer] = &[
    Answer::new("userId", AnswerKind::Text, "The user."),
    Answer::new("isInChrm", AnswerKind::Number, "1: inside, 0: not."),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/chatroom/user/query",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Asks,
        summary: "Lists members by the time they came. A room that does not exist has none.",
        fields: &[
            ROOM,
            Field::optional(
                "count",
                Kind::Number { min: 0, max: i64::MAX },
                "How many; at most 500, which is the default.",
            ),
            Field::optional(
                "order",
                Kind::Number { min: 1, max: 2 },
                "1: who came first is first; 2: who came last. 1 where it is missing.",
            ),
        ],
        answers: &[
            Answer::new("total", AnswerKind::Number, "Users inside, all of them."),
            Answer::new("users", AnswerKind::Objects(LISTED), "Those asked for."),
        ],
        run: |call| Box::pin(list(call)),
    },
    Path {
        path: "/chatroom/user/exist",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Asks,
        summary: "Says whether a user is inside.",
        fields: &[ROOM, Field::required("userId", Kind::User, "Whom it concerns.")],
        answers: &[Answer::new("isInChrm", AnswerKind::Flag, "Whether the user is inside.")],
        run: |call| {
            Box::pin(async move {
                let inside = are_inside(&call).await?;
                answer(json!({ "isInChrm": inside.first().is_some_and(|(_, inside)| *inside) }))
            })
        },
    },
    Path {
        path: "/chatroom/users/exist",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Asks,
        summary: "Says which of several users are inside.",
        fields: &[
            ROOM,
            Field::required("userId", Kind::User, "Whom it concerns.")
                .many(ASKED_PER_CALL)
                .or(&["userIds"]),
        ],
        answers: &[Answer::new(
            "result",
            AnswerKind::Objects(ASKED),
            "Each user that was asked about, in this order.",
        )],
        run: |call| {
            Box::pin(async move {
                let inside = are_inside(&call).await?;
                let result: Vec<_> = inside
                    .iter()
                    .map(|(user, inside)| json!({ "userId": user, "isInChrm": u8::from(*inside) }))
                    .collect();
                answer(json!({ "result": result }))
            })
        },
    },
    Path {
        path: "/chatroom/join",
        group: Group::Room,
        scope: ApiScope::Room,
        effect: Effect::Changes,
        summary: "Puts users inside who have no connection for it, such as recorders. They get no messages, do not keep the room from ending and do not leave by themselves. The room is made if need be. Who is blocked in it is refused with 23409. Users with a client join by themselves.",
        fields: &[
            ROOM,
            Field::required("userId", Kind::User, "Whom it concerns.")
                .many(JOINED_PER_CALL)
                .or(&["userIds"]),
        ],
        answers: &[Answer::new(
            FAILED,
            AnswerKind::Objects(REFUSED),
            "Only where some of several users were refused: who, and why. All others are inside.",
        )
        .sometimes()],
        run: |call| {
            Box::pin(async move {
                let users = call
                    .users("userId")
                    .into_iter()
                    .map(|user| call.nameless(user))
                    .collect();
                match call.order(call.room("chatroomId")?, Order::Join(users)).await? {
                    room::Answer::Done => done(),
                    room::Answer::DoneBut { refused } => {
                        let refused = refused.into_iter().map(|(user, refusal)| {
                            let Failure { code, message, .. } = refusal.into();
                            json!({ "userId": user.as_str(), "code": code.0, "errorMessage": message })
                        });
                        answer(json!({ FAILED: refused.collect::<Vec<_>>() }))
                    }
                    other => Err(unexpected(&other)),
                }
            })
        },
    },
];

async fn list(call: Call) -> Answered {
    let count = call.number("count").unwrap_or(MEMBERS_MAX).min(MEMBERS_MAX);
    let first = match call.number("order") {
        Some(2) => ListedFirst::Newest,
        _ => ListedFirst::Oldest,
    };
    let order = Order::Members {
        limit: usize::try_from(count).unwrap_or(0),
        first,
    };
    match call.order(call.room("chatroomId")?, order).await? {
        room::Answer::Members { total, members } => {
            let users: Vec<_> = members
                .iter()
                .map(|member| json!({ "id": member.user.as_str(), "time": times::text(member.joined_at_ms) }))
                .collect();
            answer(json!({ "total": total, "users": users }))
        }
        other => Err(unexpected(&other)),
    }
}

async fn are_inside(call: &Call) -> Result<Vec<(String, bool)>, crate::api::failure::Failure> {
    let users = call.users("userId");
    let names: Vec<String> = users.iter().map(|user| user.as_str().to_owned()).collect();
    match call.order(call.room("chatroomId")?, Order::AreInside(users)).await? {
        room::Answer::Inside(inside) => Ok(names.into_iter().zip(inside).collect()),
        other => Err(unexpected(&other)),
    }
}
