//! Attributes: who may write what, what everybody is told, and what goes with whom.

mod against_a_model;

use sluice_protocol::{
    AttributeRefusal, ErrorCode, RoomAttribute, RoomAttributes, RoomAttributesChanged, RoomAttributesWritten,
};

use super::*;
use crate::config::AppPolicySettings;
use crate::refusal::Refusal;
use crate::store::{AttributeRecord, Entry, KeptRoom, RoomList, RoomRecord};

/// How a set is meant, with nothing special about it.
fn set(entries: &[(&str, &str)]) -> Write {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Write::Set {
        entries: entries.iter().map(owned).collect(),
        force: false,
        take_over: false,
        delete_on_leave: false,
        if_version: None,
    }
}

fn delete(keys: &[&str]) -> Write {
    Write::Delete {
        keys: keys.iter().map(ToString::to_string).collect(),
        force: false,
        if_version: None,
    }
}

fn forced(mut write: Write) -> Write {
    match &mut write {
        Write::Set { force, .. } | Write::Delete { force, .. } => *force = true,
    }
    write
}

fn taking_over(mut write: Write) -> Write {
    if let Write::Set { take_over, .. } = &mut write {
        *take_over = true;
    }
    write
}

fn going_with_owner(mut write: Write) -> Write {
    if let Write::Set { delete_on_leave, .. } = &mut write {
        *delete_on_leave = true;
    }
    write
}

fn at_version(mut write: Write, version: u64) -> Write {
    match &mut write {
        Write::Set { if_version, .. } | Write::Delete { if_version, .. } => *if_version = Some(version),
    }
    write
}

fn attribute(key: &str, value: &str, owner: &str, version: u64) -> RoomAttribute {
    RoomAttribute {
        key: key.to_owned(),
        value: value.to_owned(),
        owner_id: owner.to_owned(),
        version,
    }
}

/// Key, code and detail.
type Refused<'a> = (&'a str, i32, &'a str);

fn refusals(refused: &[AttributeRefusal]) -> Vec<Refused<'_>> {
    refused
        .iter()
        .map(|refusal| (&*refusal.key, refusal.code, &*refusal.detail))
        .collect()
}

impl Hall {
    fn write(&mut self, device: &Device, write: Write) -> Outcome {
        self.ask(device, Request::WriteAttributes(write))
    }

