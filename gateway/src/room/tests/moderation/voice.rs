//! What the app's server says in a room, and takes back.

use sluice_protocol::RoomMessageRecalled;

use super::*;
use crate::policy::{GAGS, WORD_LIST};

fn says(sender: &Device, content: &str) -> Published {
    Published {
        sender: sender.user.clone(),
        kind: MessageType::Text,
        content: Bytes::copy_from_slice(content.as_bytes()),
        object_name: String::new(),
        priority: Priority::Default,
        extended_data: "beside".into(),
        lasting: Lasting::History,
    }
}

impl Hall {
    fn publish(&mut self, message: Published) -> (u64, Vec<Frame>) {
        let decided = self.decide(Order::Publish(message));
        match decided.answer {
            Ok(Answer::Published { message_id }) => (message_id, decided.published),
            other => panic!("{other:?}"),
        }
    }

    fn recall(&mut self, message_id: u64) -> Vec<Frame> {
        let operator = "admin".to_owned();
        self.decide(Order::Recall { message_id, operator }).done().published
    }

    fn history(&mut self, name: &str) -> Vec<String> {
        let device = self.device(name, 0);
        let entered = self.ask(&device, enter(Create::Never, 50));
        let history = entered.history();
        let lefts: Vec<u32> = history.iter().map(|message| message.left).collect();
        let countdown: Vec<u32> = (0..).take(lefts.len()).collect::<Vec<_>>().into_iter().rev().collect();
        assert_eq!(lefts, countdown);
        let texts = history
            .iter()
            .map(|message| String::from_utf8(message.content.to_vec()).unwrap());
        texts.collect()
    }
}

