//! Messages of the app's server: to rooms, to all rooms, to everybody who is online, and taking one back. Those to conversations are in `publish.rs`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_protocol::{ConversationType, ErrorCode, MessageType, Priority, RoomId, SystemMessage, frame::Body, limits};

use crate::api::broadcasts::Audience;
use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::found::is_nothing_there;
use crate::api::paths::room::{FAILED, FAILED_ANSWER, refused};
use crate::api::paths::shared::unexpected;
use crate::config::ApiScope;
use crate::conversation::{Command, TakeBack};
use crate::frames;
use crate::identity::User;
use crate::room::{self, Lasting, Order, Published};

/// Rooms of one call, as the vendor advises.
const ROOMS_PER_CALL: usize = 10;

/// Longest content as it comes, as the vendor has it. What is left of it when it is unpacked has the limit of its type.
const CONTENT_BYTES: usize = 128 << 10;

/// Longest id of a message. Ours have the digits of 64 bits, the vendor's have letters too.
pub(super) const MESSAGE_ID_BYTES: usize = 64;

/// What the vendor calls text and commands; every other object name is one of the app's own formats here.
pub(super) const TEXT: &str = "RC:TxtMsg";
const COMMAND: &str = "RC:CmdMsg";

/// The vendor's number for rooms among its types of conversations.
const CONVERSATION_ROOM: i64 = 4;

pub(super) const SENDER: Field = Field::required(
    "fromUserId",
    Kind::User,
    "In whose name; need not be inside, nor be a user who exists.",
);

pub(super) const OBJECT_NAME: Field = Field::required(
    "objectName",
    Kind::Text {
        bytes_max: limits::OBJECT_NAME_BYTES,
    },
    "What it is: `RC:TxtMsg` reaches clients as TEXT, `RC:CmdMsg` as COMMAND, everything else as CUSTOM with this name.",
);

pub(super) const CONTENT: Field = Field::required(
    "content",
    Kind::Text {
        bytes_max: CONTENT_BYTES,
    },
    "With `RC:TxtMsg` an object of JSON whose `content` is the text and whose `extra` goes beside it, or the text itself; else carried as it is. At most 32 KiB, a command 5 KiB.",
);

const PRIORITY: Field = Field::optional(
    "priority",
    Kind::Number { min: 0, max: 3 },
    "0: the default of the room, 1: low, 2: medium, 3: high. Not one of the vendor's fields.",
);

const INCLUDE_SENDER: Field = Field::optional(
    "isIncludeSender",
    Kind::Flag,
    "Taken and passed over: all who are inside get the same, the sender too.",
);

const SENT: &[Answer] = &[
    Answer::new("chatroomId", AnswerKind::Text, "The room."),
    Answer::new(
        "messageUID",
        AnswerKind::Text,
        "The id that members get, in decimal digits; with it a message is recalled.",
    ),
];

const MESSAGE_ID: Answer = Answer::new(
    "messageUID",
    AnswerKind::Text,
    "The id that clients get, in decimal digits.",
);

