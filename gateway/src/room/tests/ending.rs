//! How rooms end: when they are empty, when they are idle, at a time, or by the app's server; and what becomes of those inside.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::policy::KEEP_ALIVE;
use crate::store::Entry;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Enters a room that outlives its last member by `delay`, if it is not there.
fn enter_with_delay(delay: Duration) -> Request {
    let new = NewRoom {
        ends: Some(Ends::WhenEmpty { delay }),
        ..new_room("Lobby", RoomPreset::Room)
    };
    enter(Create::IfMissing(new), 10)
}

impl Hall {
    fn server_says(&mut self, order: Order) -> Ordered {
        self.rooms.order(self.now, &lobby(), order)
    }

    /// Why the room ended at this tick, if it did and somebody was to be told.
    fn told_end(&mut self) -> Option<RoomDestroyedReason> {
        let due = self.rooms.tick(self.now).effects;
        due.into_iter().find_map(|(_, effect)| match effect {
            Effect::Destroy { frame, .. } => match open(&frame).body {
                Some(Body::RoomDestroyed(destroyed)) => Some(destroyed.reason()),
                other => panic!("{other:?}"),
            },
            Effect::Keep(Change::RemoveRoom { .. }) => None,
            other => panic!("{other:?}"),
        })
    }

    fn exists(&self) -> bool {
        self.rooms.len() > 0
    }

    /// Lets time pass, and the ticks in it.
    fn pass(&mut self, time: Duration) -> Option<RoomDestroyedReason> {
        self.wait(time);
        self.told_end()
    }
}

#[test]
fn a_room_outlives_its_last_member_by_its_delay_and_not_a_millisecond_longer() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.ask(&alice, enter_with_delay(30 * SECOND));
    hall.pass(HOUR);
    hall.leave(&alice);
    assert_eq!(hall.pass(30 * SECOND - MILLISECOND), None);
    assert!(hall.exists());
    assert_eq!(hall.pass(MILLISECOND), None, "there is nobody to tell");
    assert!(!hall.exists());
    assert_eq!(hall.join(&alice).refused().0, 23410);
}

#[test]
fn who_comes_in_time_keeps_the_room_and_its_messages_but_not_its_attributes() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let new = NewRoom {
        ends: Some(Ends::WhenEmpty { delay: 30 * SECOND }),
        attributes: vec![("topic".into(), "cats".into())],
        ..new_room("Lobby", RoomPreset::Room)
    };
    let created = hall.ask(&alice, enter(Create::Always(new), 0));
    assert_eq!(created.entered().attributes_version, 1);
    hall.send(&alice, text("hello"));
    hall.leave(&alice);
    hall.pass(29 * SECOND);
    let joined = hall.ask(&bob, enter(Create::Never, 10));
    assert_eq!((joined.entered().sequence, joined.history().len()), (1, 1));
    assert_eq!(
        joined.entered().attributes_version,
        2,
        "somebody who knew the first finds that it is out of date"
    );
    let query = Request::Query(Query::Attributes(Vec::new()));
    match &hall.ask(&bob, query).reply().result {
        Some(reply::Result::RoomAttributes(found)) => assert!(found.attributes.is_empty(), "{found:?}"),
        other => panic!("{other:?}"),
    }
    hall.pass(HOUR);
    assert!(hall.exists());
    hall.leave(&bob);
    hall.pass(29 * SECOND);
    assert!(hall.exists(), "the delay begins anew");
    hall.pass(SECOND);
    assert!(!hall.exists());
}

#[test]
fn only_the_delay_of_whoever_makes_the_room_counts() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.ask(&alice, enter_with_delay(30 * SECOND));
    hall.ask(&bob, enter_with_delay(300 * SECOND));
    hall.leave(&alice);
    hall.leave(&bob);
    hall.pass(30 * SECOND);
    assert!(!hall.exists());
    hall.ask(&alice, enter_with_delay(Duration::ZERO));
    hall.ask(&bob, enter_with_delay(300 * SECOND));
    hall.leave(&alice);
    hall.leave(&bob);
    assert!(!hall.exists(), "without a delay it is gone at once");
}

#[test]
fn a_connection_that_is_lost_keeps_the_room_until_its_place_is_given_up() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.ask(&alice, Request::Detach(KeptFor::Session));
    hall.pass(HOUR);
    assert!(hall.exists());
    hall.ask(&alice, Request::Leave(LeaveReason::Offline));
    assert!(!hall.exists());
}

#[test]
fn a_live_room_ends_after_an_hour_without_a_message_or_a_join_and_its_members_are_told() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    hall.wait(HOUR - MILLISECOND);
    hall.send(&alice, text("hello"));
    hall.wait(HOUR - MILLISECOND);
    hall.join(&bob);
    // To enter again is no join, and to leave is neither.
    hall.wait(HOUR / 2);
    hall.join(&bob);
    hall.leave(&alice);
    assert_eq!(hall.pass(HOUR / 2 - MILLISECOND), None);
    assert!(hall.exists());
    assert_eq!(hall.pass(MILLISECOND), Some(RoomDestroyedReason::Idle));
    assert_eq!(hall.send(&bob, text("hello")).refused().0, 23410);
}

