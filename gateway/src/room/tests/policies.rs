//! Policies of an app: who may make rooms by them, how many there may be, and how full.

use super::*;
use crate::config::{AppPolicySettings, AttributeLimits, Budget, EndsKind, Rate};

fn small_class() -> AppPolicySettings {
    AppPolicySettings {
        members_max: Some(Some(2)),
        history_messages: Some(2),
        message_rate: Some(Rate::PerSecond(3)),
        ..AppPolicySettings::new("class", RoomPreset::Room)
    }
}

fn hall_with(policies: Vec<AppPolicySettings>) -> Hall {
    Hall::with_rules_and_app(|_| (), |app| app.policies = policies)
}

fn of_policy(policy: &str, family: RoomPreset) -> Request {
    let new = NewRoom {
        policy: policy.to_owned(),
        ..new_room("", family)
    };
    enter(Create::IfMissing(new), 10)
}

#[test]
fn a_room_lives_by_the_policy_it_is_made_by() {
    let mut hall = hall_with(vec![small_class()]);
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let created = hall.ask(&alice, of_policy("class", RoomPreset::Room));
    let room = created.entered().room.as_ref().expect("the room");
    assert_eq!((&*room.policy, room.preset()), ("class", RoomPreset::Room));
    for _ in 0..3 {
        hall.send(&alice, text("hello")).sent();
    }
    assert_eq!(hall.send(&alice, text("hello")).refused(), (20604, "3/s", 1000));
    let joined = hall.ask(&bob, enter(Create::Never, 10));
    assert_eq!(joined.history().len(), 2, "no more is kept");
}

#[test]
fn policies_that_are_not_there_or_of_the_other_family_make_no_room() {
    let mut hall = hall_with(vec![small_class()]);
    let [alice] = hall.devices(["alice"]);
    for (policy, family) in [
        ("other", RoomPreset::Room),
        ("live", RoomPreset::Room),
        ("room", RoomPreset::Live),
        ("class", RoomPreset::Live),
    ] {
        let refused = hall.ask(&alice, of_policy(policy, family));
        assert_eq!(refused.refused(), (33003, "policy", 0), "{policy}");
        assert_eq!(hall.rooms.len(), 0);
    }
    hall.enter_live(&alice, 0);
    let joined = hall.ask(&alice, of_policy("other", RoomPreset::Room));
    assert!(joined.entered().already_inside, "a room that is there keeps its own");
}

#[test]
fn a_full_room_takes_nobody_but_those_who_are_inside_already() {
    let mut hall = hall_with(vec![small_class()]);
    let [alice, bob, carol, laptop] = hall.devices(["alice", "bob", "carol", "bob"]);
    for device in [&alice, &bob] {
        hall.ask(device, of_policy("class", RoomPreset::Room)).entered();
    }
    assert_eq!(hall.join(&carol).refused(), (23411, "", 0));
    hall.join(&laptop).entered();
    assert!(hall.join(&bob).entered().already_inside);
    hall.leave(&alice);
    hall.join(&carol).entered();
}

#[test]
fn whom_the_app_trusts_neither_counts_nor_is_kept_out() {
    use crate::store::{Entry, RoomList};

    let mut hall = hall_with(vec![small_class()]);
    let [alice, bob, carol, host, recorder] = hall.devices(["alice", "bob", "carol", "host", "recorder"]);
    let order = |hall: &mut Hall, order| hall.rooms.order(hall.now, &lobby(), order).answer;
    let allow = Order::Enlist {
        list: RoomList::Allow,
        users: vec![host.user.id.clone()],
        entry: Entry::default(),
        tell: Tell::Nobody,
    };
    assert_eq!(order(&mut hall, allow), Ok(Answer::Done));
    hall.ask(&host, of_policy("class", RoomPreset::Room)).entered();
    assert_eq!(
        order(&mut hall, Order::Join(vec![recorder.user.clone()])),
        Ok(Answer::Done)
    );
    for device in [&alice, &bob] {
        hall.join(device).entered();
    }
    assert_eq!(hall.join(&carol).refused().0, 23411);
    hall.leave(&host);
    assert_eq!(hall.join(&carol).refused().0, 23411, "a host that goes makes no room");
    hall.join(&host).entered();
    // With a connection of its own it still does not count.
    assert_eq!(hall.join(&recorder).entered().member_count, 4);
    hall.leave(&alice);
    hall.join(&carol).entered();
}

