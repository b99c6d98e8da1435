//! Reading conversations: which a user has, what one is, who is in it, and all that was said in it. None of these paths is the vendor's, but the one that hides
//! what was said.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sluice_protocol::{
    ConversationInfo, ConversationMember, ConversationMessage, ConversationType, MemberRole, MessageType,
    QueryConversationMembers, limits, reply,
};

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::Failure;
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::api::paths::found::unexpected;
use crate::api::paths::message::{MESSAGE_ID_BYTES, kind_of};
use crate::config::ApiScope;
use crate::conversation::{Command, Found, Order, Place};

/// Messages and conversations on one page.
const PAGE_DEFAULT: i64 = 100;
const PAGE_MAX: i64 = 1000;

/// Longest time in milliseconds as it comes: any of 64 bits.
const TIME_MAX: i64 = i64::MAX;

const TYPE: Field = Field::required(
    "conversationType",
    Kind::Number { min: 1, max: 10 },
    "1: between two users, 2: a discussion, 3: a group, 6: of the server to a user. 1009 with any other.",
);

const FROM: Field = Field::optional(
    "fromUserId",
    Kind::User,
    "With 1, one of the two; with 6, in whose name the server writes. Must be there with these.",
);

const TARGET: Field = Field::required(
    "targetId",
    Kind::Target,
    "With 1 and 6, the other user; else the discussion or group.",
);

const LIMIT: Field = Field::optional(
    "limit",
    Kind::Number { min: 1, max: PAGE_MAX },
    "How many at most; 100 where it is missing.",
);

const DESCRIBED: &[Answer] = &[
    Answer::new("conversationType", AnswerKind::Number, "As in the question."),
    Answer::new("targetId", AnswerKind::Text, "The group, discussion or user."),
    Answer::new("name", AnswerKind::Text, "Its name for people."),
    Answer::new("creatorId", AnswerKind::Text, "Who made it; empty: the server."),
    Answer::new("notice", AnswerKind::Text, "Of a group."),
    Answer::new("attributes", AnswerKind::Text, "The app's own, as they were given."),
    Answer::new("memberCount", AnswerKind::Number, "How many are inside."),
    Answer::new(
        "createTime",
        AnswerKind::Number,
        "When it was made: milliseconds since 1970, like all of these.",
    ),
    Answer::new("updateTime", AnswerKind::Number, "When it was last changed."),
    Answer::new(
        "lastSequence",
        AnswerKind::Number,
        "Of the newest message; 0: there was none. Of a group whose id an earlier one had, its numbers go on, whether there is a message yet or not.",
    ),
    Answer::new("lastMessageTime", AnswerKind::Number, "When that was sent."),
    Answer::new(
        "muted",
        AnswerKind::Flag,
        "Whether only owner, managers and those excepted may send.",
    ),
    Answer::new("expireTime", AnswerKind::Number, "When it ends; 0: never."),
];

const MEDIA: &[Answer] = &[
    Answer::new("url", AnswerKind::Text, "Where it is."),
    Answer::new(
        "format",
        AnswerKind::Text,
        "Its format, as an extension of a file's name.",
    ),
    Answer::new("size", AnswerKind::Number, "In bytes."),
    Answer::new("duration", AnswerKind::Number, "In milliseconds; 0: it has none."),
    Answer::new("width", AnswerKind::Number, "In pixels; 0: it has none."),
    Answer::new("height", AnswerKind::Number, "Likewise."),
    Answer::new("name", AnswerKind::Text, "The name of the file."),
];

const SENDER_INFO: &[Answer] = &[
    Answer::new("name", AnswerKind::Text, "The name."),
    Answer::new("portraitUrl", AnswerKind::Text, "Where the picture is."),
    Answer::new("extra", AnswerKind::Text, "The app's own."),
];

const PART: &[Answer] = &[
    Answer::new("part", AnswerKind::Number, "Its number, from 0."),
    Answer::new(
        "content",
        AnswerKind::Text,
        "What it says. Missing where that is no text.",
    )
    .sometimes(),
    Answer::new(
        "contentHex",
        AnswerKind::Text,
        "What it says, in hexadecimal digits, where that is no text.",
    )
    .sometimes(),
];

