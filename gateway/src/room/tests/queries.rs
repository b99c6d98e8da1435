//! What members ask: how the room is, and who is inside, page by page while others come and go.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sluice_protocol::{NamedMembers, RoomMembers, RoomStatus, limits};

use super::*;

impl Hall {
    fn status(&mut self, device: &Device) -> RoomStatus {
        match self.ask(device, Request::Query(Query::Status)).reply().result.clone() {
            Some(reply::Result::RoomStatus(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    fn page(&mut self, device: &Device, limit: usize, cursor: &str) -> RoomMembers {
        let cursor = (!cursor.is_empty()).then(|| Cursor::of_text(cursor).expect("a cursor of the room's own"));
        let query = Request::Query(Query::Members { limit, cursor });
        match self.ask(device, query).reply().result.clone() {
            Some(reply::Result::RoomMembers(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    /// All pages, one after the other.
    fn listed_members(&mut self, device: &Device, limit: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.page(device, limit, &cursor);
            assert!(page.members.len() <= limit);
            all.extend(ids(&page));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                return all;
            }
            assert_eq!(page.members.len(), limit, "only the last page is short");
        }
    }
}

fn ids(page: &RoomMembers) -> Vec<String> {
    page.members.iter().map(|member| member.user_id.clone()).collect()
}

#[test]
fn a_member_learns_how_the_room_is_and_a_stranger_does_not() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let missing = hall.ask(&bob, Request::Query(Query::Status));
    assert_eq!(missing.refused(), (23410, "", 0));
    let entered = hall.create(&alice);
    hall.send(&alice, text("hello"));
    let expected = RoomStatus {
        room: entered.entered().room.clone(),
        member_count: 1,
        sequence: 1,
        ..RoomStatus::default()
    };
    assert_eq!(hall.status(&alice), expected);
    for query in [
        Query::Status,
        Query::Members {
            limit: 100,
            cursor: None,
        },
        Query::Named(vec![alice.user.id.clone()]),
    ] {
        assert_eq!(hall.ask(&bob, Request::Query(query)).refused(), (23406, "", 0));
    }
    hall.rooms.order(
        hall.now,
        &lobby(),
        Order::Mute {
            muted: true,
            tell: Tell::Nobody,
            extra: String::new(),
        },
    );
    hall.rooms.order(hall.now, &lobby(), Order::Stop(true));
    let status = hall.status(&alice);
    assert!(status.room_muted && status.distribution_stopped);
}

#[test]
fn those_named_who_are_inside_are_told_with_the_second_they_joined() {
    let mut hall = Hall::new();
    let [alice, bob, carol] = hall.devices(["alice", "bob", "carol"]);
    hall.create(&alice);
    hall.wait(Duration::from_millis(2700));
    hall.join(&bob);
    let query = Query::Named([&bob, &carol].map(|device| device.user.id.clone()).to_vec());
    let answer = hall.ask(&alice, Request::Query(query));
    let expected = NamedMembers {
        members: vec![sluice_protocol::RoomMember {
            user_id: "bob".into(),
            user_name: "BOB".into(),
            joined_at_ms: 1_800_000_002_000,
        }],
    };
    assert_eq!(answer.reply().result, Some(reply::Result::NamedMembers(expected)));
}

#[test]
fn pages_go_from_the_newest_member_to_the_oldest() {
    let mut hall = Hall::new();
    let mut devices = Vec::new();
    for number in 0..7 {
        let device = hall.device(&format!("user{number}"), 0);
        hall.enter(&device);
        devices.push(device);
        if number % 2 == 1 {
            hall.wait(Duration::from_secs(1));
        }
    }
    let expected = ["user6", "user5", "user4", "user3", "user2", "user1", "user0"];
    for limit in 1..=8 {
        assert_eq!(hall.listed_members(&devices[0], limit), expected);
    }
    let page = hall.page(&devices[0], 3, "");
    assert_eq!(page.member_count, 7);
}

#[test]
fn in_a_large_room_the_newest_are_told_and_who_has_gone_is_not() {
    let mut hall = Hall::new();
    let total = limits::MEMBERS_LISTED + 100;
    let devices: Vec<Device> = (0..total)
        .map(|number| {
            let device = hall.device(&format!("user{number:04}"), 0);
            hall.enter(&device);
            hall.wait(Duration::from_secs(1));
            device
        })
        .collect();
    let newest = |below: usize| {
        (total - limits::MEMBERS_LISTED..below)
            .rev()
            .map(|n| format!("user{n:04}"))
    };
    let asker = &devices[0];
    assert_eq!(hall.listed_members(asker, 100), newest(total).collect::<Vec<_>>());
    // Within the same second: who has gone is left out, and so is who has just come.
    hall.leave(&devices[total - 1]);
    let late = hall.device("zoe", 0);
    hall.enter(&late);
    assert_eq!(hall.listed_members(asker, 100), newest(total - 1).collect::<Vec<_>>());
    hall.wait(Duration::from_secs(1));
    let again = hall.listed_members(asker, 100);
    assert_eq!((again.len(), &*again[0]), (limits::MEMBERS_LISTED, "zoe"));
    // Who has gone and come again is at its new place, once that is known.
    hall.leave(&devices[total - 3]);
    hall.enter(&devices[total - 3]);
    assert!(
        !hall
            .listed_members(asker, 100)
            .contains(&format!("user{:04}", total - 3))
    );
}

#[test]
fn cursors_that_nobody_gave_are_refused_or_harmless() {
    for text in [
        "",
        "0",
        "0000000",
        "00000000",
        "0000000galice",
        "+0000001alice",
        "жжжжalice",
        "0000000Aalice",
    ] {
        assert_eq!(Cursor::of_text(text), None, "{text:?}");
    }
    assert_eq!(Cursor::of_text(&format!("00000001{}", "x".repeat(257))), None);
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    assert!(hall.page(&alice, 10, "00000000\u{7}").members.is_empty());
    assert_eq!(ids(&hall.page(&alice, 10, "ffffffffzzz")), ["alice"]);
}

#[derive(Debug, Clone)]
enum Move {
    Come(usize),
    Go(usize),
    Wait(u64),
    Page(usize),
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        5 => (0_usize..40).prop_map(Move::Come),
        3 => (0_usize..40).prop_map(Move::Go),
        2 => (0_u64..1500).prop_map(Move::Wait),
        4 => (1_usize..6).prop_map(Move::Page),
    ]
}

proptest! {
    #[test]
    fn nobody_who_stays_is_told_twice_or_left_out(moves in prop::collection::vec(a_move(), 1..200)) {
        let mut hall = Hall::new();
        let devices: Vec<Device> = (0..40).map(|number| hall.device(&format!("user{number}"), 0)).collect();
        let asker = hall.device("asker", 0);
        hall.enter_live(&asker, 0);
        let mut inside: BTreeSet<usize> = BTreeSet::new();
        // Of the walk under way: who has been inside since it began, and who was told.
        let mut staying = inside.clone();
        let mut told: Vec<String> = Vec::new();
        let mut cursor = String::new();
        for step in moves {
            match step {
                Move::Come(who) => {
                    hall.join(&devices[who]);
                    inside.insert(who);
                }
                Move::Go(who) => {
                    hall.leave(&devices[who]);
                    inside.remove(&who);
                    staying.remove(&who);
                }
                Move::Wait(ms) => hall.wait(Duration::from_millis(ms)),
                Move::Page(limit) => {
                    if cursor.is_empty() {
                        staying = inside.clone();
                        told.clear();
                    }
                    let page = hall.page(&asker, limit, &cursor);
                    prop_assert_eq!(page.member_count, inside.len() as u64 + 1);
                    told.extend(ids(&page));
                    cursor = page.next_cursor;
                    if cursor.is_empty() {
                        let once: BTreeSet<&String> = told.iter().collect();
                        for who in &staying {
                            prop_assert!(once.contains(&format!("user{who}")), "{} was left out", who);
                        }
                        let staying = staying.iter().map(|who| format!("user{who}"));
                        for who in staying {
                            prop_assert_eq!(told.iter().filter(|told| **told == who).count(), 1);
                        }
                    }
                }
            }
        }
    }
}
