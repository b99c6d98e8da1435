//! Who may send at all: the mute of a room, gags in all rooms, and the stop of distribution.

use serde_json::json;
use sluice_protocol::{MuteScope, RoomId, RoomMuteChanged, frame::Body};

use crate::api::call::{Answered, Call, answer, done};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::shared::{
    EXTRA, MINUTE, NEED_NOTIFY, ROOM, USERS, USERS_WITH_ENDS, entry_for_minutes, tell, unexpected, with_ends,
};
use crate::config::ApiScope;
use crate::frames;
use crate::policy::GAGS;
use crate::room::{self, Order, Tell};

/// Rooms on one page, as the vendor has it.
const PAGE_ROOMS_DEFAULT: i64 = 50;
const PAGE_ROOMS_MAX: i64 = 1000;

/// The last page there is: of the largest pages a hundred thousand rooms, which homes list in some milliseconds.
const PAGE_MAX: i64 = 100;

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/chatroom/ban/add",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary: "Mutes a room: nobody may send but those excepted, and the server.",
        fields: &[ROOM, NEED_NOTIFY, EXTRA],
        answers: &[],
        run: |call| Box::pin(mute(call, true)),
    },
    Path {
        path: "/chatroom/ban/rollback",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary: "Ends the mute of a room.",
        fields: &[ROOM, NEED_NOTIFY, EXTRA],
        answers: &[],
        run: |call| Box::pin(mute(call, false)),
    },
    Path {
        path: "/chatroom/ban/check",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Asks,
        summary: "Says whether a room is muted.",
        fields: &[ROOM],
        answers: &[Answer::new("status", AnswerKind::Number, "1: muted, 0: not.")],
        run: |call| {
            Box::pin(async move {
                match call.order(call.room("chatroomId")?, Order::Rules).await? {
                    room::Answer::Rules(rules) => answer(json!({ "status": u8::from(rules.muted) })),
                    other => Err(unexpected(&other)),
                }
            })
        },
    },
    Path {
        path: "/chatroom/ban/query",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Asks,
        summary: "Lists the rooms that are muted by their ids, whether they exist or not.",
        fields: &[
            Field::optional(
                "page",
                Kind::Number { min: 0, max: PAGE_MAX },
                "Which page, from 1, which it is where it is missing or 0.",
            ),
            Field::optional(
                "size",
                Kind::Number {
                    min: 1,
                    max: PAGE_ROOMS_MAX,
                },
                "Rooms on a page; 50 where it is missing.",
            ),
        ],
        answers: &[Answer::new("chatroomIds", AnswerKind::Texts, "The rooms on this page.")],
        run: |call| Box::pin(muted(call)),
    },
    Path {
        path: "/chatroom/user/ban/add",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary: "Keeps users from sending to any room of the app, whatever else is said about them.",
        fields: &[USERS, MINUTE, NEED_NOTIFY, EXTRA],
        answers: &[],
        run: |call| Box::pin(gag(call)),
    },
    Path {
        path: "/chatroom/user/ban/remove",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary: "Ends gags in all rooms. Users without one are passed over.",
        fields: &[USERS, NEED_NOTIFY, EXTRA],
        answers: &[],
        run: |call| Box::pin(ungag(call)),
    },
    Path {
        path: "/chatroom/user/ban/query",
        group: Group::Gag,
        scope: ApiScope::Moderation,
        effect: Effect::Asks,
        summary: "Lists the users who are gagged in all rooms.",
        fields: &[],
        answers: &[Answer::new(
            "users",
            AnswerKind::Objects(USERS_WITH_ENDS),
            "The users, those longest on the list first.",
        )],
        run: |call| {
            Box::pin(async move {
                let gagged = || with_ends(&call.policies().listed(call.app, &GAGS, call.now));
                let users = call.at_length(gagged).await?;
                answer(json!({ "users": users }))
            })
        },
    },
    Path {
        path: "/chatroom/message/stopDistribution",
        group: Group::Distribution,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary: "Stops giving members what members send. Senders are answered as ever, with `distributed = false`.",
        fields: &[ROOM],
        answers: &[],
        run: |call| Box::pin(stop(call, true)),
    },
    Path {
        path: "/chatroom/message/resumeDistribution",
        group: Group::Distribution,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary: "Gives members again what members send from now on.",
        fields: &[ROOM],
        answers: &[],
        run: |call| Box::pin(stop(call, false)),
    },
];

async fn mute(call: Call, muted: bool) -> Answered {
    let (tell, extra) = (tell(&call), call.text("extra").unwrap_or_default());
    call.order(call.room("chatroomId")?, Order::Mute { muted, tell, extra })
        .await?;
    done()
}

async fn muted(call: Call) -> Answered {
    let page = call.number("page").unwrap_or(1).max(1);
    let size = call.number("size").unwrap_or(PAGE_ROOMS_DEFAULT);
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let rooms = call.operator().muted_rooms(call.app, count(page * size)).await?;
    let rooms: Vec<&str> = rooms
        .iter()
        .skip(count((page - 1) * size))
        .map(RoomId::as_str)
        .collect();
    answer(json!({ "chatroomIds": rooms }))
}

async fn stop(call: Call, stopped: bool) -> Answered {
    call.order(call.room("chatroomId")?, Order::Stop(stopped)).await?;
    done()
}

async fn gag(call: Call) -> Answered {
    let (users, entry) = (call.users("userId"), entry_for_minutes(&call)?);
    let entries: Vec<_> = users.iter().map(|user| (user.clone(), entry.clone())).collect();
    call.keep(|keep| call.policies().enlist(call.app, &GAGS, &entries, call.now, keep))
        .await?;
    notify(&call, true)
}

async fn ungag(call: Call) -> Answered {
    let users = call.users("userId");
    call.keep(|keep| call.policies().strike(call.app, &GAGS, &users, call.now, keep))
        .await?;
    notify(&call, false)
}

/// Tells the users of a call that they may not send anywhere, or may again, if the app's server wants it told.
fn notify(call: &Call, muted: bool) -> Answered {
    if tell(call) == Tell::Users {
        let changed = RoomMuteChanged {
            room_id: String::new(),
            scope: MuteScope::Global.into(),
            muted,
            until_ms: if muted { call.until_ms("minute")? } else { 0 },
            extra: call.text("extra").unwrap_or_default(),
        };
        let frame = bytes::Bytes::from(frames::event(Body::RoomMuteChanged(changed)));
        for user in call.users("userId") {
            call.operator().notify(call.user_key(user), frame.clone())?;
        }
    }
    done()
}
