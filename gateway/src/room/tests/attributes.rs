//! Attributes: who may write what, what everybody is told, and what goes with whom.

mod against_a_model;
mod kept;
mod policies;
mod rates;
mod server;

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
