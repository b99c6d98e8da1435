//! Events as JSON objects for programs.

use std::fmt::Write as _;

use serde::Serialize;
use sluice_client::{Event, MessageKind, RoomEntered, RoomMessage, UserInfo};

use super::{destroyed_reason, kind_name};

/// One JSON object. The names of fields are in [`super::HELP`] and do not change.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum EventLine<'a> {
    Entered {
        room: &'a str,
        name: &'a str,
        preset: String,
        created: bool,
        members: u64,
        sequence: u64,
    },
    Message(Box<MessageLine<'a>>),
    Joined {
        room: &'a str,
        users: Vec<User<'a>>,
        members: u64,
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
    TokenWillExpire {
        seconds: u64,
    },
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
}

#[derive(Serialize)]
pub(super) enum Content<'a> {
    #[serde(rename = "content")]
    Text(&'a str),
    #[serde(rename = "content_hex")]
    Hex(String),
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
        created: room.created,
        members: room.member_count,
        sequence: room.sequence,
    }
}

pub(super) fn event(event: &Event) -> Option<EventLine<'_>> {
    Some(match event {
        Event::RoomMessage(event) => EventLine::Message(Box::new(message(event))),
        Event::MemberJoined(event) => EventLine::Joined {
            room: &event.room_id,
            users: User::all(&event.members),
            members: event.member_count,
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
        Event::TokenWillExpire { remaining } => EventLine::TokenWillExpire {
            seconds: remaining.as_secs(),
        },
        _ => return None,
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
        content: match std::str::from_utf8(&message.content) {
            Ok(text) => Content::Text(text),
            Err(_) => Content::Hex(hex(&message.content)),
        },
        object_name: match &message.kind {
            MessageKind::Custom { object_name } => Some(object_name),
            _ => None,
        },
        extended_data: &message.extended_data,
        client_message_id: &message.client_message_id,
        history_left: message.history_left,
    }
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
