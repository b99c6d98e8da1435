//! Orders about rooms themselves, and what of them outlives a restart.

use std::collections::BTreeMap;

use super::*;
use crate::config::AppPolicySettings;
use crate::store::{AttributeRecord, Entry, KeptRoom, RoomList, RoomRecord, RoomRules};

/// What a store would have of the lobby, which follows the changes it is given.
#[derive(Debug, Default)]
struct Shelf {
    record: Option<RoomRecord>,
    rules: RoomRules,
    users: BTreeMap<(RoomList, String), Entry>,
    attributes: BTreeMap<String, AttributeRecord>,
}

impl Shelf {
    fn keep(&mut self, change: Change) {
        match change {
            Change::PutRoom { record, .. } => self.record = Some(record),
            Change::RemoveRoom { .. } => {
                self.record = None;
                self.attributes.clear();
                self.users.retain(|(list, _), _| *list != RoomList::ServerMember);
            }
            Change::PutRoomRules { rules, .. } => self.rules = rules,
            Change::PutRoomUser { list, user, entry, .. } => {
                self.users.insert((list, user), entry);
            }
            Change::RemoveRoomUser { list, user, .. } => {
                self.users.remove(&(list, user));
            }
            Change::PutAttribute { key, attribute, .. } => {
                self.attributes.insert(key, attribute);
            }
            Change::RemoveAttribute { key, .. } => {
                self.attributes.remove(&key);
            }
            other => panic!("{other:?}"),
        }
    }

    fn kept(&self) -> KeptRoom {
        KeptRoom {
            app: "app".into(),
            room: "lobby".into(),
            record: self.record.clone(),
            rules: self.rules,
            users: self
                .users
                .iter()
                .map(|((list, user), entry)| (*list, user.clone(), entry.clone()))
                .collect(),
            attributes: self.attributes.clone().into_iter().collect(),
        }
    }
}

impl Hall {
    /// What an order is answered, and the events it brings.
    fn ordered(&mut self, shelf: &mut Shelf, order: Order) -> (Answer, Vec<Body>) {
        let Ordered { answer, effects } = self.rooms.order(self.now, &lobby(), order);
        let mut events = Vec::new();
        for effect in effects {
            match effect {
                Effect::Keep(change) => shelf.keep(change),
                Effect::Publish { frame, .. } | Effect::Destroy { frame, .. } => events.extend(open(&frame).body),
                other => panic!("{other:?}"),
            }
        }
        (answer.expect("an order that can be carried out"), events)
    }

    fn described(&mut self) -> Option<Description> {
        match self.ordered(&mut Shelf::default(), Order::Describe).0 {
            Answer::Described(description) => description,
            other => panic!("{other:?}"),
        }
    }

    fn asked(&mut self, shelf: &mut Shelf, device: &Device, request: Request) -> Outcome {
        let mut outcome = self.ask(device, request);
        outcome.kept.drain(..).for_each(|change| shelf.keep(change));
        outcome
    }
}

fn by_server(name: &str) -> Order {
    Order::Create(NewRoom::by_server(name.to_owned()))
}

fn listed(user: &str, joined_at_ms: i64) -> ListedMember {
    ListedMember {
        user: UserId::parse(user, IdProfile::Zim).unwrap(),
        name: user.to_uppercase(),
        joined_at_ms,
    }
}

#[test]
fn a_room_of_the_server_is_there_and_stays_as_it_was_made_first() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    assert_eq!(hall.described(), None);
    hall.ordered(&mut shelf, by_server("First"));
    let first = shelf.record.clone().expect("it is kept");
    hall.wait(Duration::from_secs(5));
    hall.ordered(&mut shelf, by_server("Second"));
    assert_eq!(shelf.record, Some(first));
    let expected = Description {
        id: lobby().id,
        name: "First".into(),
        policy: "live".into(),
        created_at_ms: 1_800_000_000_000,
        members: 0,
        ends: Ends::WhenIdle {
            after: Duration::from_secs(3600),
        },
        rules: RoomRules::default(),
        attributes_version: 0,
    };
    assert_eq!(hall.described(), Some(expected));
    let [alice] = hall.devices(["alice"]);
    assert_eq!(hall.join(&alice).entered().member_count, 1);
    assert_eq!(hall.described().map(|room| room.members), Some(1));
}

