//! Attributes of rooms that are kept.

use super::*;

#[test]
fn a_room_that_is_kept_has_its_attributes_kept_with_the_version() {
    let mut hall = Hall::new();
    let [host, alice] = hall.devices(["host", "alice"]);
    hall.enter_live(&host, 0);
    hall.enter_live(&alice, 0);
    let put = |key: &str, value: &str, version, goes_with_owner| Change::PutAttribute {
        app: "app".into(),
        room: "lobby".into(),
        key: key.into(),
        attribute: AttributeRecord {
            value: value.into(),
            owner: "alice".into(),
            version,
            goes_with_owner,
            set_at_ms: 1_800_000_000_000,
        },
    };
    let removed = |key: &str| Change::RemoveAttribute {
        app: "app".into(),
        room: "lobby".into(),
        key: key.into(),
    };
    let version = |kept: &Change| match kept {
        Change::PutRoom { record, .. } => record.attributes_version,
        other => panic!("{other:?}"),
    };
    let written = hall.write(&alice, set(&[("a", "1"), ("b", "2")])).kept;
    assert_eq!(written[..2], [put("a", "1", 1, false), put("b", "2", 1, false)]);
    assert_eq!((version(&written[2]), written.len()), (1, 3));
    let refused = hall.write(&host, set(&[("a", "2")]));
    assert_eq!((refused.all_refused().len(), refused.kept.len()), (1, 0));
    let written = hall.write(&alice, going_with_owner(set(&[("b", "3")]))).kept;
    assert_eq!((&written[0], version(&written[1])), (&put("b", "3", 2, true), 2));
    let deleted = hall.write(&alice, delete(&["a"])).kept;
    assert_eq!((&deleted[0], version(&deleted[1])), (&removed("a"), 3));
    let left = hall.leave(&alice).kept;
    assert_eq!((&left[0], version(&left[1]), left.len()), (&removed("b"), 4, 2));
}

#[test]
fn what_members_make_and_leave_is_not_kept() {
    let (mut hall, [alice]) = room_with(["alice"]);
    assert!(hall.write(&alice, set(&[("a", "1")])).kept.is_empty());
    assert!(hall.write(&alice, delete(&["a"])).kept.is_empty());
    hall.write(&alice, going_with_owner(set(&[("a", "1")])));
    assert!(hall.leave(&alice).kept.is_empty());
}

#[test]
fn first_attributes_of_a_room_that_is_kept_are_kept_behind_it() {
    let mut hall = hall_with_policy("lasting", |policy| policy.ends = Some(config::EndsKind::Never));
    let [alice] = hall.devices(["alice"]);
    let made = hall.ask(&alice, enter_with("lasting", &[("a", "1")]));
    assert!(made.entered().created);
    match &made.kept[..] {
        [
            Change::PutRoom { record, .. },
            Change::PutAttribute { key, attribute, .. },
        ] => {
            assert_eq!((record.attributes_version, &**key, &*attribute.value), (1, "a", "1"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_a_start_what_goes_with_an_owner_who_is_not_inside_has_gone() {
    let of = |owner: &str, goes_with_owner| AttributeRecord {
        value: "1".into(),
        owner: owner.into(),
        version: 3,
        goes_with_owner,
        set_at_ms: 5,
    };
    let attributes: Vec<(String, AttributeRecord)> = vec![
        ("alices".into(), of("alice", true)),
        ("alices-for-ever".into(), of("alice", false)),
        ("bobs".into(), of("bob", true)),
        ("nobodys".into(), of("", true)),
    ];
    let record = RoomRecord {
        policy: "live".into(),
        by_server: true,
        attributes_version: 7,
        ..RoomRecord::default()
    };
    let kept = KeptRoom {
        app: "app".into(),
        room: "lobby".into(),
        record: Some(record),
        users: vec![(RoomList::ServerMember, "bob".into(), Entry::default())],
        attributes: attributes.clone(),
        ..KeptRoom::default()
    };
    let mut hall = Hall::new();
    let outdated = hall.rooms.restore(vec![(lobby(), kept)], hall.now);
    assert_eq!(hall.records(), attributes[1..]);
    match &outdated[..] {
        [Change::RemoveAttribute { key, .. }, Change::PutRoom { record, .. }] => {
            assert_eq!((&**key, record.attributes_version), ("alices", 8));
        }
        other => panic!("{other:?}"),
    }
    let [alice] = hall.devices(["alice"]);
    assert_eq!(hall.join(&alice).entered().attributes_version, 8);
    hall.write(&alice, forced(set(&[("bobs", "2")]))).version();
}

#[test]
fn attributes_that_were_kept_count_against_the_bound_of_the_app() {
    let record = RoomRecord {
        policy: "live".into(),
        by_server: true,
        attributes_version: 1,
        ..RoomRecord::default()
    };
    let topic = AttributeRecord {
        value: "cats".into(),
        version: 1,
        ..AttributeRecord::default()
    };
    let kept = KeptRoom {
        app: "app".into(),
        room: "lobby".into(),
        record: Some(record),
        attributes: vec![("topic".into(), topic)],
        ..KeptRoom::default()
    };
    let mut hall = Hall::new();
    assert!(hall.rooms.restore(vec![(lobby(), kept)], hall.now).is_empty());
    assert_eq!(hall.rooms.attribute_bytes(), 256 + 9);
}

#[test]
fn a_room_that_waits_for_its_next_member_has_no_attributes() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    let new = NewRoom {
        ends: Some(Ends::WhenEmpty {
            delay: Duration::from_secs(10),
        }),
        ..new_room("", RoomPreset::Room)
    };
    hall.ask(&alice, enter(Create::Always(new), 0)).entered();
    let value = "v".repeat(1023);
    let full = ["a", "b", "c", "d", "e"].map(|key| (key, &*value));
    hall.write(&alice, set(&full)).version();
    hall.leave(&alice);
    hall.wait(Duration::from_secs(9));
    assert_eq!(hall.join(&alice).entered().attributes_version, 2);
    assert!(hall.attributes(&alice, &[]).attributes.is_empty());
    assert_eq!(
        hall.write(&alice, set(&full)).version(),
        3,
        "there is room for as much again"
    );
}
