//! What is never shed, what is shed first, and rooms that do not end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sluice_gateway::config::{Budget, Config};
use sluice_protocol::frame::Body;
use sluice_protocol::{MessageType, RoomDestroyedReason, SendMessage};
use sluice_tests::{Gateway, RawClient, wait_until};
use tokio::task::JoinSet;

use super::{ROOM, ask, inside, order, refused_with, unhindered};
use crate::rooms::{enter, expect_quiet, join_chat_room, message, send};

/// In a room of the policy `live` one message of class high is given to members in 200 ms, and none of a lower one.
fn for_high_alone(config: &mut Config) {
    unhindered(config);
    config.rooms.live_budget = Budget::Messages(1);
    config.rooms.live_budget_for_high = 1;
}

fn like() -> SendMessage {
    SendMessage {
        object_name: "app:like".into(),
        ..message(ROOM, MessageType::Custom, "<3")
    }
}

/// Whether members get it.
async fn is_distributed(client: &mut RawClient, request_id: u32) -> bool {
    send(client, request_id, like()).await.distributed
}

#[tokio::test]
async fn types_that_count_as_low_are_shed_and_those_on_the_allow_list_never_are() {
    let gateway = Gateway::start(for_high_alone);
    let mut alice = inside(&gateway, "alice", ROOM).await;
    assert!(is_distributed(&mut alice, 2).await);
    let low = [("objectName", "app:like"), ("objectName", "app:wave")];
    order(&gateway, "/chatroom/message/priority/add.json", &low).await;
    let listed = ask(&gateway, "/chatroom/message/priority/query.json", &[]).await;
    assert_eq!(listed, json!({ "objectNames": ["app:like", "app:wave"] }));
    // It is no matter of time: there is no place for them at all.
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(!is_distributed(&mut alice, 3).await);
    // Under the other names that libraries give the field.
    for name in ["objectnames", "objectNames", "objectName"] {
        order(&gateway, "/chatroom/whitelist/add.json", &[(name, "app:like")]).await;
    }
    let listed = ask(&gateway, "/chatroom/whitelist/query.json", &[]).await;
    assert_eq!(listed, json!({ "whitlistMsgType": ["app:like"] }));
    for request_id in 4..14 {
        assert!(is_distributed(&mut alice, request_id).await);
    }
    order(
        &gateway,
        "/chatroom/whitelist/delete.json",
        &[("objectnames", "app:like")],
    )
    .await;
    assert!(!is_distributed(&mut alice, 14).await);
    order(&gateway, "/chatroom/message/priority/remove.json", &low).await;
    order(&gateway, "/chatroom/message/priority/remove.json", &low).await;
    let mut request_id = 15;
    wait_until("likes are of class high again", async || {
        request_id += 1;
        is_distributed(&mut alice, request_id).await
    })
    .await;
    assert_eq!(
        ask(&gateway, "/chatroom/whitelist/query.json", &[]).await,
        json!({ "whitlistMsgType": [] })
    );
}

#[tokio::test]
async fn what_users_on_the_allow_list_of_a_room_say_there_is_never_shed() {
    let gateway = Gateway::start(for_high_alone);
    order(
        &gateway,
        "/chatroom/message/priority/add.json",
        &[("objectName", "app:like")],
    )
    .await;
    let mut alice = inside(&gateway, "alice", ROOM).await;
    assert!(!is_distributed(&mut alice, 2).await);
    let allowed = [("chatroomId", ROOM), ("userId", "alice"), ("userId", "zoe")];
    order(&gateway, "/chatroom/user/whitelist/add.json", &allowed).await;
    let listed = ask(&gateway, "/chatroom/user/whitelist/query.json", &[("chatroomId", ROOM)]).await;
    assert_eq!(listed, json!({ "users": ["alice", "zoe"] }));
    for request_id in 3..13 {
        assert!(is_distributed(&mut alice, request_id).await);
    }
    let alone = [("chatroomId", ROOM), ("userId", "alice")];
    order(&gateway, "/chatroom/user/whitelist/remove.json", &alone).await;
    assert!(!is_distributed(&mut alice, 13).await);
}

#[tokio::test]
async fn a_room_on_the_keep_alive_list_does_not_end_by_being_idle() {
    let gateway = Gateway::start(|config| {
        unhindered(config);
        config.rooms.live_idle = Duration::from_millis(300);
    });
    order(&gateway, "/chatroom/keepalive/add.json", &[("chatroomId", "kept")]).await;
    let listed = ask(&gateway, "/chatroom/keepalive/query.json", &[]).await;
    assert_eq!(listed, json!({ "chatroomIds": ["kept"] }));
    let mut alice = inside(&gateway, "alice", "kept").await;
    // Made later, and gone earlier, twice: by then it was looked at whether the other is over.
    for request_id in 2..4 {
        enter(&mut alice, request_id, join_chat_room("brief", 0)).await;
        match alice.event().await {
            Body::RoomDestroyed(event) => {
                assert_eq!((&*event.room_id, event.reason()), ("brief", RoomDestroyedReason::Idle));
            }
            other => panic!("{other:?}"),
        }
    }
    expect_quiet(&mut alice, 4).await;
    order(&gateway, "/chatroom/keepalive/remove.json", &[("chatroomId", "kept")]).await;
    match alice.event().await {
        Body::RoomDestroyed(event) => assert_eq!(event.room_id, "kept"),
        other => panic!("{other:?}"),
    }
    let answer = sluice_tests::ApiCall::new("/chatroom/keepalive/remove.json", &[("chatroomId", "kept")]);
    let answer = answer.send(gateway.api()).await;
    assert_eq!((answer.status, answer.code()), (200, 1015));
}

#[tokio::test]
async fn the_keep_alive_list_has_five_places() {
    let gateway = Gateway::start(unhindered);
    for number in 0..5 {
        order(
            &gateway,
            "/chatroom/keepalive/add",
            &[("chatroomId", &format!("room{number}"))],
        )
        .await;
    }
    order(&gateway, "/chatroom/keepalive/add", &[("chatroomId", "room0")]).await;
    let sixth = [("chatroomId", "room5")];
    assert_eq!(
        refused_with(&gateway, "/chatroom/keepalive/add", &sixth).await,
        (403, 1016)
    );
    order(&gateway, "/chatroom/keepalive/remove", &[("chatroomId", "room0")]).await;
    order(&gateway, "/chatroom/keepalive/add", &sixth).await;
}

#[tokio::test]
async fn of_changes_at_the_same_time_none_is_lost_and_none_goes_over_the_limit() {
    let gateway = Arc::new(Gateway::start(unhindered));
    let mut adding = JoinSet::new();
    for number in 0..30 {
        let gateway = gateway.clone();
        adding.spawn(async move {
            let name = format!("app:{number}");
            let call = sluice_tests::ApiCall::new("/chatroom/message/priority/add", &[("objectName", &name)]);
            (name, call.send(gateway.api()).await.code())
        });
    }
    let mut added: Vec<String> = Vec::new();
    for (name, code) in adding.join_all().await {
        match code {
            200 => added.push(name),
            code => assert_eq!(code, 1002),
        }
    }
    assert_eq!(added.len(), 20);
    let listed = ask(&gateway, "/chatroom/message/priority/query", &[]).await;
    let mut listed: Vec<&str> = listed["objectNames"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    listed.sort_unstable();
    added.sort_unstable();
    assert_eq!(listed, added);
}
