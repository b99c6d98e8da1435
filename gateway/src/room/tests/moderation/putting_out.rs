//! Who may be inside: blocks and kicks, and what those are told who come back.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// What a stale session is answered to a message, a leave and a query.
fn answers_to_outsider(hall: &mut Hall, device: &Device) -> [(i32, u32); 3] {
    let requests = [
        Request::Send(text("hello")),
        Request::Leave(LeaveReason::Left),
        Request::Query(Query::Attributes(Vec::new())),
    ];
    requests.map(|request| {
        let outcome = hall.ask(device, request);
        let (code, _, retry_after_ms) = outcome.refused();
        (code, retry_after_ms)
    })
}

#[test]
fn a_block_puts_its_user_out_with_all_connections_and_the_others_are_told() {
    let mut hall = Hall::new();
    let [alice, phone, desk] = hall.devices(["alice", "bob", "bob"]);
    hall.create(&alice);
    hall.join(&phone);
    hall.join(&desk);
    let blocked = hall.enlist(RoomList::Block, &["bob"], Some(MINUTE)).done();
    let event = RoomKickedOut {
        room_id: "lobby".into(),
        reason: LeaveReason::Blocked.into(),
        until_ms: (hall.now + MINUTE).unix_ms,
        extra: "why".into(),
    };
    let expelled = [(phone.connection, event.clone()), (desk.connection, event)];
    assert_eq!(blocked.expelled, expelled);
    let left = &blocked.published[..];
    let [
        Frame {
            body: Some(Body::RoomMemberLeft(left)),
            ..
        },
    ] = left
    else {
        panic!("{left:?}")
    };
    assert_eq!((left.reason(), left.member_count), (LeaveReason::Blocked, 1));
    assert_eq!(left.members[0].user_id, "bob");
}

#[test]
fn who_is_blocked_stays_out_until_the_last_millisecond_and_hears_how_long() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.join(&bob);
    hall.enlist(RoomList::Block, &["bob"], Some(MINUTE)).done();
    hall.wait(Duration::from_millis(59_999));
    assert_eq!(hall.join(&bob).refused(), (23409, "", 1));
    assert_eq!(answers_to_outsider(&mut hall, &bob), [(23409, 1); 3]);
    hall.wait(Duration::from_millis(1));
    assert_eq!(answers_to_outsider(&mut hall, &bob), [(23406, 0); 3], "it is over");
    hall.join(&bob).entered();
}

#[test]
fn a_block_binds_who_is_not_inside_and_holds_for_a_room_made_anew() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enlist(RoomList::Block, &["bob"], None).done();
    assert_eq!(hall.create(&bob).refused(), (23409, "", 0));
    assert_eq!(hall.enter(&bob).refused(), (23409, "", 0));
    assert_eq!(hall.rooms.len(), 0, "who is blocked makes no room either");
    for _ in 0..2 {
        hall.create(&alice);
        assert_eq!(hall.join(&bob).refused(), (23409, "", 0));
        assert_eq!(hall.send(&bob, text("hello")).refused().0, 23409);
        hall.leave(&alice);
    }
    hall.strike(RoomList::Block, &["bob"]).done();
    hall.create(&bob).entered();
}

#[test]
fn who_is_kicked_hears_so_until_he_comes_back_and_may_do_that_at_once() {
    let mut hall = Hall::new();
    let [alice, bob, desk] = hall.devices(["alice", "bob", "bob"]);
    hall.create(&alice);
    hall.join(&bob);
    let kicked = hall.kick(&["bob", "stranger"]).done();
    let event = RoomKickedOut {
        room_id: "lobby".into(),
        reason: LeaveReason::Kicked.into(),
        until_ms: 0,
        extra: "spam".into(),
    };
    assert_eq!(kicked.expelled, [(bob.connection, event)]);
    assert!(kicked.kept.is_empty(), "nothing is to be kept of it");
    assert_eq!(answers_to_outsider(&mut hall, &bob), [(23409, 0); 3]);
    hall.join(&desk).entered();
    hall.leave(&desk);
    assert_eq!(answers_to_outsider(&mut hall, &bob), [(23406, 0); 3]);
    let [stranger] = hall.devices(["stranger"]);
    assert_eq!(answers_to_outsider(&mut hall, &stranger), [(23406, 0); 3]);
}

#[test]
fn a_room_remembers_the_last_thousand_that_were_kicked() {
    let mut hall = Hall::new();
    let [alice, first] = hall.devices(["alice", "first"]);
    hall.create(&alice);
    hall.join(&first);
    hall.kick(&["first"]);
    for number in 0..999 {
        let name = format!("user{number}");
        let device = hall.device(&name, 0);
        hall.join(&device);
        hall.kick(&[&name]);
    }
    assert_eq!(hall.send(&first, text("hello")).refused().0, 23409);
    let last = hall.device("last", 0);
    hall.join(&last);
    hall.kick(&["last"]);
    assert_eq!(hall.send(&first, text("hello")).refused().0, 23406);
    assert_eq!(hall.send(&last, text("hello")).refused().0, 23409);
}

