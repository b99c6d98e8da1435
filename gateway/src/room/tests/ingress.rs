//! The budget of a room: what it gives to its members, what it sheds, and what it tells of that.

use proptest::prelude::*;
use sluice_protocol::RoomGap;

use super::*;

/// As many messages as one likes from each sender.
fn hall() -> Hall {
    Hall::with_rules_and_app(
        |rooms| rooms.live_messages_per_second = config::Rate::Unlimited,
        |app| {
            app.low_types = vec!["app:like".into()];
            app.protected_senders = vec!["host".into()];
        },
    )
}

fn with_priority(priority: Priority) -> Outgoing {
    Outgoing {
        priority,
        ..text("hello")
    }
}

/// How many of these are given to the members.
fn distributed(hall: &mut Hall, device: &Device, priority: Priority, count: usize) -> usize {
    (0..count)
        .filter(|_| hall.send(device, with_priority(priority)).sent().distributed)
        .count()
}

fn gap(frame: &Frame) -> &RoomGap {
    match &frame.body {
        Some(Body::RoomGap(gap)) => gap,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_live_room_gives_out_forty_in_a_moment_of_which_twenty_are_for_high_alone() {
    let mut hall = hall();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    assert_eq!(distributed(&mut hall, &alice, Priority::Low, 60), 20);
    assert_eq!(distributed(&mut hall, &alice, Priority::High, 60), 20);
    hall.wait(Duration::from_millis(199));
    assert_eq!(distributed(&mut hall, &alice, Priority::High, 1), 0);
    hall.wait(Duration::from_millis(1));
    assert_eq!(distributed(&mut hall, &alice, Priority::High, 60), 40);
    assert_eq!(distributed(&mut hall, &alice, Priority::Medium, 1), 0);
}

#[test]
fn what_is_shed_is_numbered_and_kept_and_told_to_the_members_before_the_next_frame() {
    let mut hall = hall();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    distributed(&mut hall, &alice, Priority::Low, 20);
    for _ in 0..2 {
        let outcome = hall.send(&alice, with_priority(Priority::Low));
        assert!(!outcome.sent().distributed && outcome.published.is_empty());
        assert_eq!(outcome.shed, [Class::Low]);
    }
    assert!(hall.send(&alice, with_priority(Priority::Medium)).shed == [Class::Normal]);
    let next = hall.send(&alice, with_priority(Priority::High));
    let expected = RoomGap {
        room_id: "lobby".into(),
        first_sequence: 21,
        last_sequence: 23,
        high: 0,
        normal: 1,
        low: 2,
        barrage: 0,
    };
    assert_eq!(gap(&next.published[0]), &expected);
    assert!(matches!(
        next.published[1].body,
        Some(Body::RoomMessage(RoomMessage { sequence: 24, .. }))
    ));
    assert!(hall.tick().is_empty(), "told once");
    let entered = hall.enter_live(&bob, 4);
    let history: Vec<u64> = entered.history().iter().map(|message| message.sequence).collect();
    assert_eq!(history, [21, 22, 23, 24], "shedding takes nothing out of the history");
}

#[test]
fn members_are_told_soon_even_if_nothing_follows_and_who_comes_later_is_not() {
    let mut hall = hall();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    distributed(&mut hall, &alice, Priority::Low, 21);
    let told = hall.tick();
    assert!(
        matches!(
            &told[..],
            [Body::RoomGap(RoomGap {
                first_sequence: 21,
                low: 1,
                ..
            })]
        ),
        "{told:?}"
    );
    distributed(&mut hall, &alice, Priority::Low, 1);
    let entered = hall.enter_live(&bob, 0);
    assert_eq!(
        gap(&entered.published[0]).first_sequence,
        22,
        "to those who were inside"
    );
    assert!(hall.tick().is_empty());
}

#[test]
fn who_leaves_is_told_before() {
    let mut hall = hall();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    hall.enter_live(&bob, 0);
    distributed(&mut hall, &alice, Priority::Low, 21);
    let effects = hall.request(&bob, 7, Request::Leave(LeaveReason::Left));
    assert!(
        matches!(effects[..], [Effect::Gap { .. }, Effect::Dismiss { .. }, ..]),
        "{effects:?}"
    );
}

#[test]
fn who_leaves_is_told_even_if_nobody_else_is_inside_from_the_same_worker() {
    let mut hall = hall();
    let [alice] = hall.devices(["alice"]);
    let bob = hall.device("bob", 1);
    hall.enter_live(&alice, 0);
    hall.enter_live(&bob, 0);
    distributed(&mut hall, &alice, Priority::Low, 21);
    let effects = hall.request(&bob, 7, Request::Leave(LeaveReason::Left));
    match &effects[..] {
        [Effect::Gap { to, .. }, Effect::Dismiss { connection, .. }, ..] => {
            assert_eq!(*to, [alice.connection.worker, bob.connection.worker]);
            assert_eq!(*connection, bob.connection);
        }
        other => panic!("{other:?}"),
    }
    // And who leaves last, too.
    distributed(&mut hall, &alice, Priority::Low, 1);
    let effects = hall.request(&alice, 7, Request::Leave(LeaveReason::Left));
    assert!(
        matches!(&effects[..], [Effect::Gap { to, .. }, Effect::Dismiss { .. }] if *to == [alice.connection.worker]),
        "{effects:?}"
    );
}

#[test]
fn who_is_not_inside_takes_no_notice_from_the_members() {
    let mut hall = hall();
    let [alice, stranger] = hall.devices(["alice", "stranger"]);
    hall.enter_live(&alice, 0);
    distributed(&mut hall, &alice, Priority::Low, 21);
    assert_eq!(hall.leave(&stranger).refused().0, 23406);
    assert_eq!(hall.tick().len(), 1);
}

#[test]
fn a_repeat_of_what_was_shed_is_told_so() {
    let mut hall = hall();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    distributed(&mut hall, &alice, Priority::Low, 20);
    let message = || Outgoing {
        client_message_id: "m1".into(),
        ..with_priority(Priority::Low)
    };
    assert!(!hall.send(&alice, message()).sent().distributed);
    hall.wait(Duration::from_secs(1));
    let repeat = hall.send(&alice, message());
    assert!(repeat.sent().duplicate && !repeat.sent().distributed);
}

#[test]
fn a_protected_sender_is_heard_whatever_the_budget() {
    let mut hall = hall();
    let [host, alice] = hall.devices(["host", "alice"]);
    hall.enter_live(&alice, 0);
    hall.enter_live(&host, 0);
    distributed(&mut hall, &alice, Priority::High, 60);
    assert_eq!(distributed(&mut hall, &host, Priority::Low, 60), 60);
    assert_eq!(distributed(&mut hall, &alice, Priority::High, 1), 0);
}

#[test]
fn a_type_that_the_app_set_low_takes_no_place_of_high() {
    let mut hall = hall();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    let like = || Outgoing {
        kind: MessageType::Custom,
        object_name: "app:like".into(),
        ..with_priority(Priority::High)
    };
    let through = (0..60).filter(|_| hall.send(&alice, like()).sent().distributed).count();
    assert_eq!(through, 20);
}

#[test]
fn a_room_of_the_other_preset_and_one_without_a_budget_give_out_everything() {
    let mut hall = hall();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let kinds = [MessageType::Text, MessageType::Command, MessageType::Custom];
    for kind in kinds {
        let message = || Outgoing { kind, ..text("hello") };
        assert!((0..10).all(|_| hall.send(&alice, message()).sent().distributed));
    }
    let mut hall = Hall::with_rules(|rooms| {
        rooms.live_messages_per_second = config::Rate::Unlimited;
        rooms.live_budget = config::Budget::Unlimited;
    });
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    assert_eq!(distributed(&mut hall, &alice, Priority::Low, 500), 500);
}

proptest! {
    /// However messages of whatever class come: no moment holds more than the budget, lower classes never take the places kept for
    /// high, and what is given out and what is told add up to what was sent.
    #[test]
    fn given_out_and_told_add_up_and_no_moment_holds_more_than_the_budget(
        sends in prop::collection::vec((0_u64..30, 0_usize..4), 1..400),
        budget in 1_usize..50,
        reserved in 0_usize..50,
    ) {
        let reserved = reserved.min(budget);
        let mut hall = Hall::with_rules(|rooms| {
            rooms.live_messages_per_second = config::Rate::Unlimited;
            rooms.live_budget = config::Budget::Messages(budget);
            rooms.live_budget_for_high = reserved;
        });
        let [alice] = hall.devices(["alice"]);
        hall.enter_live(&alice, 0);
        let start = hall.now.instant;
        let mut given: Vec<(Duration, bool)> = Vec::new();
        let mut told = 0;
        for (gap_ms, class) in &sends {
            hall.wait(Duration::from_millis(*gap_ms));
            let message = match class {
                0 => with_priority(Priority::High),
                1 => with_priority(Priority::Medium),
                2 => with_priority(Priority::Low),
                _ => Outgoing { kind: MessageType::Barrage, ..text("hello") },
            };
            let outcome = hall.send(&alice, message);
            for frame in &outcome.published {
                match &frame.body {
                    Some(Body::RoomGap(gap)) => told += gap.high + gap.normal + gap.low + gap.barrage,
                    _ => given.push((hall.now.instant - start, *class == 0)),
                }
            }
            prop_assert_eq!(outcome.sent().distributed, outcome.shed.is_empty());
        }
        for body in hall.tick() {
            let Body::RoomGap(gap) = body else { panic!("{body:?}") };
            told += gap.high + gap.normal + gap.low + gap.barrage;
        }
        prop_assert_eq!(given.len() as u64 + told, sends.len() as u64);
        for (from, _) in &given {
            let moment = || given.iter().filter(|(at, _)| at >= from && *at < *from + Duration::from_millis(200));
            prop_assert!(moment().count() <= budget);
            prop_assert!(moment().filter(|(_, high)| !high).count() <= budget - reserved);
        }
    }
}
