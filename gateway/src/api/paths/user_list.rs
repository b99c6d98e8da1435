//! Who may write to whom one-to-one: blacklists, whitelists, and users who may write to nobody.

use serde_json::{Value, json};
use sluice_protocol::UserId;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::Failure;
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::found::{entries, flags};
use crate::api::paths::shared::USERS_PER_CALL;
use crate::config::ApiScope;
use crate::conversation::Order;
use crate::policy::PEER_GAGS;
use crate::store::{Entry, UserList};

/// Users on one page, as the vendor has it.
const PAGE_USERS_MAX: i64 = 1000;

/// Users that one call keeps from writing to anybody, and those on one page of them, as the vendor has it.
const GAGGED_PER_CALL: usize = 1000;
const PAGE_GAGGED_DEFAULT: i64 = 100;
const PAGE_GAGGED_MAX: i64 = 200;

/// A page's token: a time, a sign between, and a user id.
const TOKEN_BYTES: usize = 300;

const OWNER: Field = Field::required("userId", Kind::User, "Whose list it is.");

const USERS: Field = Field::required("userId", Kind::User, "Whom it concerns.").many(USERS_PER_CALL);

const BLACK: Field = listed_users("blackUserId");

const WHITE: Field = listed_users("whiteUserId");

const PERSON: Field = Field::optional("type", Kind::Text { bytes_max: 16 }, "`PERSON`, which is all there is.");

const PAGE_FIELDS: &[Field] = &[
    OWNER,
    Field::optional(
        "pageToken",
        Kind::Text { bytes_max: TOKEN_BYTES },
        "`next` of the page before; missing: the first page.",
    ),
    Field::optional(
        "size",
        Kind::Number {
            min: 1,
            max: PAGE_USERS_MAX,
        },
        "Users on a page; 1000 where it is missing.",
    ),
];

const PAGE_ANSWERS: &[Answer] = &[
    Answer::new("users", AnswerKind::Texts, "Those on this page."),
    Answer::new(
        "next",
        AnswerKind::Text,
        "What asks for the next page. Missing: there is none.",
    )
    .sometimes(),
];

const fn listed_users(name: &'static str) -> Field {
    Field::required(name, Kind::User, "Who is on the list.").many(USERS_PER_CALL)
}

pub(super) const PATHS: &[Path] = &[
    changed(
        "/user/blacklist/add",
        "Keeps users from writing to a user one-to-one. Messages of the server pass. At most 1000 users are on a list.",
        &[OWNER, BLACK],
        |call| Box::pin(edit(call, UserList::Blacklist, true)),
    ),
    changed(
        "/user/blacklist/remove",
        "Takes users off the blacklist of a user. Who is not on it is passed over.",
        &[OWNER, BLACK],
        |call| Box::pin(edit(call, UserList::Blacklist, false)),
    ),
    listed(
        "/user/blacklist/query",
        "Lists the blacklist of a user, newest first.",
        |call| Box::pin(page(call, UserList::Blacklist)),
    ),
    changed(
        "/user/whitelist/add",
        "Lets users write to a user to whom only those on the whitelist may. At most 1000 users are on a list.",
        &[OWNER, WHITE],
        |call| Box::pin(edit(call, UserList::Whitelist, true)),
    ),
    changed(
        "/user/whitelist/remove",
        "Takes users off the whitelist of a user. Who is not on it is passed over.",
        &[OWNER, WHITE],
        |call| Box::pin(edit(call, UserList::Whitelist, false)),
    ),
    listed(
        "/user/whitelist/query",
        "Lists the whitelist of a user, newest first.",
        |call| Box::pin(page(call, UserList::Whitelist)),
    ),
    changed(
        "/user/whitesetting/set",
        "Says whether only those on their whitelists may write to users, or all but those on their blacklists.",
        &[
            USERS,
            Field::required(
                "whiteSetting",
                Kind::Flag,
                "1: the whitelist counts, and the blacklist does not; 0: the other way round, as without a setting.",
            ),
        ],
        |call| Box::pin(set_which(call)),
    ),
    Path {
        path: "/user/whitesetting/query",
        group: Group::UserList,
        scope: ApiScope::User,
        effect: Effect::Asks,
        summary: "Says of users which of their lists counts.",
        fields: &[USERS],
        answers: &[Answer::new(
            "users",
            AnswerKind::Objects(&[
                Answer::new("userId", AnswerKind::Text, "The user."),
                Answer::new(
                    "whiteSetting",
                    AnswerKind::Text,
                    "`1`: the whitelist, `0`: the blacklist.",
                ),
            ]),
            "Each user that was asked about.",
        )],
        run: |call| Box::pin(which(call)),
    },
    changed(
        "/user/chat/fb/set",
        "Keeps users from writing to anybody one-to-one, or lets them again.",
        &[
            Field::required("userId", Kind::User, "Whom it concerns.").many(GAGGED_PER_CALL),
            Field::required(
                "state",
                Kind::Number { min: 0, max: 1 },
                "1: they may not, 0: they may.",
            ),
            PERSON,
        ],
        |call| Box::pin(gag(call)),
    ),
    Path {
        path: "/user/chat/fb/querylist",
        group: Group::UserList,
        scope: ApiScope::User,
        effect: Effect::Asks,
        summary: "Lists the users who may write to nobody one-to-one, those longest on the list first.",
        fields: &[
            Field::optional(
                "num",
                Kind::Number {
                    min: 1,
                    max: PAGE_GAGGED_MAX,
                },
                "Users on a page; 100 where it is missing.",
            ),
            Field::optional(
                "offset",
                Kind::Number { min: 0, max: i64::MAX },
                "Users to pass over; none where it is missing.",
            ),
            PERSON,
        ],
        answers: &[
            Answer::new("total", AnswerKind::Number, "How many there are."),
            Answer::new("users", AnswerKind::Texts, "Those on this page."),
        ],
        run: |call| Box::pin(async move { gagged(&call) }),
    },
];

