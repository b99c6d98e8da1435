//! Events as JSON objects for programs.

pub(super) mod conversation;

use std::fmt::Write as _;

use serde::Serialize;
use sluice_client::{
    Attribute, AttributeRefusal, Attributes, ClientError, ErrorCode, Event, Member, MessageKind, Mute, RoomEntered,
    RoomMessage, SystemMessage, UserInfo,
};

use self::conversation::{Listed, Which};
use super::{destroyed_reason, kind_name};
use crate::cli::chat::failure::Failure;

/// One JSON object. The names of fields are in [`super::HELP`] and do not change.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum EventLine<'a> {
    Entered {
        room: &'a str,
        name: &'a str,
        preset: String,
        policy: &'a str,
        created: bool,
        members: u64,
        sequence: u64,
    },
    Message(Box<MessageLine<'a>>),
    Joined {
        room: &'a str,
        users: Vec<User<'a>>,
        members: u64,
        #[serde(skip_serializing_if = "str::is_empty")]
        extra: &'a str,
    },
    Left {
        room: &'a str,
        users: Vec<User<'a>>,
        members: u64,
        reason: String,
    },
    Digest {
        room: &'a str,
        joined: Vec<User<'a>>,
        left: Vec<User<'a>>,
        joined_count: u64,
        left_count: u64,
        members: u64,
    },
    Members {
        room: &'a str,
        members: u64,
    },
    Gap {
        room: &'a str,
        first_sequence: u64,
        last_sequence: u64,
        high: u64,
        normal: u64,
        low: u64,
        barrage: u64,
    },
    Destroyed {
        room: &'a str,
        reason: &'static str,
    },
    KickedOut {
        room: &'a str,
        reason: String,
        until_ms: i64,
        #[serde(skip_serializing_if = "str::is_empty")]
        extra: &'a str,
    },
    Mute {
        room: &'a str,
        scope: String,
        muted: bool,
        until_ms: i64,
        #[serde(skip_serializing_if = "str::is_empty")]
        extra: &'a str,
    },
    AttributesChanged {
        room: &'a str,
        version: u64,
        set: Vec<AttributeObject<'a>>,
        deleted: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<User<'a>>,
    },
    Recalled {
        room: &'a str,
        sequence: u64,
        message_id: String,
        operator: &'a str,
        time_ms: i64,
    },
    System(Box<SystemLine<'a>>),
    TokenWillExpire {
        seconds: u64,
    },
    Disconnected {
        #[serde(flatten)]
        reason: Reason<'a>,
    },
    Reconnecting {
        attempt: u32,
        delay_ms: u128,
    },
    Reconnected {
        resumed: bool,
    },
    Resumed {
        room: &'a str,
        sequence: u64,
        replayed: u32,
        missed: u64,
        members: u64,
    },
    Rejoined {
        room: &'a str,
        sequence: u64,
        members: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        messages_meanwhile: Option<u64>,
    },
    Lost {
        room: &'a str,
        #[serde(flatten)]
        reason: Reason<'a>,
    },
    MemberList {
        room: &'a str,
        users: Vec<MemberObject<'a>>,
    },
    Attributes {
        room: &'a str,
        version: u64,
        attributes: Vec<AttributeObject<'a>>,
    },
    LeftAll {
        rooms: &'a [String],
    },
    ConversationMessage(Box<conversation::MessageLine<'a>>),
    ConversationEdited(Box<conversation::MessageLine<'a>>),
    ConversationRecalled {
        #[serde(flatten)]
        which: Which<'a>,
        sequence: u64,
        message_id: String,
        by: &'a str,
    },
    ConversationJoined {
        #[serde(flatten)]
        which: Which<'a>,
        users: &'a [String],
        members: u32,
        by: &'a str,
    },
    ConversationLeft {
        #[serde(flatten)]
        which: Which<'a>,
        users: &'a [String],
        members: u32,
        by: &'a str,
    },
    Invited {
        #[serde(flatten)]
        which: Which<'a>,
        name: &'a str,
        by: &'a str,
    },
    ConversationKickedOut {
        #[serde(flatten)]
        which: Which<'a>,
        by: &'a str,
    },
    ConversationChanged {
        #[serde(flatten)]
        which: Which<'a>,
        name: &'a str,
        by: &'a str,
    },
    GroupDismissed {
        #[serde(flatten)]
        which: Which<'a>,
        by: &'a str,
    },
    Position {
        #[serde(flatten)]
        which: Which<'a>,
        user: &'a str,
        delivered_sequence: u64,
        read_sequence: u64,
    },
    Synced {
        conversations: Vec<Listed<'a>>,
        more: u32,
    },
    ConversationGap {
        #[serde(flatten)]
        which: Which<'a>,
        first_sequence: u64,
        last_sequence: u64,
    },
    ConversationsUnavailable {
        #[serde(flatten)]
        reason: Reason<'a>,
    },
    ConversationList {
        conversations: Vec<Listed<'a>>,
    },
    Sent {
        #[serde(flatten)]
        which: Which<'a>,
        sequence: u64,
        message_id: String,
    },
    Refused {
        command: &'a str,
        #[serde(flatten)]
        reason: Reason<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
    },
}

#[derive(Serialize)]
pub(super) struct Reason<'a> {
    code: i32,
    name: &'static str,
    detail: &'a str,
}

impl<'a> Reason<'a> {
    fn of(code: ErrorCode, detail: &'a str) -> Self {
        Self {
            code: code.number(),
            name: code.name(),
            detail,
        }
    }
}

#[derive(Serialize)]
pub(super) struct AttributeObject<'a> {
    key: &'a str,
    value: &'a str,
    owner: &'a str,
    version: u64,
}

impl<'a> AttributeObject<'a> {
    fn all(attributes: &'a [Attribute]) -> Vec<Self> {
        let objects = attributes.iter().map(|attribute| Self {
            key: &attribute.key,
            value: &attribute.value,
            owner: &attribute.owner_id,
            version: attribute.version,
        });
        objects.collect()
    }
}

#[derive(Serialize)]
pub(super) struct MemberObject<'a> {
    user: &'a str,
    name: &'a str,
    joined_ms: i64,
}

