//! Attributes of rooms over sockets: what members write, see change and find again.

use std::collections::BTreeMap;
use std::time::Instant;

use sluice_gateway::config::{AppPolicySettings, Rate};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    AttributeRefusal, CreateRoom, DeleteRoomAttributes, Ping, QueryRoomAttributes, Reply, RoomAttribute,
    RoomAttributes, RoomAttributesChanged, RoomAttributesWritten, RoomPreset, SetRoomAttributes, limits, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};

use crate::rooms::{enter, enter_room, expect_quiet, join_room, leave_room, refused, user};

on_all_transports!(
    a_batch_is_one_event_to_everybody_and_those_who_follow_them_know_what_a_query_tells,
    what_is_refused_is_answered_key_by_key,
    who_leaves_takes_along_what_goes_with_its_owner,
    a_room_is_made_with_attributes_or_not_at_all,
    who_writes_too_often_is_told_how_long_to_wait,
    a_long_answer_counts_as_several_questions_and_nothing_is_read_beside_it,
);

const ROOM: &str = "lobby";

fn set(entries: &[(&str, &str)]) -> SetRoomAttributes {
    SetRoomAttributes {
        room_id: ROOM.into(),
        keys: entries.iter().map(|(key, _)| (*key).into()).collect(),
        values: entries.iter().map(|(_, value)| (*value).into()).collect(),
        ..SetRoomAttributes::default()
    }
}

fn delete(keys: &[&str]) -> DeleteRoomAttributes {
    DeleteRoomAttributes {
        room_id: ROOM.into(),
        keys: keys.iter().map(|key| (*key).into()).collect(),
        ..DeleteRoomAttributes::default()
    }
}

fn query(keys: &[&str]) -> Body {
    Body::QueryRoomAttributes(QueryRoomAttributes {
        room_id: ROOM.into(),
        keys: keys.iter().map(|key| (*key).into()).collect(),
    })
}

fn attribute(key: &str, value: &str, owner: &str, version: u64) -> RoomAttribute {
    RoomAttribute {
        key: key.into(),
        value: value.into(),
        owner_id: owner.into(),
        version,
    }
}

fn written(reply: &Reply) -> (i32, &RoomAttributesWritten) {
    match &reply.result {
        Some(reply::Result::RoomAttributesWritten(written)) => (reply.code, written),
        _ => panic!("{reply:?}"),
    }
}

/// Everything was written, as this version.
fn version(reply: &Reply) -> u64 {
    let (code, written) = written(reply);
    assert_eq!((code, &*written.refused), (0, &[][..]));
    written.version
}

fn told(reply: Reply) -> RoomAttributes {
    match reply.result {
        Some(reply::Result::RoomAttributes(attributes)) if reply.code == 0 => attributes,
        _ => panic!("{reply:?}"),
    }
}

async fn next_change(client: &mut RawClient) -> RoomAttributesChanged {
    match client.event().await {
        Body::RoomAttributesChanged(changed) => changed,
        other => panic!("{other:?}; {client:?}"),
    }
}

/// What somebody knows who reads every event.
#[derive(Debug, Default)]
struct Follower {
    version: u64,
    attributes: BTreeMap<String, RoomAttribute>,
}

impl Follower {
    fn follow(&mut self, changed: RoomAttributesChanged) {
        assert_eq!(changed.version, self.version + 1);
        self.version = changed.version;
        for attribute in changed.set {
            self.attributes.insert(attribute.key.clone(), attribute);
        }
        for key in changed.deleted {
            assert!(self.attributes.remove(&key).is_some());
        }
    }

    fn as_told(&self) -> RoomAttributes {
        RoomAttributes {
            room_id: ROOM.into(),
            attributes: self.attributes.values().cloned().collect(),
            version: self.version,
        }
    }
}

