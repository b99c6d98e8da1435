//! Messages of the app's server to users, groups and discussions: kept and delivered like those of users, or for who is online alone.

mod template;

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use sluice_protocol::{ConversationType, ErrorCode, MessageKeep, MessageType, SendMessage, UserId, limits};

use crate::api::call::{Answered, Call, answer};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::found::is_nothing_there;
use crate::api::paths::message::{CONTENT, OBJECT_NAME, SENDER, unpack};
use crate::api::paths::room::FAILED;
use crate::config::ApiScope;
use crate::conversation::{Command, Publish, Published};

use template::{Effort, Template};

/// Users of one call, as the vendor has it.
const USERS_PER_CALL: usize = 1000;
const SYSTEM_USERS_PER_CALL: usize = 100;

/// Groups of one call, as the vendor has it.
const GROUPS_PER_CALL: usize = 3;

/// Conversations that are written to in one transaction, so that others have their turn in between. Each counts as a change, and a group of those that
/// share a commit takes more.
const TARGETS_AT_ONCE: usize = 100;

/// Largest `values` of a template: for each user some hundred bytes.
const VALUES_BYTES: usize = 256 << 10;

const INCLUDE_SENDER: Field = Field::optional(
    "isIncludeSender",
    Kind::Flag,
    "Whether the devices of the sender are told at once too; they are not where it is missing. The sender's history has the message either way.",
);

const COUNTED: Field = Field::optional(
    "isCounted",
    Kind::Flag,
    "Whether it counts as unread, which it does where it is missing.",
);

const VERIFY_BLACKLIST: Field = Field::optional(
    "verifyBlacklist",
    Kind::Flag,
    "1: users who have the sender on their blacklist do not get it. They do where it is missing.",
);

const MENTIONED: Field = Field::optional(
    "isMentioned",
    Kind::Flag,
    "1: `mentionedInfo` of the content says who is meant: `{\"type\":1}` all, `{\"type\":2,\"userIdList\":[…]}` these, at most 50.",
);

const PUSH_CONTENT: Field = Field::optional(
    "pushContent",
    Kind::Text {
        bytes_max: limits::PUSH_CONTENT_BYTES,
    },
    "What a push shows, for the app's push hook.",
);

const PUSH_DATA: Field = Field::optional(
    "pushData",
    Kind::Text {
        bytes_max: limits::PUSH_DATA_BYTES,
    },
    "What a push carries unseen, likewise.",
);

const CLIENT_MESSAGE_ID: Field = Field::optional(
    "clientMessageId",
    Kind::Text {
        bytes_max: limits::CLIENT_MESSAGE_ID_BYTES,
    },
    "A name of the app's own for this message, so that the call can be made again: for seven days, who was sent it is not sent it anew, and the first `messageUID` is answered. What is not kept is sent anew. Not one of the vendor's fields.",
);

const VALUES: Field = Field::required(
    "values",
    Kind::Objects {
        bytes_max: VALUES_BYTES,
    },
    "For each user, in the same order, what stands in the place of which text: `{\"{name}\":\"Bob\"}`.",
);

const TO_SYSTEM_USERS: Field = Field::required("toUserId", Kind::User, "The users.").many(SYSTEM_USERS_PER_CALL);

const TO_USERS: Field = Field::required("toUserId", Kind::User, "The users.").many(USERS_PER_CALL);

const TO_GROUPS: Field = Field::required("toGroupId", Kind::Group, "The groups.").many(GROUPS_PER_CALL);

/// What messages of a path are for.
#[derive(Debug, Clone, Copy)]
struct To {
    kind: ConversationType,
    /// The field with the targets, and what an answer calls one.
    field: &'static str,
    named: &'static str,
    lasting: Lasting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Kept,
    /// Only who is online gets it.
    Moment,
}

const USER: To = To {
    kind: ConversationType::Peer,
    field: "toUserId",
    named: "userId",
    lasting: Lasting::Kept,
};

const GROUP: To = To {
    kind: ConversationType::Group,
    field: "toGroupId",
    named: "groupId",
    lasting: Lasting::Kept,
};

const SYSTEM: To = To {
    kind: ConversationType::System,
    ..USER
};

const DISCUSSION: To = To {
    kind: ConversationType::Discussion,
    field: "toDiscussionId",
    named: "discussionId",
    lasting: Lasting::Kept,
};