const fn changed(
    path: &'static str,
    summary: &'static str,
    fields: &'static [Field],
    run: fn(Call) -> crate::api::call::Running,
) -> Path {
    Path {
        path,
        group: Group::UserList,
        scope: ApiScope::User,
        effect: Effect::Changes,
        summary,
        fields,
        answers: &[],
        run,
    }
}

const fn listed(path: &'static str, summary: &'static str, run: fn(Call) -> crate::api::call::Running) -> Path {
    Path {
        path,
        group: Group::UserList,
        scope: ApiScope::User,
        effect: Effect::Asks,
        summary,
        fields: PAGE_FIELDS,
        answers: PAGE_ANSWERS,
        run,
    }
}

async fn edit(call: Call, list: UserList, add: bool) -> Answered {
    let field = match list {
        UserList::Whitelist => "whiteUserId",
        _ => "blackUserId",
    };
    let (owner, users) = (call.user("userId")?, call.users(field));
    call.decide(Order::EditList {
        list,
        owner,
        users,
        add,
    })
    .await?;
    done()
}

async fn page(call: Call, list: UserList) -> Answered {
    let owner = call.user("userId")?;
    let after = call.text("pageToken").map(|token| read_token(&token)).transpose()?;
    let size = usize::try_from(call.number("size").unwrap_or(PAGE_USERS_MAX)).unwrap_or(0);
    let listed = entries(call.ask(Order::Listed { list, owner }).await?)?;
    // Newest first, and by id where they are equally old.
    let is_behind = |user: &str, since_ms: i64| match &after {
        None => true,
        Some((than_ms, than)) => since_ms < *than_ms || since_ms == *than_ms && user > than.as_str(),
    };
    let mut rest = listed.into_iter().filter(|(user, since_ms)| is_behind(user, *since_ms));
    let page: Vec<(String, i64)> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let users: Vec<&str> = page.iter().map(|(user, _)| user.as_str()).collect();
    match page.last() {
        Some((user, since_ms)) if more => answer(json!({ "users": users, "next": format!("{since_ms}.{user}") })),
        _ => answer(json!({ "users": users })),
    }
}

/// The last user of the page before, and since when that one is on the list.
fn read_token(token: &str) -> Result<(i64, String), Failure> {
    let parts = token.split_once('.');
    let parts = parts.and_then(|(since_ms, user)| Some((since_ms.parse().ok()?, user.to_owned())));
    parts.ok_or_else(|| Failure::parameter("pageToken: is no token of a page"))
}

async fn set_which(call: Call) -> Answered {
    let users = call.users("userId");
    let only = call.flag("whiteSetting").unwrap_or(false);
    call.decide(Order::OnlyWanted { users, only }).await?;
    done()
}

async fn which(call: Call) -> Answered {
    let users = call.users("userId");
    let order = Order::AreOnlyWanted { users: users.clone() };
    let flags = flags(call.ask(order).await?)?;
    let users = users
        .iter()
        .zip(flags)
        .map(|(user, only)| json!({ "userId": user.as_str(), "whiteSetting": if only { "1" } else { "0" } }));
    answer(json!({ "users": users.collect::<Vec<Value>>() }))
}

async fn gag(call: Call) -> Answered {
    is_about_persons(&call)?;
    let users = call.users("userId");
    if call.number("state") == Some(0) {
        call.keep(|keep| call.policies().strike(call.app, &PEER_GAGS, &users, call.now, keep))
            .await?;
    } else {
        let entry = Entry {
            until_ms: None,
            since_ms: call.now.unix_ms,
            text: String::new(),
        };
        let entries: Vec<(UserId, Entry)> = users.into_iter().map(|user| (user, entry.clone())).collect();
        call.keep(|keep| call.policies().enlist(call.app, &PEER_GAGS, &entries, call.now, keep))
            .await?;
    }
    done()
}

fn gagged(call: &Call) -> Answered {
    is_about_persons(call)?;
    let listed = call.policies().listed(call.app, &PEER_GAGS, call.now);
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let skip = count(call.number("offset").unwrap_or(0));
    let limit = count(call.number("num").unwrap_or(PAGE_GAGGED_DEFAULT));
    let users: Vec<&str> = listed
        .iter()
        .skip(skip)
        .take(limit)
        .map(|(user, _)| user.as_str())
        .collect();
    answer(json!({ "total": listed.len(), "users": users }))
}

fn is_about_persons(call: &Call) -> Result<(), Failure> {
    match call.text("type").as_deref() {
        None | Some("PERSON") => Ok(()),
        Some(_) => Err(Failure::parameter("type: expected PERSON")),
    }
}
