//! Who may send to a group: gags of users, mutes of whole groups, and who is excepted from them. All of it may be said of groups that do not exist, and
//! holds for them once they do.

use serde_json::{Value, json};
use sluice_protocol::UserId;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::Failure;
use crate::api::field::{Field, Kind, MINUTES_MAX};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::found::{entries, flags, names};
use crate::api::paths::group::{FAILED_GROUPS, GROUP, each_group};
use crate::api::paths::shared::USERS_PER_CALL;
use crate::api::times;
use crate::config::ApiScope;
use crate::conversation::{Command, Order};
use crate::policy::GROUP_GAGS;
use crate::store::Entry;

/// Groups of one call, as the vendor has it.
const GROUPS_PER_CALL: usize = 20;

/// Muted groups on one page, as the vendor has it.
const PAGE_GROUPS_DEFAULT: i64 = 50;
const PAGE_GROUPS_MAX: i64 = 200;

/// The last page there is: of the largest pages, twenty thousand groups.
const PAGE_MAX: i64 = 100;

/// What stands for the end of a gag that has none: the vendor's libraries want a time.
const NEVER: &str = "2099-12-31 23:59:59";

const USERS: Field = Field::required("userId", Kind::User, "Whom it concerns.").many(USERS_PER_CALL);

const IN_GROUP: Field = Field::optional(
    "groupId",
    Kind::Group,
    "The group; where it is missing, all groups of the app.",
);

const GROUPS: Field = Field::required("groupId", Kind::Group, "The groups.").many(GROUPS_PER_CALL);

const MUTED: &[Answer] = &[
    Answer::new("groupId", AnswerKind::Text, "The group."),
    Answer::new("stat", AnswerKind::Number, "1: muted, 0: not."),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/group/user/gag/add",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Keeps users from sending to a group, also when they leave it and come back; or from sending to any group, at most 100 users of an app.",
        fields: &[
            USERS,
            IN_GROUP,
            Field::required(
                "minute",
                Kind::Number {
                    min: 0,
                    max: MINUTES_MAX,
                },
                "For how long, in minutes; 0: without end.",
            ),
        ],
        answers: &[],
        run: |call| Box::pin(gag(call)),
    },
    Path {
        path: "/group/user/gag/rollback",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Ends gags: those in a group, or those in all. Users without one are passed over.",
        fields: &[USERS, IN_GROUP],
        answers: &[],
        run: |call| Box::pin(ungag(call)),
    },
    Path {
        path: "/group/user/gag/list",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Asks,
        summary: "Lists the users who are gagged in a group, or those who are in all.",
        fields: &[IN_GROUP],
        answers: &[Answer::new(
            "users",
            AnswerKind::Objects(&[
                Answer::new("userId", AnswerKind::Text, "The user."),
                Answer::new(
                    "time",
                    AnswerKind::Text,
                    "When it ends, in UTC: `2026-11-21 09:30:00`; `2099-12-31 23:59:59`: never.",
                ),
            ]),
            "All of them, by their ids.",
        )],
        run: |call| Box::pin(gagged(call)),
    },
    Path {
        path: "/group/ban/add",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Mutes groups: nobody may send but owner, managers, those excepted, and the server.",
        fields: &[GROUPS],
        answers: &[FAILED_GROUPS],
        run: |call| Box::pin(mute(call, true)),
    },
    Path {
        path: "/group/ban/rollback",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Ends the mutes of groups.",
        fields: &[GROUPS],
        answers: &[FAILED_GROUPS],
        run: |call| Box::pin(mute(call, false)),
    },
    Path {
        path: "/group/ban/query",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Asks,
        summary: "Says which of some groups are muted; or lists those that are, by their ids, whether they exist or not.",
        fields: &[
            Field::optional(
                "groupId",
                Kind::Group,
                "The groups that are asked about, unless page or size is there.",
            )
            .many(GROUPS_PER_CALL),
            Field::optional(
                "page",
                Kind::Number { min: 0, max: PAGE_MAX },
                "Which page, from 1, which it is where it is missing or 0.",
            ),
            Field::optional(
                "size",
                Kind::Number {
                    min: 1,
                    max: PAGE_GROUPS_MAX,
                },
                "Groups on a page; 50 where it is missing.",
            ),
        ],
        answers: &[Answer::new(
            "groupinfo",
            AnswerKind::Objects(MUTED),
            "Each group that was asked about, or those on this page.",
        )],
        run: |call| Box::pin(muted(call)),
    },
    Path {
        path: "/group/user/ban/whitelist/add",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Lets users send to a group while it is muted. A gag of their own holds all the same.",
        fields: &[USERS, GROUP],
        answers: &[],
        run: |call| Box::pin(except(call, true)),
    },
    Path {
        path: "/group/user/ban/whitelist/rollback",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Ends exceptions from the mute of a group. Users without one are passed over.",
        fields: &[USERS, GROUP],
        answers: &[],
        run: |call| Box::pin(except(call, false)),
    },
    Path {
        path: "/group/user/ban/whitelist/query",
        group: Group::Gag,
        scope: ApiScope::Group,
        effect: Effect::Asks,
        summary: "Lists the users who may send to a group while it is muted.",
        fields: &[GROUP],
        answers: &[Answer::new("userIds", AnswerKind::Texts, "All of them, by their ids.")],
        run: |call| {
            Box::pin(async move {
                let group = call.conversation("groupId")?;
                let excepted = names(call.ask(Order::Excepted { group }).await?)?;
                answer(json!({ "userIds": excepted }))
            })
        },
    },
];

