//! What a policy says of attributes, the bound of an app, and attributes that a room is made with.

use super::*;

/// A policy of the app by this name, like the preset `room` but for what is changed.
#[test]
fn where_they_are_off_nobody_reads_or_writes_any() {
    let mut hall = hall_with_policy("plain", |policy| policy.attributes = Some(false));
    let [alice] = hall.devices(["alice"]);
    let with_some = hall.ask(&alice, enter_with("plain", &[("a", "1")]));
    assert_eq!(with_some.refused(), (23426, "", 0));
    hall.ask(&alice, enter_with("plain", &[])).entered();
    assert_eq!(hall.write(&alice, set(&[("a", "1")])).refused(), (23426, "", 0));
    let query = Request::Query(Query::Attributes(Vec::new()));
    assert_eq!(hall.ask(&alice, query).refused(), (23426, "", 0));
    let off = Err(Refusal::new(ErrorCode::ATTRIBUTES_OFF));
    assert_eq!(hall.order(Order::Attributes(Vec::new())).0, off);
    let write = forced(set(&[("a", "1")]));
    assert_eq!(hall.order(Order::WriteAttributes { by: None, write }).0, off);
}

#[test]
fn a_policy_has_limits_of_its_own() {
    let mut hall = hall_with_policy("small", |policy| {
        policy.attribute_keys = Some(1);
        policy.attribute_key_bytes = Some(2);
        policy.attribute_value_bytes = Some(3);
        policy.attribute_total_bytes = Some(Some(4));
    });
    let [alice] = hall.devices(["alice"]);
    hall.ask(&alice, enter_with("small", &[("a", "123")])).entered();
    assert_eq!(hall.write(&alice, set(&[("b", "")])).all_refused(), [("b", 23423, "")]);
    assert_eq!(
        hall.write(&alice, set(&[("abc", "")])).all_refused(),
        [("abc", 33003, "key")]
    );
    assert_eq!(
        hall.write(&alice, set(&[("a", "1234")])).all_refused(),
        [("a", 33003, "value")]
    );
    hall.write(&alice, delete(&["a"])).version();
    assert_eq!(
        hall.write(&alice, set(&[("ab", "123")])).all_refused(),
        [("ab", 33003, "total")]
    );
    hall.write(&alice, set(&[("ab", "12")])).version();
}

#[test]
fn the_rooms_of_an_app_together_hold_so_much_and_no_more() {
    let empty = 256;
    let bytes = 2 * empty + 100;
    let mut hall = Hall::with_rules_and_app(|_| (), |app| app.room_attribute_bytes = bytes);
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let full = "v".repeat(100);
    let elsewhere = RoomKey {
        id: RoomId::parse("elsewhere").unwrap(),
        ..lobby()
    };
    let make_elsewhere = |hall: &mut Hall, attributes: &[(&str, &str)]| {
        let caller = Caller {
            user: bob.user.clone(),
            connection: bob.connection,
            request_id: 7,
        };
        let effects = hall
            .rooms
            .handle(hall.now, &elsewhere, &caller, enter_with("room", attributes));
        match &effects[..] {
            [Effect::Unchanged { frame, .. }] => match open(frame).body {
                Some(Body::Reply(reply)) => Some((reply.code, reply.detail)),
                other => panic!("{other:?}"),
            },
            _ => None,
        }
    };
    let refused = Some((23423, "app".to_owned()));

    hall.ask(&alice, enter_with("room", &[("a", "1")])).entered();
    assert_eq!(hall.rooms.attribute_bytes(), empty + 2);
    // One that fits and one that does not any more.
    let written = hall.write(&alice, set(&[("b", ""), ("c", "")]));
    assert_eq!(refusals(&written.written().1.refused), [("c", 23423, "app")]);
    assert_eq!(make_elsewhere(&mut hall, &[("a", "")]), refused);
    assert_eq!(hall.rooms.len(), 1, "and the place is given back");
    let value = set(&[("a", &full)]);
    assert_eq!(hall.write(&alice, value.clone()).all_refused(), [("a", 23423, "app")]);
    let order = Order::WriteAttributes {
        by: None,
        write: forced(value),
    };
    let refusal = Refusal::with_detail(ErrorCode::ATTRIBUTES_FULL, "app");
    let answer = Answer::AttributesWritten {
        version: 0,
        refused: vec![("a".into(), refusal)],
    };
    assert_eq!(hall.order(order).0, Ok(answer), "not by the app's server either");
    hall.write(&alice, set(&[("a", &full[..98])])).version();
    // What shrinks or goes makes room.
    hall.write(&alice, set(&[("a", "")])).version();
    hall.write(&alice, delete(&["b"])).version();
    assert_eq!(make_elsewhere(&mut hall, &[("a", "")]), None);
    assert_eq!(
        hall.write(&alice, set(&[("b", &full)])).all_refused(),
        [("b", 23423, "app")]
    );
    hall.rooms.destroy(&elsewhere, RoomDestroyedReason::Server);
    hall.write(&alice, set(&[("b", &full[..98])])).version();
    hall.leave(&alice);
    assert_eq!(hall.rooms.attribute_bytes(), 0);
}

#[test]
fn first_attributes_belong_to_whoever_makes_the_room_and_are_for_that_alone() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    let made = hall.ask(&alice, enter_with("room", &[("b", "2"), ("a", "1")]));
    assert_eq!((made.entered().created, made.entered().attributes_version), (true, 1));
    assert!(made.published.is_empty());
    let joined = hall.ask(&bob, enter_with("room", &[("c", "3"), ("no good", "")]));
    assert_eq!(
        (joined.entered().created, joined.entered().attributes_version),
        (false, 1)
    );
    let all = [attribute("a", "1", "alice", 1), attribute("b", "2", "alice", 1)];
    assert_eq!(hall.attributes(&bob, &[]).attributes, all);
    hall.leave(&alice);
    assert_eq!(hall.attributes(&bob, &[]).attributes, all, "they do not go with her");
}

#[test]
fn first_attributes_that_break_a_rule_make_no_room() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    let (long, full) = ("v".repeat(1025), "v".repeat(1023));
    let keys: Vec<String> = (0..21).map(|key| key.to_string()).collect();
    let too_many: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "")).collect();
    let too_much: Vec<(&str, &str)> = keys[..6].iter().map(|key| (&**key, &*full)).collect();
    for (attributes, refused) in [
        (&[("good", "1"), ("no good", "1")][..], (33003, "key", 0)),
        (&[("a", &long)], (33003, "value", 0)),
        (&too_much, (33003, "total", 0)),
        (&too_many, (23423, "", 0)),
    ] {
        assert_eq!(hall.ask(&alice, enter_with("room", attributes)).refused(), refused);
        assert_eq!(hall.rooms.len(), 0);
    }
}