#[test]
fn destroying_tells_the_members_and_takes_along_what_was_decided_without_an_end() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    let [alice] = hall.devices(["alice"]);
    hall.ordered(&mut shelf, by_server(""));
    hall.join(&alice);
    for list in [RoomList::Gag, RoomList::Block, RoomList::Allow, RoomList::MuteException] {
        let enlist = Order::Enlist {
            list,
            users: vec![UserId::parse("bob", IdProfile::Zim).unwrap()],
            entry: Entry::default(),
            tell: Tell::Nobody,
        };
        hall.ordered(&mut shelf, enlist);
    }
    hall.ordered(&mut shelf, Order::Stop(true));
    let (answer, events) = hall.ordered(&mut shelf, Order::Destroy);
    assert_eq!(answer, Answer::Done);
    let expected = RoomDestroyed {
        room_id: "lobby".into(),
        reason: RoomDestroyedReason::Server.into(),
    };
    assert_eq!(events, [Body::RoomDestroyed(expected)]);
    assert_eq!((shelf.record.clone(), shelf.rules), (None, RoomRules::default()));
    let lists: Vec<RoomList> = shelf.users.keys().map(|(list, _)| *list).collect();
    assert_eq!(lists, [RoomList::Gag, RoomList::Block]);
    assert_eq!(hall.send(&alice, text("hello")).refused().0, 23410);
    assert_eq!(
        hall.ordered(&mut shelf, Order::Destroy),
        (Answer::Done, Vec::new()),
        "a missing one is fine"
    );
}

#[test]
fn whom_the_server_puts_inside_is_a_member_who_never_leaves_by_itself() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let (_, events) = hall.ordered(&mut shelf, Order::Join(vec![bob.user.clone()]));
    assert!(shelf.record.is_some(), "a missing room is made");
    assert!(matches!(&events[..], [Body::RoomMemberJoined(joined)] if joined.member_count == 1));
    assert_eq!(
        hall.ordered(&mut shelf, Order::Join(vec![bob.user.clone()])).1,
        [],
        "once is enough"
    );
    assert_eq!(hall.join(&alice).entered().member_count, 2);
    // With a device and without.
    assert_eq!(hall.join(&bob).joined(), Vec::<&str>::new());
    assert!(hall.leave(&bob).published.is_empty());
    let inside = Order::AreInside([&bob, &alice].map(|device| device.user.id.clone()).to_vec());
    assert_eq!(hall.ordered(&mut shelf, inside).0, Answer::Inside(vec![true, true]));
    // It does not keep the room in use.
    hall.leave(&alice);
    hall.wait(Duration::from_secs(3600));
    hall.rooms.tick(hall.now);
    assert_eq!(hall.rooms.len(), 0);
    let inside = Order::AreInside(vec![bob.user.id.clone()]);
    assert_eq!(hall.ordered(&mut shelf, inside).0, Answer::Inside(vec![false]));
}

