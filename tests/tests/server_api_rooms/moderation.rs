//! Who may be inside, and who may send.

use std::time::Duration;

use serde_json::json;
use sluice_protocol::frame::Body;
use sluice_protocol::{LeaveReason, MuteScope, RoomKickedOut, RoomMuteChanged};
use sluice_tests::{Gateway, RawClient, unix_ms};

use super::{ROOM, alice_and_bob, ask, expect_joined, inside, order, refused_with, unhindered, users_with_ends};
use crate::rooms::{enter, expect_quiet, join_chat_room, join_room, next_message, refused, send, text, user};

const MINUTE_MS: i64 = 60_000;

async fn next_mute(client: &mut RawClient) -> RoomMuteChanged {
    match client.event().await {
        Body::RoomMuteChanged(changed) => changed,
        other => panic!("{other:?}; {client:?}"),
    }
}

async fn next_kick(client: &mut RawClient) -> RoomKickedOut {
    match client.event().await {
        Body::RoomKickedOut(kicked) => kicked,
        other => panic!("{other:?}; {client:?}"),
    }
}

async fn expect_left(client: &mut RawClient, user_id: &str, reason: LeaveReason) {
    match client.event().await {
        Body::RoomMemberLeft(left) => {
            assert_eq!((&*left.members, left.reason()), (&[user(user_id)][..], reason));
        }
        other => panic!("{other:?}; {client:?}"),
    }
}

/// Sends a text, which everybody must get.
async fn speak(client: &mut RawClient, request_id: u32, room: &str, others: &mut [&mut RawClient]) {
    let content = format!("said by request {request_id}");
    assert!(send(client, request_id, text(room, &content)).await.distributed);
    assert_eq!(next_message(client).await.content, content);
    for other in others {
        assert_eq!(next_message(other).await.content, content);
    }
}

/// Sends a text, which must be refused because its sender is muted. Returns for whom, and for how long still.
async fn muted(client: &mut RawClient, request_id: u32, room: &str) -> (String, u32) {
    let reply = client.call(request_id, Body::SendMessage(text(room, "mhm"))).await;
    let (code, detail) = refused(&reply);
    assert_eq!(code, 23408, "{reply:?}");
    (detail.to_owned(), reply.retry_after_ms)
}

#[tokio::test]
async fn who_is_gagged_cannot_send_until_the_gag_is_rolled_back() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let before = unix_ms();
    let gag = [
        ("chatroomId", ROOM),
        ("userId", "alice"),
        ("userId", "nobody"),
        ("minute", "30"),
        ("needNotify", "true"),
        ("extra", "calm down"),
    ];
    order(&gateway, "/chatroom/user/gag/add.json", &gag).await;
    let told = next_mute(&mut alice).await;
    let until = told.until_ms;
    assert!((before + 30 * MINUTE_MS..=unix_ms() + 30 * MINUTE_MS).contains(&until));
    let expected = RoomMuteChanged {
        room_id: ROOM.into(),
        scope: MuteScope::User.into(),
        muted: true,
        until_ms: until,
        extra: "calm down".into(),
    };
    assert_eq!(told, expected);
    let (whom, left) = muted(&mut alice, 2, ROOM).await;
    let left = Duration::from_millis(left.into());
    assert!(
        whom == "user" && left <= Duration::from_secs(1800) && left > Duration::from_secs(1740),
        "{left:?}"
    );
    expect_quiet(&mut bob, 2).await;
    speak(&mut bob, 3, ROOM, &mut [&mut alice]).await;
    let listed = ask(&gateway, "/chatroom/user/gag/list.json", &[("chatroomId", ROOM)]).await;
    assert_eq!(users_with_ends(&listed), ["alice", "nobody"]);
    // Not told when nobody wants it told.
    let rollback = [("chatroomId", ROOM), ("userId", "alice"), ("minute", "undefined")];
    order(&gateway, "/chatroom/user/gag/rollback.json", &rollback).await;
    speak(&mut alice, 4, ROOM, &mut [&mut bob]).await;
    let listed = ask(&gateway, "/chatroom/user/gag/list.json", &[("chatroomId", ROOM)]).await;
    assert_eq!(users_with_ends(&listed), ["nobody"]);
    let elsewhere = ask(&gateway, "/chatroom/user/gag/list.json", &[("chatroomId", "hall")]).await;
    assert_eq!(elsewhere, json!({ "users": [] }));
}