const MESSAGE: &[Answer] = &[
    Answer::new("messageUID", AnswerKind::Text, "Its id, in decimal digits."),
    Answer::new("sequence", AnswerKind::Number, "Its place in the conversation."),
    Answer::new("sentTime", AnswerKind::Number, "Milliseconds since 1970."),
    Answer::new("fromUserId", AnswerKind::Text, "Who sent it."),
    Answer::new("targetId", AnswerKind::Text, "Where it was sent to."),
    Answer::new(
        "type",
        AnswerKind::Number,
        "1 text, 11 image, 12 file, 13 audio, 14 video, 100 combined, 200 custom.",
    ),
    Answer::new("objectName", AnswerKind::Text, "The name of a custom format."),
    Answer::new(
        "content",
        AnswerKind::Text,
        "What it says. Missing where that is no text.",
    )
    .sometimes(),
    Answer::new(
        "contentHex",
        AnswerKind::Text,
        "What it says, in hexadecimal digits, where that is no text.",
    )
    .sometimes(),
    Answer::new("extra", AnswerKind::Text, "What goes beside the content."),
    Answer::new("media", AnswerKind::Object(MEDIA), "The file that it is about.").sometimes(),
    Answer::new(
        "combinedId",
        AnswerKind::Text,
        "Of a combined message: the sender's name for its parts, which `/conversation/combined/query` gives.",
    )
    .sometimes(),
    Answer::new(
        "priority",
        AnswerKind::Number,
        "0: none was named, 1: low, 2: medium, 3: high.",
    ),
    Answer::new(
        "keep",
        AnswerKind::Number,
        "Whether it counts as unread: 2 it does not, 3 it does, 0 as its type has it, which is that it does.",
    ),
    Answer::new("clientMessageId", AnswerKind::Text, "Its sender's own name for it.").sometimes(),
    Answer::new(
        "fromUserName",
        AnswerKind::Text,
        "The name its sender was logged in with.",
    )
    .sometimes(),
    Answer::new(
        "senderInfo",
        AnswerKind::Object(SENDER_INFO),
        "How its sender wanted to be shown.",
    )
    .sometimes(),
    Answer::new("mentionedUserIds", AnswerKind::Texts, "Who is meant.").sometimes(),
    Answer::new("mentionAll", AnswerKind::Flag, "Whether all are meant."),
    Answer::new("pushContent", AnswerKind::Text, "What a push showed.").sometimes(),
    Answer::new("pushData", AnswerKind::Text, "What a push carried unseen.").sometimes(),
    Answer::new("fromServer", AnswerKind::Flag, "Whether the server sent it."),
    Answer::new("editedTime", AnswerKind::Number, "When it was last changed; 0: never."),
    Answer::new(
        "recalledTime",
        AnswerKind::Number,
        "When it was taken back; 0: it was not. Then it says nothing.",
    ),
    Answer::new("recalledBy", AnswerKind::Text, "In whose name."),
];

