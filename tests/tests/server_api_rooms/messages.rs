//! What the app's server says in rooms and to everybody, and takes back.

use serde_json::{Value, json};
use sluice_protocol::frame::Body;
use sluice_protocol::{MessageType, Priority, RoomMessage, RoomMessageRecalled, SystemMessage};
use sluice_tests::{ApiCall, Gateway, RawClient, Transport};

use super::{ROOM, alice_and_bob, ask, inside, order, refused_with, text_of, unhindered};
use crate::rooms::{enter, expect_quiet, join_chat_room, next_message, send, text, user};

const PUBLISH: &str = "/message/chatroom/publish.json";

fn said<'a>(object_name: &'a str, content: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("fromUserId", "__SYSTEM__"),
        ("toChatroomId", ROOM),
        ("objectName", object_name),
        ("content", content),
    ]
}

/// The ids of a published message, by room.
fn ids(answer: &Value) -> Vec<(&str, u64)> {
    let sent = answer["messageUIDs"].as_array().expect("a list").iter();
    sent.map(|sent| {
        (
            text_of(sent, "chatroomId"),
            text_of(sent, "messageUID").parse().expect("digits"),
        )
    })
    .collect()
}

/// Puts the client inside, and returns the history.
async fn history(client: &mut RawClient, request_id: u32) -> Vec<RoomMessage> {
    let count = enter(client, request_id, join_chat_room(ROOM, 50)).await.history_count;
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(next_message(client).await);
    }
    messages
}