macro_rules! answers {
    ($name:literal, $meaning:literal) => {
        &[
            Answer::new(
                "messageUIDs",
                AnswerKind::Objects(&[
                    Answer::new($name, AnswerKind::Text, $meaning),
                    Answer::new(
                        "messageUID",
                        AnswerKind::Text,
                        "The id that clients get, in decimal digits; with it a message that is kept is recalled.",
                    ),
                ]),
                "The message for each. What does not exist is not among them.",
            ),
            Answer::new(
                FAILED,
                AnswerKind::Objects(&[
                    Answer::new($name, AnswerKind::Text, $meaning),
                    Answer::new("code", AnswerKind::Number, "Why it was refused."),
                    Answer::new("errorMessage", AnswerKind::Text, "The same in words."),
                ]),
                "Only where some were refused: which, and why. All others are sent.",
            )
            .sometimes(),
        ]
    };
}

const SENT_TO_USERS: &[Answer] = answers!("userId", "The user.");
const SENT_TO_GROUPS: &[Answer] = answers!("groupId", "The group.");
const SENT_TO_DISCUSSIONS: &[Answer] = answers!("discussionId", "The discussion.");

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/message/private/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to users, one-to-one. It is bound by no gag, list, rate or word. Neither sender nor users need to be known.",
        fields: &[
            SENDER,
            TO_USERS,
            OBJECT_NAME,
            CONTENT,
            INCLUDE_SENDER,
            VERIFY_BLACKLIST,
            COUNTED,
            PUSH_CONTENT,
            PUSH_DATA,
            CLIENT_MESSAGE_ID,
        ],
        answers: SENT_TO_USERS,
        run: |call| Box::pin(publish(call, USER)),
    },
    Path {
        path: "/message/private/publish_template",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to users, to each with other words in its places.",
        fields: &[
            SENDER,
            TO_USERS,
            OBJECT_NAME,
            CONTENT,
            VALUES,
            INCLUDE_SENDER,
            VERIFY_BLACKLIST,
            COUNTED,
            CLIENT_MESSAGE_ID,
        ],
        answers: SENT_TO_USERS,
        run: |call| Box::pin(publish_template(call, USER)),
    },
    Path {
        path: "/statusmessage/private/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to users who are online. It is kept for nobody.",
        fields: &[SENDER, TO_USERS, OBJECT_NAME, CONTENT, INCLUDE_SENDER, VERIFY_BLACKLIST],
        answers: SENT_TO_USERS,
        run: |call| Box::pin(publish(call, momentary(USER))),
    },
    Path {
        path: "/message/group/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to groups, or to some members of one. It is bound by no gag, mute, rate or word, and the sender need not be inside. In a group that does not exist nobody gets it.",
        fields: &[
            SENDER,
            TO_GROUPS,
            Field::optional(
                "toUserId",
                Kind::User,
                "Only these members get it, and it is not kept. With one group only.",
            )
            .many(USERS_PER_CALL),
            OBJECT_NAME,
            CONTENT,
            MENTIONED,
            INCLUDE_SENDER,
            COUNTED,
            PUSH_CONTENT,
            PUSH_DATA,
            CLIENT_MESSAGE_ID,
        ],
        answers: SENT_TO_GROUPS,
        run: |call| Box::pin(publish(call, GROUP)),
    },
    Path {
        path: "/statusmessage/group/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to the members of groups who are online. It is kept for nobody.",
        fields: &[SENDER, TO_GROUPS, OBJECT_NAME, CONTENT, INCLUDE_SENDER],
        answers: SENT_TO_GROUPS,
        run: |call| Box::pin(publish(call, momentary(GROUP))),
    },
    Path {
        path: "/message/discussion/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to discussions, which users have made. In one that does not exist nobody gets it.",
        fields: &[
            SENDER,
            Field::required("toDiscussionId", Kind::Target, "The discussions.").many(GROUPS_PER_CALL),
            OBJECT_NAME,
            CONTENT,
            INCLUDE_SENDER,
            COUNTED,
            PUSH_CONTENT,
            PUSH_DATA,
            CLIENT_MESSAGE_ID,
        ],
        answers: SENT_TO_DISCUSSIONS,
        run: |call| Box::pin(publish(call, DISCUSSION)),
    },
    Path {
        path: "/message/system/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message of the server to users, in a conversation in which nobody else writes.",
        fields: &[
            SENDER,
            TO_SYSTEM_USERS,
            OBJECT_NAME,
            CONTENT,
            COUNTED,
            PUSH_CONTENT,
            PUSH_DATA,
            CLIENT_MESSAGE_ID,
        ],
        answers: SENT_TO_USERS,
        run: |call| Box::pin(publish(call, SYSTEM)),
    },
    Path {
        path: "/message/system/publish_template",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message of the server to users, to each with other words in its places.",
        fields: &[
            SENDER,
            TO_SYSTEM_USERS,
            OBJECT_NAME,
            CONTENT,
            VALUES,
            COUNTED,
            CLIENT_MESSAGE_ID,
        ],
        answers: SENT_TO_USERS,
        run: |call| Box::pin(publish_template(call, SYSTEM)),
    },
];