#[test]
fn who_is_blocked_is_not_put_inside_by_the_apps_server_either() {
    let mut hall = Hall::new();
    let [alice, bob, carol, dave] = hall.devices(["alice", "bob", "carol", "dave"]);
    hall.enlist(RoomList::Block, &["bob", "dave"], Some(MINUTE)).done();
    let join = |users: &[&Device]| Order::Join(users.iter().map(|device| device.user.clone()).collect());
    assert_eq!(hall.decide(join(&[&bob, &dave])).refused(), (23409, ""));
    assert_eq!(hall.rooms.len(), 0, "and no room is made for them");

    hall.create(&alice);
    let joined = hall.decide(join(&[&bob, &carol, &dave]));
    let refusal = || Refusal::new(ErrorCode::KICKED_FROM_CHATROOM).retry_after(MINUTE);
    let refused = vec![(bob.user.id.clone(), refusal()), (dave.user.id.clone(), refusal())];
    assert_eq!(joined.answer, Ok(Answer::DoneBut { refused }));
    assert_eq!(joined.published.len(), 1, "carol is inside");
    assert_eq!(hall.rooms.members(), 2);
    hall.wait(MINUTE);
    hall.decide(join(&[&bob])).done();
    assert_eq!(hall.rooms.members(), 3);
}

#[test]
fn whom_the_apps_server_put_inside_it_can_put_out_again() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.decide(Order::Join(vec![bob.user.clone()])).done();
    let kicked = hall.kick(&["bob"]).done();
    assert!(kicked.expelled.is_empty(), "there is no connection to tell");
    assert_eq!(kicked.published.len(), 1);
    assert_eq!(
        kicked.kept,
        [Change::RemoveRoomUser {
            app: "app".into(),
            room: "lobby".into(),
            list: RoomList::ServerMember,
            user: "bob".into(),
        }]
    );
    assert_eq!(hall.rooms.members(), 1);
}

#[test]
fn a_room_whose_last_member_is_put_out_ends_as_if_he_had_left() {
    for list in [Some(RoomList::Block), None] {
        let mut hall = Hall::new();
        let [alice] = hall.devices(["alice"]);
        hall.create(&alice);
        let out = match list {
            Some(list) => hall.enlist(list, &["alice"], None).done(),
            None => hall.kick(&["alice"]).done(),
        };
        assert_eq!((out.expelled.len(), out.published.len()), (1, 0));
        assert_eq!((hall.rooms.len(), hall.rooms.members()), (0, 0));
        assert_eq!(hall.send(&alice, text("hello")).refused().0, 23410);
    }
}

#[test]
fn who_is_put_out_is_told_before_what_was_shed() {
    let mut hall = Hall::with_rules(|rooms| {
        rooms.live_messages_per_second = config::Rate::Unlimited;
        rooms.live_budget = config::Budget::Messages(1);
        rooms.live_budget_for_high = 0;
    });
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.enter_live(&alice, 0);
    hall.enter_live(&bob, 0);
    hall.send(&alice, text("one"));
    assert!(!hall.send(&alice, text("two")).sent().distributed);
    let order = Order::Kick {
        users: vec![user("bob")],
        extra: String::new(),
    };
    let effects = hall.rooms.order(hall.now, &lobby(), order).effects;
    assert!(
        matches!(
            effects[..],
            [Effect::Gap { .. }, Effect::Expel { .. }, Effect::Publish { .. }]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_session_that_resumes_hears_that_it_was_put_out_meanwhile() {
    let mut hall = Hall::new();
    let [alice, bob, carol] = hall.devices(["alice", "bob", "carol"]);
    hall.create(&alice);
    for device in [&bob, &carol] {
        hall.join(device);
        hall.ask(device, Request::Detach(KeptFor::Session));
    }
    let kicked = hall.kick(&["bob"]).done();
    let blocked = hall.enlist(RoomList::Block, &["carol"], Some(MINUTE)).done();
    assert!(
        kicked.expelled.is_empty() && blocked.expelled.is_empty(),
        "there is nobody to tell"
    );
    let until = (hall.now + MINUTE).unix_ms;
    for (device, reason, until_ms) in [(&bob, LeaveReason::Kicked, 0), (&carol, LeaveReason::Blocked, until)] {
        let anew = hall.device(device.user.id.as_str(), 0);
        let resume = Request::Resume {
            old: device.connection,
            after: None,
        };
        let effects = hall.request(&anew, 0, resume);
        let [Effect::NotResumed { connection, frame }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(*connection, anew.connection);
        let Some(Body::RoomKickedOut(event)) = open(frame).body else {
            panic!("{frame:?}")
        };
        assert_eq!((event.reason(), event.until_ms), (reason, until_ms));
    }
}
