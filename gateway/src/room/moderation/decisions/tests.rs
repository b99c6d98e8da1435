//! The bound on all that one app decides about rooms.

use std::time::{Duration, Instant};

use sluice_protocol::{IdProfile, RoomId};

use super::*;

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: 1_800_000_000_000,
    }
}

fn room(app: u16, id: &str) -> RoomKey {
    RoomKey {
        app: AppIndex(app),
        id: RoomId::parse(id).unwrap(),
    }
}

fn gag(decisions: &mut Decisions, key: &RoomKey, users: &[&str], now: Now) -> Result<(), Refusal> {
    let entry = Entry {
        until_ms: Some(now.unix_ms + 60_000),
        ..Entry::default()
    };
    let user = |id: &&str| (UserId::parse(id, IdProfile::Zim).unwrap(), entry.clone());
    let entries: Vec<_> = users.iter().map(user).collect();
    decisions.enlist(key, RoomList::Gag, &entries, now)
}

#[test]
fn an_app_that_has_decided_too_much_decides_nothing_more_until_something_has_ended() {
    let (mut decisions, start) = (Decisions::bounded(9), now());
    for id in ["a", "b", "c"] {
        gag(&mut decisions, &room(0, id), &["alice", "bob"], start).unwrap();
    }
    let full = Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list_full");
    let later = start + Duration::from_secs(59);
    assert_eq!(gag(&mut decisions, &room(0, "d"), &["alice"], later), Err(full.clone()));
    let muted = decisions.change_rules(&room(0, "d"), later, |rules| rules.muted = true);
    assert_eq!(muted, Err(full));
    gag(&mut decisions, &room(1, "d"), &["alice"], later).expect("another app has its own");
    let end = start + Duration::from_secs(60);
    gag(&mut decisions, &room(0, "d"), &["alice"], end).unwrap();
    assert_eq!(
        decisions.apps[0].rooms.len(),
        1,
        "what had ended in all rooms of the app is forgotten"
    );
    assert_eq!(decisions.apps[0].weight, 2);
}

#[test]
fn what_is_taken_back_makes_room_again() {
    let (mut decisions, now) = (Decisions::bounded(4), now());
    for _ in 0..10 {
        gag(&mut decisions, &room(0, "a"), &["alice"], now).unwrap();
        decisions
            .change_rules(&room(0, "b"), now, |rules| rules.stopped = true)
            .unwrap();
        let alice = [UserId::parse("alice", IdProfile::Zim).unwrap()];
        decisions.strike(&room(0, "a"), RoomList::Gag, &alice, now).unwrap();
        assert_eq!(decisions.end_with_room(&room(0, "b"), "app", now).len(), 1);
        assert!(decisions.apps[0].rooms.is_empty() && decisions.apps[0].weight == 0);
    }
}

#[test]
fn what_is_there_already_needs_no_room() {
    let (mut decisions, now) = (Decisions::bounded(4), now());
    gag(&mut decisions, &room(0, "a"), &["alice", "bob"], now).unwrap();
    let stop = |decisions: &mut Decisions, id, stopped| {
        let changed = decisions.change_rules(&room(0, id), now, |rules| rules.stopped = stopped);
        changed.map(|before| before.stopped)
    };
    assert_eq!(stop(&mut decisions, "b", true), Ok(false));
    let full = Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list_full");
    assert_eq!(gag(&mut decisions, &room(0, "a"), &["carol"], now), Err(full.clone()));
    assert_eq!(stop(&mut decisions, "c", true), Err(full));
    let later = now + Duration::from_secs(1);
    gag(&mut decisions, &room(0, "a"), &["bob", "alice"], later).expect("they are gagged already");
    let listed = decisions.listed(&room(0, "a"), RoomList::Gag, later).unwrap();
    let end = Some(later.unix_ms + 60_000);
    assert!(listed.iter().all(|(_, entry)| entry.until_ms == end), "{listed:?}");
    assert_eq!(stop(&mut decisions, "a", true), Ok(false), "the room counts already");
    assert_eq!(stop(&mut decisions, "c", false), Ok(false), "nothing is nothing");
    assert_eq!(stop(&mut decisions, "b", false), Ok(true), "this makes room");
    gag(&mut decisions, &room(0, "a"), &["carol"], now).unwrap();
}

#[test]
fn an_app_that_is_full_is_looked_through_when_something_has_ended_and_every_ten_seconds_at_most() {
    let (mut decisions, start) = (Decisions::bounded(4), now());
    let at = |seconds| start + Duration::from_secs(seconds);
    gag(&mut decisions, &room(0, "first"), &["alice"], start).unwrap();
    gag(&mut decisions, &room(0, "second"), &["alice"], at(1)).unwrap();
    let next = |decisions: &mut Decisions, seconds| gag(decisions, &room(0, "next"), &["alice"], at(seconds)).is_ok();
    assert!(!next(&mut decisions, 59));
    assert_eq!(decisions.apps[0].looked_through, None, "nothing can have ended");
    assert!(next(&mut decisions, 60), "the first has");
    let more = |decisions: &mut Decisions, seconds| gag(decisions, &room(0, "more"), &["alice"], at(seconds)).is_ok();
    assert!(
        !more(&mut decisions, 61),
        "the second has, a second after it was looked"
    );
    assert!(!more(&mut decisions, 69));
    assert!(more(&mut decisions, 70));
    assert_eq!(decisions.apps[0].rooms.len(), 2);
    let restored = Entry {
        until_ms: Some(at(75).unix_ms),
        ..Entry::default()
    };
    let user = (RoomList::Gag, "alice".to_owned(), restored);
    decisions.restore(&room(0, "restored"), RoomRules::default(), vec![user]);
    let last =
        |decisions: &mut Decisions, seconds| gag(decisions, &room(0, "more"), &["bob", "carol"], at(seconds)).is_ok();
    assert!(!last(&mut decisions, 79), "one of them too many");
    assert!(!last(&mut decisions, 119));
    assert!(last(&mut decisions, 129), "that of room next has ended as well");
}

#[test]
fn the_muted_rooms_of_an_app_are_known_in_order_however_they_came_to_be_muted_or_not() {
    let (mut decisions, now) = (Decisions::default(), now());
    let mute = |decisions: &mut Decisions, app, id: &str, muted| {
        let changed = decisions.change_rules(&room(app, id), now, |rules| rules.muted = muted);
        changed.expect("there is room");
    };
    for id in ["c", "a", "b", "d"] {
        mute(&mut decisions, 0, id, true);
        mute(&mut decisions, 0, id, true);
    }
    mute(&mut decisions, 1, "e", true);
    let muted = |decisions: &Decisions, limit| {
        let rooms = decisions.muted(AppIndex(0), limit);
        rooms.iter().map(|room| room.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(muted(&decisions, 3), ["a", "b", "c"]);
    mute(&mut decisions, 0, "b", false);
    decisions.end_with_room(&room(0, "c"), "app", now);
    let rules = RoomRules {
        muted: true,
        ..RoomRules::default()
    };
    decisions.restore(&room(0, "kept"), rules, Vec::new());
    assert_eq!(muted(&decisions, 10), ["a", "d", "kept"]);
    assert!(decisions.muted(AppIndex(2), 10).is_empty());
}
