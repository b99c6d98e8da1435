//! The five ways in, leaving, and what becomes of a room without members.

use super::*;

#[test]
fn of_two_who_create_a_room_one_wins() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let created = hall.create(&alice);
    assert_eq!(
        created.entered(),
        &RoomEntered {
            room: Some(RoomInfo {
                room_id: "lobby".into(),
                room_name: "Lobby".into(),
                preset: RoomPreset::Room.into(),
                created_at_ms: 1_800_000_000_000,
                policy: "room".into(),
            }),
            created: true,
            already_inside: false,
            member_count: 1,
            sequence: 0,
            history_count: 0,
            member_events: sluice_protocol::MemberEvents::Each.into(),
            ..RoomEntered::default()
        }
    );
    assert!(created.published.is_empty(), "there is nobody to tell");
    assert_eq!(hall.create(&bob).refused(), (6_000_323, "", 0));
    assert_eq!(hall.create(&alice).refused(), (6_000_323, "", 0), "inside or not");
    assert_eq!(hall.rooms.len(), 1);
    assert_eq!(hall.rooms.members(), 1);
}

#[test]
fn joining_needs_a_room_that_exists() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    assert_eq!(hall.join(&bob).refused(), (23410, "", 0));
    let exist_chat_room = enter(Create::Never, 10);
    assert_eq!(hall.ask(&bob, exist_chat_room).refused(), (23410, "", 0));
    assert_eq!(hall.rooms.len(), 0);

    hall.create(&alice);
    let joined = hall.join(&bob);
    assert_eq!(joined.entered().member_count, 2);
    assert!(!joined.entered().created);
    assert_eq!(joined.joined(), ["bob"]);
}

#[test]
fn entering_creates_what_is_missing_and_joins_what_is_there() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    assert!(hall.enter(&alice).entered().created);
    let other_name = Create::IfMissing(new_room("Another name", RoomPreset::Live));
    let joined = hall.ask(&bob, enter(other_name, 0));
    let entered = joined.entered();
    assert!(!entered.created);
    let room = entered.room.as_ref().unwrap();
    assert_eq!((&*room.room_name, room.preset()), ("Lobby", RoomPreset::Room));
    assert_eq!(joined.joined(), ["bob"]);
}

#[test]
fn a_chat_room_is_created_live_and_joined_by_all_ways() {
    let mut hall = Hall::new();
    let [alice, bob, carol] = hall.devices(["alice", "bob", "carol"]);
    let created = hall.enter_live(&alice, 10);
    assert!(created.entered().created);
    assert_eq!(created.entered().room.as_ref().unwrap().preset(), RoomPreset::Live);
    assert_eq!(hall.join(&bob).entered().member_count, 2);
    assert_eq!(hall.enter(&carol).entered().member_count, 3);
}

#[test]
fn a_second_join_succeeds_tells_nobody_and_brings_no_history_again() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    hall.send(&alice, text("hello"));
    assert_eq!(hall.enter_live(&bob, 10).entered().history_count, 1);
    let again = hall.enter_live(&bob, 10);
    let entered = again.entered();
    assert!(entered.already_inside);
    assert_eq!((entered.member_count, entered.history_count), (2, 0));
    assert_eq!(again.frames.len(), 1);
    assert!(again.published.is_empty());
}

#[test]
fn a_user_with_two_devices_comes_once_and_goes_with_the_last() {
    let mut hall = Hall::new();
    let [alice, phone, laptop] = hall.devices(["alice", "bob", "bob"]);
    hall.create(&alice);
    hall.send(&alice, text("hello"));
    assert_eq!(hall.join(&phone).joined(), ["bob"]);
    let second = hall.ask(&laptop, enter(Create::Never, 10));
    assert!(second.published.is_empty(), "no news to the others");
    assert_eq!(second.entered().member_count, 2);
    assert!(!second.entered().already_inside);
    assert_eq!(second.history().len(), 1, "but news to this device");

    let first_left = hall.leave(&phone);
    assert!(first_left.dismissed && first_left.published.is_empty());
    assert_eq!(hall.send(&phone, text("?")).refused().0, 23406);
    assert_eq!(hall.send(&laptop, text("still here")).sent().sequence, 2);
    assert_eq!(hall.leave(&laptop).left(), [("bob", LeaveReason::Left)]);
}