#[test]
fn a_live_room_waits_for_others_and_is_forgotten_by_the_store_when_it_ends() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    let created = hall.enter_live(&alice, 0);
    assert!(
        matches!(&created.kept[..], [Change::PutRoom { record, .. }] if record.policy == "live" && record.ends.is_empty()),
        "{:?}",
        created.kept
    );
    assert!(hall.leave(&alice).kept.is_empty());
    hall.wait(HOUR);
    let due = hall.rooms.tick(hall.now).effects;
    let kept: Vec<&Effect> = due.iter().map(|(_, effect)| effect).collect();
    assert!(
        matches!(kept[..], [Effect::Destroy { to, .. }, Effect::Keep(Change::RemoveRoom { .. })] if to.is_empty()),
        "{kept:?}"
    );
    assert!(
        hall.enter(&alice).kept.is_empty(),
        "a room that ends with its last member is not kept"
    );
}

#[test]
fn a_room_that_is_kept_alive_does_not_end_by_being_idle_until_it_is_taken_off_the_list() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    let keep_alive = (lobby().id, Entry::default());
    let policies = hall.rooms.rules.policies.clone();
    policies
        .enlist(AppIndex(0), &KEEP_ALIVE, &[keep_alive], hall.now, |_| ())
        .expect("a place on the list");
    for _ in 0..200 {
        assert_eq!(hall.pass(HOUR / 60), None);
    }
    assert!(hall.exists());
    policies
        .strike(AppIndex(0), &KEEP_ALIVE, &[lobby().id], hall.now, |_| ())
        .expect("it was on the list");
    assert_eq!(
        hall.pass(60 * SECOND),
        Some(RoomDestroyedReason::Idle),
        "within a minute"
    );
}

#[test]
fn a_room_ends_at_the_time_that_the_apps_server_sets_whoever_is_inside() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let unix_ms = hall.now.unix_ms + 60_000;
    let ordered = hall.server_says(Order::SetEnds(Ends::At { unix_ms }));
    assert_eq!(ordered.answer, Ok(Answer::Done));
    assert!(
        matches!(&ordered.effects[..], [Effect::Keep(Change::PutRoom { record, .. })] if record.ends == format!("at {unix_ms}")),
        "what the server has said is kept: {:?}",
        ordered.effects
    );
    assert_eq!(hall.pass(59_999 * MILLISECOND), None);
    assert_eq!(hall.pass(MILLISECOND), Some(RoomDestroyedReason::Expired));

    hall.create(&alice);
    let unix_ms = hall.now.unix_ms - 1;
    hall.server_says(Order::SetEnds(Ends::At { unix_ms }));
    assert!(!hall.exists(), "in the past: at once");
    let missing = hall.server_says(Order::SetEnds(Ends::Never));
    assert_eq!(missing.answer.unwrap_err().code, ErrorCode::CHATROOM_NOT_EXIST);
}

#[test]
fn an_end_can_be_moved_there_and_back() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    for ends in [
        Ends::WhenIdle { after: 600 * SECOND },
        Ends::Never,
        Ends::WhenIdle { after: 60 * SECOND },
        Ends::WhenIdle { after: 1200 * SECOND },
    ] {
        hall.server_says(Order::SetEnds(ends));
    }
    assert_eq!(hall.pass(1200 * SECOND - MILLISECOND), None);
    assert_eq!(hall.pass(MILLISECOND), Some(RoomDestroyedReason::Idle));
}

#[test]
fn a_room_of_the_server_waits_for_its_first_member_and_ends_with_the_last() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    let new = NewRoom {
        family: None,
        ..new_room("Lobby", RoomPreset::Room)
    };
    hall.server_says(Order::Create(new));
    hall.pass(100 * HOUR);
    assert!(hall.exists());
    hall.join(&alice);
    let left = hall.leave(&alice);
    assert!(!hall.exists());
    assert!(matches!(left.kept[..], [Change::RemoveRoom { .. }]), "{:?}", left.kept);
}

#[test]
fn entries_that_are_out_of_date_do_not_add_up() {
    let mut hall = Hall::new();
    for _ in 0..10_000 {
        hall.server_says(Order::Create(NewRoom::by_server(String::new())));
        hall.server_says(Order::Destroy);
        assert!(hall.rooms.deadlines() < 1100);
    }
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    assert_eq!(
        hall.pass(HOUR),
        Some(RoomDestroyedReason::Idle),
        "and those that hold are still there"
    );
}

