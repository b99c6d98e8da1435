//! Groups: making and ending them, who is inside.

use std::collections::HashSet;

use serde_json::{Value, json};
use sluice_protocol::{
    ConversationType, DismissGroup, ErrorCode, MemberRefusal, RemoveMembers, UpdateConversation, UserId, limits, reply,
};
use tokio::time::Instant;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::found::{is_nothing_there, names, unexpected};
use crate::api::paths::room::FAILED;
use crate::config::ApiScope;
use crate::conversation::{Command, Found, Order, Outcome};
use crate::refusal::Refusal;

/// Users that one call puts in or out, as the vendor has it.
const USERS_PER_CALL: usize = 1000;

/// Users that are put in or out in one transaction, so that others have their turn in between.
const USERS_AT_ONCE: usize = limits::CONVERSATION_USERS_PER_COMMAND;

/// Groups that one call says a user is in.
const GROUPS_PER_CALL: usize = 500;

/// Groups that a user is put into, or out of, at once.
const GROUPS_AT_ONCE: usize = 500;

/// Groups of a user that are looked at at once: more than those that the user may stay in, so that among them is one to leave if there is any.
const GROUPS_READ: usize = GROUPS_PER_CALL + GROUPS_AT_ONCE;

/// Groups of a user in one answer, as the vendor has it.
const PAGE_GROUPS_DEFAULT: i64 = 50;
const PAGE_GROUPS_MAX: i64 = 1000;
const GROUPS_WITHOUT_PAGE: i64 = 5000;

pub(super) const GROUP: Field = Field::required("groupId", Kind::Group, "The group.");

const USERS: Field = Field::required("userId", Kind::User, "Whom it concerns.").many(USERS_PER_CALL);

const NAME: Kind = Kind::Text {
    bytes_max: limits::CONVERSATION_NAME_BYTES,
};

const REFUSED: &[Answer] = &[
    Answer::new("userId", AnswerKind::Text, "The user."),
    Answer::new("code", AnswerKind::Number, "Why it was refused."),
    Answer::new("errorMessage", AnswerKind::Text, "The same in words."),
];

const FAILED_USERS: Answer = Answer::new(
    FAILED,
    AnswerKind::Objects(REFUSED),
    "Only where it was refused for some of several users: for whom, and why. For all others it is done.",
)
.sometimes();

const REFUSED_GROUPS: &[Answer] = &[
    Answer::new("groupId", AnswerKind::Text, "The group."),
    Answer::new("code", AnswerKind::Number, "Why it was refused."),
    Answer::new("errorMessage", AnswerKind::Text, "The same in words."),
];

pub(super) const FAILED_GROUPS: Answer = Answer::new(
    FAILED,
    AnswerKind::Objects(REFUSED_GROUPS),
    "Only where it was refused for some of several groups: for which, and why. For all others it is done.",
)
.sometimes();

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/group/create",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Makes a group and puts users in. One that exists gets the users and the name.",
        fields: &[USERS, GROUP, Field::required("groupName", NAME, "Its name for people.")],
        answers: &[FAILED_USERS],
        run: |call| Box::pin(bring(call)),
    },
    Path {
        path: "/group/join",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Puts users into a group, which is made if there is none. Who is inside already stays.",
        fields: &[
            USERS,
            GROUP,
            Field::optional(
                "groupName",
                NAME,
                "Its new name for people; where it is missing, the name stays.",
            ),
        ],
        answers: &[FAILED_USERS],
        run: |call| Box::pin(bring(call)),
    },
    Path {
        path: "/group/quit",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Puts users out of a group. Who is not inside is passed over. A group that nobody is left in ends.",
        fields: &[USERS, GROUP],
        answers: &[FAILED_USERS],
        run: |call| Box::pin(quit(call)),
    },
    Path {
        path: "/group/dismiss",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Ends a group: its members, its messages and what was decided about it are gone. One that does not exist is passed over.",
        fields: &[
            GROUP,
            Field::required("userId", Kind::User, "In whose name; need not be inside."),
        ],
        answers: &[],
        run: |call| {
            Box::pin(async move {
                let id = call.conversation("groupId")?;
                unless_nothing_is_there(call.converse(Command::Dismiss(DismissGroup { id })).await)
            })
        },
    },
    Path {
        path: "/group/refresh",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Renames a group. One that does not exist is passed over.",
        fields: &[GROUP, Field::required("groupName", NAME, "Its new name for people.")],
        answers: &[],
        run: |call| {
            Box::pin(async move {
                let renaming = UpdateConversation {
                    r#type: ConversationType::Group.into(),
                    id: call.conversation("groupId")?,
                    name: call.text("groupName"),
                    ..UpdateConversation::default()
                };
                unless_nothing_is_there(call.converse(Command::Update(renaming)).await)
            })
        },
    },
    Path {
        path: "/group/sync",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Changes,
        summary: "Says all groups that a user is in: puts the user into these, renames them, and puts the user out of all others.",
        fields: &[
            Field::required("userId", Kind::User, "Whom it concerns."),
            Field::optional(
                "group",
                Kind::NamedGroups,
                "All groups that the user is to be in. None: the user leaves all.",
            )
            .many(GROUPS_PER_CALL),
        ],
        answers: &[FAILED_GROUPS],
        run: |call| Box::pin(sync(call)),
    },
    Path {
        path: "/group/user/query",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Asks,
        summary: "Lists who is inside of a group. A group that does not exist has nobody.",
        fields: &[GROUP],
        answers: &[Answer::new(
            "users",
            AnswerKind::Objects(&[Answer::new("id", AnswerKind::Text, "The user.")]),
            "All members, by their ids.",
        )],
        run: |call| {
            Box::pin(async move {
                let group = call.conversation("groupId")?;
                let members = names(call.ask(Order::Members { group }).await?)?;
                let users: Vec<Value> = members.into_iter().map(|id| json!({ "id": id })).collect();
                answer(json!({ "users": users }))
            })
        },
    },
    Path {
        path: "/user/group/query",
        group: Group::Groups,
        scope: ApiScope::Group,
        effect: Effect::Asks,
        summary: "Lists the groups that a user is in, the one with the newest message first.",
        fields: &[
            Field::required("userId", Kind::User, "Whom it concerns."),
            Field::optional(
                "page",
                Kind::Number { min: 0, max: 10_000 },
                "Which page, from 1; where it is missing or 0, the first 5000 groups.",
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
            "groups",
            AnswerKind::Objects(&[
                Answer::new("id", AnswerKind::Text, "The group."),
                Answer::new("name", AnswerKind::Text, "Its name for people."),
            ]),
            "The groups on this page.",
        )],
        run: |call| Box::pin(groups_of(call)),
    },
];

