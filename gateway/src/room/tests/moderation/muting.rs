//! Who may send: gags, mutes of all, and who is excepted.

use sluice_protocol::MuteScope;

use super::*;
use crate::policy::GAGS;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_gag_in_all_rooms_beats_an_exception_which_beats_a_gag_here_which_beats_a_mute_of_all() {
    let everywhere = MINUTE * 3;
    let here = MINUTE * 2;
    for bits in 0..16 {
        let holds = |bit: u32| bits & (1 << bit) != 0;
        let (global, excepted, gagged, muted) = (holds(0), holds(1), holds(2), holds(3));
        let mut hall = Hall::new();
        let [alice] = hall.devices(["alice"]);
        if global {
            hall.enlist_in_app(&GAGS, user("alice"), hall.entry(Some(everywhere)));
        }
        if excepted {
            hall.enlist(RoomList::MuteException, &["alice"], None).done();
        }
        if gagged {
            hall.enlist(RoomList::Gag, &["alice"], Some(here)).done();
        }
        if muted {
            hall.mute(true).done();
        }
        let expected = match () {
            () if global => Some((23408, "global", 180_000)),
            () if excepted => None,
            () if gagged => Some((23408, "user", 120_000)),
            () if muted => Some((23408, "room", 0)),
            () => None,
        };
        let entered = hall.create(&alice);
        let entered = entered.entered();
        let sent = hall.send(&alice, text("hello"));
        match expected {
            Some(refused) => assert_eq!(sent.refused(), refused, "{bits:04b}"),
            None => assert_eq!(sent.sent().sequence, 1, "{bits:04b}"),
        }
        // What those who enter are told: how it stands with them, and apart from that with all.
        let until = [global.then_some(everywhere), (gagged && !excepted).then_some(here)];
        let until = until.into_iter().flatten().max();
        assert_eq!(entered.muted, until.is_some(), "{bits:04b}");
        assert_eq!(
            entered.muted_until_ms,
            until.map_or(0, |until| (hall.now + until).unix_ms)
        );
        assert_eq!(entered.room_muted, muted);
    }
}

#[test]
fn a_gag_ends_in_its_last_millisecond_and_says_how_long_it_still_is() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.enlist(RoomList::Gag, &["alice"], Some(MINUTE)).done();
    assert_eq!(hall.send(&alice, text("hello")).refused(), (23408, "user", 60_000));
    hall.wait(Duration::from_millis(59_999));
    assert_eq!(hall.send(&alice, text("hello")).refused(), (23408, "user", 1));
    hall.wait(Duration::from_millis(1));
    assert_eq!(hall.send(&alice, text("hello")).sent().sequence, 1);
    assert!(hall.listed(RoomList::Gag).is_empty());
}

#[test]
fn a_gag_without_an_end_says_no_time() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.enlist(RoomList::Gag, &["alice", "bob"], None).done();
    hall.enlist_in_app(&GAGS, user("bob"), hall.entry(Some(MINUTE)));
    assert_eq!(hall.send(&alice, text("hello")).refused(), (23408, "user", 0));
    let entered = hall.join(&bob);
    assert!(entered.entered().muted, "of two gags the one that lasts longer counts");
    assert_eq!(entered.entered().muted_until_ms, 0);
}

#[test]
fn a_gag_is_for_every_kind_of_message() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    let kinds = [
        MessageType::Text,
        MessageType::Command,
        MessageType::Barrage,
        MessageType::Custom,
    ];
    for kind in kinds {
        assert_eq!(hall.send(&alice, message(kind, "hello")).refused(), (23408, "user", 0));
    }
}

#[test]
fn a_gag_holds_when_its_user_comes_back_and_when_the_room_is_made_anew() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    assert_eq!(hall.rooms.len(), 0, "that makes no room");
    for _ in 0..2 {
        hall.create(&alice);
        assert_eq!(hall.send(&alice, text("hello")).refused(), (23408, "user", 0));
        hall.leave(&alice);
        assert_eq!(hall.rooms.len(), 0);
    }
    hall.strike(RoomList::Gag, &["alice"]).done();
    hall.create(&alice);
    assert_eq!(hall.send(&alice, text("hello")).sent().sequence, 1);
}