async fn a_batch_is_one_event_to_everybody_and_those_who_follow_them_know_what_a_query_tells(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    // On different workers, wherever the room's home is.
    let mut alice = RawClient::online_at_worker(&gateway, 0, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    let mut carol = RawClient::online_at_worker(&gateway, 1, "carol").await;
    enter(&mut alice, 1, enter_room(ROOM)).await;
    enter(&mut carol, 1, join_room(ROOM)).await;
    enter(&mut bob, 1, join_room(ROOM)).await;
    for client in [&mut alice, &mut carol] {
        while !matches!(client.event().await, Body::RoomMemberJoined(joined) if joined.member_count == 3) {}
    }

    let batch = Body::SetRoomAttributes(set(&[("topic", "tea"), ("mood", "calm"), ("seat-1", "")]));
    assert_eq!(version(&alice.call(2, batch).await), 1);
    let forced = DeleteRoomAttributes {
        force: true,
        ..delete(&["topic", "mood"])
    };
    assert_eq!(version(&carol.call(2, Body::DeleteRoomAttributes(forced)).await), 2);
    let again = set(&[("topic", "coffee"), ("seat-2", "carol")]);
    assert_eq!(version(&carol.call(3, Body::SetRoomAttributes(again)).await), 3);

    let mut follower = Follower::default();
    for (by, set, deleted) in [("alice", 3, 0), ("carol", 0, 2), ("carol", 2, 0)] {
        let changed = next_change(&mut alice).await;
        assert_eq!((changed.set.len(), changed.deleted.len()), (set, deleted));
        assert_eq!((&*changed.room_id, changed.by.as_ref()), (ROOM, Some(&user(by))));
        assert_eq!(next_change(&mut bob).await, changed, "the same to everybody");
        assert_eq!(next_change(&mut carol).await, changed);
        follower.follow(changed);
    }
    let expected = follower.as_told();
    let all = [
        attribute("seat-1", "", "alice", 1),
        attribute("seat-2", "carol", "carol", 3),
        attribute("topic", "coffee", "carol", 3),
    ];
    assert_eq!(expected.attributes, all);
    assert_eq!(told(bob.call(2, query(&[])).await), expected);

    // Who was away asks, and agrees with those who were not.
    drop(bob);
    let taken_over = SetRoomAttributes {
        force: true,
        take_over: true,
        ..set(&[("seat-2", "alice")])
    };
    assert_eq!(version(&alice.call(3, Body::SetRoomAttributes(taken_over)).await), 4);
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    let entered = enter(&mut bob, 1, join_room(ROOM)).await;
    while follower.version < 4 {
        if let Body::RoomAttributesChanged(changed) = alice.event().await {
            follower.follow(changed);
        }
    }
    assert_eq!(entered.attributes_version, 4);
    assert_eq!(told(bob.call(2, query(&[])).await), follower.as_told());
    let named = told(bob.call(3, query(&["topic", "seat-2", "nothing"])).await);
    let seat = attribute("seat-2", "alice", "alice", 4);
    assert_eq!(named.attributes, [seat, attribute("topic", "coffee", "carol", 3)]);
}

async fn what_is_refused_is_answered_key_by_key(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut alice, 1, enter_room(ROOM)).await;
    let outside = bob.call(1, Body::SetRoomAttributes(set(&[("a", "1")]))).await;
    assert_eq!(refused(&outside), (23406, ""));
    assert_eq!(refused(&bob.call(2, query(&[])).await), (23406, ""));
    let nowhere = QueryRoomAttributes {
        room_id: "nowhere".into(),
        keys: Vec::new(),
    };
    let nowhere = bob.call(3, Body::QueryRoomAttributes(nowhere)).await;
    assert_eq!(refused(&nowhere), (23410, ""));
    enter(&mut bob, 4, join_room(ROOM)).await;
    version(&alice.call(2, Body::SetRoomAttributes(set(&[("hers", "1")]))).await);
    next_change(&mut bob).await;

    let refusal = |key: &str, code, detail: &str| AttributeRefusal {
        key: key.into(),
        code,
        detail: detail.into(),
    };
    let partly = bob
        .call(5, Body::SetRoomAttributes(set(&[("hers", "2"), ("his", "2")])))
        .await;
    let result = RoomAttributesWritten {
        room_id: ROOM.into(),
        version: 2,
        refused: vec![refusal("hers", 23424, "")],
    };
    assert_eq!(written(&partly), (0, &result));
    let changed = next_change(&mut bob).await;
    assert_eq!(changed.set, [attribute("his", "2", "bob", 2)]);

    let nothing = bob
        .call(6, Body::SetRoomAttributes(set(&[("hers", "2"), ("a b", "2")])))
        .await;
    let result = RoomAttributesWritten {
        room_id: ROOM.into(),
        version: 0,
        refused: vec![refusal("hers", 23424, ""), refusal("a b", 33003, "key")],
    };
    assert_eq!(written(&nothing), (23428, &result));
    let outdated = DeleteRoomAttributes {
        if_version: 1,
        ..delete(&["his"])
    };
    let outdated = bob.call(7, Body::DeleteRoomAttributes(outdated)).await;
    assert_eq!(written(&outdated).1.refused, [refusal("his", 23431, "")]);
    let missing = bob.call(8, Body::DeleteRoomAttributes(delete(&["none"]))).await;
    assert_eq!(written(&missing).1.refused, [refusal("none", 23427, "")]);

    let keys: Vec<String> = (0..11).map(|key| key.to_string()).collect();
    let many: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "1")).collect();
    let many = bob.call(9, Body::SetRoomAttributes(set(&many))).await;
    assert_eq!(refused(&many), (23429, ""));
    let twice = bob
        .call(10, Body::SetRoomAttributes(set(&[("a", "1"), ("a", "2")])))
        .await;
    assert_eq!(refused(&twice), (33003, "keys"));
    let unlike = SetRoomAttributes {
        values: Vec::new(),
        ..set(&[("a", "1")])
    };
    let unlike = bob.call(11, Body::SetRoomAttributes(unlike)).await;
    assert_eq!(refused(&unlike), (33003, "values"));
    expect_quiet(&mut bob, 12).await;
}