async fn bring(call: Call) -> Answered {
    let (group, users) = (call.conversation("groupId")?, once_each(call.users("userId")));
    let mut name = call.text("groupName");
    let commands = users.chunks(USERS_AT_ONCE).map(|users| {
        Command::Server(Box::new(Order::Bring {
            group: group.clone(),
            name: name.take(),
            users: users.to_vec(),
        }))
    });
    let outcomes = call.converse_all(commands.collect()).await;
    each_user(&users, outcomes, |_| false)
}

async fn quit(call: Call) -> Answered {
    let (group, users) = (call.conversation("groupId")?, once_each(call.users("userId")));
    let commands = users.chunks(USERS_AT_ONCE).map(|users| {
        Command::Remove(RemoveMembers {
            r#type: ConversationType::Group.into(),
            id: group.clone(),
            user_ids: texts(users),
        })
    });
    let outcomes = call.converse_all(commands.collect()).await;
    each_user(&users, outcomes, |code| code == ErrorCode::NOT_A_MEMBER.number())
}

/// Each user once, in the order in which they are first named.
fn once_each(mut users: Vec<UserId>) -> Vec<UserId> {
    let mut seen = HashSet::new();
    users.retain(|user| seen.insert(user.clone()));
    users
}

/// What became of users that were given in pieces. Refusals that are none to the vendor are passed over.
fn each_user(users: &[UserId], outcomes: Vec<Result<Outcome, Failure>>, passed_over: impl Fn(i32) -> bool) -> Answered {
    let (mut failed, mut last) = (Vec::new(), None);
    let mut fail = |user: &str, failure: Failure| {
        failed.push(json!({ "userId": user, "code": failure.code.0, "errorMessage": failure.message }));
        last = Some(failure.over(last.take()));
    };
    for (users, outcome) in users.chunks(USERS_AT_ONCE).zip(outcomes) {
        match outcome {
            Ok(Outcome {
                result: reply::Result::MembersChanged(changed),
                ..
            }) => {
                for MemberRefusal { user_id, code } in changed.refused {
                    if !passed_over(code) {
                        fail(&user_id, Refusal::new(ErrorCode::from(code)).into());
                    }
                }
            }
            Ok(_) => {}
            Err(failure) if is_nothing_there(&failure) => {}
            Err(failure) => users.iter().for_each(|user| fail(user.as_str(), failure.clone())),
        }
    }
    match last {
        Some(failure) if failed.len() >= users.len() => Err(failure),
        Some(_) => answer(json!({ FAILED: failed })),
        None => done(),
    }
}

async fn sync(call: Call) -> Answered {
    let (user, wanted) = (call.user("userId")?, call.named_groups("group"));
    let stays: HashSet<&str> = wanted.iter().map(|(group, _)| group.as_str()).collect();
    let read = || groups_of_user(&call, &user);
    let put_out = |groups| put_out_of(&call, &user, groups);
    let (mut ids, mut outcomes) = leave_others(&stays, call.deadline(), read, put_out).await?;
    let bringing = wanted.iter().map(|(group, name)| {
        Command::Server(Box::new(Order::Bring {
            group: group.clone(),
            name: Some(name.clone()).filter(|name| !name.is_empty()),
            users: vec![user.clone()],
        }))
    });
    outcomes.extend(call.converse_in_batches(bringing.collect(), GROUPS_AT_ONCE).await);
    ids.extend(wanted.iter().map(|(group, _)| group.clone()));
    each_group(ids, outcomes)
}