#[test]
fn a_repeat_of_what_was_taken_is_answered_though_its_sender_is_gagged_since() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let first = hall.send(&alice, named("m1", "hello")).sent().clone();
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    let repeat = hall.send(&alice, named("m1", "hello"));
    assert!(repeat.sent().duplicate && repeat.sent().message_id == first.message_id);
    assert_eq!(hall.send(&alice, named("m2", "hello")).refused(), (23408, "user", 0));
    assert_eq!(
        hall.send(&alice, named("m1", "other")).refused(),
        (33003, "duplicate_id", 0)
    );
}

#[test]
fn what_a_gag_refuses_does_not_count_against_the_rate() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    for _ in 0..20 {
        assert_eq!(hall.send(&alice, text("hello")).refused().0, 23408);
    }
    hall.strike(RoomList::Gag, &["alice"]).done();
    for _ in 0..10 {
        hall.send(&alice, text("hello")).sent();
    }
    assert_eq!(hall.send(&alice, text("hello")).refused().0, 20604);
}

#[test]
fn a_user_is_told_on_every_connection_inside_and_only_if_the_apps_server_wants_it() {
    let mut hall = Hall::new();
    let [phone, desk, lost, bob] = hall.devices(["alice", "alice", "alice", "bob"]);
    hall.create(&bob);
    for device in [&phone, &desk, &lost] {
        hall.join(device);
    }
    hall.ask(&lost, Request::Detach(KeptFor::Session));
    let quiet = hall.enlist(RoomList::Gag, &["alice"], Some(MINUTE)).done();
    assert!(quiet.notified.is_empty() && quiet.published.is_empty());

    let until = (hall.now + MINUTE).unix_ms;
    let entry = hall.entry(Some(MINUTE));
    let users = vec![user("alice"), user("stranger")];
    let order = Order::Enlist {
        list: RoomList::Gag,
        users: users.clone(),
        entry,
        tell: Tell::Users,
    };
    let told = hall.decide(order).done();
    let event = |muted, until_ms, extra: &str| RoomMuteChanged {
        room_id: "lobby".into(),
        scope: MuteScope::User.into(),
        muted,
        until_ms,
        extra: extra.into(),
    };
    let to_both = |event: RoomMuteChanged| vec![(phone.connection, event.clone()), (desk.connection, event)];
    assert_eq!(told.notified, to_both(event(true, until, "why")));
    assert!(told.published.is_empty(), "the others hear nothing");

    // Not what was ordered is told, but how it stands: who is excepted may send, gag or no gag.
    let order = |list| Order::Enlist {
        list,
        users: users.clone(),
        entry: Entry::default(),
        tell: Tell::Users,
    };
    assert_eq!(
        hall.decide(order(RoomList::MuteException)).done().notified,
        to_both(event(false, 0, ""))
    );
    let strike = |list| Order::Strike {
        list,
        users: users.clone(),
        tell: Tell::Users,
        extra: "be good".to_owned(),
    };
    assert_eq!(
        hall.decide(strike(RoomList::MuteException)).done().notified,
        to_both(event(true, until, "be good"))
    );
    assert_eq!(
        hall.decide(strike(RoomList::Gag)).done().notified,
        to_both(event(false, 0, "be good"))
    );
    assert!(
        hall.decide(strike(RoomList::Gag)).done().notified.is_empty(),
        "nothing changed"
    );
}

#[test]
fn all_members_are_told_when_everybody_is_muted_and_when_that_ends() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    let scopes = |decided: Decided| -> Vec<(bool, String)> {
        let events = decided.done().published.into_iter().map(|frame| match frame.body {
            Some(Body::RoomMuteChanged(event)) => {
                assert_eq!((event.scope(), &*event.room_id), (MuteScope::Room, "lobby"));
                (event.muted, event.extra)
            }
            other => panic!("{other:?}"),
        });
        events.collect()
    };
    assert_eq!(scopes(hall.mute(true)), [(true, String::new())]);
    assert_eq!(hall.send(&alice, text("hello")).refused(), (23408, "room", 0));
    assert!(scopes(hall.mute(true)).is_empty(), "it is so already");
    let once_more = Order::Mute {
        muted: true,
        tell: Tell::Users,
        extra: "quiet please".into(),
    };
    assert_eq!(scopes(hall.decide(once_more)), [(true, "quiet please".to_owned())]);
    assert_eq!(scopes(hall.mute(false)), [(false, String::new())]);
    hall.send(&alice, text("hello")).sent();
}