#[test]
fn the_server_puts_no_more_inside_than_a_room_takes() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    let user = |number: usize| {
        Arc::new(User {
            app: lobby().app,
            id: UserId::parse(&format!("bot{number}"), IdProfile::Zim).unwrap(),
            name: "".into(),
        })
    };
    for first in (0..9_990).step_by(90) {
        let users = (first..first + 90).map(user).collect();
        assert_eq!(hall.ordered(&mut shelf, Order::Join(users)).0, Answer::Done);
    }
    let join = |hall: &mut Hall, users: Vec<usize>| {
        let users = users.into_iter().map(user).collect();
        let answer = hall.rooms.order(hall.now, &lobby(), Order::Join(users)).answer;
        answer.map_err(|refusal| (refusal.code.number(), refusal.detail))
    };
    let full = Err((23412, "list_full".into()));
    assert_eq!(join(&mut hall, (9_980..10_001).collect()), full, "all come in or none");
    assert_eq!(hall.described().map(|room| room.members), Some(9_990));
    assert_eq!(join(&mut hall, (9_980..10_000).collect()), Ok(Answer::Done));
    assert_eq!(join(&mut hall, vec![10_000]), full);
    assert_eq!(join(&mut hall, vec![0, 9_999]), Ok(Answer::Done), "they are inside");
    assert_eq!(by_server_in_all(&hall), 10_000);
    hall.ordered(&mut shelf, Order::Destroy);
    assert_eq!(by_server_in_all(&hall), 0);
    assert_eq!(join(&mut hall, vec![10_000]), Ok(Answer::Done));
}

/// Members by the server that count in all rooms of the app, whose bound is a million.
fn by_server_in_all(hall: &Hall) -> usize {
    let places = &hall.rooms.rules.places;
    let fit = |more: &usize| places.has_place_for_server_members(lobby().app, *more);
    1_000_000 - (0..=1_000_000).rev().find(fit).expect("none more fit always")
}

#[test]
fn members_are_listed_by_the_time_they_joined_from_both_ends() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    let members = |limit, first| Order::Members { limit, first };
    let nobody = Answer::Members {
        total: 0,
        members: Vec::new(),
    };
    assert_eq!(
        hall.ordered(&mut shelf, members(500, ListedFirst::Oldest)).0,
        nobody,
        "of no room"
    );
    let start = hall.now.unix_ms;
    for user in ["carol", "alice", "bob"] {
        let device = hall.device(user, 0);
        hall.enter(&device);
        hall.wait(Duration::from_millis(1100));
    }
    for (limit, first, users) in [
        (2, ListedFirst::Oldest, vec![("carol", 0), ("alice", 1000)]),
        (2, ListedFirst::Newest, vec![("bob", 2000), ("alice", 1000)]),
        (0, ListedFirst::Newest, vec![]),
        (
            9,
            ListedFirst::Oldest,
            vec![("carol", 0), ("alice", 1000), ("bob", 2000)],
        ),
    ] {
        let expected = Answer::Members {
            total: 3,
            members: users.iter().map(|(user, ms)| listed(user, start + ms)).collect(),
        };
        assert_eq!(hall.ordered(&mut shelf, members(limit, first)).0, expected);
    }
}

#[test]
fn what_is_kept_of_a_room_makes_the_same_room_again() {
    let settings = AppPolicySettings::new("club", RoomPreset::Live);
    let policies = vec![settings];
    let hall = || Hall::with_rules_and_app(|_| (), |app| app.policies = policies.clone());
    let mut before = hall();
    let mut shelf = Shelf::default();
    let [alice, host] = before.devices(["alice", "host"]);
    let new = NewRoom {
        policy: "club".into(),
        ..new_room("", RoomPreset::Live)
    };
    before
        .asked(&mut shelf, &alice, enter(Create::IfMissing(new), 0))
        .entered();
    let unix_ms = before.now.unix_ms + 3_600_000;
    before.ordered(&mut shelf, Order::SetEnds(Ends::At { unix_ms }));
    before.ordered(&mut shelf, Order::Join(vec![host.user.clone()]));
    before.ordered(&mut shelf, Order::Stop(true));
    let write = Write::Set {
        entries: vec![("topic".into(), "cats".into()), ("pinned".into(), "1".into())],
        force: false,
        take_over: false,
        delete_on_leave: false,
        if_version: None,
    };
    before.asked(&mut shelf, &alice, Request::WriteAttributes(write));
    let delete = Write::Delete {
        keys: vec!["pinned".into()],
        force: false,
        if_version: None,
    };
    before.asked(&mut shelf, &alice, Request::WriteAttributes(delete));
    let told = before.asked(&mut shelf, &alice, Request::Leave(LeaveReason::Left));
    assert!(told.dismissed);

    let mut after = hall();
    after.now = before.now;
    after.rooms.restore(vec![(lobby(), shelf.kept())], after.now);
    assert_eq!(after.described(), before.described());
    let all = Order::Attributes(Vec::new());
    let again = Order::Attributes(Vec::new());
    assert_eq!(after.ordered(&mut shelf, all).0, before.ordered(&mut shelf, again).0);
    let members = |hall: &mut Hall| {
        let order = Order::Members {
            limit: 500,
            first: ListedFirst::Oldest,
        };
        hall.ordered(&mut Shelf::default(), order).0
    };
    assert_eq!(members(&mut after), members(&mut before));
    // It goes on living as it did: it ends when it was to.
    after.wait(Duration::from_secs(3600));
    let due = after.rooms.tick(after.now).effects;
    assert!(
        matches!(
            &due[..],
            [
                (_, Effect::Destroy { .. }),
                (_, Effect::Keep(Change::RemoveRoom { .. }))
            ]
        ),
        "{due:?}"
    );
}