const fn momentary(to: To) -> To {
    To {
        lasting: Lasting::Moment,
        ..to
    }
}

impl To {
    fn targets(self, call: &Call) -> Vec<String> {
        match self.kind {
            ConversationType::Peer | ConversationType::System => {
                let users = call.users(self.field);
                users.iter().map(|user| user.as_str().to_owned()).collect()
            }
            _ => call.conversations(self.field),
        }
    }

    /// A command with one content for all `targets`.
    fn command(self, call: &Call, targets: Vec<String>, content: String) -> Result<Command, Failure> {
        let mentioned = if call.may_have("isMentioned") && call.flag("isMentioned") == Some(true) {
            Mentioned::read(&content)?
        } else {
            Mentioned::default()
        };
        let unpacked = unpack(call.required_text("objectName")?, content)?;
        let flag = |name| call.may_have(name).then(|| call.flag(name)).flatten();
        let text = |name| {
            call.may_have(name)
                .then(|| call.text(name))
                .flatten()
                .unwrap_or_default()
        };
        let only_for = match self.kind {
            ConversationType::Group if call.may_have("toUserId") => call.users("toUserId"),
            _ => Vec::new(),
        };
        let keep = match (self.lasting, flag("isCounted")) {
            (Lasting::Moment, _) => MessageKeep::None,
            (Lasting::Kept, Some(false)) if unpacked.kind != MessageType::Command => MessageKeep::Stored,
            _ => MessageKeep::Default,
        };
        let message = SendMessage {
            conversation_type: self.kind.into(),
            r#type: unpacked.kind.into(),
            content: unpacked.content.into(),
            object_name: unpacked.object_name,
            extended_data: unpacked.extended_data,
            mentioned_user_ids: mentioned.users,
            mention_all: mentioned.all,
            push_content: text("pushContent"),
            push_data: text("pushData"),
            client_message_id: text("clientMessageId"),
            keep: keep.into(),
            ..SendMessage::default()
        };
        Ok(Command::Publish(Box::new(Publish {
            as_user: call.user("fromUserId")?,
            targets,
            message,
            include_sender: flag("isIncludeSender").unwrap_or(false),
            verify_blacklist: flag("verifyBlacklist").unwrap_or(false),
            only_for,
        })))
    }
}

async fn publish(call: Call, to: To) -> Answered {
    let targets = without_repeats(to.targets(&call));
    if targets.len() > 1 && to.kind == ConversationType::Group && to.lasting == Lasting::Kept {
        let named: Vec<UserId> = call.users("toUserId");
        if !named.is_empty() {
            return Err(Failure::parameter("toUserId: expected none with several groups"));
        }
    }
    let mut commands = Vec::new();
    for targets in targets.chunks(TARGETS_AT_ONCE) {
        let content = call.required_text("content")?;
        commands.push((targets.to_vec(), to.command(&call, targets.to_vec(), content)?));
    }
    carry_out(&call, to, commands, 1).await
}

