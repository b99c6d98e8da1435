//! What is decided about single users of a room: gags, blocks, who is allowed and excepted, who is put out.

use serde_json::json;
use sluice_protocol::UserId;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::Failure;
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::shared::{
    EXTRA, MINUTE, NEED_NOTIFY, ROOM, USERS, USERS_WITH_ENDS, entry_for_ever, entry_for_minutes, tell, unexpected,
    with_ends,
};
use crate::config::ApiScope;
use crate::room::{self, Order, Tell};
use crate::store::{Entry, RoomList};

/// Users that one call puts out.
const KICKED_PER_CALL: usize = 50;

/// A list of users whose entries end.
macro_rules! list_with_ends {
    ($list:expr, $group:expr, $add:literal, $add_summary:literal, $remove:literal, $remove_summary:literal,
        $query:literal, $query_summary:literal) => {
        [
            change($add, $group, $add_summary, &[ROOM, USERS, MINUTE, NEED_NOTIFY, EXTRA], |call| {
                Box::pin(async move {
                    let entry = entry_for_minutes(&call)?;
                    enlist(call, $list, entry).await
                })
            }),
            change($remove, $group, $remove_summary, &[ROOM, USERS, NEED_NOTIFY, EXTRA], |call| {
                Box::pin(strike(call, $list))
            }),
            Path {
                path: $query,
                group: $group,
                scope: ApiScope::Moderation,
                effect: Effect::Asks,
                summary: $query_summary,
                fields: &[ROOM],
                answers: &[Answer::new(
                    "users",
                    AnswerKind::Objects(USERS_WITH_ENDS),
                    "The users, those longest on the list first.",
                )],
                run: |call| {
                    Box::pin(async move {
                        let listed = listed(&call, $list).await?;
                        answer(json!({ "users": with_ends(&listed) }))
                    })
                },
            },
        ]
    };
}

const fn change(
    path: &'static str,
    group: Group,
    summary: &'static str,
    fields: &'static [Field],
    run: fn(Call) -> crate::api::call::Running,
) -> Path {
    Path {
        path,
        group,
        scope: ApiScope::Moderation,
        effect: Effect::Changes,
        summary,
        fields,
        answers: &[],
        run,
    }
}

/// A path that answers with the ids of a list.
const fn ids(
    path: &'static str,
    summary: &'static str,
    answers: &'static [Answer],
    run: fn(Call) -> crate::api::call::Running,
) -> Path {
    Path {
        path,
        group: Group::AllowList,
        scope: ApiScope::Moderation,
        effect: Effect::Asks,
        summary,
        fields: &[ROOM],
        answers,
        run,
    }
}

pub(super) const GAGS: &[Path] = &list_with_ends!(
    RoomList::Gag,
    Group::Gag,
    "/chatroom/user/gag/add",
    "Keeps users from sending to a room. They still get everything. Holds when they leave and come back, and when the room ends.",
    "/chatroom/user/gag/rollback",
    "Ends gags. Users without one are passed over.",
    "/chatroom/user/gag/list",
    "Lists the gagged users of a room."
);

pub(super) const BLOCKS: &[Path] = &list_with_ends!(
    RoomList::Block,
    Group::Block,
    "/chatroom/user/block/add",
    "Puts users out of a room, or keeps them from coming in. Holds when the room ends.",
    "/chatroom/user/block/rollback",
    "Ends blocks. Users without one are passed over.",
    "/chatroom/user/block/list",
    "Lists the users who are blocked in a room."
);

pub(super) const OTHERS: &[Path] = &[
    change(
        "/chatroom/user/kick",
        Group::Block,
        "Puts users out of a room. They may come back at once. Not one of the vendor's paths.",
        &[
            ROOM,
            Field::required("userId", Kind::User, "Whom it concerns.")
                .many(KICKED_PER_CALL)
                .or(&["userIds"]),
            EXTRA,
        ],
        |call| {
            Box::pin(async move {
                let (users, extra) = (call.users("userId"), call.text("extra").unwrap_or_default());
                call.order(call.room("chatroomId")?, Order::Kick { users, extra })
                    .await?;
                done()
            })
        },
    ),
    change(
        "/chatroom/user/ban/whitelist/add",
        Group::Gag,
        "Excepts users from the mute of a room and from gags in it, not from a gag in all rooms.",
        &[ROOM, USERS, NEED_NOTIFY, EXTRA],
        |call| {
            Box::pin(async move {
                let entry = Entry {
                    text: call.text("extra").unwrap_or_default(),
                    ..entry_for_ever(&call)
                };
                enlist(call, RoomList::MuteException, entry).await
            })
        },
    ),
    change(
        "/chatroom/user/ban/whitelist/rollback",
        Group::Gag,
        "Ends exceptions. Users without one are passed over.",
        &[ROOM, USERS, NEED_NOTIFY, EXTRA],
        |call| Box::pin(strike(call, RoomList::MuteException)),
    ),
    ids(
        "/chatroom/user/ban/whitelist/query",
        "Lists the users who are excepted from mutes of a room.",
        &[Answer::new("userIds", AnswerKind::Texts, "Their ids.")],
        |call| {
            Box::pin(async move {
                let listed = listed(&call, RoomList::MuteException).await?;
                answer(json!({ "userIds": ids_of(&listed) }))
            })
        },
    ),
    change(
        "/chatroom/user/whitelist/add",
        Group::AllowList,
        "Protects users in a room: what they say there is never shed, and they stay members when they are offline.",
        &[ROOM, USERS],
        |call| {
            Box::pin(async move {
                let entry = entry_for_ever(&call);
                enlist(call, RoomList::Allow, entry).await
            })
        },
    ),
    change(
        "/chatroom/user/whitelist/remove",
        Group::AllowList,
        "Protects users no more. Those who were not protected are passed over.",
        &[ROOM, USERS],
        |call| Box::pin(strike(call, RoomList::Allow)),
    ),
    ids(
        "/chatroom/user/whitelist/query",
        "Lists the protected users of a room.",
        &[Answer::new("users", AnswerKind::Texts, "Their ids.")],
        |call| {
            Box::pin(async move {
                let listed = listed(&call, RoomList::Allow).await?;
                answer(json!({ "users": ids_of(&listed) }))
            })
        },
    ),
];

async fn enlist(call: Call, list: RoomList, entry: Entry) -> Answered {
    let (users, tell) = (call.users("userId"), tell_of(&call, list));
    let order = Order::Enlist {
        list,
        users,
        entry,
        tell,
    };
    call.order(call.room("chatroomId")?, order).await?;
    done()
}

async fn strike(call: Call, list: RoomList) -> Answered {
    let extra = match list {
        RoomList::Allow => String::new(),
        _ => call.text("extra").unwrap_or_default(),
    };
    let order = Order::Strike {
        list,
        users: call.users("userId"),
        tell: tell_of(&call, list),
        extra,
    };
    call.order(call.room("chatroomId")?, order).await?;
    done()
}

/// Whether those concerned are told. Who is protected never is, so these paths do not ask.
fn tell_of(call: &Call, list: RoomList) -> Tell {
    match list {
        RoomList::Allow => Tell::Nobody,
        _ => tell(call),
    }
}

async fn listed(call: &Call, list: RoomList) -> Result<Vec<(UserId, Entry)>, Failure> {
    match call.order(call.room("chatroomId")?, Order::Listed(list)).await? {
        room::Answer::Listed(listed) => Ok(listed),
        other => Err(unexpected(&other)),
    }
}

fn ids_of(listed: &[(UserId, Entry)]) -> Vec<&str> {
    listed.iter().map(|(user, _)| user.as_str()).collect()
}