#[tokio::test]
async fn who_is_blocked_is_put_out_and_stays_out_until_the_block_is_rolled_back() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let before = unix_ms();
    let block = [
        ("chatroomId", ROOM),
        ("userId", "bob"),
        ("minute", "1"),
        ("extra", "rude"),
    ];
    order(&gateway, "/chatroom/user/block/add.json", &block).await;
    let told = next_kick(&mut bob).await;
    assert_eq!(
        (&*told.room_id, told.reason(), &*told.extra),
        (ROOM, LeaveReason::Blocked, "rude")
    );
    assert!((before + MINUTE_MS..=unix_ms() + MINUTE_MS).contains(&told.until_ms));
    expect_left(&mut alice, "bob", LeaveReason::Blocked).await;
    for (request_id, command) in [
        (2, join_chat_room(ROOM, 0)),
        (3, Body::SendMessage(text(ROOM, "let me in"))),
    ] {
        let reply = bob.call(request_id, command).await;
        assert_eq!(refused(&reply).0, 23409);
        assert!((1..=60_000).contains(&reply.retry_after_ms), "{reply:?}");
    }
    speak(&mut alice, 2, ROOM, &mut []).await;
    expect_quiet(&mut bob, 4).await;
    let listed = ask(&gateway, "/chatroom/user/block/list.json", &[("chatroomId", ROOM)]).await;
    assert_eq!(users_with_ends(&listed), ["bob"]);
    // The app's server cannot put him inside either.
    let bob_alone = [("chatroomId", ROOM), ("userId", "bob")];
    assert_eq!(refused_with(&gateway, "/chatroom/join", &bob_alone).await, (400, 23409));
    let with_carol = [&bob_alone[..], &[("userId", "carol")]].concat();
    let failed = &ask(&gateway, "/chatroom/join", &with_carol).await["failed"];
    assert_eq!(
        (failed[0]["userId"].as_str(), failed[0]["code"].as_i64()),
        (Some("bob"), Some(23409))
    );
    assert_eq!(failed.as_array().map(Vec::len), Some(1), "{failed}");
    expect_joined(&mut alice, "carol").await;
    order(
        &gateway,
        "/chatroom/user/block/rollback.json",
        &[("chatroomId", ROOM), ("userId", "bob")],
    )
    .await;
    enter(&mut bob, 5, join_room(ROOM)).await;
    expect_joined(&mut alice, "bob").await;
    speak(&mut bob, 6, ROOM, &mut [&mut alice]).await;
}

#[tokio::test]
async fn who_is_kicked_may_come_back_at_once() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let kick = [
        ("chatroomId", ROOM),
        ("userId", "bob"),
        ("userId", "nobody"),
        ("extra", "hush"),
    ];
    order(&gateway, "/chatroom/user/kick.json", &kick).await;
    let told = next_kick(&mut bob).await;
    assert_eq!(
        (told.reason(), told.until_ms, &*told.extra),
        (LeaveReason::Kicked, 0, "hush")
    );
    expect_left(&mut alice, "bob", LeaveReason::Kicked).await;
    assert_eq!(refused(&bob.call(2, Body::SendMessage(text(ROOM, "?"))).await).0, 23409);
    enter(&mut bob, 3, join_chat_room(ROOM, 0)).await;
    expect_joined(&mut alice, "bob").await;
    speak(&mut bob, 4, ROOM, &mut [&mut alice]).await;
}