const MEMBER: &[Answer] = &[
    Answer::new("userId", AnswerKind::Text, "The user."),
    Answer::new("role", AnswerKind::Text, "`owner`, `manager` or `member`."),
    Answer::new("joinTime", AnswerKind::Number, "Milliseconds since 1970."),
    Answer::new(
        "deliveredSequence",
        AnswerKind::Number,
        "Messages up to this one have reached a device.",
    ),
    Answer::new(
        "readSequence",
        AnswerKind::Number,
        "Messages up to this one have been read.",
    ),
    Answer::new(
        "gaggedUntil",
        AnswerKind::Number,
        "0: not; 9223372036854775807: without end.",
    ),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/conversation/query",
        group: Group::Conversation,
        scope: ApiScope::Conversation,
        effect: Effect::Asks,
        summary: "Lists the conversations of a user, the one with the newest message first, without temporary ones.",
        fields: &[
            Field::required("userId", Kind::User, "Whose they are."),
            Field::optional(
                "conversationType",
                Kind::Number { min: 1, max: 10 },
                "Only of this type, see `/conversation/get`.",
            ),
            Field::optional(
                "skip",
                Kind::Number { min: 0, max: 1_000_000 },
                "How many to pass over; none where it is missing.",
            ),
            LIMIT,
        ],
        answers: &[
            Answer::new("conversations", AnswerKind::Objects(DESCRIBED), "Those on this page."),
            Answer::new("more", AnswerKind::Flag, "Whether there are more."),
        ],
        run: |call| Box::pin(query(call)),
    },
    Path {
        path: "/conversation/get",
        group: Group::Conversation,
        scope: ApiScope::Conversation,
        effect: Effect::Asks,
        summary: "Says what a conversation is. 4303: there is none.",
        fields: &[TYPE, FROM, TARGET],
        answers: DESCRIBED,
        run: |call| Box::pin(get(call)),
    },
    Path {
        path: "/conversation/user/query",
        group: Group::Conversation,
        scope: ApiScope::Conversation,
        effect: Effect::Asks,
        summary: "Lists who is in a group or discussion, by their ids: a hundred on a page.",
        fields: &[
            TYPE,
            TARGET,
            Field::optional(
                "pageToken",
                Kind::User,
                "`next` of the page before; missing: the first page.",
            ),
        ],
        answers: &[
            Answer::new("members", AnswerKind::Objects(MEMBER), "Those on this page."),
            Answer::new("memberCount", AnswerKind::Number, "How many there are."),
            Answer::new(
                "next",
                AnswerKind::Text,
                "What asks for the next page. Missing: there is none.",
            )
            .sometimes(),
        ],
        run: |call| Box::pin(members(call)),
    },
    Path {
        path: "/conversation/history",
        group: Group::Conversation,
        scope: ApiScope::Conversation,
        effect: Effect::Asks,
        summary: "Gives what was said in a conversation, oldest first, a page at a time. A page has at most about 512 KiB of it, and may have fewer messages than asked for. One that is damaged on the disk is left out, and the log says which.",
        fields: &[
            TYPE,
            FROM,
            TARGET,
            Field::optional(
                "after",
                Kind::Number { min: 0, max: i64::MAX },
                "Only what follows this sequence number: `next` of the page before. All where it is missing.",
            ),
            LIMIT,
        ],
        answers: &[
            Answer::new("messages", AnswerKind::Objects(MESSAGE), "The messages on this page."),
            Answer::new(
                "next",
                AnswerKind::Number,
                "`after` of the next page. Missing: there is none now.",
            )
            .sometimes(),
        ],
        run: |call| Box::pin(history(call)),
    },
    Path {
        path: "/conversation/combined/query",
        group: Group::Conversation,
        scope: ApiScope::Conversation,
        effect: Effect::Asks,
        summary: "Gives the parts of a combined message, in order, a page at a time. 22201: there is no such message, or it was taken back.",
        fields: &[
            TYPE,
            FROM,
            TARGET,
            Field::required(
                "messageUID",
                Kind::Text {
                    bytes_max: MESSAGE_ID_BYTES,
                },
                "The message, by its id in decimal digits.",
            ),
            Field::optional(
                "fromPart",
                Kind::Number {
                    min: 0,
                    max: limits::COMBINED_PARTS as i64 - 1,
                },
                "The first part of the page: `next` of the page before. The first of all where it is missing.",
            ),
        ],
        answers: &[
            Answer::new("parts", AnswerKind::Objects(PART), "The parts on this page."),
            Answer::new(
                "next",
                AnswerKind::Number,
                "`fromPart` of the next page. Missing: there is none.",
            )
            .sometimes(),
        ],
        run: |call| Box::pin(parts(call)),
    },
    Path {
        path: "/conversation/message/history/clean",
        group: Group::Conversation,
        scope: ApiScope::Message,
        effect: Effect::Changes,
        summary: "Hides from one user what was said in a conversation so far. Others keep it.",
        fields: &[
            TYPE,
            Field::required("fromUserId", Kind::User, "From whom. With 6, who is written to."),
            Field::required(
                "targetId",
                Kind::Target,
                "The other user, the discussion or the group; with 6, in whose name the server writes.",
            ),
            Field::optional(
                "msgTimestamp",
                Kind::Number { min: 0, max: TIME_MAX },
                "What was sent until then, in milliseconds since 1970; everything where it is missing.",
            ),
        ],
        answers: &[],
        run: |call| Box::pin(hide(call)),
    },
];

impl Call {
    fn kind(&self) -> Result<ConversationType, Failure> {
        let number = self.number("conversationType");
        kind_of(number.ok_or_else(|| Failure::parameter("conversationType: is missing"))?)
    }

    fn place(&self) -> Result<Place, Failure> {
        let (kind, as_user) = (self.kind()?, self.users("fromUserId").pop());
        if as_user.is_none() && matches!(kind, ConversationType::Peer | ConversationType::System) {
            return Err(Failure::parameter("fromUserId: is missing"));
        }
        Ok(Place {
            kind,
            as_user,
            target_id: self.conversation("targetId")?,
        })
    }

