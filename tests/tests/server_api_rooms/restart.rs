//! What the app's server has decided outlives the gateway; who was inside does not.

use std::time::Duration;

use serde_json::json;
use sluice_protocol::frame::Body;
use sluice_tests::{Gateway, RawClient, Transport};

use super::{ROOM, alice_and_bob, ask, inside, order, unhindered, users_with_ends};
use crate::rooms::{enter, join_chat_room, join_exist_chat_room, leave_room, refused, send, text};

#[tokio::test]
async fn all_that_was_decided_holds_after_a_restart() {
    let mut gateway = Gateway::start(unhindered);
    let made = [
        ("chatroomId", ROOM),
        ("chatroomName", "The Lobby"),
        ("destroyType", "1"),
        ("destroyTime", "600"),
    ];
    order(&gateway, "/chatroom/create_new", &made).await;
    order(
        &gateway,
        "/chatroom/create",
        &[("chatroom[gone]", ""), ("chatroom[idle]", "Idle")],
    )
    .await;
    let clients = alice_and_bob(&gateway).await;
    let room = [("chatroomId", ROOM)];
    let in_room = |user| [("chatroomId", ROOM), ("userId", user)];
    let for_a_while = |user| [("chatroomId", ROOM), ("userId", user), ("minute", "30")];
    order(&gateway, "/chatroom/join", &in_room("recorder")).await;
    order(&gateway, "/chatroom/user/gag/add", &for_a_while("carol")).await;
    order(&gateway, "/chatroom/user/gag/add", &for_a_while("freed")).await;
    order(&gateway, "/chatroom/user/gag/rollback", &in_room("freed")).await;
    order(&gateway, "/chatroom/user/block/add", &for_a_while("dave")).await;
    order(&gateway, "/chatroom/user/ban/whitelist/add", &in_room("erin")).await;
    order(&gateway, "/chatroom/user/whitelist/add", &in_room("frank")).await;
    order(
        &gateway,
        "/chatroom/user/ban/add",
        &[("userId", "grace"), ("minute", "30")],
    )
    .await;
    order(&gateway, "/chatroom/ban/add", &room).await;
    order(
        &gateway,
        "/chatroom/message/stopDistribution",
        &[("chatroomId", "idle")],
    )
    .await;
    order(
        &gateway,
        "/chatroom/message/priority/add",
        &[("objectName", "app:like")],
    )
    .await;
    order(&gateway, "/chatroom/whitelist/add", &[("objectnames", "app:gift")]).await;
    order(&gateway, "/chatroom/keepalive/add", &[("chatroomId", "idle")]).await;
    order(&gateway, "/sensitiveword/add", &[("word", "cheat")]).await;
    order(
        &gateway,
        "/sensitiveword/add",
        &[("word", "money"), ("replaceWord", "***")],
    )
    .await;
    let entry = [
        ("chatroomId", ROOM),
        ("userId", "alice"),
        ("key", "topic"),
        ("value", "tea"),
    ];
    order(&gateway, "/chatroom/entry/set", &entry).await;
    order(&gateway, "/chatroom/destroy", &[("chatroomId", "gone")]).await;

    let asked: [(&str, &[(&str, &str)]); 14] = [
        ("/chatroom/user/gag/list", &room),
        ("/chatroom/user/block/list", &room),
        ("/chatroom/user/ban/whitelist/query", &room),
        ("/chatroom/user/whitelist/query", &room),
        ("/chatroom/user/ban/query", &[]),
        ("/chatroom/ban/check", &room),
        ("/chatroom/ban/query", &[]),
        ("/chatroom/message/priority/query", &[]),
        ("/chatroom/whitelist/query", &[]),
        ("/chatroom/keepalive/query", &[]),
        ("/sensitiveword/list", &[("type", "2")]),
        ("/chatroom/entry/query", &room),
        (
            "/chatroom/query",
            &[("chatroomId", ROOM), ("chatroomId", "idle"), ("chatroomId", "gone")],
        ),
        ("/chatroom/get", &[("chatroomId", "idle")]),
    ];
    let mut before = Vec::new();
    for (path, fields) in asked {
        before.push(ask(&gateway, path, fields).await);
    }
    assert_eq!(users_with_ends(&before[0]), ["carol"]);
    gateway.restart().await;
    drop(clients);
    for ((path, fields), before) in asked.into_iter().zip(before) {
        assert_eq!(ask(&gateway, path, fields).await, before, "{path}");
    }

    // Those with a connection are gone, and who was put inside is not.
    let members = ask(&gateway, "/chatroom/user/query", &room).await;
    assert_eq!(
        (&members["total"], &members["users"][0]["id"]),
        (&json!(1), &json!("recorder"))
    );
    let lobby = ask(&gateway, "/chatroom/get", &room).await;
    assert_eq!(
        (&lobby["destroyType"], &lobby["chatroomName"]),
        (&json!(1), &json!("The Lobby"))
    );
    assert!(
        lobby["destroyTime"]
            .as_i64()
            .is_some_and(|left| (590..=600).contains(&left)),
        "{lobby}"
    );

    // And it is not only listed.
    for (name, expected) in [
        ("alice", (23408, "room")),
        ("carol", (23408, "user")),
        ("grace", (23408, "global")),
    ] {
        let mut client = inside(&gateway, name, ROOM).await;
        assert_eq!(
            refused(&client.call(2, Body::SendMessage(text(ROOM, "hello"))).await),
            expected,
            "{name}"
        );
    }
    let mut erin = inside(&gateway, "erin", ROOM).await;
    let sent = send(&mut erin, 2, text(ROOM, "hello")).await;
    // Numbers begin anew.
    assert_eq!((sent.distributed, sent.sequence), (true, 1));
    assert_eq!(
        refused(&erin.call(3, Body::SendMessage(text(ROOM, "a Cheat"))).await),
        (21501, "")
    );
    assert_eq!(send(&mut erin, 4, text(ROOM, "money")).await.notice, 21502);
    let mut dave = RawClient::online(&gateway, Transport::Tcp, "dave").await;
    assert_eq!(dave.call(1, join_chat_room(ROOM, 0)).await.code, 23409);
    assert!(
        enter(&mut dave, 2, join_exist_chat_room("idle", 0))
            .await
            .distribution_stopped
    );
    assert_eq!(dave.call(3, join_exist_chat_room("gone", 0)).await.code, 23410);
}

