//! The allow list: whose messages are never shed, and who stays inside though the connection is lost for good.

use super::*;
use crate::policy::ALLOWED_TYPES;

/// A live room that gives out one message in a moment.
fn hall() -> Hall {
    Hall::with_rules(|rooms| {
        rooms.live_messages_per_second = config::Rate::Unlimited;
        rooms.live_budget = config::Budget::Messages(1);
        rooms.live_budget_for_high = 0;
    })
}

#[test]
fn a_host_who_leaves_with_a_new_device_does_not_stay_for_the_one_that_was_displaced() {
    let mut hall = hall();
    let [alice, old, new] = hall.devices(["alice", "host", "host"]);
    hall.enter_live(&alice, 0);
    hall.enter_live(&old, 0);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    hall.ask(&old, Request::Detach(KeptFor::User));
    hall.enter_live(&new, 0);
    assert_eq!(hall.leave(&new).left(), [("host", LeaveReason::Left)]);
    let over = hall.ask(&old, Request::Leave(LeaveReason::Offline));
    assert!(over.published.is_empty());
    assert_eq!(hall.rooms.members(), 1);
}

fn lose(hall: &mut Hall, device: &Device) -> Outcome {
    hall.ask(device, Request::Detach(KeptFor::Session));
    hall.ask(device, Request::Leave(LeaveReason::Offline))
}

#[test]
fn what_users_on_the_allow_list_say_is_never_shed_while_they_are_on_it() {
    let mut hall = hall();
    let [host] = hall.devices(["host"]);
    hall.enter_live(&host, 0);
    let distributed = |hall: &mut Hall| {
        (0..10)
            .filter(|_| hall.send(&host, text("hello")).sent().distributed)
            .count()
    };
    hall.enlist(RoomList::Allow, &["host"], None).done();
    assert_eq!(distributed(&mut hall), 10);
    hall.strike(RoomList::Allow, &["host"]).done();
    assert_eq!(distributed(&mut hall), 1);
}

#[test]
fn messages_of_an_allowed_type_are_never_shed() {
    let mut hall = hall();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    hall.enlist_in_app(&ALLOWED_TYPES, "app:gift".to_owned(), Entry::default());
    let custom = |object_name: &str| Outgoing {
        object_name: object_name.to_owned(),
        priority: Priority::Low,
        ..message(MessageType::Custom, "{}")
    };
    let mut distributed = |object_name: &str| {
        (0..10)
            .filter(|_| hall.send(&alice, custom(object_name)).sent().distributed)
            .count()
    };
    assert_eq!(distributed("app:gift"), 10);
    assert_eq!(distributed("app:like"), 1);
}

#[test]
fn who_is_allowed_stays_when_the_connection_is_lost_and_comes_back_unseen() {
    let mut hall = Hall::new();
    let [alice, host, again] = hall.devices(["alice", "host", "host"]);
    hall.create(&alice);
    hall.join(&host);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    let lost = lose(&mut hall, &host);
    assert!(lost.dismissed && lost.published.is_empty(), "{lost:?}");
    assert_eq!(hall.rooms.members(), 2);
    let back = hall.join(&again);
    assert!(back.published.is_empty());
    assert_eq!(back.entered().member_count, 2);
    // From now on as everybody.
    let left = hall.leave(&again);
    assert_eq!(left.left(), [("host", LeaveReason::Left)]);
    assert_eq!(hall.rooms.members(), 1);
}

#[test]
fn who_logs_out_or_leaves_does_not_stay() {
    for reason in [LeaveReason::Left, LeaveReason::Logout, LeaveReason::UserBlocked] {
        let mut hall = Hall::new();
        let [alice, host] = hall.devices(["alice", "host"]);
        hall.create(&alice);
        hall.join(&host);
        hall.enlist(RoomList::Allow, &["host"], None).done();
        assert_eq!(hall.ask(&host, Request::Leave(reason)).left(), [("host", reason)]);
    }
}

#[test]
fn who_stays_goes_when_he_is_struck_off_the_list() {
    let mut hall = Hall::new();
    let [alice, host] = hall.devices(["alice", "host"]);
    hall.create(&alice);
    hall.join(&host);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    lose(&mut hall, &host);
    let struck = hall.strike(RoomList::Allow, &["host"]).done();
    let [
        Frame {
            body: Some(Body::RoomMemberLeft(left)),
            ..
        },
    ] = &struck.published[..]
    else {
        panic!("{struck:?}")
    };
    assert_eq!(
        (left.reason(), &*left.members[0].user_id),
        (LeaveReason::Offline, "host")
    );
    assert_eq!(hall.rooms.members(), 1);
    let again = hall.strike(RoomList::Allow, &["host"]).done();
    assert!(again.published.is_empty() && again.kept.is_empty());
}

#[test]
fn who_is_inside_with_a_connection_is_not_put_out_by_being_struck() {
    let mut hall = Hall::new();
    let [alice, host, again] = hall.devices(["alice", "host", "host"]);
    hall.create(&alice);
    hall.join(&host);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    lose(&mut hall, &host);
    hall.join(&again);
    assert!(hall.strike(RoomList::Allow, &["host"]).done().published.is_empty());
    hall.send(&again, text("hello")).sent();
}

#[test]
fn who_stays_alone_does_not_keep_a_room_in_use() {
    let mut hall = Hall::new();
    let [host] = hall.devices(["host"]);
    hall.create(&host);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    lose(&mut hall, &host);
    assert_eq!((hall.rooms.len(), hall.rooms.members()), (0, 0));
}

#[test]
fn who_stays_can_be_kicked_and_the_store_hears_nothing_of_it() {
    let mut hall = Hall::new();
    let [alice, host] = hall.devices(["alice", "host"]);
    hall.create(&alice);
    hall.join(&host);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    lose(&mut hall, &host);
    let kicked = hall.kick(&["host"]).done();
    assert!(kicked.kept.is_empty());
    assert_eq!(kicked.published.len(), 1);
    assert!(hall.rooms.rooms[&lobby()].staying.is_empty());
    assert!(
        hall.strike(RoomList::Allow, &["host"]).done().published.is_empty(),
        "gone already"
    );
}

#[test]
fn whom_the_apps_server_puts_inside_while_he_stays_is_inside_for_it() {
    let mut hall = Hall::new();
    let [alice, host] = hall.devices(["alice", "host"]);
    hall.create(&alice);
    hall.join(&host);
    hall.enlist(RoomList::Allow, &["host"], None).done();
    lose(&mut hall, &host);
    let joined = hall.decide(Order::Join(vec![host.user.clone()])).done();
    assert!(joined.published.is_empty());
    assert!(hall.strike(RoomList::Allow, &["host"]).done().published.is_empty());
    assert_eq!(hall.rooms.members(), 2);
}