    fn attributes(&mut self, device: &Device, keys: &[&str]) -> RoomAttributes {
        let keys = keys.iter().map(ToString::to_string).collect();
        let outcome = self.ask(device, Request::Query(Query::Attributes(keys)));
        assert!(outcome.published.is_empty());
        match outcome.reply() {
            Reply {
                code: 0,
                result: Some(reply::Result::RoomAttributes(attributes)),
                ..
            } => attributes.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn order(&mut self, order: Order) -> (Result<Answer, Refusal>, Outcome) {
        let Ordered { answer, effects } = self.rooms.order(self.now, &lobby(), order);
        let mut outcome = Outcome::default();
        for effect in effects {
            match effect {
                Effect::Publish { frame, .. } => outcome.published.push(open(&frame)),
                Effect::Keep(change) => outcome.kept.push(change),
                other => panic!("{other:?}"),
            }
        }
        (answer, outcome)
    }

    /// What the app's server reads.
    fn records(&mut self) -> Vec<(String, AttributeRecord)> {
        match self.order(Order::Attributes(Vec::new())).0 {
            Ok(Answer::Attributes(records)) => records,
            other => panic!("{other:?}"),
        }
    }
}

impl Outcome {
    /// The code of the reply and what it says of the keys.
    fn written(&self) -> (i32, &RoomAttributesWritten) {
        match self.reply() {
            Reply {
                code,
                result: Some(reply::Result::RoomAttributesWritten(written)),
                ..
            } => {
                assert_eq!(written.room_id, "lobby");
                (*code, written)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Everything was written, as this version.
    fn version(&self) -> u64 {
        let (code, written) = self.written();
        assert_eq!((code, refusals(&written.refused)), (0, Vec::new()));
        written.version
    }

    /// Nothing was written, and why.
    fn all_refused(&self) -> Vec<Refused<'_>> {
        let (code, written) = self.written();
        assert_eq!((code, written.version), (23428, 0));
        assert!(self.published.is_empty(), "nobody is told of nothing");
        refusals(&written.refused)
    }

    fn changed(&self) -> &RoomAttributesChanged {
        change_in(&self.published)
    }
}

/// The one event there is.
fn change_in(published: &[Frame]) -> &RoomAttributesChanged {
    match published {
        [
            Frame {
                request_id: 0,
                body: Some(Body::RoomAttributesChanged(changed)),
            },
        ] => changed,
        other => panic!("{other:?}"),
    }
}

fn user_info(user: &str) -> Option<sluice_protocol::UserInfo> {
    Some(sluice_protocol::UserInfo {
        user_id: user.to_owned(),
        user_name: user.to_uppercase(),
    })
}

/// A room of the preset `room` with these inside.
fn room_with<const N: usize>(users: [&str; N]) -> (Hall, [Device; N]) {
    let mut hall = Hall::new();
    let devices = hall.devices(users);
    for device in &devices {
        hall.enter(device);
    }
    (hall, devices)
}

#[test]
fn a_command_is_one_event_of_one_version_that_comes_before_its_reply() {
    let (mut hall, [alice, bob]) = room_with(["alice", "bob"]);
    let write = set(&[("topic", "tea"), ("seat-1", ""), ("a_b=c+d", "ж")]);
    let effects = hall.request(&alice, 7, Request::WriteAttributes(write.clone()));
    assert!(
        matches!(
            effects[..],
            [
                Effect::Publish {
                    sequence: 0,
                    class: Class::Control,
                    ..
                },
                Effect::Reply { .. }
            ]
        ),
        "{effects:?}"
    );
    hall.wait(Duration::from_secs(1));
    let again = hall.write(&alice, write);
    assert_eq!(again.version(), 2, "a write is a change, whatever it says");
    assert_eq!(
        again.changed(),
        &RoomAttributesChanged {
            room_id: "lobby".into(),
            version: 2,
            set: vec![
                attribute("topic", "tea", "alice", 2),
                attribute("seat-1", "", "alice", 2),
                attribute("a_b=c+d", "ж", "alice", 2),
            ],
            deleted: Vec::new(),
            by: user_info("alice"),
        }
    );
    let deleted = hall.write(&alice, delete(&["topic", "seat-1"]));
    assert_eq!(deleted.version(), 3);
    assert_eq!(
        deleted.changed(),
        &RoomAttributesChanged {
            room_id: "lobby".into(),
            version: 3,
            set: Vec::new(),
            deleted: vec!["topic".into(), "seat-1".into()],
            by: user_info("alice"),
        }
    );
    assert_eq!(
        hall.attributes(&bob, &[]),
        RoomAttributes {
            room_id: "lobby".into(),
            attributes: vec![attribute("a_b=c+d", "ж", "alice", 2)],
            version: 3,
        }
    );
}

#[test]
fn whoever_enters_is_told_the_version() {
    let (mut hall, [alice]) = room_with(["alice"]);
    let [bob, carol] = hall.devices(["bob", "carol"]);
    assert_eq!(hall.enter(&bob).entered().attributes_version, 0);
    hall.write(&alice, set(&[("a", "1")]));
    hall.write(&alice, delete(&["a"]));
    assert_eq!(hall.enter(&carol).entered().attributes_version, 2);
}

#[test]
fn a_query_tells_what_exists_by_key() {
    let (mut hall, [alice]) = room_with(["alice"]);
    let nothing = RoomAttributes {
        room_id: "lobby".into(),
        ..RoomAttributes::default()
    };
    assert_eq!(hall.attributes(&alice, &[]), nothing);
    assert_eq!(hall.attributes(&alice, &["a"]), nothing);
    hall.write(&alice, set(&[("b", "2"), ("c", "3"), ("a", "1")]));
    let keys = |attributes: RoomAttributes| attributes.attributes.into_iter().map(|a| a.key).collect::<Vec<_>>();
    assert_eq!(keys(hall.attributes(&alice, &[])), ["a", "b", "c"]);
    assert_eq!(keys(hall.attributes(&alice, &["c", "missing", "a", "c"])), ["a", "c"]);
    assert_eq!(hall.attributes(&alice, &["missing"]).version, 1);
}

#[test]
fn outsiders_neither_read_nor_write() {
    let (mut hall, [_alice]) = room_with(["alice"]);
    let [bob] = hall.devices(["bob"]);
    let query = || Request::Query(Query::Attributes(Vec::new()));
    let write = || Request::WriteAttributes(set(&[("a", "1")]));
    assert_eq!(hall.ask(&bob, query()).refused().0, 23406);
    assert_eq!(hall.ask(&bob, write()).refused().0, 23406);
    let mut empty = Hall::new();
    assert_eq!(empty.ask(&bob, query()).refused().0, 23410);
    assert_eq!(empty.ask(&bob, write()).refused().0, 23410);
}

#[test]
fn what_belongs_to_somebody_else_is_written_only_by_force() {
    let (mut hall, [alice, bob]) = room_with(["alice", "bob"]);
    hall.write(&alice, set(&[("a", "1")]));
    let not_yours = [("a", 23424, "")];
    assert_eq!(hall.write(&bob, set(&[("a", "2")])).all_refused(), not_yours);
    assert_eq!(
        hall.write(&bob, taking_over(set(&[("a", "2")]))).all_refused(),
        not_yours,
        "taking over is not force"
    );
    assert_eq!(hall.write(&bob, delete(&["a"])).all_refused(), not_yours);
    let written = hall.write(&bob, forced(set(&[("a", "2")])));
    assert_eq!(written.changed().set, [attribute("a", "2", "alice", 2)], "still hers");
    assert_eq!(written.changed().by, user_info("bob"));
    let written = hall.write(&bob, taking_over(forced(set(&[("a", "3")]))));
    assert_eq!(written.changed().set, [attribute("a", "3", "bob", 3)]);
    assert_eq!(hall.write(&alice, set(&[("a", "4")])).all_refused(), not_yours);
    assert_eq!(hall.write(&alice, forced(delete(&["a"]))).version(), 4);
    assert_eq!(hall.write(&alice, delete(&["a"])).all_refused(), [("a", 23427, "")]);
    let anew = hall.write(&alice, set(&[("a", "5")]));
    assert_eq!(
        anew.changed().set,
        [attribute("a", "5", "alice", 5)],
        "whoever sets a new one has it"
    );
}

#[test]
fn each_key_is_judged_for_itself_and_the_rest_is_done() {
    let (mut hall, [alice, bob]) = room_with(["alice", "bob"]);
    hall.write(&alice, set(&[("hers", "1")]));
    let long = "v".repeat(1025);
    let written = hall.write(
        &bob,
        set(&[("hers", "2"), ("his", "2"), ("no good", "2"), ("long", &long)]),
    );
    let (code, result) = written.written();
    assert_eq!((code, result.version), (0, 2));
    assert_eq!(
        refusals(&result.refused),
        [("hers", 23424, ""), ("no good", 33003, "key"), ("long", 33003, "value")]
    );
    assert_eq!(written.changed().set, [attribute("his", "2", "bob", 2)]);
    let deleted = hall.write(&bob, delete(&["hers", "missing", "his"]));
    let (code, result) = deleted.written();
    assert_eq!((code, result.version), (0, 3));
    assert_eq!(refusals(&result.refused), [("hers", 23424, ""), ("missing", 23427, "")]);
    assert_eq!(deleted.changed().deleted, ["his"]);
}

#[test]
fn a_version_that_is_asked_for_must_be_the_one_of_the_key() {
    let (mut hall, [alice, bob]) = room_with(["alice", "bob"]);
    hall.write(&alice, set(&[("a", "1")]));
    hall.write(&alice, set(&[("b", "1")]));
    let conflict = [("a", 23431, "")];
    for version in [2, 3, u64::MAX] {
        assert_eq!(
            hall.write(&alice, at_version(set(&[("a", "2")]), version))
                .all_refused(),
            conflict
        );
        assert_eq!(
            hall.write(&alice, at_version(delete(&["a"]), version)).all_refused(),
            conflict
        );
        assert_eq!(
            hall.write(&bob, at_version(forced(set(&[("a", "2")])), version))
                .all_refused(),
            conflict,
            "force is about owners alone"
        );
    }
    assert_eq!(
        hall.write(&bob, at_version(set(&[("a", "2")]), 9)).all_refused(),
        [("a", 23424, "")],
        "another version would not help"
    );
    let new = at_version(set(&[("new", "1")]), 1);
    assert_eq!(
        hall.write(&alice, new).all_refused(),
        [("new", 23431, "")],
        "it has no version"
    );
    assert_eq!(
        hall.write(&alice, at_version(delete(&["new"]), 1)).all_refused(),
        [("new", 23427, "")]
    );
    assert_eq!(hall.write(&alice, at_version(set(&[("a", "2")]), 1)).version(), 3);
    assert_eq!(hall.write(&alice, at_version(delete(&["a"]), 3)).version(), 4);
}

#[test]
fn keys_are_letters_digits_and_four_signs() {
    let (mut hall, [alice]) = room_with(["alice"]);
    for key in ["a", "Z", "0", "+", "=", "-", "_", "sixteen-bytes-ok"] {
        hall.write(&alice, set(&[(key, "1")])).version();
    }
    for key in ["", "a b", "a.b", "a/b", "ж", "a\0", "seventeen-bytes--"] {
        assert_eq!(
            hall.write(&alice, set(&[(key, "1")])).all_refused(),
            [(key, 33003, "key")]
        );
    }
}

#[test]
fn values_are_any_text_without_a_nul_up_to_a_limit_in_bytes() {
    let (mut hall, [alice]) = room_with(["alice"]);
    for value in ["", "\n\t\u{202e}", &"ж".repeat(512)] {
        hall.write(&alice, set(&[("a", value)])).version();
    }
    for value in ["a\0b", &"ж".repeat(513)] {
        assert_eq!(
            hall.write(&alice, set(&[("a", value)])).all_refused(),
            [("a", 33003, "value")]
        );
    }
}

#[test]
fn a_room_has_so_many_keys_and_what_exists_can_still_be_set() {
    let (mut hall, [alice]) = room_with(["alice"]);
    for key in 0..20 {
        hall.write(&alice, set(&[(&key.to_string(), "")])).version();
    }
    let full = [("one-more", 23423, "")];
    assert_eq!(hall.write(&alice, set(&[("one-more", "")])).all_refused(), full);
    hall.write(&alice, set(&[("19", "changed")])).version();
    hall.write(&alice, delete(&["0"])).version();
    hall.write(&alice, set(&[("one-more", "")])).version();
}

#[test]
fn keys_and_values_of_a_room_have_a_limit_together() {
    let (mut hall, [alice]) = room_with(["alice"]);
    let value = "v".repeat(1023);
    for key in ["a", "b", "c", "d"] {
        hall.write(&alice, set(&[(key, &value)])).version();
    }
    // 4096 of 5120 bytes are taken, key and value counted.
    let total = |key| [(key, 33003, "total")];
    assert_eq!(hall.write(&alice, set(&[("e2", &value)])).all_refused(), total("e2"));
    hall.write(&alice, set(&[("e", &value)])).version();
    assert_eq!(hall.write(&alice, set(&[("f", "")])).all_refused(), total("f"));
    let longer = "v".repeat(1024);
    assert_eq!(hall.write(&alice, set(&[("a", &longer)])).all_refused(), total("a"));
    hall.write(&alice, set(&[("a", &value)])).version();
    hall.write(&alice, set(&[("a", &value[1..]), ("b", &longer)])).version();
}

#[test]
fn a_live_room_has_room_for_more() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    let (key, value) = ("k".repeat(125), "v".repeat(4096));
    for number in 0..100 {
        hall.write(&alice, set(&[(&format!("{key}{number:03}"), &value)]))
            .version();
        hall.wait(Duration::from_secs(1));
    }
    assert_eq!(hall.write(&alice, set(&[("a", "")])).all_refused(), [("a", 23423, "")]);
    let everything = hall.request(&alice, 7, Request::Query(Query::Attributes(Vec::new())));
    let [Effect::Reply { frame: Some(frame), .. }] = &everything[..] else {
        panic!("{everything:?}")
    };
    assert!(frame.len() < sluice_protocol::limits::SERVER_FRAME_BYTES / 2);
}

#[test]
fn what_goes_with_its_owner_goes_when_the_last_device_does() {
    let (mut hall, [host, phone]) = room_with(["host", "alice"]);
    let laptop = hall.device("alice", 1);
    hall.enter(&laptop);
    hall.write(&phone, going_with_owner(set(&[("b", "1"), ("a", "1")])));
    hall.write(&phone, set(&[("stays", "1")]));
    hall.write(&host, going_with_owner(set(&[("of-host", "1")])));
    hall.write(&host, forced(set(&[("b", "2")])));
    hall.write(&phone, going_with_owner(set(&[("b", "3")])));
    let first = hall.leave(&phone);
    assert!(first.published.is_empty(), "she is still inside");
    let effects = hall.request(&laptop, 0, Request::Leave(LeaveReason::Offline));
    let events: Vec<Frame> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Publish { frame, .. } => Some(open(frame)),
            _ => None,
        })
        .collect();
    assert!(matches!(events[0].body, Some(Body::RoomMemberLeft(_))), "{events:?}");
    let changed = change_in(&events[1..]);
    assert_eq!((changed.version, &changed.set[..]), (6, &[][..]));
    assert_eq!(changed.deleted, ["a", "b"]);
    assert_eq!(changed.by, user_info("alice"));
    let left: Vec<String> = hall
        .attributes(&host, &[])
        .attributes
        .into_iter()
        .map(|a| a.key)
        .collect();
    assert_eq!(left, ["of-host", "stays"]);
}

#[test]
fn whether_an_attribute_goes_is_for_its_last_write_to_say() {
    let (mut hall, [host, alice]) = room_with(["host", "alice"]);
    hall.write(&alice, going_with_owner(set(&[("a", "1"), ("b", "1"), ("c", "1")])));
    hall.write(&alice, set(&[("a", "2")]));
    hall.write(&host, taking_over(forced(going_with_owner(set(&[("b", "2")])))));
    hall.write(&host, forced(going_with_owner(set(&[("c", "2")]))));
    let left = hall.leave(&alice);
    assert_eq!(
        change_in(&left.published[1..]).deleted,
        ["c"],
        "hers is what she has not given away"
    );
}

#[test]
fn whoever_leaves_nothing_behind_changes_nothing() {
    let (mut hall, [host, alice]) = room_with(["host", "alice"]);
    hall.write(&alice, set(&[("a", "1")]));
    assert_eq!(hall.leave(&alice).published.len(), 1);
    assert_eq!(hall.attributes(&host, &[]).version, 1);
}

#[test]
fn a_place_that_is_kept_for_a_lost_connection_keeps_its_attributes() {
    let (mut hall, [host, alice]) = room_with(["host", "alice"]);
    hall.write(&alice, going_with_owner(set(&[("a", "1")])));
    assert!(hall.ask(&alice, Request::Detach(KeptFor::Session)).published.is_empty());
    assert_eq!(hall.attributes(&host, &[]).attributes.len(), 1);
}

#[test]
fn what_is_kept_for_another_device_keeps_no_attributes_of_a_user_who_has_left() {
    let (mut hall, [host, old]) = room_with(["host", "alice"]);
    hall.write(&old, going_with_owner(set(&[("a", "1")])));
    hall.ask(&old, Request::Detach(KeptFor::User));
    let [new] = hall.devices(["alice"]);
    hall.join(&new);
    assert_eq!(hall.attributes(&host, &[]).attributes.len(), 1);
    hall.leave(&new);
    assert!(hall.attributes(&host, &[]).attributes.is_empty());
}

#[test]
fn members_together_write_a_hundred_times_a_second() {
    let (mut hall, [alice, bob]) = room_with(["alice", "bob"]);
    for number in 0..100 {
        let device = if number % 2 == 0 { &alice } else { &bob };
        hall.write(device, forced(set(&[("a", "1")]))).version();
    }
    hall.wait(Duration::from_millis(300));
    let refused = hall.write(&alice, set(&[("a", "1")]));
    assert_eq!(refused.refused(), (20607, "rate", 700));
    let order = Order::WriteAttributes {
        by: None,
        write: forced(set(&[("a", "1")])),
    };
    assert!(hall.order(order).0.is_ok(), "the app's server has a rate of its own");
    hall.wait(Duration::from_millis(700));
    hall.write(&alice, set(&[("a", "1")])).version();
}

#[test]
fn long_attributes_and_many_in_one_command_count_for_what_they_are() {
    const KIB: usize = 1024;
    let mut hall = Hall::new();
    let [host] = hall.devices(["host"]);
    hall.enter_live(&host, 0);
    let crowd: Vec<Device> = (0..10).map(|user| hall.device(&format!("user{user}"), 0)).collect();
    for device in &crowd {
        hall.enter_live(device, 0);
    }
    let value = "v".repeat(4096);
    let keys: Vec<String> = (0..10).map(|key| format!("{key:0128}")).collect();
    let largest: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, &*value)).collect();
    let mut told = 0;
    let start = hall.now;
    for ms in (0..2000).step_by(20) {
        hall.now = start + Duration::from_millis(ms);
        for device in &crowd {
            for effect in hall.request(device, 7, Request::WriteAttributes(forced(set(&largest)))) {
                if let Effect::Publish { frame, .. } = effect {
                    told += frame.len();
                }
            }
        }
    }
    assert!(
        (80 * KIB..=100 * KIB).contains(&told),
        "in two seconds {told} bytes to each member"
    );
    hall.wait(Duration::from_secs(1));
    for _ in 0..10 {
        let ten: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "")).collect();
        hall.write(&host, forced(set(&ten))).version();
    }
    assert_eq!(hall.write(&host, set(&[("a", "1")])).refused(), (20607, "rate", 1000));
    hall.wait(Duration::from_secs(1));
    let too_long = "v".repeat(60 * KIB);
    assert_eq!(
        hall.write(&host, set(&[("a", &too_long)])).all_refused(),
        [("a", 33003, "value")],
        "what never fits is told why"
    );
}