async fn publish_template(call: Call, to: To) -> Answered {
    let (targets, values) = (to.targets(&call), call.objects("values")?);
    if values.len() != targets.len() {
        let message = format!(
            "values: found {}, expected {}, one for each user",
            values.len(),
            targets.len()
        );
        return Err(Failure::parameter(message));
    }
    // Whose words would it be?
    if without_repeats(targets.clone()).len() < targets.len() {
        return Err(Failure::parameter("toUserId: a user is there twice"));
    }
    let fill = || {
        let template = Template::new(&call.required_text("objectName")?, call.required_text("content")?)?;
        let mut effort = Effort::default();
        let filled = targets.into_iter().zip(&values).map(|(target, values)| {
            let content = template.fill(values, &mut effort)?;
            let targets = vec![target];
            Ok((targets.clone(), to.command(&call, targets, content)?))
        });
        filled.collect::<Result<Vec<_>, Failure>>()
    };
    // For a thousand users this may take some tenths of a second.
    let commands = call.at_length(fill).await??;
    carry_out(&call, to, commands, TARGETS_AT_ONCE).await
}

/// Each target once, in the order in which they are first named.
fn without_repeats(mut targets: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    targets
}

/// Has commands carried out, so many at once, each for its targets, and says what became of each target.
async fn carry_out(call: &Call, to: To, commands: Vec<(Vec<String>, Command)>, at_once: usize) -> Answered {
    let (targets, commands): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
    let outcomes = call.converse_in_batches(commands, at_once).await;
    let mut tally = Tally::default();
    for (targets, outcome) in targets.into_iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => {
                for Published { target, result } in outcome.published {
                    let result = result.map(|sent| sent.message_id).map_err(Failure::from);
                    tally.add(to, &target, result);
                }
            }
            Err(failure) => {
                for target in targets {
                    tally.add(to, &target, Err(failure.clone()));
                }
            }
        }
    }
    tally.answer()
}

/// What became of a message for each of its targets.
#[derive(Debug, Default)]
struct Tally {
    sent: Vec<Value>,
    failed: Vec<Value>,
    /// What is answered if nobody got it.
    failure: Option<Failure>,
}

impl Tally {
    fn add(&mut self, to: To, target: &str, result: Result<u64, Failure>) {
        match result {
            Ok(message_id) => {
                let id = message_id.to_string();
                self.sent.push(entry(to, target, [("messageUID", id.into())]));
            }
            Err(failure) if is_nothing_there(&failure) => {}
            Err(failure) => {
                let code = failure.code;
                let said = [
                    ("code", code.0.into()),
                    ("errorMessage", Value::from(&*failure.message)),
                ];
                self.failed.push(entry(to, target, said));
                // Asked for, so no error.
                if code != Code(ErrorCode::IN_BLACKLIST.number()) {
                    self.failure = Some(failure.over(self.failure.take()));
                }
            }
        }
    }

    fn answer(self) -> Answered {
        match self.failure {
            Some(failure) if self.sent.is_empty() => Err(failure),
            _ if self.failed.is_empty() => answer(json!({ "messageUIDs": self.sent })),
            _ => answer(json!({ "messageUIDs": self.sent, FAILED: self.failed })),
        }
    }
}

fn entry<const FIELDS: usize>(to: To, target: &str, fields: [(&str, Value); FIELDS]) -> Value {
    let target = [(to.named.to_owned(), target.into())];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    Value::Object(target.into_iter().chain(fields).collect::<Map<_, _>>())
}

/// Who is meant by a message.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mentioned {
    all: bool,
    users: Vec<String>,
}

impl Mentioned {
    /// What the vendor's content says of it. What says nothing means nobody.
    fn read(content: &str) -> Result<Self, Failure> {
        let content: Option<Value> = serde_json::from_str(content).ok();
        let Some(info) = content.as_ref().and_then(|content| content.get("mentionedInfo")) else {
            return Ok(Self::default());
        };
        let wrong = |what: &str| Failure::parameter(format!("content: mentionedInfo: {what}"));
        match info.get("type").and_then(Value::as_i64) {
            Some(1) => Ok(Self {
                all: true,
                users: Vec::new(),
            }),
            Some(2) => {
                let users = info.get("userIdList").and_then(Value::as_array);
                let users = users.ok_or_else(|| wrong("userIdList is missing"))?;
                let users = users.iter().map(|user| user.as_str().map(str::to_owned));
                let users: Option<Vec<String>> = users.collect();
                let users = users.ok_or_else(|| wrong("userIdList: expected texts"))?;
                if users.len() > limits::MENTIONS {
                    return Err(wrong("userIdList: expected at most 50 users"));
                }
                Ok(Self { all: false, users })
            }
            _ => Err(wrong("type: expected 1 or 2")),
        }
    }
}

#[cfg(test)]
mod tests;
