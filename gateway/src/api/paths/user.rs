//! Users: tokens, blocks, who is online.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use sluice_protocol::{ErrorCode, limits};

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::{times, token};
use crate::config::ApiScope;
use crate::policy::BLOCKS;
use crate::refusal::Refusal;
use crate::store::Entry;

/// Users of one call, as the vendor has it.
const USERS_PER_CALL: usize = 20;

/// Longest address of a portrait, as the vendor has it. It is not kept.
const PORTRAIT_BYTES: usize = 1024;

/// Users on one page, and on all pages together, as the vendor has it.
const PAGE_USERS_DEFAULT: i64 = 50;
const PAGE_USERS_MAX: i64 = 1000;

const USERS: Field = Field::required("userId", Kind::User, "Whom it concerns.").many(USERS_PER_CALL);

const BLOCKED_USER: &[Answer] = &[
    Answer::new("userId", AnswerKind::Text, "The user."),
    Answer::new(
        "blockEndTime",
        AnswerKind::Text,
        "When the block ends, in UTC: `2026-11-21 09:30:00`.",
    ),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/user/getToken",
        group: Group::User,
        scope: ApiScope::User,
        effect: Effect::Changes,
        summary: "Issues a token that a user logs in with. Earlier ones stay good.",
        fields: &[
            Field::required("userId", Kind::User, "Whom the token is for."),
            Field::optional(
                "name",
                Kind::Text {
                    bytes_max: limits::USER_NAME_BYTES,
                },
                "The user's name for people; the claim `name` of the token.",
            ),
            Field::optional(
                "portraitUri",
                Kind::Text {
                    bytes_max: PORTRAIT_BYTES,
                },
                "Taken and passed over: no profiles are kept.",
            ),
        ],
        answers: &[
            Answer::new("userId", AnswerKind::Text, "Whom the token is for."),
            Answer::new("token", AnswerKind::Text, "The token."),
        ],
        run: |call| Box::pin(async move { issue_token(&call) }),
    },
    Path {
        path: "/user/block",
        group: Group::User,
        scope: ApiScope::User,
        effect: Effect::Changes,
        summary: "Keeps users from logging in. Those who are online are put out.",
        fields: &[
            USERS,
            Field::required("minute", Kind::Minutes, "For how long, in minutes."),
        ],
        answers: &[],
        run: |call| Box::pin(block(call)),
    },
    Path {
        path: "/user/unblock",
        group: Group::User,
        scope: ApiScope::User,
        effect: Effect::Changes,
        summary: "Ends blocks. Users who are not blocked are passed over.",
        fields: &[USERS],
        answers: &[],
        run: |call| Box::pin(unblock(call)),
    },
    Path {
        path: "/user/block/query",
        group: Group::User,
        scope: ApiScope::User,
        effect: Effect::Asks,
        summary: "Lists blocked users, those whose block ends last first.",
        fields: &[
            Field::optional(
                "page",
                Kind::Number { min: 0, max: i64::MAX },
                "Which page, from 1; where it is missing or 0, the first 1000 users.",
            ),
            Field::optional(
                "size",
                Kind::Number {
                    min: 1,
                    max: PAGE_USERS_MAX,
                },
                "Users on a page; 50 where it is missing.",
            ),
        ],
        answers: &[Answer::new(
            "users",
            AnswerKind::Objects(BLOCKED_USER),
            "At most 1000 blocked users.",
        )],
        run: |call| Box::pin(async move { call.at_length(|| blocked(&call)).await? }),
    },
    Path {
        path: "/user/checkOnline",
        group: Group::User,
        scope: ApiScope::User,
        effect: Effect::Asks,
        summary: "Says whether a user has a connection.",
        fields: &[Field::required("userId", Kind::User, "Whom it concerns.")],
        answers: &[Answer::new("status", AnswerKind::Text, "`1`: online, `0`: not.")],
        run: |call| Box::pin(check_online(call)),
    },
];

fn issue_token(call: &Call) -> Answered {
    let user = call.user("userId")?;
    let name = call.text("name");
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(call.now.unix_ms).unwrap_or(0));
    let token = token::issue(call.settings(), user.as_str(), name.as_deref(), now)?;
    answer(json!({ "userId": user.as_str(), "token": token }))
}

async fn block(call: Call) -> Answered {
    let (users, until_ms) = (call.users("userId"), call.until_ms("minute")?);
    let entry = Entry {
        until_ms: Some(until_ms),
        since_ms: call.now.unix_ms,
        text: String::new(),
    };
    let entries: Vec<_> = users.iter().map(|user| (user.clone(), entry.clone())).collect();
    call.keep(|keep| call.policies().enlist(call.app, &BLOCKS, &entries, call.now, keep))
        .await?;
    let left = u64::try_from(until_ms - call.now.unix_ms).unwrap_or(0);
    let mut refusal = Refusal::new(ErrorCode::USER_BLOCKED).retry_after(Duration::from_millis(left));
    refusal.detail = until_ms.to_string().into();
    let users = users.into_iter().map(|user| (call.user_key(user), refusal.clone()));
    call.operator().evict(users.collect()).await?;
    done()
}

async fn unblock(call: Call) -> Answered {
    let users = call.users("userId");
    call.keep(|keep| call.policies().strike(call.app, &BLOCKS, &users, call.now, keep))
        .await?;
    done()
}

fn blocked(call: &Call) -> Answered {
    let mut blocked = call.policies().listed(call.app, &BLOCKS, call.now);
    blocked.sort_by(|(user, entry), (other, than)| than.until_ms.cmp(&entry.until_ms).then_with(|| user.cmp(other)));
    let (skipped, taken) = match call.number("page").unwrap_or(0) {
        0 => (0, PAGE_USERS_MAX),
        page => {
            let size = call.number("size").unwrap_or(PAGE_USERS_DEFAULT);
            ((page - 1).saturating_mul(size), size)
        }
    };
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let users = blocked.into_iter().skip(count(skipped)).take(count(taken));
    let users: Vec<_> = users
        .map(|(user, entry)| {
            let ends = entry.until_ms.map_or_else(String::new, times::text);
            json!({ "userId": user.as_str(), "blockEndTime": ends })
        })
        .collect();
    answer(json!({ "users": users }))
}

async fn check_online(call: Call) -> Answered {
    let user = call.user_key(call.user("userId")?);
    let online = call.operator().online(vec![user]).await?;
    let online = online
        .first()
        .ok_or_else(|| Failure::new(Code::INTERNAL, "the gateway does not know"))?;
    answer(json!({ "status": if *online { "1" } else { "0" } }))
}