#[test]
fn members_hear_what_was_shed_before_they_hear_of_a_change() {
    let mut hall = Hall::with_rules(|rooms| {
        rooms.live_messages_per_second = config::Rate::Unlimited;
        rooms.live_budget = config::Budget::Messages(1);
        rooms.live_budget_for_high = 0;
    });
    let [alice] = hall.devices(["alice"]);
    hall.enter_live(&alice, 0);
    hall.send(&alice, text("given"));
    assert_eq!(hall.send(&alice, text("shed")).shed.len(), 1);
    let written = hall.write(&alice, set(&[("a", "1")]));
    assert!(matches!(written.published[0].body, Some(Body::RoomGap(_))));
    assert_eq!(change_in(&written.published[1..]).version, 1);
}

#[test]
fn the_server_writes_for_nobody_or_for_whom_it_names() {
    let (mut hall, [alice]) = room_with(["alice"]);
    let carol = hall.device("carol", 0);
    let nobody = |write| Order::WriteAttributes { by: None, write };
    let for_carol = |write| Order::WriteAttributes {
        by: Some(carol.user.clone()),
        write,
    };
    let written = |version, refused: &[(&str, Refusal)]| {
        let owned = |(key, refusal): &(&str, Refusal)| ((*key).to_owned(), refusal.clone());
        Ok(Answer::AttributesWritten {
            version,
            refused: refused.iter().map(owned).collect(),
        })
    };
    let (answer, told) = hall.order(nobody(set(&[("a", "1")])));
    assert_eq!(answer, written(1, &[]));
    let changed = told.changed();
    assert_eq!(
        (&changed.by, &changed.set[..]),
        (&None, &[attribute("a", "1", "", 1)][..])
    );
    let (answer, told) = hall.order(for_carol(going_with_owner(set(&[("b", "1")]))));
    assert_eq!(answer, written(2, &[]), "whom it names need not be inside");
    let changed = told.changed();
    assert_eq!(
        (&changed.by, &changed.set[0].owner_id[..]),
        (&user_info("carol"), "carol")
    );

    let not_yours = Refusal::new(ErrorCode::ATTRIBUTE_NOT_YOURS);
    let (answer, told) = hall.order(nobody(set(&[("b", "2")])));
    assert_eq!(
        answer,
        written(0, &[("b", not_yours.clone())]),
        "not even the server without force"
    );
    assert!(told.published.is_empty() && told.kept.is_empty());
    assert_eq!(hall.write(&alice, set(&[("a", "2")])).all_refused(), [("a", 23424, "")]);
    assert_eq!(
        hall.order(nobody(delete(&["a", "b"]))).0,
        written(3, &[("b", not_yours)])
    );
    assert_eq!(hall.order(nobody(forced(delete(&["b"])))).0, written(4, &[]));
}