#[derive(Serialize)]
pub(super) struct SystemLine<'a> {
    message_id: String,
    time_ms: i64,
    user: &'a str,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_name: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    extended_data: &'a str,
}

#[derive(Serialize)]
pub(super) struct MessageLine<'a> {
    room: &'a str,
    sequence: u64,
    message_id: String,
    time_ms: i64,
    #[serde(flatten)]
    sender: User<'a>,
    #[serde(rename = "type")]
    kind: String,
    priority: String,
    #[serde(flatten)]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_name: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    extended_data: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_left: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    from_server: bool,
}

#[derive(Serialize)]
pub(super) enum Content<'a> {
    #[serde(rename = "content")]
    Text(&'a str),
    #[serde(rename = "content_hex")]
    Hex(String),
}

impl<'a> Content<'a> {
    fn of(content: &'a [u8]) -> Self {
        match std::str::from_utf8(content) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Hex(hex(content)),
        }
    }
}

#[derive(Serialize)]
pub(super) struct User<'a> {
    user: &'a str,
    name: &'a str,
}

impl<'a> User<'a> {
    fn of(user: &'a UserInfo) -> Self {
        Self {
            user: &user.user_id,
            name: &user.user_name,
        }
    }

    fn all(users: &'a [UserInfo]) -> Vec<Self> {
        users.iter().map(Self::of).collect()
    }
}

pub(super) fn entered(room: &RoomEntered) -> EventLine<'_> {
    EventLine::Entered {
        room: &room.room_id,
        name: &room.room_name,
        preset: lower_case(room.preset.as_str_name(), "ROOM_PRESET_"),
        policy: &room.policy,
        created: room.created,
        members: room.member_count,
        sequence: room.sequence,
    }
}

pub(super) fn members<'a>(room_id: &'a str, members: &'a [Member]) -> EventLine<'a> {
    let users = members.iter().map(|member| MemberObject {
        user: &member.user_id,
        name: &member.user_name,
        joined_ms: member.joined_at_ms,
    });
    EventLine::MemberList {
        room: room_id,
        users: users.collect(),
    }
}

pub(super) fn attributes(answer: &Attributes) -> EventLine<'_> {
    EventLine::Attributes {
        room: &answer.room_id,
        version: answer.version,
        attributes: AttributeObject::all(&answer.attributes),
    }
}

pub(super) fn left_all(rooms: &[String]) -> EventLine<'_> {
    EventLine::LeftAll { rooms }
}

pub(super) fn refused<'a>(command: &'a str, error: &'a ClientError) -> EventLine<'a> {
    EventLine::Refused {
        command,
        reason: Reason::of(error.code, &error.detail),
        key: None,
    }
}

pub(super) fn refused_key<'a>(command: &'a str, refusal: &'a AttributeRefusal) -> EventLine<'a> {
    EventLine::Refused {
        command,
        reason: Reason::of(refusal.code, &refusal.detail),
        key: Some(&refusal.key),
    }
}

pub(super) fn mistake(failure: &Failure) -> EventLine<'_> {
    let (code, detail) = failure.code_and_detail();
    EventLine::Refused {
        command: "",
        reason: Reason::of(code, detail),
        key: None,
    }
}