#[test]
fn a_user_makes_so_many_rooms_and_leaves_the_others_to_others() {
    const MADE_MAX: usize = 3;
    let mut hall = Hall::with_rules_and_app(|_| (), |app| app.rooms_made_per_user = MADE_MAX);
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let tablet = hall.device("alice", 1);
    let key = |id: usize| RoomKey {
        id: RoomId::parse(&format!("room{id}")).unwrap(),
        ..lobby()
    };
    let mut ask = |device: &Device, id, request| {
        let caller = Caller {
            user: device.user.clone(),
            connection: device.connection,
            request_id: 7,
        };
        hall.rooms.handle(hall.now, &key(id), &caller, request)
    };
    let join_chat_room = || enter(Create::IfMissing(new_room("", RoomPreset::Live)), 0);
    let leave = || Request::Leave(LeaveReason::Left);
    let refusal = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Unchanged { frame, .. }] => match open(frame).body {
            Some(Body::Reply(reply)) => (reply.code, reply.detail),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let is_in = |effects: Vec<Effect>| effects.iter().any(|effect| matches!(effect, Effect::Admit { .. }));
    for id in 0..MADE_MAX {
        assert!(is_in(ask(&alice, id, join_chat_room())));
        // Leaving does not end such a room, so it still counts.
        ask(&alice, id, leave());
    }
    for device in [&alice, &tablet] {
        assert_eq!(refusal(ask(device, 9, join_chat_room())), (6_000_324, "user".into()));
    }
    assert!(is_in(ask(&bob, 9, join_chat_room())), "it is there for others");
    assert!(
        is_in(ask(&alice, 9, join_chat_room())),
        "a room that is there can be entered"
    );
    assert!(!hall.rooms.destroy(&key(0), RoomDestroyedReason::Server).is_empty());
    let alice = Caller {
        user: alice.user.clone(),
        connection: alice.connection,
        request_id: 7,
    };
    assert!(is_in(hall.rooms.handle(hall.now, &key(10), &alice, join_chat_room())));
}

#[test]
fn an_app_has_so_many_rooms_and_no_more() {
    let mut hall = Hall::with_rules_and_app(|_| (), |app| app.rooms_max = 2);
    let [alice] = hall.devices(["alice"]);
    let caller = |device: &Device| Caller {
        user: device.user.clone(),
        connection: device.connection,
        request_id: 7,
    };
    let key = |id: &str| RoomKey {
        id: RoomId::parse(id).unwrap(),
        ..lobby()
    };
    let ask = |hall: &mut Hall, id: &str, request| hall.rooms.handle(hall.now, &key(id), &caller(&alice), request);
    let create = || enter(Create::IfMissing(new_room("", RoomPreset::Room)), 0);
    let is_limit = |effects: &[Effect]| {
        let code = ErrorCode::ROOM_LIMIT_OF_APP;
        matches!(effects, [Effect::Unchanged { code: found, .. }] if *found == code)
    };
    ask(&mut hall, "one", create());
    ask(&mut hall, "two", create());
    assert!(is_limit(&ask(&mut hall, "three", create())));
    assert!(
        !is_limit(&ask(&mut hall, "two", create())),
        "one that is there can be entered"
    );
    let by_server = Order::Create(NewRoom::by_server(String::new()));
    let ordered = hall.rooms.order(hall.now, &key("three"), by_server);
    assert_eq!(ordered.answer.unwrap_err().code, ErrorCode::ROOM_LIMIT_OF_APP);
    ask(&mut hall, "one", Request::Leave(LeaveReason::Left));
    ask(&mut hall, "three", create());
    assert_eq!(hall.rooms.len(), 2);
    hall.rooms.destroy(&key("two"), RoomDestroyedReason::Fault);
    ask(&mut hall, "four", create());
    assert_eq!(hall.rooms.len(), 2, "a room that failed gives its place back too");
}

