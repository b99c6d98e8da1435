//! Events as lines for people.

use std::fmt::Write as _;

use sluice_client::{Event, LeaveReason, MessageKind, RoomEntered, RoomMessage, UserInfo};

use super::{destroyed_reason, kind_name, printable};

pub(super) fn entered(room: &RoomEntered) -> String {
    format!(
        "* entered {}, {}",
        printable(&room.room_id),
        count(room.member_count, "member", "members")
    )
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
        Event::TokenWillExpire { remaining } => format!("* the token ends in {} s", remaining.as_secs()),
        _ => return None,
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
    match std::str::from_utf8(&message.content) {
        Ok(text) => line.push_str(&printable(text)),
        Err(_) => line.push_str(&format!("{} bytes", message.content.len())),
    }
    line
}

fn names(users: &[UserInfo]) -> String {
    let names: Vec<_> = users.iter().map(|user| printable(&user.user_id)).collect();
    names.join(", ")
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