    fn limit(&self) -> usize {
        usize::try_from(self.number("limit").unwrap_or(PAGE_DEFAULT)).unwrap_or(0)
    }
}

async fn query(call: Call) -> Answered {
    let kind = call.number("conversationType").map(kind_of).transpose()?;
    let order = Order::List {
        user: call.user("userId")?,
        kind,
        skip: usize::try_from(call.number("skip").unwrap_or(0)).unwrap_or(0),
        limit: call.limit(),
    };
    match call.converse(Command::Server(Box::new(order))).await?.result {
        reply::Result::Conversations(page) => {
            let conversations = page.conversations.into_iter().filter_map(|own| own.info);
            let conversations: Vec<Value> = conversations.map(|info| Value::Object(described(info))).collect();
            answer(json!({ "conversations": conversations, "more": page.more }))
        }
        _ => Err(unexpected()),
    }
}

async fn get(call: Call) -> Answered {
    let order = Order::Look { place: call.place()? };
    match call.converse(Command::Server(Box::new(order))).await?.result {
        reply::Result::OwnConversation(own) => Ok(described(own.info.unwrap_or_default())),
        _ => Err(unexpected()),
    }
}

async fn members(call: Call) -> Answered {
    let cursor = call.users("pageToken").pop();
    let question = QueryConversationMembers {
        r#type: call.kind()?.into(),
        id: call.conversation("targetId")?,
        limit: limits::CONVERSATION_MEMBERS_PAGE,
        cursor: cursor.map_or_else(String::new, |user| user.as_str().to_owned()),
    };
    match call.converse(Command::QueryMembers(question)).await?.result {
        reply::Result::ConversationMembers(page) => {
            let members: Vec<Value> = page.members.iter().map(member).collect();
            let mut said = json!({ "members": members, "memberCount": page.member_count });
            if !page.next_cursor.is_empty() {
                said["next"] = page.next_cursor.into();
            }
            answer(said)
        }
        _ => Err(unexpected()),
    }
}

async fn history(call: Call) -> Answered {
    let order = Order::History {
        place: call.place()?,
        after: call.number("after").unwrap_or(0),
        limit: call.limit(),
    };
    let Found::Messages { messages, next } = call.ask(order).await? else {
        return Err(unexpected());
    };
    let messages: Vec<Value> = messages.into_iter().map(message).collect();
    answer(with_next(json!({ "messages": messages }), next))
}

async fn parts(call: Call) -> Answered {
    let first = u32::try_from(call.number("fromPart").unwrap_or(0)).unwrap_or(0);
    let message_id = call.required_text("messageUID")?.parse();
    let order = Order::Parts {
        place: call.place()?,
        message_id: message_id.map_err(|_| Failure::parameter("messageUID: expected the digits of an id"))?,
        from_part: first,
    };
    match call.converse(Command::Server(Box::new(order))).await?.result {
        reply::Result::CombinedParts(page) => {
            let parts = (first..).zip(page.parts).map(|(number, content)| {
                let mut said = json!({ "part": number });
                put_content(&mut said, &content);
                said
            });
            let parts: Vec<Value> = parts.collect();
            let next = Some(i64::from(page.next_part)).filter(|next| *next > 0);
            answer(with_next(json!({ "parts": parts }), next))
        }
        _ => Err(unexpected()),
    }
}

/// A page that says where the next begins, if there is one.
fn with_next(mut page: Value, next: Option<i64>) -> Value {
    if let Some(next) = next {
        page["next"] = next.into();
    }
    page
}

async fn hide(call: Call) -> Answered {
    let (kind, user, target_id) = (call.kind()?, call.user("fromUserId")?, call.conversation("targetId")?);
    // What the server writes to a user is named by who it writes as.
    let place = match kind {
        ConversationType::System => Place {
            kind,
            as_user: Some(call.user_id("targetId", &target_id)?),
            target_id: user.as_str().to_owned(),
        },
        _ => Place {
            kind,
            as_user: Some(user.clone()),
            target_id,
        },
    };
    let until_ms = call.number("msgTimestamp").unwrap_or(i64::MAX);
    call.decide(Order::Hide { place, user, until_ms }).await?;
    done()
}