#[test]
fn leaving_is_answered_and_told_to_those_who_stay() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.join(&bob);
    let left = hall.leave(&bob);
    let result = LeaveRoomResult {
        room_id: "lobby".into(),
    };
    assert_eq!(left.reply().result, Some(reply::Result::LeaveRoom(result)));
    assert_eq!(left.left(), [("bob", LeaveReason::Left)]);
    assert_eq!(hall.leave(&bob).refused(), (23406, "", 0));
}

#[test]
fn who_logs_out_or_is_lost_gets_no_answer_and_the_others_hear_why() {
    for reason in [LeaveReason::Logout, LeaveReason::Offline] {
        let mut hall = Hall::new();
        let [alice, bob] = hall.devices(["alice", "bob"]);
        hall.create(&alice);
        hall.join(&bob);
        let left = hall.ask(&bob, Request::Leave(reason));
        assert!(left.dismissed && left.frames.is_empty());
        assert_eq!(left.left(), [("bob", reason)]);
        let again = hall.ask(&bob, Request::Leave(reason));
        assert!(again.frames.is_empty() && again.published.is_empty() && !again.dismissed);
    }
}

#[test]
fn who_is_not_inside_neither_sends_nor_leaves_and_hears_of_a_room_that_is_missing() {
    let mut hall = Hall::new();
    let [alice, stranger] = hall.devices(["alice", "stranger"]);
    let refused = hall.send(&stranger, named("m1", "hello"));
    assert_eq!(refused.refused(), (23410, "", 0));
    assert_eq!(hall.leave(&stranger).refused(), (23406, "", 0));
    assert_eq!(hall.rooms.len(), 0, "asking makes no room");

    hall.create(&alice);
    let refused = hall.send(&stranger, named("m1", "hello"));
    assert_eq!(refused.refused(), (23406, "", 0));
    match &refused.reply().result {
        Some(reply::Result::SendMessage(result)) => assert_eq!(result.client_message_id, "m1"),
        other => panic!("the refusal names the message: {other:?}"),
    }
    assert_eq!(hall.leave(&stranger).refused(), (23406, "", 0));
}

#[test]
fn a_room_is_gone_with_its_last_member_and_the_next_one_begins_anew() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.send(&alice, named("m1", "hello"));
    let last = hall.leave(&alice);
    assert!(last.published.is_empty(), "there is nobody to tell");
    assert_eq!(hall.rooms.len(), 0);
    assert_eq!(hall.join(&bob).refused().0, 23410);

    hall.wait(Duration::from_secs(60));
    let new = hall.enter(&bob);
    let entered = new.entered();
    assert!(entered.created);
    assert_eq!((entered.sequence, entered.history_count), (0, 0));
    let room = entered.room.as_ref().unwrap();
    assert_eq!(
        (room.preset(), room.created_at_ms),
        (RoomPreset::Room, 1_800_000_060_000)
    );
    assert!(hall.ask(&alice, enter(Create::Never, 50)).history().is_empty());
    let sent = hall.send(&alice, named("m1", "hello"));
    assert_eq!((sent.sent().sequence, sent.sent().duplicate), (1, false));
}

#[test]
fn rooms_of_the_same_name_in_different_apps_have_nothing_to_do_with_each_other() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let elsewhere = RoomKey {
        app: AppIndex(1),
        ..lobby()
    };
    let caller = Caller {
        user: alice.user.clone(),
        connection: alice.connection,
        request_id: 7,
    };
    let request = enter(Create::Never, 0);
    let effects = hall.rooms.handle(hall.now, &elsewhere, &caller, request);
    assert!(matches!(
        effects[..],
        [Effect::Unchanged {
            code: ErrorCode::CHATROOM_NOT_EXIST,
            ..
        }]
    ));
}

