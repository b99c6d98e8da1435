//! What is remembered of messages that were answered, and for how long.

use bytes::Bytes;
use sluice_protocol::{IdProfile, MessageType, Priority};

use super::*;

fn message(id: u64) -> Outgoing {
    Outgoing {
        kind: MessageType::Text,
        content: Bytes::from_static(b"hello"),
        object_name: String::new(),
        priority: Priority::Default,
        extended_data: String::new(),
        client_message_id: format!("m{id}"),
    }
}

fn answer(sequence: u64) -> SendMessageResult {
    SendMessageResult {
        client_message_id: format!("m{sequence}"),
        message_id: sequence + 1000,
        sequence,
        server_time_ms: 5,
        duplicate: false,
        distributed: sequence.is_multiple_of(2),
        ..SendMessageResult::default()
    }
}

#[test]
fn the_newest_are_remembered_and_the_oldest_is_forgotten_first() {
    let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
    let mut recent = Recent::default();
    let all = REMEMBERED_MAX as u64 + 1;
    for id in 0..all {
        assert_eq!(recent.look_up(&alice, &message(id)), Seen::Never);
        recent.remember(&alice, &message(id), &answer(id));
    }
    assert_eq!(recent.look_up(&alice, &message(0)), Seen::Never);
    for id in [1, all - 1] {
        let expected = SendMessageResult {
            duplicate: true,
            ..answer(id)
        };
        assert_eq!(recent.look_up(&alice, &message(id)), Seen::Before(expected));
    }
    assert_eq!(
        (recent.answers.len(), recent.order.len()),
        (REMEMBERED_MAX, REMEMBERED_MAX)
    );
}

#[test]
fn messages_without_an_id_are_not_remembered() {
    let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
    let mut recent = Recent::default();
    let nameless = Outgoing {
        client_message_id: String::new(),
        ..message(0)
    };
    recent.remember(&alice, &nameless, &answer(1));
    assert_eq!(recent.look_up(&alice, &nameless), Seen::Never);
    assert!(recent.answers.is_empty() && recent.order.is_empty());
}

/// Fields next to each other must not make the same fingerprint by moving a byte across.
#[test]
fn what_stands_in_one_field_is_not_taken_for_the_other() {
    let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
    let mut recent = Recent::default();
    let custom = |object_name: &str, extended_data: &str| Outgoing {
        kind: MessageType::Custom,
        object_name: object_name.into(),
        extended_data: extended_data.into(),
        ..message(0)
    };
    recent.remember(&alice, &custom("ab", "c"), &answer(0));
    assert_eq!(recent.look_up(&alice, &custom("a", "bc")), Seen::ForOtherContent);
}

#[test]
fn barrage_is_never_taken_for_a_repeat_and_pushes_nobody_out() {
    let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
    let mut recent = Recent::default();
    recent.remember(&alice, &message(0), &answer(0));
    let barrage = |id| Outgoing {
        kind: MessageType::Barrage,
        ..message(id)
    };
    for id in 0..=REMEMBERED_MAX as u64 {
        recent.remember(&alice, &barrage(id), &answer(id));
        assert_eq!(recent.look_up(&alice, &barrage(id)), Seen::Never);
    }
    assert!(matches!(recent.look_up(&alice, &message(0)), Seen::Before(_)));
}