/// The first [`GROUPS_READ`] groups of a user.
async fn groups_of_user(call: &Call, user: &UserId) -> Result<Vec<String>, Failure> {
    let order = Order::GroupsOf {
        user: user.clone(),
        skip: 0,
        limit: GROUPS_READ,
    };
    match call.ask(order).await? {
        Found::Groups(groups) => Ok(groups.into_iter().map(|(id, _)| id).collect()),
        _ => Err(unexpected()),
    }
}

async fn put_out_of(call: &Call, user: &UserId, groups: Vec<String>) -> Vec<Result<Outcome, Failure>> {
    let leaving = groups.into_iter().map(|id| {
        Command::Remove(RemoveMembers {
            r#type: ConversationType::Group.into(),
            id,
            user_ids: vec![user.as_str().to_owned()],
        })
    });
    call.converse_in_batches(leaving.collect(), GROUPS_AT_ONCE).await
}

/// Puts a user out of all groups but some, and says what became of which. Groups are read from the first each time, not page by page: they change places
/// as messages come, and one that moved to a page before would be passed over.
async fn leave_others<T, Reading, Leaving>(
    stays: &HashSet<&str>,
    deadline: Instant,
    read: impl Fn() -> Reading,
    put_out: impl Fn(Vec<String>) -> Leaving,
) -> Result<(Vec<String>, Vec<Result<T, Failure>>), Failure>
where
    Reading: Future<Output = Result<Vec<String>, Failure>>,
    Leaving: Future<Output = Vec<Result<T, Failure>>>,
{
    let (mut ids, mut outcomes) = (Vec::new(), Vec::new());
    loop {
        let groups = read().await?;
        let are_all = groups.len() < GROUPS_READ;
        let others: Vec<String> = groups.into_iter().filter(|id| !stays.contains(&**id)).collect();
        let left = put_out(others.clone()).await;
        // Whoever is still inside of one is told of that one, and calls again.
        let is_refused = left.iter().any(Result::is_err);
        ids.extend(others);
        outcomes.extend(left);
        if are_all || is_refused {
            return Ok((ids, outcomes));
        }
        if Instant::now() >= deadline {
            let message = "the user has more groups than can be left in time: call again";
            return Err(Failure::new(Code::TIMEOUT, message));
        }
    }
}

/// What became of groups that were given one by one.
pub(super) fn each_group(ids: Vec<String>, outcomes: Vec<Result<Outcome, Failure>>) -> Answered {
    let all = ids.len();
    let (mut failed, mut last) = (Vec::new(), None);
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        let refused = match outcome {
            Ok(Outcome {
                result: reply::Result::MembersChanged(changed),
                ..
            }) => changed
                .refused
                .first()
                .map(|refusal| refusal.code)
                // Put out meanwhile by somebody else.
                .filter(|code| *code != ErrorCode::NOT_A_MEMBER.number())
                .map(|code| Failure::from(Refusal::new(ErrorCode::from(code)))),
            Err(failure) => Some(failure).filter(|failure| !is_nothing_there(failure)),
            Ok(_) => None,
        };
        if let Some(failure) = refused {
            failed.push(json!({ "groupId": id, "code": failure.code.0, "errorMessage": failure.message }));
            last = Some(failure.over(last));
        }
    }
    match last {
        Some(failure) if failed.len() == all => Err(failure),
        Some(_) => answer(json!({ FAILED: failed })),
        None => done(),
    }
}

async fn groups_of(call: Call) -> Answered {
    let (skip, limit) = match call.number("page").unwrap_or(0) {
        0 => (0, GROUPS_WITHOUT_PAGE),
        page => {
            let size = call.number("size").unwrap_or(PAGE_GROUPS_DEFAULT);
            ((page - 1) * size, size)
        }
    };
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let order = Order::GroupsOf {
        user: call.user("userId")?,
        skip: count(skip),
        limit: count(limit),
    };
    let Found::Groups(groups) = call.ask(order).await? else {
        return Err(unexpected());
    };
    let groups: Vec<Value> = groups
        .into_iter()
        .map(|(id, name)| json!({ "id": id, "name": name }))
        .collect();
    answer(json!({ "groups": groups }))
}

/// What does not exist is no error to the vendor.
fn unless_nothing_is_there(outcome: Result<Outcome, Failure>) -> Answered {
    match outcome {
        Err(failure) if !is_nothing_there(&failure) => Err(failure),
        _ => done(),
    }
}

fn texts(users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| user.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests;