#[test]
fn a_room_that_should_have_ended_while_the_gateway_was_down_ends_with_the_first_tick() {
    let mut hall = Hall::new();
    let record = RoomRecord {
        policy: "live".into(),
        ends: Ends::At {
            unix_ms: hall.now.unix_ms - 1,
        }
        .to_text(),
        ..RoomRecord::default()
    };
    let kept = Shelf {
        record: Some(record),
        ..Shelf::default()
    };
    hall.rooms.restore(vec![(lobby(), kept.kept())], hall.now);
    assert_eq!(hall.rooms.len(), 1);
    let due = hall.rooms.tick(hall.now).effects;
    assert!(
        due.iter()
            .any(|(_, effect)| matches!(effect, Effect::Keep(Change::RemoveRoom { .. }))),
        "{due:?}"
    );
    assert_eq!(hall.rooms.len(), 0);
}

#[test]
fn what_cannot_be_read_any_more_does_not_keep_a_room_from_coming_back() {
    let mut hall = Hall::with_rules_and_app(|_| (), |app| app.rooms_max = 1);
    let record = RoomRecord {
        name: "Old".into(),
        policy: "a policy of yesterday".into(),
        ends: "some day".into(),
        by_server: true,
        ..RoomRecord::default()
    };
    let mut shelf = Shelf {
        record: Some(record),
        ..Shelf::default()
    };
    shelf
        .users
        .insert((RoomList::ServerMember, "no user\nid".into()), Entry::default());
    // The app had the wide profile when it was put inside.
    shelf
        .users
        .insert((RoomList::ServerMember, "Zoë Müller".into()), Entry::default());
    let other = RoomKey {
        id: RoomId::parse("other").unwrap(),
        ..lobby()
    };
    // More than the app may have: those that were there stay.
    hall.rooms
        .restore(vec![(lobby(), shelf.kept()), (other, shelf.kept())], hall.now);
    assert_eq!(hall.rooms.len(), 2);
    let room = hall.described().expect("the room");
    assert_eq!((&*room.name, &*room.policy, room.members), ("Old", "live", 1));
    assert_eq!(by_server_in_all(&hall), 2);
}

#[test]
fn what_the_server_says_of_a_members_room_has_all_of_it_kept() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let new = NewRoom {
        attributes: vec![("topic".into(), "cats".into())],
        ..new_room("Lobby", RoomPreset::Room)
    };
    hall.asked(&mut shelf, &alice, enter(Create::Always(new), 0)).entered();
    hall.ordered(&mut shelf, Order::Join(vec![bob.user.clone()]));
    assert!(shelf.record.is_none() && shelf.users.is_empty() && shelf.attributes.is_empty());
    hall.ordered(&mut shelf, Order::SetEnds(Ends::Never));
    assert_eq!(shelf.record.as_ref().map(|record| &*record.ends), Some("never"));
    assert_eq!(shelf.users.len(), 1);
    assert_eq!(shelf.attributes["topic"].value, "cats");
}

