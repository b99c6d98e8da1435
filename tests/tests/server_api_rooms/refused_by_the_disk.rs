//! A disk that does not take what is decided: nobody hears that it is kept before it is, however often it is asked for.

use rusqlite::Connection;
use sluice_tests::{ApiCall, Gateway, RawClient, Transport};
use tokio::task::JoinSet;

use super::{ROOM, ask, order, unhindered};
use crate::rooms::{enter, join_exist_chat_room, leave_room};

/// The store cannot be written while somebody else has it in a transaction.
fn lock(gateway: &Gateway) -> Connection {
    let shell = Connection::open(gateway.data().join("sluice.db")).expect("it can be opened");
    shell.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    shell
}

/// What these calls are answered that are made at the same time.
async fn codes(
    gateway: &Gateway,
    calls: &[(&'static str, Vec<(&'static str, &'static str)>)],
) -> Vec<(&'static str, i64)> {
    let mut answers = JoinSet::new();
    for (path, fields) in calls.iter().cloned() {
        let api = gateway.api();
        answers.spawn(async move { (path, ApiCall::new(path, &fields).send(api).await.code()) });
    }
    let mut codes = answers.join_all().await;
    codes.sort_unstable();
    codes
}

#[tokio::test]
async fn a_call_that_is_made_again_is_done_when_the_disk_has_what_it_asked_for() {
    let mut gateway = Gateway::start(unhindered);
    let meeting = [("chatroomId", "meeting"), ("policy", "room")];
    order(&gateway, "/chatroom/create_new", &meeting).await;
    order(
        &gateway,
        "/chatroom/create",
        &[("chatroom[lobby]", ""), ("chatroom[old]", "")],
    )
    .await;
    let gag = [("chatroomId", ROOM), ("userId", "alice"), ("minute", "30")];
    order(&gateway, "/chatroom/user/gag/add", &gag).await;
    order(
        &gateway,
        "/chatroom/join",
        &[("chatroomId", ROOM), ("userId", "kicked")],
    )
    .await;
    order(&gateway, "/user/block", &[("userId", "bob"), ("minute", "30")]).await;
    order(&gateway, "/sensitiveword/add", &[("word", "cheat")]).await;
    order(&gateway, "/chatroom/keepalive/add", &[("chatroomId", ROOM)]).await;
    let mut carol = RawClient::online(&gateway, Transport::Tcp, "carol").await;
    enter(&mut carol, 1, join_exist_chat_room("meeting", 0)).await;

    let shell = lock(&gateway);
    let calls = [
        ("/chatroom/create", vec![("chatroom[new]", "New")]),
        ("/chatroom/destroy", vec![("chatroomId", "old")]),
        ("/chatroom/join", vec![("chatroomId", ROOM), ("userId", "recorder")]),
        ("/chatroom/user/kick", vec![("chatroomId", ROOM), ("userId", "kicked")]),
        (
            "/chatroom/user/gag/rollback",
            vec![("chatroomId", ROOM), ("userId", "alice")],
        ),
        ("/user/unblock", vec![("userId", "bob")]),
        ("/sensitiveword/delete", vec![("word", "cheat")]),
        ("/chatroom/keepalive/remove", vec![("chatroomId", ROOM)]),
    ];
    // Nobody is asked whether the room may end with its last member.
    assert_eq!(carol.call(2, leave_room("meeting")).await.code, 0);
    for _ in 0..2 {
        for (path, code) in codes(&gateway, &calls).await {
            // No answer in time is none that promises anything.
            assert!(matches!(code, 1000 | 1050), "{path}: {code}");
        }
    }
    shell.execute_batch("ROLLBACK").expect("ended");
    for (path, code) in codes(&gateway, &calls).await {
        let done = if path == "/chatroom/keepalive/remove" {
            1015
        } else {
            200
        };
        assert_eq!(code, done, "{path}");
    }

    gateway.restart().await;
    let rooms = ["new", "old", "meeting"].map(|id| ("chatroomId", id));
    let found = ask(&gateway, "/chatroom/query", &rooms).await;
    let found: Vec<&str> = found["chatRooms"].as_array().map_or_else(Vec::new, |rooms| {
        rooms.iter().filter_map(|room| room["chrmId"].as_str()).collect()
    });
    assert_eq!(found, ["new"]);
    let members = ask(&gateway, "/chatroom/user/query", &[("chatroomId", ROOM)]).await;
    assert_eq!(
        (&members["total"], &members["users"][0]["id"]),
        (&1.into(), &"recorder".into())
    );
    for (path, list) in [
        ("/chatroom/user/gag/list", "users"),
        ("/user/block/query", "users"),
        ("/sensitiveword/list", "words"),
        ("/chatroom/keepalive/query", "chatroomIds"),
    ] {
        let fields: &[(&str, &str)] = match path {
            "/sensitiveword/list" => &[("type", "2")],
            "/chatroom/user/gag/list" => &[("chatroomId", ROOM)],
            _ => &[],
        };
        let listed = ask(&gateway, path, fields).await;
        assert_eq!(listed[list].as_array().map(Vec::len), Some(0), "{path}: {listed}");
    }
}