#[test]
fn the_newest_fifty_are_kept_and_delivered_oldest_first_counting_down() {
    let mut hall = Hall::with_rules(|rules| {
        rules.live_messages_per_second = config::Rate::Unlimited;
        rules.live_budget = config::Budget::Unlimited;
    });
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    for number in 1..=60 {
        hall.send(&alice, text(&format!("text {number}")));
        hall.send(&alice, message(MessageType::Command, "not kept"));
        hall.send(&alice, message(MessageType::Barrage, "not kept"));
    }
    let custom = Outgoing {
        object_name: "app:vote".into(),
        priority: Priority::High,
        extended_data: "more".into(),
        client_message_id: "c1".into(),
        ..message(MessageType::Custom, "kept")
    };
    let live = hall.send(&alice, custom);
    for (asked, given) in [(0, 0), (1, 1), (10, 10), (50, 50)] {
        let joined = hall.enter_live(&bob, asked);
        assert_eq!(joined.entered().history_count, given);
        assert_eq!(joined.entered().sequence, 181);
        let history = joined.history();
        assert_eq!(history.len(), given as usize);
        let left: Vec<u32> = history.iter().map(|message| message.left).collect();
        assert_eq!(left, (0..given).rev().collect::<Vec<_>>());
        assert!(history.iter().all(|message| message.history));
        assert!(history.is_sorted_by_key(|message| message.sequence));
        if let Some(newest) = history.last() {
            let as_live = RoomMessage {
                history: false,
                left: 0,
                ..(*newest).clone()
            };
            assert_eq!(&as_live, live.message(), "as it was sent");
        }
        if given == 50 {
            assert_eq!(history[0].content, "text 12".as_bytes());
        }
        hall.leave(&bob);
    }
}

#[test]
fn a_join_gets_as_much_history_as_there_is() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    for content in ["one", "two", "three"] {
        hall.send(&alice, text(content));
    }
    let joined = hall.enter_live(&bob, 10);
    let history: Vec<_> = joined
        .history()
        .iter()
        .map(|message| (message.sequence, message.left))
        .collect();
    assert_eq!(history, [(1, 2), (2, 1), (3, 0)]);
}

#[test]
fn a_join_brings_no_more_history_than_a_connection_can_take_at_once() {
    let mut hall = Hall::with_rules(|rules| rules.live_messages_per_second = config::Rate::Unlimited);
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    let longest = "x".repeat(sluice_protocol::limits::TEXT_BYTES);
    for _ in 0..50 {
        hall.send(&alice, text(&longest)).sent();
    }
    let joined = hall.enter_live(&bob, 50);
    let history = joined.history();
    let bytes: usize = history.iter().map(|message| message.encoded_len()).sum();
    assert!(bytes <= sluice_protocol::limits::ROOM_HISTORY_BYTES);
    assert!(
        bytes + 2 * longest.len() > sluice_protocol::limits::ROOM_HISTORY_BYTES,
        "as many as fit"
    );
    assert_eq!(joined.entered().history_count as usize, history.len());
    let places: Vec<(u64, u32)> = history.iter().map(|message| (message.sequence, message.left)).collect();
    let count = u32::try_from(history.len()).unwrap();
    let expected: Vec<(u64, u32)> = (0..count).rev().map(|left| (50 - u64::from(left), left)).collect();
    assert_eq!(places, expected, "the newest, oldest first, counting down");

    hall.leave(&bob);
    assert_eq!(
        hall.enter_live(&bob, 3).history().len(),
        3,
        "who asks for fewer gets fewer"
    );
    hall.leave(&bob);
    assert_eq!(
        hall.enter_live(&bob, 50).history().len(),
        expected.len(),
        "and the next as many as fit"
    );
}

#[test]
fn who_joins_between_two_messages_shares_the_memory_of_the_history() {
    let mut hall = Hall::new();
    let [alice, bob, carol, dave] = hall.devices(["alice", "bob", "carol", "dave"]);
    hall.enter_live(&alice, 0);
    for content in ["one", "two", "three"] {
        hall.send(&alice, text(content));
    }
    let frames = |hall: &mut Hall, device: &Device, count: usize| {
        let admit = hall.request(device, 7, enter(Create::Never, count)).pop();
        match admit {
            Some(Effect::Admit { frames, .. }) => frames[1..].to_vec(),
            other => panic!("{other:?}"),
        }
    };
    let two = frames(&mut hall, &bob, 2);
    let three = frames(&mut hall, &carol, 3);
    let places = |frames: &[Bytes]| frames.iter().map(|frame| frame.as_ptr()).collect::<Vec<_>>();
    assert_eq!(places(&two), places(&three[1..]));

    hall.send(&alice, message(MessageType::Barrage, "not kept"));
    assert_eq!(frames(&mut hall, &dave, 3), three, "nothing new");
    hall.leave(&dave);
    hall.send(&alice, text("four"));
    let newest = hall.ask(&dave, enter(Create::Never, 2));
    let history: Vec<_> = newest
        .history()
        .iter()
        .map(|message| (message.content.clone(), message.left))
        .collect();
    assert_eq!(history, [("three".into(), 1), ("four".into(), 0)]);
}