fn recalled(frames: &[Frame]) -> &RoomMessageRecalled {
    match frames {
        [
            Frame {
                body: Some(Body::RoomMessageRecalled(recalled)),
                ..
            },
        ] => recalled,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_apps_server_speaks_in_anybodys_name_with_the_next_number() {
    let mut hall = Hall::new();
    let [alice, admin] = hall.devices(["alice", "admin"]);
    hall.create(&alice);
    hall.send(&alice, text("hello"));
    let (message_id, published) = hall.publish(says(&admin, "welcome"));
    let [
        Frame {
            body: Some(Body::RoomMessage(message)),
            request_id: 0,
        },
    ] = &published[..]
    else {
        panic!("{published:?}")
    };
    assert!(message.from_server && !message.history);
    assert_eq!((message.sequence, message.message_id), (2, message_id));
    assert_eq!(message.sender.as_ref().unwrap().user_id, "admin");
    assert_eq!(
        (&message.content[..], &*message.extended_data),
        (&b"welcome"[..], "beside")
    );
    assert_eq!(message.server_time_ms, hall.now.unix_ms);
    assert_eq!(hall.history("bob"), ["hello", "welcome"]);
    assert_eq!(hall.send(&alice, text("next")).sent().sequence, 3);
}

#[test]
fn nothing_that_binds_members_binds_the_apps_server() {
    let mut hall = Hall::with_rules(|rooms| {
        rooms.live_budget = config::Budget::Messages(1);
        rooms.live_budget_for_high = 0;
    });
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    hall.enlist_in_app(&GAGS, user("alice"), Entry::default());
    hall.enlist_in_app(&WORD_LIST, "bad".to_owned(), Entry::default());
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    hall.mute(true).done();
    hall.decide(Order::Stop(true)).done();
    for _ in 0..50 {
        let (_, published) = hall.publish(says(&alice, "bad"));
        assert_eq!(published.len(), 1, "{published:?}");
    }
}

#[test]
fn what_the_apps_server_says_has_the_class_of_what_a_member_would_say() {
    let mut hall = Hall::new();
    let [alice, host] = hall.devices(["alice", "host"]);
    hall.create(&alice);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    let mut class = |message: Published| {
        let effects = hall.rooms.order(hall.now, &lobby(), Order::Publish(message)).effects;
        let [Effect::Publish { class, .. }] = &effects[..] else {
            panic!("{effects:?}")
        };
        *class
    };
    assert_eq!(class(says(&alice, "hello")), Class::Low);
    assert_eq!(class(says(&host, "hello")), Class::Protected);
    let high = Published {
        priority: Priority::High,
        ..says(&alice, "hello")
    };
    assert_eq!(class(high), Class::High);
    let barrage = Published {
        kind: MessageType::Barrage,
        ..says(&alice, "hello")
    };
    assert_eq!(class(barrage), Class::Barrage);
}

#[test]
fn a_message_to_a_room_that_does_not_exist_is_answered_and_makes_none() {
    let mut hall = Hall::new();
    let [admin] = hall.devices(["admin"]);
    let (first, published) = hall.publish(says(&admin, "hello"));
    let (second, _) = hall.publish(says(&admin, "hello"));
    assert!(first != 0 && first != second && published.is_empty());
    assert_eq!(hall.rooms.len(), 0);
    assert!(hall.recall(first).is_empty());
}

#[test]
fn what_is_recalled_is_gone_from_the_history_and_all_are_told() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.send(&alice, text("one"));
    let two = hall.send(&alice, text("two")).sent().clone();
    hall.send(&alice, text("three"));
    assert_eq!(hall.history("bob"), ["one", "two", "three"]);
    let told = hall.recall(two.message_id);
    assert_eq!(
        recalled(&told),
        &RoomMessageRecalled {
            room_id: "lobby".into(),
            message_id: two.message_id,
            sequence: 2,
            operator_id: "admin".into(),
            recalled_at_ms: hall.now.unix_ms,
        }
    );
    assert_eq!(
        hall.history("carol"),
        ["one", "three"],
        "nothing of it is left in what was made ready"
    );
}

#[test]
fn a_message_that_the_room_does_not_keep_is_recalled_where_it_is_shown() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let command = hall.send(&alice, message(MessageType::Command, "hello")).sent().clone();
    assert_eq!(recalled(&hall.recall(command.message_id)).sequence, 0);
    let text = hall.send(&alice, text("hello")).sent().clone();
    assert_eq!(recalled(&hall.recall(text.message_id)).sequence, 2);
    assert_eq!(
        recalled(&hall.recall(text.message_id)).sequence,
        0,
        "taken back already"
    );
}

#[test]
fn what_is_said_for_the_moment_is_numbered_and_becomes_no_history() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let moment = Published {
        lasting: Lasting::Moment,
        ..says(&alice, "gone")
    };
    assert_eq!(hall.publish(moment).1.len(), 1);
    hall.publish(says(&alice, "kept"));
    assert_eq!(hall.history("bob"), ["kept"]);
    assert_eq!(hall.send(&alice, text("third")).sent().sequence, 3);
}

#[test]
fn what_is_said_in_all_rooms_has_the_id_it_was_given_and_keeps_no_room_from_ending() {
    const IDLE: Duration = Duration::from_secs(60);
    let mut hall = Hall::with_rules(|rooms| rooms.live_idle = IDLE);
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    // What is said here alone does keep it.
    hall.now = hall.now + IDLE / 2;
    hall.publish(says(&alice, "here"));
    hall.now = hall.now + IDLE / 2;
    let effects = hall.rooms.announce(hall.now, &lobby(), says(&alice, "everywhere"), 77);
    let [Effect::Publish { frame, sequence: 2, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    match open(frame).body {
        Some(Body::RoomMessage(message)) => assert!(message.message_id == 77 && message.from_server),
        other => panic!("{other:?}"),
    }
    hall.now = hall.now + IDLE / 2;
    let due = hall.rooms.tick(hall.now);
    assert!(
        due.effects
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::Destroy { .. })),
        "{due:?}"
    );
    assert!(
        hall.rooms
            .announce(hall.now, &lobby(), says(&alice, "everywhere"), 78)
            .is_empty()
    );
}