#[tokio::test]
async fn in_a_muted_room_those_excepted_and_the_server_speak() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let room = [("chatroomId", ROOM)];
    let excepted = [("chatroomId", ROOM), ("userId", "alice")];
    assert_eq!(
        ask(&gateway, "/chatroom/ban/check.json", &room).await,
        json!({ "status": 0 })
    );
    let told = [&excepted[..], &[("needNotify", "true"), ("extra", "you may")]].concat();
    order(&gateway, "/chatroom/user/ban/whitelist/add.json", &told).await;
    let told = next_mute(&mut alice).await;
    assert_eq!(
        (told.scope(), told.muted, &*told.extra),
        (MuteScope::User, false, "you may")
    );
    order(&gateway, "/chatroom/ban/add.json", &room).await;
    for client in [&mut alice, &mut bob] {
        let told = next_mute(client).await;
        assert_eq!((told.scope(), told.muted, told.until_ms), (MuteScope::Room, true, 0));
    }
    assert_eq!(muted(&mut bob, 2, ROOM).await, ("room".to_owned(), 0));
    speak(&mut alice, 2, ROOM, &mut [&mut bob]).await;
    let message = [
        ("fromUserId", "host"),
        ("toChatroomId", ROOM),
        ("objectName", "RC:TxtMsg"),
        ("content", "silence, please"),
    ];
    ask(&gateway, "/message/chatroom/publish.json", &message).await;
    for client in [&mut alice, &mut bob] {
        assert_eq!(next_message(client).await.content, "silence, please");
    }
    // A gag in the room does not bind who is excepted.
    let gag = [("chatroomId", ROOM), ("userId", "alice"), ("minute", "1")];
    order(&gateway, "/chatroom/user/gag/add.json", &gag).await;
    speak(&mut alice, 3, ROOM, &mut [&mut bob]).await;
    assert_eq!(
        ask(&gateway, "/chatroom/ban/check.json", &room).await,
        json!({ "status": 1 })
    );
    let listed = ask(&gateway, "/chatroom/user/ban/whitelist/query.json", &room).await;
    assert_eq!(listed, json!({ "userIds": ["alice"] }));
    order(&gateway, "/chatroom/user/ban/whitelist/rollback.json", &excepted).await;
    assert_eq!(muted(&mut alice, 4, ROOM).await.0, "user");
    order(&gateway, "/chatroom/ban/rollback.json", &room).await;
    for client in [&mut alice, &mut bob] {
        assert!(!next_mute(client).await.muted);
    }
    speak(&mut bob, 3, ROOM, &mut [&mut alice]).await;
}

#[tokio::test]
async fn muted_rooms_are_listed_page_by_page_whether_they_exist_or_not() {
    let gateway = Gateway::start(unhindered);
    let rooms: Vec<String> = (0..60).map(|number| format!("room{number:02}")).collect();
    for room in &rooms {
        order(&gateway, "/chatroom/ban/add.json", &[("chatroomId", room)]).await;
    }
    let page = async |fields: &[(&str, &str)]| {
        let answer = ask(&gateway, "/chatroom/ban/query.json", fields).await;
        answer["chatroomIds"].as_array().expect("a list").clone()
    };
    assert_eq!(page(&[]).await, rooms[..50]);
    assert_eq!(page(&[("page", "2")]).await, rooms[50..]);
    assert_eq!(page(&[("size", "7"), ("page", "3")]).await, rooms[14..21]);
    assert_eq!(page(&[("size", "1000")]).await, rooms);
    assert!(page(&[("size", "1000"), ("page", "2")]).await.is_empty());
    order(&gateway, "/chatroom/ban/rollback.json", &[("chatroomId", "room00")]).await;
    // The end of a room ends its mute.
    order(&gateway, "/chatroom/destroy.json", &[("chatroomId", "room01")]).await;
    assert_eq!(page(&[("size", "1000")]).await, rooms[2..]);
}