fn displaced(hall: &mut Hall, device: &Device) {
    let outcome = hall.ask(device, Request::Detach(KeptFor::User));
    assert!(outcome.published.is_empty(), "nobody notices");
}

#[test]
fn who_leaves_on_purpose_gives_up_what_was_kept_for_a_device_that_comes_in_unseen() {
    for reason in [LeaveReason::Left, LeaveReason::Logout] {
        let mut hall = Hall::new();
        let [alice, first, second, third] = hall.devices(["alice", "bob", "bob", "bob"]);
        hall.create(&alice);
        hall.join(&first);
        displaced(&mut hall, &first);
        assert!(hall.join(&second).published.is_empty(), "it comes in unseen");
        displaced(&mut hall, &second);
        assert!(hall.join(&third).published.is_empty());
        let left = hall.ask(&third, Request::Leave(reason));
        assert_eq!(left.left(), [("bob", reason)]);
        assert_eq!(hall.rooms.members(), 1);
        for gone in [&first, &second] {
            let late = hall.ask(gone, Request::Leave(LeaveReason::Offline));
            assert!(late.published.is_empty() && !late.dismissed, "it has left already");
        }
    }
}

#[test]
fn who_leaves_on_purpose_stays_inside_with_a_session_that_is_there_or_may_come_back() {
    let mut hall = Hall::new();
    let [alice, old, new, lost, tablet] = hall.devices(["alice", "bob", "bob", "bob", "bob"]);
    hall.create(&alice);
    for device in [&old, &new, &lost, &tablet] {
        hall.join(device);
    }
    displaced(&mut hall, &old);
    hall.ask(&lost, Request::Detach(KeptFor::Session));
    assert!(hall.leave(&new).published.is_empty(), "the tablet is inside");
    assert!(hall.leave(&tablet).published.is_empty(), "the lost one may come back");
    let offline = Request::Leave(LeaveReason::Offline);
    assert!(
        hall.ask(&lost, offline).published.is_empty(),
        "the old one's time is not over"
    );
    let over = hall.ask(&old, Request::Leave(LeaveReason::Offline));
    assert_eq!(over.left(), [("bob", LeaveReason::Offline)]);
}

#[test]
fn who_is_lost_leaves_what_is_kept_for_another_device_until_its_time_is_over() {
    let mut hall = Hall::new();
    let [alice, old, new] = hall.devices(["alice", "bob", "bob"]);
    hall.create(&alice);
    hall.join(&old);
    displaced(&mut hall, &old);
    hall.join(&new);
    let lost = hall.ask(&new, Request::Leave(LeaveReason::Offline));
    assert!(lost.dismissed && lost.published.is_empty());
    let over = hall.ask(&old, Request::Leave(LeaveReason::Offline));
    assert_eq!(over.left(), [("bob", LeaveReason::Offline)]);
}

#[test]
fn a_place_that_no_session_will_take_again_is_none_of_a_session_in_whatever_order_the_room_hears_of_it() {
    for told in [
        [KeptFor::User, KeptFor::Session],
        [KeptFor::Session, KeptFor::User],
        [KeptFor::User, KeptFor::User],
    ] {
        let mut hall = Hall::new();
        let [alice, old, new] = hall.devices(["alice", "bob", "bob"]);
        hall.create(&alice);
        hall.join(&old);
        for kept_for in told {
            hall.ask(&old, Request::Detach(kept_for));
        }
        hall.join(&new);
        assert_eq!(hall.leave(&new).left(), [("bob", LeaveReason::Left)], "{told:?}");
    }
}

#[test]
fn whom_the_apps_server_put_inside_stays_there_when_nothing_is_kept_for_a_device_any_more() {
    let mut hall = Hall::new();
    let [alice, old, new] = hall.devices(["alice", "bob", "bob"]);
    hall.create(&alice);
    let now = hall.now;
    let _ = hall.rooms.order(now, &lobby(), Order::Join(vec![old.user.clone()]));
    hall.join(&old);
    displaced(&mut hall, &old);
    hall.join(&new);
    assert!(hall.leave(&new).published.is_empty());
    assert_eq!(hall.rooms.members(), 2);
    hall.leave(&alice);
    assert_eq!(
        hall.rooms.len(),
        0,
        "nobody is inside with a connection, or a place kept for one"
    );
}
