//! Rooms themselves: making and ending them, and who is inside.

use serde_json::{Map, Value, json};
use sluice_protocol::frame::Body;
use sluice_protocol::{RoomDestroyedReason, RoomPreset};
use sluice_tests::{ApiCall, Gateway, RawClient, Transport, unix_ms, wait_until};

use super::{ROOM, alice_and_bob, ask, expect_joined, inside, order, refused_with, text_of, unhindered};
use crate::rooms::{enter, expect_quiet, join_chat_room, join_exist_chat_room, join_room, refused, send, text};

#[tokio::test]
async fn rooms_are_made_many_at_once_and_those_that_exist_stay_as_they_are() {
    let gateway = Gateway::start(unhindered);
    let fields: Vec<(String, String)> = (0..100)
        .map(|number| (format!("chatroom[room{number}]"), format!("大融云 {number}")))
        .collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    order(&gateway, "/chatroom/create.json", &fields).await;
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let entered = enter(&mut alice, 1, join_exist_chat_room("room7", 0)).await;
    let room = entered.room.expect("the room");
    assert_eq!(
        (&*room.room_name, room.preset(), entered.created),
        ("大融云 7", RoomPreset::Live, false)
    );
    order(
        &gateway,
        "/chatroom/create.json",
        &[("chatroom[room7]", "another name")],
    )
    .await;
    let json = json!({ "chatroom": { "room7": "another name", "room100": "hundred" } });
    let answer = ApiCall::new("/chatroom/create", &[])
        .json(&json)
        .send(gateway.api())
        .await;
    assert_eq!(answer.json, json!({ "code": 200 }));
    let query = [
        ("chatroomId", "room7"),
        ("chatroomId", "missing"),
        ("chatroomId", "room100"),
    ];
    let found = ask(&gateway, "/chatroom/query.json", &query).await;
    let found = found["chatRooms"].as_array().expect("a list");
    assert_eq!(found.len(), 2);
    for (room, (id, name)) in found.iter().zip([("room7", "大融云 7"), ("room100", "hundred")]) {
        assert_eq!(
            (
                text_of(room, "chrmId"),
                text_of(room, "chatroomId"),
                text_of(room, "name")
            ),
            (id, id, name)
        );
        assert_eq!(text_of(room, "time").len(), "2026-11-21 09:30:00".len());
    }
}

