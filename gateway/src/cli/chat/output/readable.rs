//! Events as lines for people.

pub(super) mod conversation;

use std::fmt::Write as _;

use sluice_client::{
    AttributeRefusal, Attributes, AttributesChanged, ClientError, Event, LeaveReason, Member, MessageKind, Mute,
    MuteChanged, MuteScope, RoomEntered, RoomMessage, UserInfo,
};

use super::{destroyed_reason, kind_name, printable};
use crate::cli::chat::failure::Failure;

pub(super) fn entered(room: &RoomEntered) -> String {
    format!(
        "* entered {}, {}",
        printable(&room.room_id),
        count(room.member_count, "member", "members")
    )
}

pub(super) fn members(members: &[Member]) -> String {
    let names: Vec<_> = members.iter().map(|member| printable(&member.user_id)).collect();
    format!(
        "* {}: {}",
        count(members.len() as u64, "member", "members"),
        names.join(", ")
    )
}

pub(super) fn attributes(answer: &Attributes) -> String {
    if answer.attributes.is_empty() {
        return "* no attributes".to_owned();
    }
    let lines = answer.attributes.iter().map(|attribute| {
        format!(
            "* {} = {} (of {})",
            printable(&attribute.key),
            printable(&attribute.value),
            printable(&attribute.owner_id)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn left_all(rooms: &[String]) -> String {
    let rooms: Vec<_> = rooms.iter().map(|room_id| printable(room_id)).collect();
    format!(
        "* left {}",
        if rooms.is_empty() {
            "nothing".to_owned()
        } else {
            rooms.join(", ")
        }
    )
}

pub(super) fn refused(command: &str, error: &ClientError) -> String {
    format!("* {command}: {}", printable(&error.to_string()))
}

pub(super) fn refused_key(command: &str, refusal: &AttributeRefusal) -> String {
    format!("* {command} {}: {}", printable(&refusal.key), refusal.code)
}

pub(super) fn mistake(failure: &Failure) -> String {
    format!("* {}", printable(&failure.to_string()))
}

pub(super) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::RoomMessage(event) => message(event),
        Event::MemberJoined(event) => format!("* {} joined", names(&event.members)),
        Event::MemberLeft(event) => {
            let why = match event.reason {
                LeaveReason::Offline => " (connection lost)",
                LeaveReason::Logout => " (logged out)",
                LeaveReason::Kicked => " (put out)",
                LeaveReason::Blocked | LeaveReason::UserBlocked => " (blocked)",
                LeaveReason::Left | LeaveReason::Unspecified => "",
            };
            format!("* {} left{why}", names(&event.members))
        }
        Event::MemberDigest(event) => format!(
            "* {} joined, {} left, now {}",
            event.joined_count,
            event.left_count,
            count(event.member_count, "member", "members")
        ),
        Event::MemberCount(event) => format!("* now {}", count(event.member_count, "member", "members")),
        Event::Gap(gap) => format!(
            "* missed {} between {} and {}",
            count(gap.missed(), "message", "messages"),
            gap.first_sequence,
            gap.last_sequence
        ),
        Event::RoomDestroyed(event) => format!("* the room is no more ({})", destroyed_reason(event.reason)),
        Event::KickedOut(event) => format!(
            "* you were put out of {}{}{}",
            printable(&event.room_id),
            if event.reason == LeaveReason::Blocked {
                " (blocked)"
            } else {
                ""
            },
            words(&event.extra)
        ),
        Event::MuteChanged(event) => mute_changed(event),
        Event::AttributesChanged(event) => attributes_changed(event),
        Event::MessageRecalled(event) => format!("* message {} was taken back", event.sequence),
        Event::SystemMessage(event) => format!(
            "* to everybody, from {}: {}",
            printable(&event.sender_id),
            text_of(&event.content)
        ),
        Event::Disconnected(closed) => match closed.error() {
            Some(error) => format!("* connection lost: {}", printable(&error.to_string())),
            None => "* connection lost".to_owned(),
        },
        Event::Reconnecting { delay, .. } => format!("* next try in {:.1} s", delay.as_secs_f64()),
        Event::Reconnected { .. } => "* connected again".to_owned(),
        Event::RoomResumed(event) => match event.missed {
            0 => format!("* back in {}", printable(&event.room_id)),
            missed => format!(
                "* back in {}, missed {}",
                printable(&event.room_id),
                count(missed, "message", "messages")
            ),
        },
        Event::RoomRejoined(event) => format!(
            "* entered {} again, {}",
            printable(&event.entered.room_id),
            count(event.entered.member_count, "member", "members")
        ),
        Event::RoomLost { room_id, error } => {
            format!(
                "* no longer in {}: {}",
                printable(room_id),
                printable(&error.to_string())
            )
        }
        Event::TokenWillExpire { remaining } => format!("* the token ends in {} s", remaining.as_secs()),
        _ => return conversation::event(event),
    })
}

fn message(message: &RoomMessage) -> String {
    let mut line = printable(&message.sender.user_id);
    match &message.kind {
        MessageKind::Text => {}
        MessageKind::Custom { object_name } => {
            write!(line, " (custom {})", printable(object_name)).expect("a String takes everything");
        }
        kind => write!(line, " ({})", kind_name(kind)).expect("a String takes everything"),
    }
    line.push_str(": ");
    line.push_str(&text_of(&message.content));
    line
}

fn text_of(content: &[u8]) -> String {
    match std::str::from_utf8(content) {
        Ok(text) => printable(text),
        Err(_) => format!("{} bytes", content.len()),
    }
}

fn mute_changed(event: &MuteChanged) -> String {
    let who = match event.scope {
        MuteScope::User => "you",
        MuteScope::Room => "everybody",
        MuteScope::Global => "you, in all rooms,",
        MuteScope::Unspecified => "somebody",
    };
    let what = match event.mute {
        Mute::None => "may send again",
        Mute::Until { .. } => "may not send for some time",
        Mute::WithoutEnd => "may not send",
    };
    format!("* {who} {what}{}", words(&event.extra))
}

fn attributes_changed(event: &AttributesChanged) -> String {
    let set = event
        .set
        .iter()
        .map(|attribute| format!("{} = {}", printable(&attribute.key), printable(&attribute.value)));
    let deleted = event.deleted.iter().map(|key| format!("without {}", printable(key)));
    let changes: Vec<_> = set.chain(deleted).collect();
    let by = event
        .by
        .as_ref()
        .map(|user| format!(" (by {})", printable(&user.user_id)));
    format!("* {}{}", changes.join(", "), by.unwrap_or_default())
}

/// What the app's server said.
fn words(extra: &str) -> String {
    if extra.is_empty() {
        String::new()
    } else {
        format!(": {}", printable(extra))
    }
}

fn names(users: &[UserInfo]) -> String {
    let names: Vec<_> = users.iter().map(|user| printable(&user.user_id)).collect();
    names.join(", ")
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