async fn who_leaves_takes_along_what_goes_with_its_owner(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut alice, 1, enter_room(ROOM)).await;
    enter(&mut bob, 1, join_room(ROOM)).await;
    let going = SetRoomAttributes {
        delete_on_leave: true,
        ..set(&[("seat-1", "alice")])
    };
    version(&alice.call(2, Body::SetRoomAttributes(going)).await);
    version(&alice.call(3, Body::SetRoomAttributes(set(&[("topic", "tea")]))).await);
    for _ in 0..2 {
        next_change(&mut bob).await;
    }
    assert_eq!(alice.call(4, leave_room(ROOM)).await.code, 0);
    assert!(matches!(bob.event().await, Body::RoomMemberLeft(_)));
    let changed = RoomAttributesChanged {
        room_id: ROOM.into(),
        version: 3,
        set: Vec::new(),
        deleted: vec!["seat-1".into()],
        by: Some(user("alice")),
    };
    assert_eq!(next_change(&mut bob).await, changed);
    let left = told(bob.call(2, query(&[])).await);
    assert_eq!(left.attributes, [attribute("topic", "tea", "alice", 2)]);
}

async fn a_room_is_made_with_attributes_or_not_at_all(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let create = |keys: &[&str], values: &[&str]| {
        Body::CreateRoom(CreateRoom {
            room_id: ROOM.into(),
            attribute_keys: keys.iter().map(|key| (*key).into()).collect(),
            attribute_values: values.iter().map(|value| (*value).into()).collect(),
            ..CreateRoom::default()
        })
    };
    let long = "v".repeat(1025);
    let keys: Vec<String> = (0..21).map(|key| key.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
    for (request_id, (command, expected)) in (1..).zip([
        (create(&["a"], &[]), (33003, "attribute_values")),
        (create(&["a", "a"], &["1", "2"]), (33003, "attribute_keys")),
        (create(&["no good"], &["1"]), (33003, "key")),
        (create(&["a"], &[&long]), (33003, "value")),
        (create(&keys, &keys), (23423, "")),
        (join_room(ROOM), (23410, "")),
    ]) {
        assert_eq!(
            refused(&alice.call(request_id, command).await),
            expected,
            "{request_id}"
        );
    }
    let made = enter(&mut alice, 10, create(&["topic", "mood"], &["tea", "calm"])).await;
    assert_eq!((made.created, made.attributes_version), (true, 1));
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    assert_eq!(enter(&mut bob, 1, join_room(ROOM)).await.attributes_version, 1);
    let all = [
        attribute("mood", "calm", "alice", 1),
        attribute("topic", "tea", "alice", 1),
    ];
    assert_eq!(told(bob.call(2, query(&[])).await).attributes, all);
}

async fn who_writes_too_often_is_told_how_long_to_wait(transport: Transport) {
    const LIMIT: u32 = 3;
    const WRITES: u32 = 50;
    let gateway = Gateway::start(|config| config.rooms.attribute_writes_per_second = Rate::PerSecond(LIMIT));
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room(ROOM)).await;
    let write = || Body::SetRoomAttributes(set(&[("a", "1")]));
    alice.send_together(100, (0..WRITES).map(|_| write())).await;
    let mut refusals = 0;
    for request_id in 100..100 + WRITES {
        let reply = alice.reply(request_id).await;
        if request_id < 100 + LIMIT {
            version(&reply);
        } else if reply.code != 0 {
            assert_eq!(refused(&reply), (20607, "rate"));
            assert!((1..=1000).contains(&reply.retry_after_ms), "{reply:?}");
            refusals += 1;
        }
    }
    assert!(refusals > 0, "{WRITES} writes take no {} seconds", WRITES / LIMIT);
    wait_until("she may write again", async || alice.call(2, write()).await.code == 0).await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut bob, 1, join_room(ROOM)).await;
    let own = SetRoomAttributes {
        force: true,
        ..set(&[("a", "2")])
    };
    version(&bob.call(2, Body::SetRoomAttributes(own)).await);
    // Ten keys count as ten: what is beyond the second is owed.
    let mut carol = RawClient::online(&gateway, transport, "carol").await;
    enter(&mut carol, 1, join_room(ROOM)).await;
    let keys: Vec<String> = (0..10).map(|key| format!("carol-{key}")).collect();
    let ten: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "")).collect();
    let many = Body::SetRoomAttributes(set(&ten));
    let reply = carol.call(2, many).await;
    version(&reply);
    let reply = carol.call(3, write()).await;
    assert_eq!(refused(&reply), (20607, "rate"));
    assert!((1001..=10_000 / LIMIT).contains(&reply.retry_after_ms), "{reply:?}");
}