#[tokio::test]
async fn a_gag_in_all_rooms_goes_before_every_exception() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    enter(&mut alice, 2, join_chat_room("hall", 0)).await;
    order(
        &gateway,
        "/chatroom/user/ban/whitelist/add.json",
        &[("chatroomId", ROOM), ("userId", "alice")],
    )
    .await;
    let gag = [
        ("userId", "alice"),
        ("minute", "43200"),
        ("needNotify", "true"),
        ("extra", "everywhere"),
    ];
    let before = unix_ms();
    order(&gateway, "/chatroom/user/ban/add.json", &gag).await;
    let told = next_mute(&mut alice).await;
    assert_eq!(
        (told.scope(), &*told.room_id, told.muted, &*told.extra),
        (MuteScope::Global, "", true, "everywhere")
    );
    assert!(told.until_ms >= before + 43_200 * MINUTE_MS);
    for (request_id, room) in [(3, ROOM), (4, "hall")] {
        assert_eq!(muted(&mut alice, request_id, room).await.0, "global");
    }
    expect_quiet(&mut bob, 2).await;
    let mut again = inside(&gateway, "alice", "yard").await;
    assert_eq!(muted(&mut again, 2, "yard").await.0, "global");
    let listed = ask(&gateway, "/chatroom/user/ban/query.json", &[]).await;
    assert_eq!(users_with_ends(&listed), ["alice"]);
    let remove = [("userId", "alice"), ("minute", "undefined"), ("needNotify", "true")];
    order(&gateway, "/chatroom/user/ban/remove.json", &remove).await;
    let told = next_mute(&mut again).await;
    assert_eq!((told.scope(), told.muted, told.until_ms), (MuteScope::Global, false, 0));
    speak(&mut again, 3, "yard", &mut []).await;
    assert_eq!(
        ask(&gateway, "/chatroom/user/ban/query.json", &[]).await,
        json!({ "users": [] })
    );
}

#[tokio::test]
async fn while_distribution_is_stopped_members_are_answered_and_only_the_server_is_heard() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let room = [("chatroomId", ROOM)];
    order(&gateway, "/chatroom/message/stopDistribution.json", &room).await;
    let result = send(&mut alice, 2, text(ROOM, "lost")).await;
    assert!(!result.distributed && result.message_id != 0, "{result:?}");
    expect_quiet(&mut bob, 2).await;
    expect_quiet(&mut alice, 3).await;
    let mut carol = inside(&gateway, "carol", "elsewhere").await;
    assert!(
        enter(&mut carol, 2, join_chat_room(ROOM, 10))
            .await
            .distribution_stopped
    );
    for client in [&mut alice, &mut bob] {
        expect_joined(client, "carol").await;
    }
    let message = [
        ("fromUserId", "host"),
        ("toChatroomId", ROOM),
        ("objectName", "RC:TxtMsg"),
        ("content", "a break"),
    ];
    ask(&gateway, "/message/chatroom/publish.json", &message).await;
    for client in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(next_message(client).await.content, "a break");
    }
    assert_eq!(ask(&gateway, "/chatroom/get.json", &room).await["stopped"], json!(true));
    order(&gateway, "/chatroom/message/resumeDistribution.json", &room).await;
    speak(&mut alice, 4, ROOM, &mut [&mut bob, &mut carol]).await;
}

#[tokio::test]
async fn a_long_list_is_answered_whole() {
    let gateway = Gateway::start(unhindered);
    let users: Vec<String> = (0..1200).map(|number| format!("user{number}")).collect();
    for users in users.chunks(20) {
        let mut fields = vec![("minute", "10")];
        fields.extend(users.iter().map(|user| ("userId", user.as_str())));
        order(&gateway, "/chatroom/user/ban/add.json", &fields).await;
    }
    let listed = ask(&gateway, "/chatroom/user/ban/query.json", &[]).await;
    let mut listed = users_with_ends(&listed);
    let mut users: Vec<&str> = users.iter().map(String::as_str).collect();
    listed.sort_unstable();
    users.sort_unstable();
    assert_eq!(listed, users);
}
