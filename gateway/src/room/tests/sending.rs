//! Numbers, repeats and rate limits.

use super::*;

#[test]
fn a_message_goes_to_all_with_everything_its_sender_said() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.wait(Duration::from_secs(3));
    let outgoing = Outgoing {
        kind: MessageType::Custom,
        content: Bytes::from_static(b"\0\xff"),
        object_name: "app:vote".into(),
        priority: Priority::Medium,
        extended_data: "beside".into(),
        client_message_id: "m1".into(),
    };
    let sent = hall.send(&alice, outgoing);
    let result = sent.sent();
    assert_eq!(
        (&*result.client_message_id, result.sequence, result.duplicate),
        ("m1", 1, false)
    );
    assert_ne!(result.message_id, 0);
    assert_eq!(result.server_time_ms, 1_800_000_003_000);
    assert_eq!(
        sent.message(),
        &RoomMessage {
            room_id: "lobby".into(),
            sequence: 1,
            message_id: result.message_id,
            server_time_ms: result.server_time_ms,
            sender: Some(sluice_protocol::UserInfo {
                user_id: "alice".into(),
                user_name: "ALICE".into(),
            }),
            r#type: MessageType::Custom.into(),
            content: Bytes::from_static(b"\0\xff"),
            object_name: "app:vote".into(),
            priority: Priority::Medium.into(),
            extended_data: "beside".into(),
            client_message_id: "m1".into(),
            history: false,
            left: 0,
            ..RoomMessage::default()
        }
    );
}

#[test]
fn a_message_is_published_before_it_is_acknowledged() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let effects = hall.request(&alice, 7, Request::Send(text("hello")));
    assert!(
        matches!(effects[..], [Effect::Publish { sequence: 1, .. }, Effect::Reply { .. }]),
        "{effects:?}"
    );
}

#[test]
fn who_asks_for_no_reply_gets_none_whether_it_works_or_not() {
    let mut hall = Hall::new();
    let [alice, stranger] = hall.devices(["alice", "stranger"]);
    hall.create(&alice);
    let barrage = || Request::Send(message(MessageType::Barrage, "!"));
    let effects = hall.request(&alice, 0, barrage());
    // The connection hears that it is done, so that what is under way stays bounded; the client hears nothing.
    assert!(
        matches!(effects[..], [Effect::Publish { .. }, Effect::Reply { frame: None, .. }]),
        "{effects:?}"
    );
    let refused = hall.request(&stranger, 0, barrage());
    assert!(
        matches!(refused[..], [Effect::Reply { frame: None, .. }]),
        "{refused:?}"
    );
}

#[test]
fn a_repeat_gets_the_first_answer_and_is_published_once() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.join(&bob);
    let first = hall.send(&alice, named("m1", "hello"));
    hall.wait(Duration::from_secs(40));
    hall.send(&bob, text("between"));
    let again = hall.send(&alice, named("m1", "hello"));
    assert!(again.published.is_empty());
    let expected = SendMessageResult {
        duplicate: true,
        ..first.sent().clone()
    };
    assert_eq!(again.sent(), &expected);
    assert_eq!(
        hall.send(&bob, text("next")).sent().sequence,
        3,
        "a repeat takes no number"
    );
}

#[test]
fn a_repeat_is_recognised_from_another_device_and_after_leaving() {
    let mut hall = Hall::new();
    let [host, phone, laptop] = hall.devices(["host", "alice", "alice"]);
    hall.create(&host);
    hall.join(&phone);
    hall.send(&phone, named("m1", "hello"));
    hall.leave(&phone);
    hall.join(&laptop);
    assert!(hall.send(&laptop, named("m1", "hello")).sent().duplicate);
}

#[test]
fn barrage_is_sent_anew_however_often_it_comes() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    for sequence in 1..=3 {
        let barrage = Outgoing {
            kind: MessageType::Barrage,
            ..named("m1", "!")
        };
        let sent = hall.send(&alice, barrage);
        assert_eq!((sent.sent().sequence, sent.sent().duplicate), (sequence, false));
        assert_eq!(sent.message().client_message_id, "m1");
    }
}

#[test]
fn an_id_used_for_anything_else_is_refused() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.send(&alice, named("m1", "hello"));
    let others = [
        named("m1", "hello!"),
        Outgoing {
            extended_data: "more".into(),
            ..named("m1", "hello")
        },
        Outgoing {
            kind: MessageType::Command,
            ..named("m1", "hello")
        },
        Outgoing {
            kind: MessageType::Custom,
            object_name: "app:x".into(),
            ..named("m1", "hello")
        },
    ];
    for other in others {
        let refused = hall.send(&alice, other);
        assert_eq!(refused.refused(), (33003, "duplicate_id", 0));
        match &refused.reply().result {
            Some(reply::Result::SendMessage(result)) => assert_eq!(result.client_message_id, "m1"),
            result => panic!("{result:?}"),
        }
    }
    assert_eq!(hall.send(&alice, text("next")).sent().sequence, 2);
}

#[test]
fn ids_belong_to_their_user() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.join(&bob);
    hall.send(&alice, named("m1", "hello"));
    let of_bob = hall.send(&bob, named("m1", "good evening"));
    assert_eq!((of_bob.sent().sequence, of_bob.sent().duplicate), (2, false));
}

#[test]
fn a_refused_message_may_be_sent_again_under_its_id() {
    let mut hall = Hall::with_rules(|rules| rules.room_messages_per_second = config::Rate::PerSecond(1));
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.send(&alice, text("one"));
    assert_eq!(hall.send(&alice, named("m1", "two")).refused().0, 20604);
    hall.wait(Duration::from_secs(1));
    assert!(!hall.send(&alice, named("m1", "two")).sent().duplicate);
}