#[test]
fn a_delay_is_for_rooms_that_end_when_they_are_empty() {
    let idle = AppPolicySettings {
        ends: Some(EndsKind::WhenIdle),
        ..AppPolicySettings::new("idle", RoomPreset::Room)
    };
    let mut hall = hall_with(vec![idle]);
    let [alice] = hall.devices(["alice"]);
    let new = NewRoom {
        policy: "idle".into(),
        ends: Some(Ends::WhenEmpty {
            delay: Duration::from_secs(5),
        }),
        ..new_room("", RoomPreset::Room)
    };
    let refused = hall.ask(&alice, enter(Create::Always(new), 0));
    assert_eq!(refused.refused(), (33003, "destroy_delay_seconds", 0));
}

#[test]
fn first_attributes_are_set_or_the_room_is_not_made() {
    let off = AppPolicySettings {
        attributes: Some(false),
        ..AppPolicySettings::new("plain", RoomPreset::Room)
    };
    let mut hall = hall_with(vec![off]);
    let [alice] = hall.devices(["alice"]);
    let create = |policy: &str, count: usize, value: &str| {
        let new = NewRoom {
            policy: policy.to_owned(),
            attributes: (0..count)
                .map(|number| (format!("key{number}"), value.to_owned()))
                .collect(),
            ..new_room("", RoomPreset::Room)
        };
        enter(Create::Always(new), 0)
    };
    assert_eq!(hall.ask(&alice, create("plain", 1, "x")).refused().0, 23426);
    assert_eq!(hall.ask(&alice, create("room", 21, "x")).refused().0, 23423);
    assert_eq!(
        hall.ask(&alice, create("room", 1, &"x".repeat(1025))).refused().0,
        33003
    );
    assert_eq!(hall.rooms.len(), 0);
    let created = hall.ask(&alice, create("room", 20, "x"));
    assert_eq!(created.entered().attributes_version, 1);
    hall.leave(&alice);
    assert_eq!(hall.ask(&alice, create("plain", 0, "")).entered().attributes_version, 0);
}

#[test]
fn a_policy_takes_from_its_preset_what_it_does_not_say() {
    let rooms = Config::defaults(Path::new("data")).rooms;
    let own = AppPolicySettings {
        budget: Some(Budget::Messages(8)),
        attribute_total_bytes: Some(Some(100)),
        ends_after: Some(Duration::from_secs(120)),
        ..AppPolicySettings::new("own", RoomPreset::Live)
    };
    let preset = rooms.preset(RoomPreset::Live);
    let expected = config::RoomPolicy {
        name: "own".into(),
        budget: Budget::Messages(8),
        budget_for_high: 8,
        ends: config::RoomEnds::WhenIdle {
            after: Duration::from_secs(120),
        },
        attributes: preset.attributes.map(|limits| AttributeLimits {
            total_bytes: Some(100),
            ..limits
        }),
        ..preset
    };
    assert_eq!(rooms.policy(&own), expected);
    let renamed = AppPolicySettings::new("renamed", RoomPreset::Room);
    let expected = config::RoomPolicy {
        name: "renamed".into(),
        ..rooms.preset(RoomPreset::Room)
    };
    assert_eq!(rooms.policy(&renamed), expected);
}

#[test]
fn rooms_of_the_family_room_may_have_a_budget_too() {
    let own = AppPolicySettings {
        budget: Some(Budget::Messages(2)),
        budget_for_high: Some(0),
        ..AppPolicySettings::new("quiet", RoomPreset::Room)
    };
    let mut hall = hall_with(vec![own]);
    let [alice] = hall.devices(["alice"]);
    hall.ask(&alice, of_policy("quiet", RoomPreset::Room));
    let distributed: Vec<bool> = (0..4)
        .map(|_| hall.send(&alice, text("hello")).sent().distributed)
        .collect();
    assert_eq!(distributed, [true, true, false, false]);
}
