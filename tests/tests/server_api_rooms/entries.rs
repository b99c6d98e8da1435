//! Attributes of rooms by the app's server.

use serde_json::{Value, json};
use sluice_protocol::frame::Body;
use sluice_protocol::{RoomAttributesChanged, SetRoomAttributes};
use sluice_tests::{ApiCall, Gateway, RawClient};

use super::{ROOM, alice_and_bob, ask, order, refused_with, text_of, unhindered};
use crate::rooms::user;

async fn next_change(client: &mut RawClient) -> RoomAttributesChanged {
    match client.event().await {
        Body::RoomAttributesChanged(changed) => changed,
        other => panic!("{other:?}; {client:?}"),
    }
}

fn pairs(changed: &RoomAttributesChanged) -> Vec<(&str, &str, &str)> {
    let set = changed.set.iter();
    set.map(|set| (&*set.key, &*set.value, &*set.owner_id)).collect()
}

/// Key, value, owner and whether it goes with him, of each that is listed.
fn listed(answer: &Value) -> Vec<(&str, &str, &str, &str)> {
    let entries = answer["keys"].as_array().expect("a list").iter();
    let entry = |entry| {
        assert!(
            text_of(entry, "lastSetTime")
                .parse::<i64>()
                .is_ok_and(|time| time > 1_700_000_000_000)
        );
        (
            text_of(entry, "key"),
            text_of(entry, "value"),
            text_of(entry, "userId"),
            text_of(entry, "autoDelete"),
        )
    };
    entries.map(entry).collect()
}

#[tokio::test]
async fn what_the_server_sets_and_removes_members_are_told_in_one_event_each() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let own = SetRoomAttributes {
        room_id: ROOM.into(),
        keys: vec!["topic".into()],
        values: vec!["tea".into()],
        ..SetRoomAttributes::default()
    };
    assert_eq!(bob.call(2, Body::SetRoomAttributes(own)).await.code, 0);
    for client in [&mut alice, &mut bob] {
        assert_eq!(pairs(&next_change(client).await), [("topic", "tea", "bob")]);
    }
    // Whoever it belongs to.
    let set = [
        ("chatroomId", ROOM),
        ("userId", "carol"),
        ("key", "topic"),
        ("value", "coffee"),
        ("autoDelete", "1"),
        ("objectName", "RC:chrmKVNotiMsg"),
        ("content", "{}"),
    ];
    order(&gateway, "/chatroom/entry/set.json", &set).await;
    let changed = next_change(&mut alice).await;
    assert_eq!(
        (pairs(&changed), changed.by.clone()),
        (vec![("topic", "coffee", "carol")], Some(user("carol")))
    );
    let batch = [
        ("chatroomId", ROOM),
        ("entryOwnerId", "dave"),
        ("entryInfo", r#"{"seat1":"alice","seat2":"bob"}"#),
        ("autoDelete", "false"),
    ];
    order(&gateway, "/chatroom/entry/batch/set.json", &batch).await;
    let changed = next_change(&mut alice).await;
    assert_eq!(pairs(&changed), [("seat1", "alice", "dave"), ("seat2", "bob", "dave")]);
    let all = ask(
        &gateway,
        "/chatroom/entry/query.json",
        &[("chatroomId", ROOM), ("keys", "")],
    )
    .await;
    let expected = [
        ("seat1", "alice", "dave", "0"),
        ("seat2", "bob", "dave", "0"),
        ("topic", "coffee", "carol", "1"),
    ];
    assert_eq!(listed(&all), expected);
    let some = [("chatroomId", ROOM), ("keys", "topic"), ("keys", "none")];
    assert_eq!(
        listed(&ask(&gateway, "/chatroom/entry/query.json", &some).await),
        expected[2..]
    );
    let remove = [("chatroomId", ROOM), ("userId", "anybody"), ("key", "topic")];
    order(&gateway, "/chatroom/entry/remove.json", &remove).await;
    assert_eq!(next_change(&mut alice).await.deleted, ["topic"]);
    assert_eq!(
        refused_with(&gateway, "/chatroom/entry/remove.json", &remove).await,
        (400, 23427)
    );
    let remove = [
        ("chatroomId", ROOM),
        ("entryOwnerId", "anybody"),
        ("entryKeys", r#"["seat1","gone"]"#),
    ];
    let partly = ask(&gateway, "/chatroom/entry/batch/remove.json", &remove).await;
    assert_eq!(partly["failed"][0]["key"], json!("gone"));
    assert_eq!(partly["failed"][0]["code"], json!(23427));
    assert_eq!(next_change(&mut alice).await.deleted, ["seat1"]);
    let left = ask(&gateway, "/chatroom/entry/query.json", &[("chatroomId", ROOM)]).await;
    assert_eq!(listed(&left), expected[1..2]);
}

#[tokio::test]
async fn a_body_of_json_may_have_objects_and_lists_as_they_are() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, _bob] = alice_and_bob(&gateway).await;
    let set =
        json!({ "chatroomId": ROOM, "entryOwnerId": "dave", "entryInfo": { "a": "1", "b": 2 }, "autoDelete": true });
    let answer = ApiCall::new("/chatroom/entry/batch/set", &[])
        .json(&set)
        .send(gateway.api())
        .await;
    assert_eq!(answer.json, json!({ "code": 200 }));
    assert_eq!(
        pairs(&next_change(&mut alice).await),
        [("a", "1", "dave"), ("b", "2", "dave")]
    );
    let remove = json!({ "chatroomId": ROOM, "entryOwnerId": "dave", "entryKeys": ["a", "b"] });
    let call = ApiCall::new("/chatroom/entry/batch/remove", &[]).json(&remove);
    assert_eq!(call.send(gateway.api()).await.json, json!({ "code": 200 }));
    assert_eq!(next_change(&mut alice).await.deleted, ["a", "b"]);
}

#[tokio::test]
async fn a_room_that_does_not_exist_has_no_attributes_and_takes_none() {
    let gateway = Gateway::start(unhindered);
    let set = [
        ("chatroomId", ROOM),
        ("userId", "carol"),
        ("key", "topic"),
        ("value", "tea"),
    ];
    assert_eq!(refused_with(&gateway, "/chatroom/entry/set", &set).await, (400, 23410));
    let query = [("chatroomId", ROOM)];
    assert_eq!(
        refused_with(&gateway, "/chatroom/entry/query", &query).await,
        (400, 23410)
    );
}