#[test]
fn in_a_room_each_type_has_ten_a_second() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.join(&bob);
    for _ in 0..10 {
        hall.send(&alice, text("hello")).sent();
        hall.send(&alice, message(MessageType::Command, "up")).sent();
        hall.wait(Duration::from_millis(10));
    }
    assert_eq!(hall.send(&alice, text("hello")).refused(), (20604, "10/s", 900));
    assert_eq!(
        hall.send(&alice, message(MessageType::Command, "up")).refused(),
        (20604, "10/s", 900)
    );
    hall.send(&alice, message(MessageType::Custom, "vote")).sent();
    hall.send(&bob, text("others may")).sent();
    hall.wait(Duration::from_millis(900));
    hall.send(&alice, text("hello")).sent();
    assert_eq!(hall.send(&alice, text("hello")).refused(), (20604, "10/s", 10));
}

#[test]
fn in_a_live_room_a_user_has_five_a_second_whatever_the_type_and_the_device() {
    let mut hall = Hall::new();
    let [phone, laptop, bob] = hall.devices(["alice", "alice", "bob"]);
    hall.enter_live(&phone, 0);
    hall.enter_live(&laptop, 0);
    hall.enter_live(&bob, 0);
    hall.send(&phone, text("1")).sent();
    hall.send(&laptop, text("2")).sent();
    hall.send(&phone, message(MessageType::Command, "3")).sent();
    hall.send(&phone, message(MessageType::Custom, "4")).sent();
    hall.send(&laptop, message(MessageType::Command, "5")).sent();
    assert_eq!(hall.send(&laptop, text("6")).refused(), (20604, "5/s", 1000));
    assert_eq!(
        hall.send(&phone, message(MessageType::Custom, "6")).refused(),
        (20604, "5/s", 1000)
    );
    hall.send(&bob, text("others may")).sent();
    hall.wait(Duration::from_millis(999));
    assert_eq!(hall.send(&phone, text("6")).refused(), (20604, "5/s", 1));
    hall.wait(Duration::from_millis(1));
    hall.send(&phone, text("6")).sent();
}

#[test]
fn the_time_to_wait_is_never_told_as_none() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    for _ in 0..5 {
        hall.send(&alice, text("hello")).sent();
    }
    hall.wait(Duration::from_micros(999_999));
    assert_eq!(hall.send(&alice, text("hello")).refused(), (20604, "5/s", 1));
}

#[test]
fn barrage_has_no_rate_limit() {
    for preset in [RoomPreset::Room, RoomPreset::Live] {
        let mut hall = Hall::new();
        let [alice] = hall.devices(["alice"]);
        hall.ask(&alice, enter(Create::Always(new_room("", preset)), 0));
        for sequence in 1..=500 {
            let sent = hall.send(&alice, message(MessageType::Barrage, "!"));
            assert_eq!(sent.sent().sequence, sequence);
        }
    }
}

#[test]
fn leaving_and_coming_back_is_no_way_round_a_limit() {
    for preset in [RoomPreset::Room, RoomPreset::Live] {
        let mut hall = Hall::new();
        let [host, alice] = hall.devices(["host", "alice"]);
        hall.ask(&host, enter(Create::Always(new_room("", preset)), 0));
        hall.join(&alice);
        while hall.send(&alice, text("hello")).reply().code == 0 {}
        hall.leave(&alice);
        hall.join(&alice);
        assert_eq!(hall.send(&alice, text("hello")).refused().0, 20604, "{preset:?}");
    }
}

#[test]
fn neither_repeats_nor_refusals_count_as_messages() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    for _ in 0..100 {
        hall.send(&alice, named("m1", "hello")).sent();
        assert_eq!(hall.send(&alice, named("m1", "other")).refused().1, "duplicate_id");
    }
    for _ in 0..4 {
        hall.send(&alice, text("hello")).sent();
    }
    for _ in 0..100 {
        assert_eq!(hall.send(&alice, text("hello")).refused().0, 20604);
        hall.wait(Duration::from_millis(5));
    }
    hall.wait(Duration::from_millis(500));
    hall.send(&alice, text("hello")).sent();
}

#[test]
fn a_repeat_is_answered_even_when_the_sender_is_too_fast() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    for number in 0..5 {
        hall.send(&alice, named(&format!("m{number}"), "hello")).sent();
    }
    assert!(hall.send(&alice, named("m0", "hello")).sent().duplicate);
}

#[test]
fn only_those_who_sent_something_lately_are_remembered() {
    let mut hall = Hall::new();
    let rules = rules(|_| (), |_| ());
    let mut room = hall.room_of(RoomPreset::Live);
    let (app, moderation) = (AppPolicy::default(), Moderation::default());
    let context = |now| Context {
        now,
        rules: &rules,
        app: &app,
        moderation: &moderation,
    };
    let mut message_ids = MessageIds::new(WorkerIndex(0));
    for number in 0..5_000 {
        let device = hall.device(&format!("user{number}"), 0);
        let caller = Caller {
            user: device.user.clone(),
            connection: device.connection,
            request_id: 7,
        };
        room.handle(
            context(hall.now),
            &caller,
            enter(Create::Never, 0),
            false,
            &mut message_ids,
        );
        room.handle(
            context(hall.now),
            &caller,
            Request::Send(text("hello")),
            false,
            &mut message_ids,
        );
        hall.wait(Duration::from_millis(100));
    }
    assert!(room.senders.len() <= SENDERS_SWEPT_AT_MIN, "{}", room.senders.len());
}