const RECALLED: &[Field] = &[
    Field::required(
        "fromUserId",
        Kind::User,
        "In whose name it is taken back; with conversationType 1 and 6, who sent it.",
    ),
    Field::optional(
        "conversationType",
        Kind::Number { min: 1, max: 10 },
        "1: to a user, 2: of a discussion, 3: of a group, 4: of a room, 6: of the server to a user. 1009 with any other. Must be there for `/message/recall`.",
    ),
    Field::required(
        "targetId",
        Kind::Target,
        "Where it was sent to: the user, the discussion, the group or the room.",
    ),
    Field::required(
        "messageUID",
        Kind::Text {
            bytes_max: MESSAGE_ID_BYTES,
        },
        "The message, by its id in decimal digits.",
    )
    .or(&["messageUid"]),
    Field::optional(
        "sentTime",
        Kind::Text {
            bytes_max: MESSAGE_ID_BYTES,
        },
        "Taken and passed over: the id is enough.",
    ),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/message/chatroom/publish",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to rooms. It is bound by no gag, mute, rate, word or stop. In a room that does not exist nobody gets it.",
        fields: &[
            SENDER,
            Field::required("toChatroomId", Kind::Room, "The rooms.")
                .many(ROOMS_PER_CALL)
                .or(&["toChatroomIds"]),
            OBJECT_NAME,
            CONTENT,
            PRIORITY,
            Field::optional(
                "isPersisted",
                Kind::Flag,
                "Whether it becomes part of the history of the room, which it does where it is missing. A command never does.",
            ),
            INCLUDE_SENDER,
        ],
        answers: &[
            Answer::new("messageUIDs", AnswerKind::Objects(SENT), "The message in each room."),
            FAILED_ANSWER,
        ],
        run: |call| Box::pin(publish(call)),
    },
    Path {
        path: "/message/chatroom/broadcast",
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Sends a message to all rooms of the app that exist, once a second at most. It becomes part of no history and keeps no room from ending.",
        fields: &[SENDER, OBJECT_NAME, CONTENT, PRIORITY, INCLUDE_SENDER],
        answers: &[MESSAGE_ID],
        run: |call| Box::pin(to_all_rooms(call)),
    },
    broadcast(
        "/message/broadcast",
        "Sends a message to everybody who is online, twice a second at most. It is kept for nobody.",
    ),
    broadcast(
        "/message/online/broadcast",
        "The same as `/message/broadcast`, by the name that says what it does.",
    ),
    recall(
        "/message/recall",
        "Takes a message back: what it said is gone, and those who have it are told. One that is not there is passed over; in a room members are told of it all the same.",
        |call| {
            Box::pin(async move {
                let Some(conversation) = call.number("conversationType") else {
                    return Err(Failure::parameter("conversationType: is missing"));
                };
                take_back(call, conversation).await
            })
        },
    ),
    recall(
        "/message/chatroom/recall",
        "The same as `/message/recall`, for those who look for it here. Not one of the vendor's paths.",
        |call| {
            Box::pin(async move {
                let conversation = call.number("conversationType").unwrap_or(CONVERSATION_ROOM);
                take_back(call, conversation).await
            })
        },
    ),
];

const fn broadcast(path: &'static str, summary: &'static str) -> Path {
    Path {
        path,
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary,
        fields: &[SENDER, OBJECT_NAME, CONTENT],
        answers: &[MESSAGE_ID],
        run: |call| Box::pin(to_all_online(call)),
    }
}

const fn recall(path: &'static str, summary: &'static str, run: fn(Call) -> crate::api::call::Running) -> Path {
    Path {
        path,
        group: Group::Message,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary,
        fields: RECALLED,
        answers: &[],
        run,
    }
}

/// A message unpacked from what the vendor's libraries make of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub kind: MessageType,
    pub content: String,
    pub object_name: String,
    pub extended_data: String,
}

/// # Errors
/// 1005 when it is larger than its type allows, 1002 when there is nothing in it.
pub(super) fn unpack(object_name: String, content: String) -> Result<Unpacked, Failure> {
    let (kind, bytes_max) = match &*object_name {
        TEXT => (MessageType::Text, limits::TEXT_BYTES),
        COMMAND => (MessageType::Command, limits::COMMAND_BYTES),
        _ => (MessageType::Custom, limits::CUSTOM_BYTES),
    };
    let (content, extended_data) = match kind {
        MessageType::Text => text_and_extra(content),
        _ => (content, String::new()),
    };
    if content.is_empty() {
        return Err(Failure::parameter("content: is empty"));
    }
    let found = content.len() + extended_data.len();
    if found > bytes_max {
        let message = format!("content: found {found} bytes, expected at most {bytes_max}");
        return Err(Failure::new(Code::TOO_LONG, message));
    }
    let object_name = match kind {
        MessageType::Custom => object_name,
        _ => String::new(),
    };
    Ok(Unpacked {
        kind,
        content,
        object_name,
        extended_data,
    })
}

/// The text of the vendor's object for texts, and what goes beside it; anything else is the text itself.
fn text_and_extra(content: String) -> (String, String) {
    let Ok(Value::Object(mut object)) = serde_json::from_str(&content) else {
        return (content, String::new());
    };
    let Some(Value::String(text)) = object.remove("content") else {
        return (content, String::new());
    };
    let extra = match object.remove("extra") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(extra)) => extra,
        Some(other) => other.to_string(),
    };
    (text, extra)
}

impl Call {
    fn message(&self, lasting: Lasting) -> Result<Published, Failure> {
        let unpacked = unpack(self.required_text("objectName")?, self.required_text("content")?)?;
        Ok(Published {
            sender: self.sender()?,
            kind: unpacked.kind,
            content: unpacked.content.into(),
            object_name: unpacked.object_name,
            priority: self.priority(),
            extended_data: unpacked.extended_data,
            lasting,
        })
    }

    fn sender(&self) -> Result<Arc<User>, Failure> {
        Ok(self.nameless(self.user("fromUserId")?))
    }