pub(super) fn event(event: &Event) -> Option<EventLine<'_>> {
    Some(match event {
        Event::RoomMessage(event) => EventLine::Message(Box::new(message(event))),
        Event::MemberJoined(event) => EventLine::Joined {
            room: &event.room_id,
            users: User::all(&event.members),
            members: event.member_count,
            extra: &event.extra,
        },
        Event::MemberLeft(event) => EventLine::Left {
            room: &event.room_id,
            users: User::all(&event.members),
            members: event.member_count,
            reason: event
                .reason
                .as_str_name()
                .trim_start_matches("LEAVE_REASON_")
                .to_ascii_lowercase(),
        },
        Event::MemberDigest(event) => EventLine::Digest {
            room: &event.room_id,
            joined: User::all(&event.joined),
            left: User::all(&event.left),
            joined_count: event.joined_count,
            left_count: event.left_count,
            members: event.member_count,
        },
        Event::MemberCount(event) => EventLine::Members {
            room: &event.room_id,
            members: event.member_count,
        },
        Event::Gap(gap) => EventLine::Gap {
            room: &gap.room_id,
            first_sequence: gap.first_sequence,
            last_sequence: gap.last_sequence,
            high: gap.high,
            normal: gap.normal,
            low: gap.low,
            barrage: gap.barrage,
        },
        Event::RoomDestroyed(event) => EventLine::Destroyed {
            room: &event.room_id,
            reason: destroyed_reason(event.reason),
        },
        Event::KickedOut(event) => EventLine::KickedOut {
            room: &event.room_id,
            reason: lower_case(event.reason.as_str_name(), "LEAVE_REASON_"),
            until_ms: event.until_ms,
            extra: &event.extra,
        },
        Event::MuteChanged(event) => EventLine::Mute {
            room: &event.room_id,
            scope: lower_case(event.scope.as_str_name(), "MUTE_SCOPE_"),
            muted: event.mute != Mute::None,
            until_ms: match event.mute {
                Mute::Until { unix_ms } => unix_ms,
                Mute::None | Mute::WithoutEnd => 0,
            },
            extra: &event.extra,
        },
        Event::AttributesChanged(event) => EventLine::AttributesChanged {
            room: &event.room_id,
            version: event.version,
            set: AttributeObject::all(&event.set),
            deleted: &event.deleted,
            by: event.by.as_ref().map(User::of),
        },
        Event::MessageRecalled(event) => EventLine::Recalled {
            room: &event.room_id,
            sequence: event.sequence,
            message_id: event.message_id.to_string(),
            operator: &event.operator_id,
            time_ms: event.recalled_at_ms,
        },
        Event::SystemMessage(event) => EventLine::System(Box::new(system(event))),
        Event::Disconnected(closed) => EventLine::Disconnected {
            reason: Reason::of(closed.code, &closed.detail),
        },
        Event::Reconnecting { attempt, delay } => EventLine::Reconnecting {
            attempt: *attempt,
            delay_ms: delay.as_millis(),
        },
        Event::Reconnected { resumed } => EventLine::Reconnected { resumed: *resumed },
        Event::RoomResumed(event) => EventLine::Resumed {
            room: &event.room_id,
            sequence: event.sequence,
            replayed: event.replayed,
            missed: event.missed,
            members: event.member_count,
        },
        Event::RoomRejoined(event) => EventLine::Rejoined {
            room: &event.entered.room_id,
            sequence: event.entered.sequence,
            members: event.entered.member_count,
            messages_meanwhile: event.messages_meanwhile,
        },
        Event::RoomLost { room_id, error } => EventLine::Lost {
            room: room_id,
            reason: Reason::of(error.code, &error.detail),
        },
        Event::TokenWillExpire { remaining } => EventLine::TokenWillExpire {
            seconds: remaining.as_secs(),
        },
        _ => return conversation::event(event),
    })
}

fn message(message: &RoomMessage) -> MessageLine<'_> {
    MessageLine {
        room: &message.room_id,
        sequence: message.sequence,
        message_id: message.message_id.to_string(),
        time_ms: message.server_time_ms,
        sender: User::of(&message.sender),
        kind: kind_name(&message.kind),
        priority: message
            .priority
            .as_str_name()
            .trim_start_matches("PRIORITY_")
            .to_ascii_lowercase(),
        content: Content::of(&message.content),
        object_name: object_name(&message.kind),
        extended_data: &message.extended_data,
        client_message_id: &message.client_message_id,
        history_left: message.history_left,
        from_server: message.from_server,
    }
}

fn system(message: &SystemMessage) -> SystemLine<'_> {
    SystemLine {
        message_id: message.message_id.to_string(),
        time_ms: message.server_time_ms,
        user: &message.sender_id,
        kind: kind_name(&message.kind),
        content: Content::of(&message.content),
        object_name: object_name(&message.kind),
        extended_data: &message.extended_data,
    }
}

fn object_name(kind: &MessageKind) -> Option<&str> {
    match kind {
        MessageKind::Custom { object_name } => Some(object_name),
        _ => None,
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The schema's names of enumeration values, as JSON has them: without the prefix and in lower case.
fn lower_case(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_ascii_lowercase()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}