#[test]
fn a_room_that_members_make_while_the_disk_is_behind_is_kept_when_the_server_says_something_of_it() {
    let mut hall = Hall::new();
    let mut shelf = Shelf::default();
    let [alice] = hall.devices(["alice"]);
    hall.rooms.keep_new(false);
    let new = NewRoom {
        attributes: vec![("topic".into(), "cats".into())],
        ..new_room("", RoomPreset::Live)
    };
    hall.asked(&mut shelf, &alice, enter(Create::Always(new), 0)).entered();
    assert!(shelf.record.is_none() && shelf.attributes.is_empty());
    hall.rooms.keep_new(true);
    hall.ordered(&mut shelf, Order::SetEnds(Ends::Never));
    assert!(shelf.record.is_some() && shelf.attributes.len() == 1);
    hall.ordered(&mut shelf, Order::Destroy);
    hall.rooms.keep_new(false);
    hall.ordered(&mut shelf, by_server(""));
    assert!(shelf.record.is_some(), "the server is told that it is kept");
    hall.ordered(&mut shelf, Order::Destroy);
    hall.rooms.keep_new(true);
    hall.asked(
        &mut shelf,
        &alice,
        enter(Create::Always(new_room("", RoomPreset::Live)), 0),
    )
    .entered();
    assert!(shelf.record.is_some());
}

/// The same rooms in a gateway that was started anew.
fn restarted(hall: &Hall, shelf: &Shelf) -> Hall {
    let mut after = Hall::new();
    after.now = hall.now;
    after.rooms.restore(vec![(lobby(), shelf.kept())], after.now);
    after
}

/// Whether the room is over when so much time has passed.
fn is_over_after(hall: &mut Hall, shelf: &mut Shelf, time: Duration) -> bool {
    hall.wait(time);
    for (_, effect) in hall.rooms.tick(hall.now).effects {
        match effect {
            Effect::Keep(change) => shelf.keep(change),
            other => panic!("{other:?}"),
        }
    }
    hall.rooms.len() == 0
}

#[test]
fn a_room_that_ends_with_its_last_member_does_so_after_a_restart_if_nobody_comes_back() {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let come_back = Duration::from_secs(300);
    for delay in [Duration::ZERO, Duration::from_secs(30)] {
        for was_inside in [true, false] {
            if !was_inside && delay.is_zero() {
                continue;
            }
            let mut hall = Hall::new();
            let mut shelf = Shelf::default();
            let [alice] = hall.devices(["alice"]);
            let new = NewRoom {
                ends: Some(Ends::WhenEmpty { delay }),
                ..new_room("", RoomPreset::Room)
            };
            hall.ordered(&mut shelf, Order::Create(new));
            let mut hall = restarted(&hall, &shelf);
            let day = Duration::from_secs(86_400);
            assert!(!is_over_after(&mut hall, &mut shelf, day), "nobody has come yet");
            hall.asked(&mut shelf, &alice, enter(Create::Never, 0)).entered();
            if !was_inside {
                hall.asked(&mut shelf, &alice, Request::Leave(LeaveReason::Left));
            }
            let mut again = restarted(&hall, &shelf);
            assert!(!is_over_after(&mut again, &mut shelf, come_back + delay - MILLISECOND));
            // Not by all the restarts there may be in the meantime, either.
            let mut left = restarted(&again, &shelf);
            assert!(!is_over_after(&mut left, &mut shelf, come_back + delay - MILLISECOND));
            assert!(is_over_after(&mut left, &mut shelf, MILLISECOND));
            assert_eq!(shelf.record, None, "and is not there again");

            assert!(again.asked(&mut shelf, &alice, enter(Create::Never, 0)).admitted);
            assert!(!is_over_after(&mut again, &mut shelf, day), "somebody has come back");
            again.asked(&mut shelf, &alice, Request::Leave(LeaveReason::Left));
            assert!(is_over_after(&mut again, &mut shelf, delay));
        }
    }
}