async fn a_long_answer_counts_as_several_questions_and_nothing_is_read_beside_it(transport: Transport) {
    const LIMIT: u32 = 4;
    const QUESTIONS: u32 = 60;
    let gateway = Gateway::start(|config| {
        config.rooms.queries_per_second = Rate::PerSecond(LIMIT);
        config.apps[0].policies = vec![AppPolicySettings {
            attribute_keys: Some(100),
            attribute_value_bytes: Some(4096),
            attribute_total_bytes: Some(None),
            ..AppPolicySettings::new("large", RoomPreset::Room)
        }];
    });
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    // The seconds of a session begin with the first thing it does.
    let start = Instant::now();
    let value = "v".repeat(4096);
    let create = CreateRoom {
        room_id: ROOM.into(),
        policy: "large".into(),
        attribute_keys: (0..15).map(|key| format!("first-{key}")).collect(),
        attribute_values: vec![value.clone(); 15],
        ..CreateRoom::default()
    };
    enter(&mut alice, 1, Body::CreateRoom(create)).await;
    let more: Vec<String> = (0..10).map(|key| format!("more-{key}")).collect();
    let more: Vec<(&str, &str)> = more.iter().map(|key| (&**key, &*value)).collect();
    version(&alice.call(2, Body::SetRoomAttributes(set(&more))).await);
    next_change(&mut alice).await;

    let commands = (0..QUESTIONS).flat_map(|_| [query(&[]), Body::Ping(Ping {})]);
    alice.send_together(100, commands).await;
    let mut answers: u64 = 0;
    for request_id in 100..100 + 2 * QUESTIONS {
        // A ping is answered at once, unless it is not even read.
        let frame = alice.next_frame().await;
        assert_eq!(
            frame.request_id, request_id,
            "answers come in the order of the questions"
        );
        let Some(Body::Reply(reply)) = frame.body else {
            panic!("{frame:?}")
        };
        if request_id % 2 == 1 {
            assert_eq!(reply.code, 0);
        } else if reply.code == 0 {
            let bytes: usize = told(reply).attributes.iter().map(|one| one.value.len()).sum();
            assert!((limits::ANSWER_PIECE_BYTES..2 * limits::ANSWER_PIECE_BYTES).contains(&bytes));
            answers += 1;
        } else {
            assert_eq!(refused(&reply), (20607, "rate"));
        }
    }
    let seconds = start.elapsed().as_secs() + 1;
    assert!(
        (2..=seconds * u64::from(LIMIT) / 2).contains(&answers),
        "{answers} answers of two pieces each in {seconds} s"
    );
}