    fn priority(&self) -> Priority {
        let number = self.number("priority").and_then(|number| i32::try_from(number).ok());
        number
            .and_then(|number| Priority::try_from(number).ok())
            .unwrap_or(Priority::Default)
    }
}

async fn publish(call: Call) -> Answered {
    let lasting = match call.flag("isPersisted") {
        Some(false) => Lasting::Moment,
        _ => Lasting::History,
    };
    let message = call.message(lasting)?;
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    let mut last = None;
    let rooms = call.rooms("toChatroomId");
    let orders = rooms.iter().map(|room| (room.clone(), Order::Publish(message.clone())));
    let answers = call.orders(orders.collect()).await;
    for (room, told) in rooms.iter().zip(answers) {
        match told {
            Ok(room::Answer::Published { message_id }) => {
                sent.push(json!({ "chatroomId": room.as_str(), "messageUID": message_id.to_string() }));
            }
            Ok(other) => return Err(unexpected(&other)),
            Err(failure) => {
                failed.push(refused(room, &failure));
                last = Some(failure);
            }
        }
    }
    match last {
        Some(failure) if sent.is_empty() => Err(failure),
        Some(_) => answer(json!({ "messageUIDs": sent, FAILED: failed })),
        None => answer(json!({ "messageUIDs": sent })),
    }
}

async fn to_all_rooms(call: Call) -> Answered {
    let message = call.message(Lasting::Moment)?;
    call.api.broadcasts.take(call.app, Audience::Rooms, call.now.instant)?;
    let message_id = call.operator().publish_to_rooms(call.app, message, call.now).await?;
    answer(json!({ "messageUID": message_id.to_string() }))
}

async fn to_all_online(call: Call) -> Answered {
    let sender_id = call.user("fromUserId")?.as_str().to_owned();
    let unpacked = unpack(call.required_text("objectName")?, call.required_text("content")?)?;
    call.api.broadcasts.take(call.app, Audience::Online, call.now.instant)?;
    let message_id = call.operator().next_message_id(call.now);
    let message = SystemMessage {
        message_id,
        server_time_ms: call.now.unix_ms,
        sender_id,
        r#type: unpacked.kind.into(),
        content: unpacked.content.into(),
        object_name: unpacked.object_name,
        extended_data: unpacked.extended_data,
    };
    let frame = Bytes::from(frames::event(Body::SystemMessage(message)));
    call.operator().broadcast(call.app, frame).await?;
    answer(json!({ "messageUID": message_id.to_string() }))
}

async fn take_back(call: Call, conversation: i64) -> Answered {
    let id = call.required_text("messageUID")?;
    let (as_user, target_id) = (call.user("fromUserId")?, call.conversation("targetId")?);
    if conversation == CONVERSATION_ROOM {
        let message_id = id.parse().ok().filter(|id| *id > 0);
        let order = Order::Recall {
            message_id: message_id.ok_or_else(|| Failure::parameter("messageUID: expected the digits of an id"))?,
            operator: as_user.as_str().to_owned(),
        };
        let room = RoomId::parse(&target_id).map_err(|why| Failure::parameter(format!("targetId: {why}")))?;
        call.order(room, order).await?;
        return done();
    }
    let kind = kind_of(conversation)?;
    // The vendor's ids have other characters: none of ours, so there is nothing to take back.
    let Ok(message_id) = id.parse() else {
        return done();
    };
    let command = TakeBack {
        as_user,
        kind,
        target_id,
        message_id,
    };
    match call.converse(Command::TakeBack(Box::new(command))).await {
        Err(failure) if !is_nothing_there(&failure) && !is_no_message(&failure) => Err(failure),
        _ => done(),
    }
}

/// A message that is not there, or not any more, is no error to the vendor.
fn is_no_message(failure: &Failure) -> bool {
    [ErrorCode::MESSAGE_UNKNOWN, ErrorCode::ALREADY_RECALLED]
        .iter()
        .any(|code| failure.code == Code(code.number()))
}

/// What the vendor's number of a type of conversations stands for, where it is no room.
pub(super) fn kind_of(conversation: i64) -> Result<ConversationType, Failure> {
    match conversation {
        1 => Ok(ConversationType::Peer),
        2 => Ok(ConversationType::Discussion),
        3 => Ok(ConversationType::Group),
        6 => Ok(ConversationType::System),
        _ => Err(Failure::new(
            Code::NOT_ENABLED,
            "there are no conversations of this conversationType here",
        )),
    }
}

#[cfg(test)]
mod tests;