#[test]
fn the_server_reads_with_owners_and_times() {
    let (mut hall, [alice]) = room_with(["alice"]);
    hall.write(&alice, going_with_owner(set(&[("b", "2")])));
    hall.wait(Duration::from_secs(3));
    hall.write(&alice, set(&[("a", "1")]));
    let of = |value: &str, version, goes_with_owner, set_at_ms| AttributeRecord {
        value: value.to_owned(),
        owner: "alice".to_owned(),
        version,
        goes_with_owner,
        set_at_ms,
    };
    let a = ("a".to_owned(), of("1", 2, false, 1_800_000_003_000));
    let b = ("b".to_owned(), of("2", 1, true, 1_800_000_000_000));
    let read = |hall: &mut Hall, keys: &[&str]| {
        let keys = keys.iter().map(ToString::to_string).collect();
        hall.order(Order::Attributes(keys)).0
    };
    assert_eq!(read(&mut hall, &[]), Ok(Answer::Attributes(vec![a, b.clone()])));
    assert_eq!(read(&mut hall, &["b", "missing"]), Ok(Answer::Attributes(vec![b])));
}

#[test]
fn the_server_is_told_of_rooms_that_do_not_exist() {
    let mut hall = Hall::new();
    let missing = Err(Refusal::new(ErrorCode::CHATROOM_NOT_EXIST));
    let write = Order::WriteAttributes {
        by: None,
        write: set(&[("a", "1")]),
    };
    assert_eq!(hall.order(write).0, missing);
    assert_eq!(hall.order(Order::Attributes(Vec::new())).0, missing);
}

/// A policy of the app by this name, like the preset `room` but for what is changed.
fn hall_with_policy(name: &str, change: impl FnOnce(&mut AppPolicySettings)) -> Hall {
    let mut policy = AppPolicySettings::new(name, RoomPreset::Room);
    change(&mut policy);
    Hall::with_rules_and_app(|_| (), |app| app.policies.push(policy))
}

fn enter_with(policy: &str, attributes: &[(&str, &str)]) -> Request {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let new = NewRoom {
        policy: policy.to_owned(),
        attributes: attributes.iter().map(owned).collect(),
        ..new_room("", RoomPreset::Room)
    };
    enter(Create::IfMissing(new), 0)
}

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
