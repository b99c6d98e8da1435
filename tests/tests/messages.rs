//! Messages in rooms: what is taken and what is refused, and one order for all, whatever the transport and the worker of each.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    EnterRoom, Frame, MessageType, Ping, Priority, Reply, RoomMessage, SendMessage, SendMessageResult, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports};

use crate::rooms::{
    create_room, enter, enter_room, expect_quiet, join_chat_room, join_room, leave_room, message, next_message,
    no_rate_limits, refused, send, sent, text, user,
};

on_all_transports!(
    a_message_is_acknowledged_and_comes_to_its_sender_too,
    a_repeated_message_gets_the_first_answer,
    each_type_of_message_has_its_size,
    what_is_not_served_is_refused_and_the_connection_lives,
    a_sender_that_is_too_fast_is_told_how_long_to_wait,
    barrage_needs_no_answer_and_has_no_rate_limit,
    members_on_all_transports_and_workers_get_the_same_messages,
    commands_may_follow_each_other_without_waiting_for_answers,
);

/// Enough on each transport that both workers have some of them, wherever the kernel puts each.
const MEMBERS_PER_TRANSPORT: usize = 6;

/// The senders of the test of order, and what each of them sends.
const SENDERS: usize = 3;
const MESSAGES_PER_SENDER: usize = 200;

async fn a_message_is_acknowledged_and_comes_to_its_sender_too(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    let command = SendMessage {
        priority: Priority::High.into(),
        extended_data: "beside".into(),
        client_message_id: "m1".into(),
        ..message("lobby", MessageType::Custom, &b"\0\xff"[..])
    };
    let result = send(&mut alice, 2, command).await;
    assert_eq!(
        (&*result.client_message_id, result.sequence, result.duplicate),
        ("m1", 1, false)
    );
    assert_ne!(result.message_id, 0);
    assert_eq!(
        next_message(&mut alice).await,
        RoomMessage {
            room_id: "lobby".into(),
            sequence: 1,
            message_id: result.message_id,
            server_time_ms: result.server_time_ms,
            sender: Some(user("alice")),
            r#type: MessageType::Custom.into(),
            content: Bytes::from_static(b"\0\xff"),
            object_name: "app:test".into(),
            priority: Priority::High.into(),
            extended_data: "beside".into(),
            client_message_id: "m1".into(),
            history: false,
            left: 0,
            ..RoomMessage::default()
        }
    );
    let next = send(&mut alice, 3, text("lobby", "next")).await;
    assert_eq!(next.sequence, 2);
    assert!(next.message_id > result.message_id);
}

async fn a_repeated_message_gets_the_first_answer(transport: Transport) {
    let gateway = Gateway::start(|config| config.sessions.resume_window = Duration::ZERO);
    let named = |content: &str| SendMessage {
        client_message_id: "m1".into(),
        ..text("lobby", content)
    };
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut bob, 1, enter_room("lobby")).await;
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    let first = send(&mut alice, 2, named("hello")).await;
    let repeat = SendMessageResult {
        duplicate: true,
        ..first.clone()
    };
    assert_eq!(send(&mut alice, 3, named("hello")).await, repeat);
    // As after a lost connection.
    drop(alice);
    assert!(matches!(next_message(&mut bob).await.sequence, 1));
    assert!(matches!(bob.event().await, Body::RoomMemberLeft(_)));
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    assert_eq!(send(&mut alice, 2, named("hello")).await, repeat);
    let reply = alice.call(3, Body::SendMessage(named("something else"))).await;
    assert_eq!(refused(&reply), (33003, "duplicate_id"));
    match reply.result {
        Some(reply::Result::SendMessage(result)) => assert_eq!(result.client_message_id, "m1"),
        other => panic!("the refusal names the message: {other:?}"),
    }
    expect_quiet(&mut bob, 2).await;
}