#[test]
fn as_many_rooms_as_end_at_once_all_end() {
    let mut hall = Hall::new();
    let rooms = 2500_usize;
    for number in 0..rooms {
        let key = RoomKey {
            id: RoomId::parse(&format!("room{number}")).unwrap(),
            ..lobby()
        };
        hall.rooms
            .order(hall.now, &key, Order::Create(NewRoom::by_server(String::new())));
    }
    hall.wait(HOUR);
    let mut ended = BTreeSet::new();
    for _ in 0..3 {
        assert!(hall.exists());
        for (key, effect) in hall.rooms.tick(hall.now).effects {
            if matches!(effect, Effect::Destroy { .. }) {
                assert!(ended.insert(key.id.as_str().to_owned()));
            }
        }
    }
    assert_eq!((hall.rooms.len(), ended.len()), (0, rooms));
}

#[test]
fn ends_are_read_as_they_were_written() {
    for ends in [
        Ends::WhenEmpty { delay: Duration::ZERO },
        Ends::WhenEmpty {
            delay: 1500 * MILLISECOND,
        },
        Ends::WhenIdle { after: HOUR },
        Ends::At { unix_ms: -5 },
        Ends::At { unix_ms: i64::MAX },
        Ends::Never,
    ] {
        assert_eq!(Ends::of_text(&ends.to_text()), Some(ends));
    }
    for text in ["", "never 1", "idle", "idle x", "empty -1", "at", "soon", "idle 1 2"] {
        assert_eq!(Ends::of_text(text), None, "{text}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Enter(usize),
    Leave(usize),
    Send(usize),
    SetEnds(Ends),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ends = prop_oneof![
        (0..60_u32).prop_map(|seconds| Ends::WhenEmpty {
            delay: seconds * SECOND
        }),
        (1..60_u32).prop_map(|seconds| Ends::WhenIdle {
            after: seconds * SECOND
        }),
        Just(Ends::Never),
    ];
    prop_oneof![
        4 => (0_usize..3).prop_map(Step::Enter),
        4 => (0_usize..3).prop_map(Step::Leave),
        3 => (0_usize..3).prop_map(Step::Send),
        1 => ends.prop_map(Step::SetEnds),
        6 => (0_u64..40_000).prop_map(Step::Wait),
    ]
}

/// A room as simple as can be: it looks at every millisecond that matters.
#[derive(Debug)]
struct Simple {
    ends: Ends,
    inside: BTreeSet<usize>,
    active_at: Instant,
    empty_since: Option<Instant>,
}

impl Simple {
    fn is_over(&self, now: Instant) -> bool {
        match self.ends {
            Ends::WhenEmpty { delay } => self.empty_since.is_some_and(|since| now >= since + delay),
            Ends::WhenIdle { after } => now >= self.active_at + after,
            Ends::At { .. } | Ends::Never => false,
        }
    }
}

proptest! {
    #[test]
    fn a_room_is_there_exactly_as_long_as_it_should(steps in prop::collection::vec(step(), 1..60)) {
        let mut hall = Hall::with_rules(|rules| rules.live_messages_per_second = config::Rate::Unlimited);
        let devices = hall.devices(["alice", "bob", "carol"]);
        let mut simple: Option<Simple> = None;
        for step in steps {
            match step {
                Step::Enter(who) => {
                    hall.ask(&devices[who], enter_with_delay(20 * SECOND)).entered();
                    let simple = simple.get_or_insert_with(|| Simple {
                        ends: Ends::WhenEmpty { delay: 20 * SECOND },
                        inside: BTreeSet::new(),
                        active_at: hall.now.instant,
                        empty_since: None,
                    });
                    if simple.inside.insert(who) {
                        simple.active_at = hall.now.instant;
                    }
                    simple.empty_since = None;
                }
                Step::Leave(who) => {
                    hall.leave(&devices[who]);
                    if let Some(simple) = &mut simple && simple.inside.remove(&who) && simple.inside.is_empty() {
                        simple.empty_since = Some(hall.now.instant);
                    }
                }
                Step::Send(who) => {
                    let sent = hall.send(&devices[who], text("hello"));
                    if let Some(simple) = &mut simple && simple.inside.contains(&who) && sent.reply().code == 0 {
                        simple.active_at = hall.now.instant;
                    }
                }
                Step::SetEnds(ends) => {
                    hall.server_says(Order::SetEnds(ends));
                    if let Some(simple) = &mut simple {
                        simple.ends = ends;
                    }
                }
                Step::Wait(ms) => {
                    hall.wait(Duration::from_millis(ms));
                    hall.told_end();
                }
            }
            // What is done in a room and what a tick looks at both end it.
            simple = simple.filter(|simple| !simple.is_over(hall.now.instant));
            prop_assert_eq!(hall.exists(), simple.is_some());
            prop_assert_eq!(hall.rooms.members(), simple.as_ref().map_or(0, |simple| simple.inside.len()));
        }
    }
}