#[tokio::test]
async fn a_room_in_use_that_ends_with_its_last_member_outlives_an_orderly_restart() {
    let mut gateway = Gateway::start(|config| {
        unhindered(config);
        // With it, nobody who is lost is waited for.
        config.sessions.resume_window = Duration::ZERO;
    });
    let made = [("chatroomId", ROOM), ("policy", "room")];
    order(&gateway, "/chatroom/create_new", &made).await;
    let entry = [
        ("chatroomId", ROOM),
        ("userId", "host"),
        ("key", "topic"),
        ("value", "tea"),
    ];
    order(&gateway, "/chatroom/join", &[("chatroomId", ROOM), ("userId", "host")]).await;
    order(&gateway, "/chatroom/entry/set", &entry).await;
    let mut clients = Vec::new();
    for transport in [Transport::Tcp, Transport::Tls, Transport::Quic] {
        let mut client = RawClient::online(&gateway, transport, &format!("{transport:?}")).await;
        enter(&mut client, 1, join_exist_chat_room(ROOM, 0)).await;
        clients.push(client);
    }
    let room = [("chatroomId", ROOM)];
    let before = ask(&gateway, "/chatroom/entry/query", &room).await;
    gateway.restart().await;
    assert_eq!(ask(&gateway, "/chatroom/entry/query", &room).await, before);
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let entered = enter(&mut alice, 1, join_exist_chat_room(ROOM, 0)).await;
    assert_eq!(entered.member_count, 2, "with the host");
    // And it still ends with its last member.
    assert_eq!(alice.call(2, leave_room(ROOM)).await.code, 0);
    assert_eq!(alice.call(3, join_exist_chat_room(ROOM, 0)).await.code, 23410);
}