#[tokio::test]
async fn a_message_of_the_server_is_numbered_like_others_and_names_who_it_is_from() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    send(&mut alice, 2, text(ROOM, "first")).await;
    for client in [&mut alice, &mut bob] {
        next_message(client).await;
    }
    let fields = [
        said("RC:TxtMsg", r#"{"content":"hello 你好","extra":"beside"}"#),
        vec![
            ("priority", "3"),
            ("isPersisted", "1"),
            ("isIncludeSender", "0"),
            ("pushData", "ignored"),
        ],
    ]
    .concat();
    let answer = ask(&gateway, PUBLISH, &fields).await;
    let [(ROOM, message_id)] = ids(&answer)[..] else {
        panic!("{answer}")
    };
    for client in [&mut alice, &mut bob] {
        let message = next_message(client).await;
        let expected = RoomMessage {
            room_id: ROOM.into(),
            sequence: 2,
            message_id,
            server_time_ms: message.server_time_ms,
            sender: Some(user("__SYSTEM__")),
            r#type: MessageType::Text.into(),
            content: "hello 你好".into(),
            priority: Priority::High.into(),
            extended_data: "beside".into(),
            from_server: true,
            ..RoomMessage::default()
        };
        assert_eq!(message, expected);
    }
    for (object_name, kind, name) in [
        ("RC:CmdMsg", MessageType::Command, ""),
        ("RC:ImgMsg", MessageType::Custom, "RC:ImgMsg"),
        ("app:gift", MessageType::Custom, "app:gift"),
    ] {
        ask(&gateway, PUBLISH, &said(object_name, r#"{"content":"as it is"}"#)).await;
        let message = next_message(&mut bob).await;
        assert_eq!((message.r#type(), &*message.object_name), (kind, name));
        assert_eq!(message.content, r#"{"content":"as it is"}"#);
    }
}

#[tokio::test]
async fn one_call_speaks_in_several_rooms_and_rooms_that_do_not_exist_are_no_failure() {
    let gateway = Gateway::start(unhindered);
    let rooms: Vec<String> = (0..10).map(|number| format!("room{number}")).collect();
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    for (request_id, room) in (1..).zip(&rooms[..9]) {
        enter(&mut alice, request_id, join_chat_room(room, 0)).await;
    }
    let mut fields = vec![
        ("fromUserId", "host"),
        ("objectName", "RC:TxtMsg"),
        ("content", "to all of you"),
    ];
    fields.extend(rooms.iter().map(|room| ("toChatroomId", &**room)));
    let answer = ask(&gateway, PUBLISH, &fields).await;
    let sent = ids(&answer);
    assert_eq!(sent.iter().map(|(room, _)| *room).collect::<Vec<_>>(), rooms);
    let mut seen = Vec::new();
    for _ in 0..9 {
        let message = next_message(&mut alice).await;
        assert!(sent.contains(&(&*message.room_id, message.message_id)));
        seen.push(message.room_id);
    }
    seen.sort_unstable();
    assert_eq!(seen, rooms[..9]);
    fields.push(("toChatroomId", "room10"));
    assert_eq!(refused_with(&gateway, PUBLISH, &fields).await, (400, 1002));
}

#[tokio::test]
async fn a_recalled_message_is_history_no_more_and_members_are_told() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let answer = ask(&gateway, PUBLISH, &said("RC:TxtMsg", "kept")).await;
    let kept = ids(&answer)[0].1;
    ask(
        &gateway,
        PUBLISH,
        &[said("RC:TxtMsg", "for the moment"), vec![("isPersisted", "0")]].concat(),
    )
    .await;
    let own = send(&mut alice, 2, text(ROOM, "alice's")).await;
    for client in [&mut alice, &mut bob] {
        for content in ["kept", "for the moment", "alice's"] {
            assert_eq!(next_message(client).await.content, content);
        }
    }
    let mut carol = RawClient::online(&gateway, Transport::Tcp, "carol").await;
    let before: Vec<u64> = history(&mut carol, 1)
        .await
        .iter()
        .map(|message| message.message_id)
        .collect();
    assert_eq!(before, [kept, own.message_id]);
    for (path, message_id, sequence) in [
        ("/message/recall.json", kept, 1),
        ("/message/chatroom/recall.json", own.message_id, 3),
        // It may be on screens all the same.
        ("/message/recall.json", 77, 0),
    ] {
        let id = message_id.to_string();
        let recall = [
            ("fromUserId", "admin"),
            ("conversationType", "4"),
            ("targetId", ROOM),
            ("messageUID", &*id),
            ("sentTime", "1795259670000"),
            ("isAdmin", "1"),
            ("content", "[object Object]"),
        ];
        order(&gateway, path, &recall).await;
        let told = loop {
            match bob.event().await {
                Body::RoomMessageRecalled(recalled) => break recalled,
                Body::RoomMemberJoined(_) => {}
                other => panic!("{other:?}"),
            }
        };
        let expected = RoomMessageRecalled {
            room_id: ROOM.into(),
            message_id,
            sequence,
            operator_id: "admin".into(),
            recalled_at_ms: told.recalled_at_ms,
        };
        assert_eq!(told, expected);
    }
    let mut dave = RawClient::online(&gateway, Transport::Tcp, "dave").await;
    assert_eq!(history(&mut dave, 1).await, []);
}

#[tokio::test]
async fn only_where_there_are_rooms_does_an_id_that_cannot_be_one_of_ours_count_as_wrong() {
    let gateway = Gateway::start(unhindered);
    let recall = |conversation, id| {
        [
            ("fromUserId", "admin"),
            ("conversationType", conversation),
            ("targetId", ROOM),
            ("messageUID", id),
        ]
    };
    for conversation in ["1", "2", "3", "6"] {
        order(
            &gateway,
            "/message/recall",
            &recall(conversation, "5FGT-7VA9-G4DD-4V5P"),
        )
        .await;
    }
    let of_none = refused_with(&gateway, "/message/recall", &recall("5", "1")).await;
    assert_eq!(of_none, (430, 1009));
    for id in ["5FGT-7VA9-G4DD-4V5P", "0", "-1", "18446744073709551616"] {
        assert_eq!(
            refused_with(&gateway, "/message/recall", &recall("4", id)).await,
            (400, 1002),
            "{id}"
        );
    }
    let without = [("fromUserId", "admin"), ("targetId", ROOM), ("messageUID", "7")];
    assert_eq!(refused_with(&gateway, "/message/recall", &without).await, (400, 1002));
    order(&gateway, "/message/chatroom/recall", &without).await;
}

#[tokio::test]
async fn a_message_to_all_rooms_reaches_each_of_them_once_and_becomes_no_history() {
    let gateway = Gateway::start(unhindered);
    let mut clients = Vec::new();
    // More than one step of those who say it, at both homes.
    for number in 0..3 {
        let mut client = RawClient::online(&gateway, Transport::Tcp, &format!("user{number}")).await;
        for room in 0..100 {
            enter(
                &mut client,
                room + 1,
                join_chat_room(&format!("room{number}-{room}"), 0),
            )
            .await;
        }
        clients.push(client);
    }
    let fields = [
        ("fromUserId", "host"),
        ("objectName", "RC:TxtMsg"),
        ("content", "the hall closes"),
        ("targetId", "sea9901"),
    ];
    let answer = ask(&gateway, "/message/chatroom/broadcast.json", &fields).await;
    let message_id: u64 = text_of(&answer, "messageUID").parse().expect("digits");
    for client in &mut clients {
        let mut rooms = Vec::new();
        for _ in 0..100 {
            let message = next_message(client).await;
            assert_eq!(
                (message.message_id, &*message.content),
                (message_id, &b"the hall closes"[..])
            );
            rooms.push(message.room_id);
        }
        rooms.sort_unstable();
        rooms.dedup();
        assert_eq!(rooms.len(), 100);
        expect_quiet(client, 1000).await;
    }
    let mut late = RawClient::online(&gateway, Transport::Tcp, "late").await;
    let entered = enter(&mut late, 1, join_chat_room("room0-0", 50)).await;
    assert_eq!((entered.history_count, entered.sequence), (0, 1));
}

#[tokio::test]
async fn all_rooms_are_spoken_to_once_a_second_at_most() {
    let gateway = Gateway::start(unhindered);
    let fields = [("fromUserId", "host"), ("objectName", "RC:TxtMsg"), ("content", "hear")];
    let mut answers = Vec::new();
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_millis(900) {
        answers.push(
            ApiCall::new("/message/chatroom/broadcast", &fields)
                .send(gateway.api())
                .await,
        );
    }
    assert_eq!(answers[0].code(), 200);
    for refused in &answers[1..] {
        assert_eq!((refused.status, refused.code()), (429, 1008));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert!(answers.len() > 1);
}

#[tokio::test]
async fn a_message_to_everybody_reaches_who_is_inside_no_room_too() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    let mut alone = RawClient::online(&gateway, Transport::Quic, "carol").await;
    let fields = [
        ("fromUserId", "__SYSTEM__"),
        ("objectName", "RC:TxtMsg"),
        ("content", r#"{"content":"closing at ten","extra":"x"}"#),
        ("pushContent", "ignored"),
    ];
    let answer = ask(&gateway, "/message/broadcast.json", &fields).await;
    for client in [&mut alice, &mut bob, &mut alone] {
        let told = match client.event().await {
            Body::SystemMessage(told) => told,
            other => panic!("{other:?}"),
        };
        let expected = SystemMessage {
            message_id: text_of(&answer, "messageUID").parse().expect("digits"),
            server_time_ms: told.server_time_ms,
            sender_id: "__SYSTEM__".into(),
            r#type: MessageType::Text.into(),
            content: "closing at ten".into(),
            object_name: String::new(),
            extended_data: "x".into(),
        };
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn the_limits_of_types_hold_for_the_server_too() {
    let gateway = Gateway::start(unhindered);
    let long = "x".repeat(32 * 1024 + 1);
    for (object_name, content, expected) in [
        ("RC:TxtMsg", &*long, 1005),
        ("app:gift", &long, 1005),
        ("RC:CmdMsg", &long[..5 * 1024 + 1], 1005),
        ("RC:TxtMsg", r#"{"content":""}"#, 1002),
        (&long[..65], "hello", 1005),
    ] {
        let refused = refused_with(&gateway, PUBLISH, &said(object_name, content)).await;
        assert_eq!(refused, (400, expected), "{object_name:.10}");
    }
    let answer = ask(&gateway, PUBLISH, &said("RC:TxtMsg", &long[..32 * 1024])).await;
    assert_ne!(answer["messageUIDs"], json!([]));
    // In the words of the vendor's library, where content is no JSON and the room was never made.
    order_of_anybody(&gateway).await;
}

async fn order_of_anybody(gateway: &Gateway) {
    let mut alice = inside(gateway, "alice", "sea9901").await;
    let fields = [
        ("toChatroomId", "sea9901"),
        ("fromUserId", "sea9902"),
        ("objectName", "RC:TxtMsg"),
        ("content", "helloworld"),
    ];
    ask(gateway, PUBLISH, &fields).await;
    assert_eq!(next_message(&mut alice).await.content, "helloworld");
}