async fn gag(call: Call) -> Answered {
    let users = call.users("userId");
    let until_ms = match call.number("minute") {
        Some(0) => None,
        _ => Some(call.until_ms("minute")?),
    };
    match call.conversations("groupId").pop() {
        Some(group) => {
            let until_ms = Some(until_ms.unwrap_or(i64::MAX));
            call.decide(Order::Gag { group, users, until_ms }).await?;
        }
        None => enlist(&call, users, until_ms).await?,
    }
    done()
}

async fn enlist(call: &Call, users: Vec<UserId>, until_ms: Option<i64>) -> Result<(), Failure> {
    let entry = Entry {
        until_ms,
        since_ms: call.now.unix_ms,
        text: String::new(),
    };
    let entries: Vec<_> = users.into_iter().map(|user| (user, entry.clone())).collect();
    call.keep(|keep| call.policies().enlist(call.app, &GROUP_GAGS, &entries, call.now, keep))
        .await
}

async fn ungag(call: Call) -> Answered {
    let users = call.users("userId");
    match call.conversations("groupId").pop() {
        Some(group) => {
            let until_ms = None;
            call.decide(Order::Gag { group, users, until_ms }).await?;
        }
        None => {
            call.keep(|keep| call.policies().strike(call.app, &GROUP_GAGS, &users, call.now, keep))
                .await?;
        }
    }
    done()
}

async fn gagged(call: Call) -> Answered {
    let gagged: Vec<(String, i64)> = match call.conversations("groupId").pop() {
        Some(group) => entries(call.ask(Order::Gagged { group }).await?)?,
        None => {
            let mut listed = call.policies().listed(call.app, &GROUP_GAGS, call.now);
            listed.sort_unstable_by(|(user, _), (other, _)| user.cmp(other));
            let until_ms = |entry: Entry| entry.until_ms.unwrap_or(i64::MAX);
            listed
                .into_iter()
                .map(|(user, entry)| (user.as_str().to_owned(), until_ms(entry)))
                .collect()
        }
    };
    let users = gagged.into_iter().map(|(user, until_ms)| {
        let time = match until_ms {
            i64::MAX => NEVER.to_owned(),
            until_ms => times::text(until_ms),
        };
        json!({ "userId": user, "time": time })
    });
    answer(json!({ "users": users.collect::<Vec<Value>>() }))
}

async fn mute(call: Call, muted: bool) -> Answered {
    let groups = call.conversations("groupId");
    let orders = groups.iter().map(|group| {
        Command::Server(Box::new(Order::Mute {
            group: group.clone(),
            muted,
        }))
    });
    let outcomes = call.converse_all(orders.collect()).await;
    each_group(groups, outcomes)
}

async fn muted(call: Call) -> Answered {
    let groups = call.conversations("groupId");
    let (page, size) = (call.number("page"), call.number("size"));
    let groups: Vec<(String, bool)> = if groups.is_empty() || page.is_some() || size.is_some() {
        let (page, size) = (page.unwrap_or(1).max(1), size.unwrap_or(PAGE_GROUPS_DEFAULT));
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        let order = Order::Muted {
            skip: count((page - 1) * size),
            limit: count(size),
        };
        names(call.ask(order).await?)?
            .into_iter()
            .map(|group| (group, true))
            .collect()
    } else {
        let order = Order::AreMuted { groups: groups.clone() };
        groups.into_iter().zip(flags(call.ask(order).await?)?).collect()
    };
    let groups = groups
        .into_iter()
        .map(|(group, muted)| json!({ "groupId": group, "stat": u8::from(muted) }));
    answer(json!({ "groupinfo": groups.collect::<Vec<Value>>() }))
}

async fn except(call: Call, excepted: bool) -> Answered {
    let (group, users) = (call.conversation("groupId")?, call.users("userId"));
    call.decide(Order::Except { group, users, excepted }).await?;
    done()
}
