//! Calls and their replies.

use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{Close, ErrorCode, LogoutResult, Pong, Reply, SendMessage, SendMessageResult, reply};

use super::peer;
use crate::client::CALL_QUEUE_LENGTH;
use crate::{Event, History, OutgoingMessage};

fn text(content: &str) -> OutgoingMessage {
    OutgoingMessage::text("lobby", content)
}

fn sent(message: &SendMessage, sequence: u64) -> Reply {
    let client_message_id = message.client_message_id.clone();
    peer::success(reply::Result::SendMessage(SendMessageResult {
        client_message_id,
        message_id: 1000 + sequence,
        sequence,
        ..SendMessageResult::default()
    }))
}

#[tokio::test]
async fn replies_out_of_order_reach_the_calls_they_answer() {
    let (client, _events, mut server) = peer::connected().await;
    let first = client.send(text("first").client_message_id("a"));
    let second = client.send(text("second").client_message_id("b"));
    let third = client.ping();

    let mut commands = Vec::new();
    for _ in 0..3 {
        commands.push(server.next_command().await);
    }
    let contents: Vec<_> = commands
        .iter()
        .filter_map(|(_, body)| match body {
            Body::SendMessage(message) => Some(message.content.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        contents,
        ["first", "second"],
        "the order of calls is the order on the wire"
    );
    for (request_id, body) in commands.into_iter().rev() {
        let reply = match body {
            Body::SendMessage(message) => sent(&message, if message.content == "first" { 1 } else { 2 }),
            _ => peer::success(reply::Result::Pong(Pong { server_time_ms: 42 })),
        };
        server.reply(request_id, reply).await;
    }
    assert_eq!(third.await, Ok(42));
    let second = second.await.expect("sent");
    assert_eq!(
        (second.client_message_id.as_str(), second.sequence, second.message_id),
        ("b", 2, 1002)
    );
    assert_eq!(first.await.expect("sent").sequence, 1);
}

#[tokio::test]
async fn a_refused_call_fails_alone_with_code_detail_and_delay() {
    let (client, _events, mut server) = peer::connected().await;
    let refused = client.send(text("too fast"));
    let (request_id, _) = server.next_command().await;
    let refusal = Reply {
        code: ErrorCode::SEND_TOO_FAST.into(),
        detail: "10/s".into(),
        retry_after_ms: 100,
        ..Reply::default()
    };
    server.reply(request_id, refusal).await;
    let error = refused.await.expect_err("refused");
    assert_eq!((error.code, error.detail.as_str()), (ErrorCode::SEND_TOO_FAST, "10/s"));
    assert_eq!(error.retry_after, Some(Duration::from_millis(100)));

    let pinged = client.ping();
    let (request_id, _) = server.next_command().await;
    server
        .reply(
            request_id,
            peer::success(reply::Result::Pong(Pong { server_time_ms: 7 })),
        )
        .await;
    assert_eq!(pinged.await, Ok(7));
}

#[tokio::test]
async fn a_reply_that_does_not_fit_the_command_is_32002() {
    let (client, _events, mut server) = peer::connected().await;
    let joined = client.join_chat_room("lobby", History::Newest(7));
    let (request_id, command) = server.next_command().await;
    assert!(matches!(command, Body::JoinChatRoom(join) if join.message_count == 7));
    server
        .reply(request_id, peer::success(reply::Result::Pong(Pong::default())))
        .await;
    assert_eq!(joined.await.expect_err("no room").code, ErrorCode::MALFORMED_FRAME);
}

#[tokio::test]
async fn a_barrage_is_sent_with_request_id_zero() {
    let (client, _events, mut server) = peer::connected().await;
    client.send_barrage("lobby", "wow").expect("queued");
    let (request_id, command) = server.next_command().await;
    assert_eq!(request_id, 0);
    assert!(matches!(command, Body::SendMessage(message) if message.content == "wow" && message.r#type == 20));
}

#[tokio::test]
async fn a_broken_link_fails_the_calls_in_flight_with_30011_and_later_ones_with_30002() {
    let (client, mut events, mut server) = peer::connected().await;
    let in_flight = [client.send(text("one")), client.send(text("two"))];
    server.next_command().await;
    drop(server);
    for call in in_flight {
        let error = call.await.expect_err("the link is broken");
        assert_eq!(
            (error.code, error.detail.as_str()),
            (ErrorCode::SOCKET_DISCONNECTED, "end_of_stream")
        );
    }
    assert!(matches!(
        events.next().await,
        Some(Event::Closed(closed)) if closed.code == ErrorCode::SOCKET_DISCONNECTED
    ));
    assert_eq!(events.next().await, None);
    assert_eq!(
        client.ping().await.expect_err("ended").code,
        ErrorCode::CONNECTION_UNAVAILABLE
    );
    assert_eq!(
        client.send_barrage("lobby", "x").expect_err("ended").code,
        ErrorCode::CONNECTION_UNAVAILABLE
    );
    assert_eq!(client.logout().await, Ok(()), "logging out of what has ended succeeds");
}

#[tokio::test]
async fn a_close_fails_the_calls_in_flight_with_its_own_code() {
    let (client, mut events, mut server) = peer::connected().await;
    let in_flight = client.send(text("one"));
    server.next_command().await;
    let close = Close {
        code: ErrorCode::KICKED_BY_OTHER_DEVICE.into(),
        message: "a newer login".into(),
        detail: "newer_login".into(),
        retry_after_ms: 0,
    };
    server.close(close).await;
    let error = in_flight.await.expect_err("closed");
    assert_eq!(
        (error.code, error.detail.as_str()),
        (ErrorCode::KICKED_BY_OTHER_DEVICE, "newer_login")
    );
    let Some(Event::Closed(closed)) = events.next().await else {
        panic!("the connection has ended")
    };
    assert_eq!(closed.code, ErrorCode::KICKED_BY_OTHER_DEVICE);
    assert_eq!(
        (closed.detail.as_str(), closed.message.as_str()),
        ("newer_login", "a newer login")
    );
    assert_eq!(closed.retry_after, None);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_logout_is_answered_and_ends_the_connection_with_code_zero() {
    let (client, mut events, mut server) = peer::connected().await;
    let logged_out = client.logout();
    let (request_id, command) = server.next_command().await;
    assert!(matches!(command, Body::Logout(_)));
    server
        .reply(request_id, peer::success(reply::Result::Logout(LogoutResult {})))
        .await;
    server.close(Close::default()).await;
    assert_eq!(logged_out.await, Ok(()));
    let Some(Event::Closed(closed)) = events.next().await else {
        panic!("the connection has ended")
    };
    assert_eq!((closed.code, closed.error()), (ErrorCode::NO_ERROR, None));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_reply_is_5004_and_its_late_reply_is_ignored() {
    let (client, _events, mut server) = peer::connected().await;
    let unanswered = client.ping();
    let (late_id, _) = server.next_command().await;
    assert_eq!(unanswered.await.expect_err("no reply").code, ErrorCode::TIMEOUT);
    server
        .reply(late_id, peer::success(reply::Result::Pong(Pong { server_time_ms: 1 })))
        .await;

    let answered = client.ping();
    let (request_id, _) = server.next_command().await;
    assert_ne!(request_id, late_id);
    server
        .reply(
            request_id,
            peer::success(reply::Result::Pong(Pong { server_time_ms: 2 })),
        )
        .await;
    assert_eq!(answered.await, Ok(2));
}

#[tokio::test]
async fn a_full_queue_of_calls_is_30014() {
    let (client, _events, _server) = peer::connected().await;
    // The connection's task cannot run between these calls, as this test awaits nothing.
    let queued: Vec<_> = (0..CALL_QUEUE_LENGTH).map(|_| client.ping()).collect();
    let refused = client.ping();
    assert_eq!(
        refused.await.expect_err("the queue is full").code,
        ErrorCode::SIGNAL_SEND_FAILED
    );
    drop(queued);
}

#[tokio::test]
async fn dropping_the_last_handle_writes_what_was_queued_and_ends_the_connection() {
    let (client, mut events, mut server) = peer::connected().await;
    client.send_barrage("lobby", "last words").expect("queued");
    drop(client);
    assert!(matches!(server.next_command().await, (0, Body::SendMessage(_))));
    assert_eq!(server.next_frame().await, None);
    assert!(matches!(
        events.next().await,
        Some(Event::Closed(closed)) if closed.code == ErrorCode::CONNECTION_RELEASED
    ));
}