#[tokio::test]
async fn a_room_is_made_with_all_that_is_to_hold_in_it() {
    let gateway = Gateway::start(unhindered);
    let before = unix_ms();
    let fields = [
        ("chatroomId", ROOM),
        ("chatroomName", "The Lobby"),
        ("destroyType", "1"),
        ("destroyTime", "10080"),
        ("isBan", "true"),
        ("whiteUserIds", "alice"),
        ("whiteUserIds", "bob"),
        ("entryOwnerId", "alice"),
        ("entryInfo", r#"{"topic":"tea"}"#),
    ];
    order(&gateway, "/chatroom/create_new.json", &fields).await;
    let room = [("chatroomId", ROOM)];
    let found = ask(&gateway, "/chatroom/get.json", &room).await;
    let made = found["createTime"].as_i64().expect("a number");
    assert!((before..=unix_ms()).contains(&made));
    let expected = json!({
        "chatroomId": ROOM, "chatroomName": "The Lobby", "policy": "live", "createTime": made, "memberCount": 0,
        "destroyType": 1, "destroyTime": 10080, "ban": true, "stopped": false,
    });
    assert_eq!(found, expected);
    let mut alice = inside(&gateway, "alice", ROOM).await;
    assert!(send(&mut alice, 2, text(ROOM, "hello")).await.distributed);
    let mut carol = RawClient::online(&gateway, Transport::Tcp, "carol").await;
    let entered = enter(&mut carol, 1, join_chat_room(ROOM, 0)).await;
    assert!(
        entered.room_muted && entered.attributes_version == 1 && !entered.created,
        "{entered:?}"
    );
    assert_eq!(
        refused(&carol.call(2, Body::SendMessage(text(ROOM, "me too"))).await),
        (23408, "room")
    );
    let entries = ask(&gateway, "/chatroom/entry/query.json", &room).await;
    assert_eq!(entries["keys"][0]["userId"], json!("alice"));
    // As the vendor's library for Go does without being asked to.
    let defaults = [
        ("chatroomId", "hall"),
        ("destroyType", "0"),
        ("destroyTime", "0"),
        ("isBan", "false"),
    ];
    order(&gateway, "/chatroom/create_new.json", &defaults).await;
    let found = ask(&gateway, "/chatroom/get.json", &[("chatroomId", "hall")]).await;
    assert_eq!((&found["destroyType"], &found["destroyTime"]), (&json!(0), &json!(60)));
    order(
        &gateway,
        "/chatroom/destroy/set.json",
        &[("chatroomId", "hall"), ("destroyType", "1"), ("destroyTime", "60")],
    )
    .await;
    let found = ask(&gateway, "/chatroom/get.json", &[("chatroomId", "hall")]).await;
    assert_eq!((&found["destroyType"], &found["destroyTime"]), (&json!(1), &json!(60)));
    let missing = [("chatroomId", "missing"), ("destroyType", "1")];
    assert_eq!(
        refused_with(&gateway, "/chatroom/destroy/set.json", &missing).await,
        (400, 23410)
    );
    assert_eq!(
        refused_with(&gateway, "/chatroom/get.json", &missing).await,
        (400, 23410)
    );
}

/// The keys that an answer says were refused, and why.
fn failed(answer: &Value) -> Vec<(&str, i64)> {
    let failed = answer["failed"].as_array().expect("a list").iter();
    failed
        .map(|one| (text_of(one, "key"), one["code"].as_i64().expect("a code")))
        .collect()
}

#[tokio::test]
async fn first_attributes_that_are_refused_are_named_and_those_of_others_stay() {
    let gateway = Gateway::start(unhindered);
    let make = |owner: &'static str, entries: &'static str| {
        [("chatroomId", ROOM), ("entryOwnerId", owner), ("entryInfo", entries)]
    };
    let path = "/chatroom/create_new.json";
    let made = ask(&gateway, path, &make("alice", r#"{"topic":"tea","no key":"x"}"#)).await;
    assert_eq!(failed(&made), [("no key", 1002)]);
    // The room is there by now, and a key in it that is alice's.
    let again = ask(&gateway, path, &make("bob", r#"{"topic":"coffee"}"#)).await;
    assert_eq!(failed(&again), [("topic", 23424)]);
    let entries = ask(&gateway, "/chatroom/entry/query.json", &[("chatroomId", ROOM)]).await;
    assert_eq!(entries["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(entries["keys"][0]["value"], json!("tea"));
    let many: Map<String, Value> = (0..21).map(|n| (format!("k{n}"), json!("v"))).collect();
    let many = Value::Object(many).to_string();
    let fields = [("chatroomId", "hall"), ("entryOwnerId", "alice"), ("entryInfo", &*many)];
    let refused = refused_with(&gateway, path, &fields).await;
    assert_eq!(refused, (400, 23429));
    assert_eq!(
        refused_with(&gateway, "/chatroom/get.json", &[("chatroomId", "hall")]).await,
        (400, 23410),
        "nothing is made of a call that is refused as a whole"
    );
}

#[tokio::test]
async fn members_of_a_destroyed_room_are_told_and_are_outside() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let rooms = [("chatroomId", ROOM), ("chatroomId", "never made")];
    assert_eq!(
        refused_with(&gateway, "/chatroom/destroy.json", &rooms).await,
        (400, 1002)
    );
    order(
        &gateway,
        "/chatroom/destroy.json",
        &[("chatroomId", ROOM), ("chatroomIds", "neverMade")],
    )
    .await;
    for client in [&mut alice, &mut bob] {
        match client.event().await {
            Body::RoomDestroyed(event) => {
                assert_eq!((&*event.room_id, event.reason()), (ROOM, RoomDestroyedReason::Server));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(client.call(2, Body::SendMessage(text(ROOM, "?"))).await.code, 23410);
        assert_eq!(client.call(3, join_room(ROOM)).await.code, 23410);
    }
}

#[tokio::test]
async fn members_are_listed_asked_about_and_put_inside() {
    let gateway = Gateway::start(unhindered);
    let room = [("chatroomId", ROOM)];
    let nobody = ask(&gateway, "/chatroom/user/query.json", &room).await;
    assert_eq!(nobody, json!({ "total": 0, "users": [] }));
    let mut alice = inside(&gateway, "alice", ROOM).await;
    // Times are told, and compared, in whole seconds.
    let came = unix_ms() / 1000;
    wait_until("a second has begun in which Alice was there", async || {
        unix_ms() / 1000 > came
    })
    .await;
    let mut bob = inside(&gateway, "bob", ROOM).await;
    expect_joined(&mut alice, "bob").await;
    let join = [("chatroomId", ROOM), ("userId", "recorder")];
    order(&gateway, "/chatroom/join.json", &join).await;
    for client in [&mut alice, &mut bob] {
        expect_joined(client, "recorder").await;
    }
    order(&gateway, "/chatroom/join.json", &join).await;
    expect_quiet(&mut alice, 2).await;
    let ids = async |fields: &[(&str, &str)]| {
        let answer = ask(&gateway, "/chatroom/user/query.json", &[&room, fields].concat()).await;
        assert_eq!(answer["total"], json!(3));
        let users = answer["users"].as_array().expect("a list").iter();
        let id = |user| {
            assert_eq!(text_of(user, "time").len(), "2026-11-21 09:30:00".len());
            text_of(user, "id").to_owned()
        };
        users.map(id).collect::<Vec<_>>()
    };
    let oldest = ids(&[]).await;
    assert_eq!((&*oldest[0], oldest.len()), ("alice", 3));
    assert_eq!(ids(&[("order", "1")]).await, oldest);
    let newest = ids(&[("order", "2")]).await;
    assert_eq!((&*newest[2], newest.len()), ("alice", 3));
    assert_eq!(ids(&[("count", "2")]).await.len(), 2);
    assert_eq!(ids(&[("count", "100000"), ("order", "2")]).await.len(), 3);
    let one = ask(
        &gateway,
        "/chatroom/user/exist.json",
        &[("chatroomId", ROOM), ("userId", "bob")],
    )
    .await;
    assert_eq!(one, json!({ "isInChrm": true }));
    let some = [
        ("chatroomId", ROOM),
        ("userId", "bob"),
        ("userId", "carol"),
        ("userIds", "recorder"),
    ];
    let expected = json!({ "result": [
        { "userId": "bob", "isInChrm": 1 }, { "userId": "carol", "isInChrm": 0 }, { "userId": "recorder", "isInChrm": 1 },
    ] });
    assert_eq!(ask(&gateway, "/chatroom/users/exist.json", &some).await, expected);
    let elsewhere = [("chatroomId", "hall"), ("userId", "bob")];
    assert_eq!(
        ask(&gateway, "/chatroom/user/exist.json", &elsewhere).await,
        json!({ "isInChrm": false })
    );
    // A room is made for those who are put inside.
    order(
        &gateway,
        "/chatroom/join.json",
        &[("chatroomId", "hall"), ("userId", "recorder")],
    )
    .await;
    let found = ask(&gateway, "/chatroom/get.json", &[("chatroomId", "hall")]).await;
    assert_eq!(found["memberCount"], json!(1));
}

#[tokio::test]
async fn of_several_rooms_those_that_are_refused_are_named() {
    let gateway = Gateway::start(|config| {
        unhindered(config);
        config.apps[0].rooms_max = 2;
    });
    let three = [("chatroom[a]", "A"), ("chatroom[b]", "B"), ("chatroom[c]", "C")];
    let answer = ask(&gateway, "/chatroom/create", &three).await;
    let failed = answer["failed"].as_array().expect("a list");
    assert_eq!((failed.len(), &failed[0]["code"]), (1, &json!(6_000_324)));
    assert!(["a", "b", "c"].contains(&text_of(&failed[0], "chatroomId")));
    assert_eq!(
        refused_with(&gateway, "/chatroom/create", &[("chatroom[d]", "D")]).await,
        (400, 6_000_324)
    );
}