#[test]
fn a_mute_of_a_room_that_does_not_exist_holds_when_it_does() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    let muted = hall.mute(true).done();
    assert!(muted.published.is_empty() && hall.rooms.len() == 0);
    assert!(hall.create(&alice).entered().room_muted);
    assert_eq!(hall.send(&alice, text("hello")).refused(), (23408, "room", 0));
}

#[test]
fn each_list_has_its_bound() {
    let bounds = [
        (RoomList::Gag, 10_000, (23412, "list_full")),
        (RoomList::Block, 10_000, (23412, "list_full")),
        (RoomList::Allow, 5, (23412, "list_full")),
        (RoomList::MuteException, 20, (23407, "")),
    ];
    for (list, max, refused) in bounds {
        let mut hall = Hall::new();
        let names: Vec<String> = (0..max).map(|number| format!("user{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        hall.enlist(list, &names, Some(MINUTE)).done();
        assert_eq!(
            hall.enlist(list, &["onemore"], Some(MINUTE)).refused(),
            refused,
            "{list:?}"
        );
        hall.enlist(list, &names[..1], Some(MINUTE * 2)).done();
        assert_eq!(hall.listed(list).len(), max);
        // Those whose time is over make room.
        hall.wait(MINUTE);
        hall.enlist(list, &["onemore"], Some(MINUTE)).done();
        assert_eq!(hall.listed(list), [names[0], "onemore"]);
    }
}

#[test]
fn what_is_said_to_users_is_bounded_and_the_rooms_own_list_is_not_for_orders() {
    let mut hall = Hall::new();
    let entry = |bytes: usize| Entry {
        text: "x".repeat(bytes),
        ..Entry::default()
    };
    let gag = |entry| Order::Enlist {
        list: RoomList::Gag,
        users: vec![user("alice")],
        entry,
        tell: Tell::Users,
    };
    assert_eq!(hall.decide(gag(entry(1025))).refused(), (33003, "extra"));
    hall.decide(gag(entry(1024))).done();
    let kick = Order::Kick {
        users: Vec::new(),
        extra: "x".repeat(1025),
    };
    assert_eq!(hall.decide(kick).refused(), (33003, "extra"));
    assert_eq!(
        hall.enlist(RoomList::ServerMember, &["alice"], None).refused(),
        (23412, "list")
    );
    assert_eq!(
        hall.strike(RoomList::ServerMember, &["alice"]).refused(),
        (23412, "list")
    );
    assert_eq!(
        hall.decide(Order::Listed(RoomList::ServerMember)).refused(),
        (23412, "list")
    );
}

#[test]
fn what_is_decided_is_kept_as_it_was_decided() {
    let mut hall = Hall::new();
    let entry = hall.entry(Some(MINUTE));
    let (app, room) = (|| "app".to_owned(), || "lobby".to_owned());
    let put = |user: &str| Change::PutRoomUser {
        app: app(),
        room: room(),
        list: RoomList::Gag,
        user: user.to_owned(),
        entry: entry.clone(),
    };
    let gagged = hall.enlist(RoomList::Gag, &["alice", "bob"], Some(MINUTE)).done();
    assert_eq!(gagged.kept, [put("alice"), put("bob")]);
    let struck = hall.strike(RoomList::Gag, &["stranger", "bob"]).done();
    assert_eq!(
        struck.kept,
        [Change::RemoveRoomUser {
            app: app(),
            room: room(),
            list: RoomList::Gag,
            user: "bob".into(),
        }]
    );
    let muted = hall.mute(true).done();
    let rules = crate::store::RoomRules {
        muted: true,
        stopped: false,
    };
    let put_rules = |rules| Change::PutRoomRules {
        app: app(),
        room: room(),
        rules,
    };
    assert_eq!(muted.kept, [put_rules(rules)]);
    assert_eq!(hall.decide(Order::Rules).answer, Ok(Answer::Rules(rules)));
}