fn described(info: ConversationInfo) -> Map<String, Value> {
    let number = match info.r#type() {
        ConversationType::Peer => 1,
        ConversationType::Discussion => 2,
        ConversationType::Group => 3,
        ConversationType::Room => 4,
        ConversationType::System => 6,
    };
    let fields: [(&str, Value); 13] = [
        ("conversationType", number.into()),
        ("targetId", info.id.into()),
        ("name", info.name.into()),
        ("creatorId", info.creator_id.into()),
        ("notice", info.notice.into()),
        ("attributes", info.attributes.into()),
        ("memberCount", info.member_count.into()),
        ("createTime", info.created_at_ms.into()),
        ("updateTime", info.updated_at_ms.into()),
        ("lastSequence", info.last_sequence.into()),
        ("lastMessageTime", info.last_message_at_ms.into()),
        ("muted", info.muted.into()),
        ("expireTime", info.expires_at_ms.into()),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn member(member: &ConversationMember) -> Value {
    let role = match member.role() {
        MemberRole::Owner => "owner",
        MemberRole::Manager => "manager",
        MemberRole::Member | MemberRole::Unspecified => "member",
    };
    json!({
        "userId": member.user_id,
        "role": role,
        "joinTime": member.joined_at_ms,
        "deliveredSequence": member.delivered_sequence,
        "readSequence": member.read_sequence,
        "gaggedUntil": member.muted_until_ms,
    })
}

fn message(mut message: ConversationMessage) -> Value {
    let sender = message.sender.take().unwrap_or_default();
    let mut said = json!({
        "messageUID": message.message_id.to_string(),
        "sequence": message.sequence,
        "sentTime": message.server_time_ms,
        "fromUserId": sender.user_id,
        "targetId": message.target_id,
        "type": message.r#type,
        "objectName": message.object_name,
        "extra": message.extended_data,
        "priority": message.priority,
        "keep": message.keep,
        "mentionAll": message.mention_all,
        "fromServer": message.from_server,
        "editedTime": message.edited_at_ms,
        "recalledTime": message.recalled_at_ms,
        "recalledBy": message.recalled_by,
    });
    // Of a text it is always said what it is, even if that is nothing.
    if message.r#type() == MessageType::Text || !message.content.is_empty() {
        put_content(&mut said, &message.content);
    }
    if let Some(media) = message.media {
        said["media"] = json!({
            "url": media.url,
            "format": media.format,
            "size": media.size_bytes,
            "duration": media.duration_ms,
            "width": media.width,
            "height": media.height,
            "name": media.file_name,
        });
    }
    if let Some(info) = message.sender_info {
        said["senderInfo"] = json!({ "name": info.name, "portraitUrl": info.portrait_url, "extra": info.extra });
    }
    if !message.mentioned_user_ids.is_empty() {
        said["mentionedUserIds"] = message.mentioned_user_ids.into();
    }
    for (name, text) in [
        ("fromUserName", sender.user_name),
        ("clientMessageId", message.client_message_id),
        ("combinedId", message.combined_id),
        ("pushContent", message.push_content),
        ("pushData", message.push_data),
    ] {
        if !text.is_empty() {
            said[name] = text.into();
        }
    }
    said
}

/// As text where it is one.
fn put_content(said: &mut Value, content: &[u8]) {
    match std::str::from_utf8(content) {
        Ok(text) => said["content"] = text.into(),
        Err(_) => said["contentHex"] = hexadecimal(content).into(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

#[cfg(test)]
mod tests {
    use sluice_protocol::UserInfo;

    use super::*;
    use crate::api::path::Presence;

    #[test]
    fn what_there_is_nothing_to_say_of_is_left_out_of_a_message() {
        let sent = ConversationMessage {
            r#type: MessageType::Image.into(),
            sender: Some(UserInfo {
                user_id: "alice".into(),
                user_name: "Alice".into(),
            }),
            ..ConversationMessage::default()
        };
        let mut said = message(sent.clone());
        assert_eq!(
            (&said["fromUserId"], &said["fromUserName"]),
            (&json!("alice"), &json!("Alice"))
        );
        let always = MESSAGE.iter().filter(|answer| answer.presence == Presence::Always);
        let mut always: Vec<&str> = always.map(|answer| answer.name).collect();
        always.sort_unstable();
        said.as_object_mut().expect("an object").remove("fromUserName");
        let mut found: Vec<&str> = said
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        found.sort_unstable();
        assert_eq!(found, always);
        let empty_text = ConversationMessage {
            r#type: MessageType::Text.into(),
            ..sent
        };
        assert_eq!(message(empty_text)["content"], json!(""), "it is one, of nothing");
    }
}