async fn each_type_of_message_has_its_size(transport: Transport) {
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    let kinds = [
        (MessageType::Text, 32 * 1024),
        (MessageType::Command, 5 * 1024),
        (MessageType::Barrage, 5 * 1024),
        (MessageType::Custom, 32 * 1024),
    ];
    for (request_id, (kind, bytes_max)) in (10..).step_by(10).zip(kinds) {
        let of = |bytes: usize| message("lobby", kind, vec![b'x'; bytes]);
        send(&mut alice, request_id, of(bytes_max)).await;
        let received = next_message(&mut alice).await;
        assert_eq!((received.r#type(), received.content.len()), (kind, bytes_max));
        let beside = SendMessage {
            extended_data: "!".into(),
            ..of(bytes_max)
        };
        for (request_id, too_large) in (request_id + 1..).zip([of(bytes_max + 1), beside]) {
            let reply = alice.call(request_id, Body::SendMessage(too_large)).await;
            assert_eq!(refused(&reply), (20115, &*bytes_max.to_string()), "{kind:?}");
        }
    }
}

async fn what_is_not_served_is_refused_and_the_connection_lives(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    let good = || text("lobby", "hello");
    let of_conversation = |conversation_type: i32| SendMessage {
        conversation_type,
        ..good()
    };
    let of_type = |kind: i32| SendMessage {
        r#type: kind,
        client_message_id: "m1".into(),
        ..good()
    };
    for (request_id, command) in (2..).zip([of_conversation(77), of_type(0), of_type(11), of_type(201)]) {
        let reply = alice.call(request_id, Body::SendMessage(command.clone())).await;
        assert_eq!(refused(&reply), (20606, ""), "{command:?}");
        match reply.result {
            Some(reply::Result::SendMessage(result)) => {
                assert_eq!(result.client_message_id, command.client_message_id);
            }
            other => panic!("the refusal names the message: {other:?}"),
        }
    }
    send(&mut alice, 20, good()).await;
}

/// Sends many messages in one write, and returns the replies in order.
async fn flood(client: &mut RawClient, messages: impl IntoIterator<Item = SendMessage>) -> Vec<Reply> {
    let mut bytes = Vec::new();
    let mut request_ids = Vec::new();
    for (request_id, message) in (1_000..).zip(messages) {
        bytes.extend_from_slice(&encode(&Frame {
            request_id,
            body: Some(Body::SendMessage(message)),
        }));
        request_ids.push(request_id);
    }
    client.send_bytes(&bytes).await;
    let mut replies = Vec::new();
    for request_id in request_ids {
        replies.push(client.reply(request_id).await);
    }
    replies
}

async fn a_sender_that_is_too_fast_is_told_how_long_to_wait(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("room")).await;
    enter(&mut alice, 2, join_chat_room("live", -1)).await;
    for (room, limit, detail) in [("room", 10, "10/s"), ("live", 5, "5/s")] {
        let replies = flood(&mut alice, (0..100).map(|_| text(room, "hello"))).await;
        assert!(replies[..limit].iter().all(|reply| reply.code == 0), "{replies:?}");
        let refusals: Vec<&Reply> = replies.iter().filter(|reply| reply.code != 0).collect();
        assert!(!refusals.is_empty());
        for reply in refusals {
            assert_eq!(refused(reply), (20604, detail));
            assert!((1..=1000).contains(&reply.retry_after_ms), "{reply:?}");
        }
    }
}

async fn barrage_needs_no_answer_and_has_no_rate_limit(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    enter(&mut bob, 1, enter_room("lobby")).await;
    for number in 0..100 {
        let barrage = message("lobby", MessageType::Barrage, format!("{number}"));
        alice.send(0, Body::SendMessage(barrage)).await;
    }
    for number in 0..100 {
        let message = next_message(&mut bob).await;
        assert_eq!(
            (message.sequence, message.content),
            (number + 1, number.to_string().into())
        );
    }
    assert!(matches!(alice.event().await, Body::RoomMemberJoined(_)));
    for sequence in 1..=100 {
        assert_eq!(next_message(&mut alice).await.sequence, sequence, "no replies between");
    }
    // A text cannot go without an answer; it answers with the number 0.
    alice.send(0, Body::SendMessage(text("lobby", "hello"))).await;
    assert_eq!(refused(&alice.reply(0).await), (33003, "request_id"));
    expect_quiet(&mut bob, 2).await;
}

/// Members on all transports, several on each, all of them inside; and one who sends over `transport`.
async fn members_on_all_transports_and_workers_get_the_same_messages(transport: Transport) {
    let gateway = Gateway::start(|config| {
        no_rate_limits(config);
        config.rooms.member_events_each = 0;
        config.rooms.digest_interval = Duration::from_secs(60);
    });
    let mut sender = RawClient::online(&gateway, transport, "sender").await;
    enter(&mut sender, 1, enter_room("lobby")).await;
    let mut members = Vec::new();
    for number in 0..MEMBERS_PER_TRANSPORT {
        for transport in Transport::ALL {
            let mut member = RawClient::online(&gateway, transport, &format!("{transport}-{number}")).await;
            enter(&mut member, 1, enter_room("lobby")).await;
            members.push(member);
        }
    }
    let mut message_ids = Vec::new();
    for number in 0..20 {
        message_ids.push(
            send(&mut sender, 10 + number, text("lobby", &format!("{number}")))
                .await
                .message_id,
        );
    }
    for member in &mut members {
        for (sequence, message_id) in (1..).zip(&message_ids) {
            let message = next_message(member).await;
            assert_eq!(
                (message.sequence, message.message_id),
                (sequence, *message_id),
                "{member:?}"
            );
            assert_eq!(message.content, (sequence - 1).to_string());
        }
    }
}

async fn commands_may_follow_each_other_without_waiting_for_answers(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::connect(&gateway, transport).await;
    let commands = [
        (Body::EnterRoom(EnterRoom::default()), 6_000_121),
        (Body::Login(alice.login_command("alice")), 0),
        (enter_room("lobby"), 0),
        (Body::SendMessage(text("lobby", "inside")), 0),
        (leave_room("lobby"), 0),
        (Body::SendMessage(text("lobby", "outside")), 23410),
        (join_room("lobby"), 23410),
        (create_room("lobby", ""), 0),
        (create_room("lobby", ""), 6_000_323),
        (join_chat_room("lobby", 50), 0),
        (Body::Ping(Ping {}), 0),
    ];
    let mut bytes = Vec::new();
    for (request_id, (command, _)) in (1..).zip(&commands) {
        bytes.extend_from_slice(&encode(&Frame {
            request_id,
            body: Some(command.clone()),
        }));
    }
    alice.send_bytes(&bytes).await;
    for (request_id, (command, code)) in (1..).zip(&commands) {
        assert_eq!(alice.reply(request_id).await.code, *code, "{command:?}; {alice:?}");
    }
}

/// What one member received: sequence and content.
async fn receive_all(member: &mut RawClient) -> Vec<(u64, Bytes)> {
    let mut received = Vec::new();
    while received.len() < SENDERS * MESSAGES_PER_SENDER {
        match member.event().await {
            Body::RoomMessage(message) => received.push((message.sequence, message.content)),
            Body::RoomMemberJoined(_) => {}
            other => panic!("{other:?}; {member:?}"),
        }
    }
    received
}

#[tokio::test]
async fn all_members_see_all_senders_in_one_order_without_gaps() {
    let gateway = Gateway::start(no_rate_limits);
    let mut members = Vec::new();
    for (number, transport) in Transport::ALL.into_iter().cycle().take(9).enumerate() {
        let mut member = RawClient::online(&gateway, transport, &format!("user{number}")).await;
        enter(&mut member, 1, enter_room("lobby")).await;
        members.push(member);
    }
    // One sender on each transport, all at once.
    let sending = members.drain(..SENDERS).enumerate().map(|(sender, mut member)| {
        tokio::spawn(async move {
            let messages = (0..MESSAGES_PER_SENDER).map(|number| text("lobby", &format!("{sender}:{number}")));
            let replies = flood(&mut member, messages).await;
            let sequences: Vec<u64> = replies.into_iter().map(|reply| sent(reply).sequence).collect();
            assert!(sequences.is_sorted(), "a sender's messages keep their order");
            (member, sequences)
        })
    });
    let sending: Vec<_> = sending.collect();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for (sender, task) in sending.into_iter().enumerate() {
        let (member, sequences) = task.await.expect("a sender");
        members.push(member);
        let contents = (0..).map(|number| format!("{sender}:{number}"));
        acknowledged.extend(sequences.into_iter().zip(contents));
    }
    let expected: Vec<(u64, Bytes)> = acknowledged
        .into_iter()
        .map(|(sequence, content)| (sequence, content.into()))
        .collect();
    assert!(
        expected.iter().map(|(sequence, _)| *sequence).eq(1..=600),
        "each number once"
    );
    for member in &mut members {
        assert_eq!(receive_all(member).await, expected, "{member:?}");
    }
}
