//! Clients that say nothing, or not enough, or do not listen.

use std::time::Duration;

use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::{EnterRoom, ErrorCode, Frame, MessageType, Ping, SendMessage};
use sluice_tests::crafted::unknown_command;
use sluice_tests::{Gateway, GatewayProcess, RawClient, Transport, on_all_transports, within};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

on_all_transports!(
    a_client_that_says_nothing_is_closed_at_the_login_timeout,
    a_client_that_says_too_little_is_closed_at_the_login_timeout,
    a_client_that_sends_bytes_but_no_login_is_closed_at_the_login_timeout,
    a_client_that_is_silent_after_login_is_closed_and_one_that_pings_is_not,
    bytes_that_make_no_frame_are_no_sign_of_life,
    a_client_that_reads_no_replies_is_not_read_either_and_hurts_nobody,
    a_client_that_ends_its_side_still_gets_its_answers,
    frames_may_come_in_one_piece,
    frames_may_come_byte_by_byte,
);

/// For clients that do not log in.
const LOGIN_TIMEOUT: Duration = Duration::from_millis(300);

/// A client is silent for 2.5 times this before it is closed.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(300);

/// Between two bytes of a client that trickles: many times less than any timeout here.
const TRICKLE_INTERVAL: Duration = Duration::from_millis(20);

/// How long a server takes nothing before it is taken to be full. Too short would make the test weaker, not wrong.
const PATIENCE: Duration = Duration::from_millis(500);

fn short_login_timeout() -> Gateway {
    Gateway::start(|config| config.connections.login_timeout = LOGIN_TIMEOUT)
}

/// A busy machine may take its time for logins.
fn short_heartbeat() -> Gateway {
    Gateway::start(|config| config.connections.heartbeat_interval = HEARTBEAT_INTERVAL)
}

async fn expect_close(client: &mut RawClient, code: ErrorCode) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.detail.as_str()), (code.number(), ""), "{client:?}");
    expect_end(client, code).await;
}

async fn expect_end(client: &mut RawClient, code: ErrorCode) {
    let expected = (client.transport() == Transport::Quic).then_some(code.number() as u64);
    assert_eq!(client.expect_end().await, expected, "{client:?}");
}

/// Bytes of a frame that never comes to its end, each many times within a timeout, for several times as long as one.
const TRICKLED_BYTES: usize = 250;

/// Sends the beginning of a frame byte by byte, until the server has something to say.
async fn trickle(client: &mut RawClient) {
    let frame = unknown_command(4000);
    for byte in &frame[..TRICKLED_BYTES] {
        if client.try_send_bytes(&[*byte]).await.is_err() || client.has_frame_within(TRICKLE_INTERVAL).await {
            return;
        }
    }
    panic!("the server took it all without a word; {client:?}");
}

async fn a_client_that_says_nothing_is_closed_at_the_login_timeout(transport: Transport) {
    let gateway = short_login_timeout();
    let mut client = RawClient::connect(&gateway, transport).await;
    if transport == Transport::Quic {
        // There is no stream yet that a last frame could come on.
        expect_end(&mut client, ErrorCode::LOGIN_TIMEOUT).await;
    } else {
        expect_close(&mut client, ErrorCode::LOGIN_TIMEOUT).await;
    }
    gateway.all_gone(1, "login_timeout").await;
}

async fn a_client_that_says_too_little_is_closed_at_the_login_timeout(transport: Transport) {
    let gateway = short_login_timeout();
    let mut client = RawClient::connect(&gateway, transport).await;
    client.send_bytes(&[100]).await;
    expect_close(&mut client, ErrorCode::LOGIN_TIMEOUT).await;
    gateway.all_gone(1, "login_timeout").await;
}

async fn a_client_that_sends_bytes_but_no_login_is_closed_at_the_login_timeout(transport: Transport) {
    let gateway = short_login_timeout();
    let mut client = RawClient::connect(&gateway, transport).await;
    trickle(&mut client).await;
    expect_close(&mut client, ErrorCode::LOGIN_TIMEOUT).await;
    gateway.all_gone(1, "login_timeout").await;
}

async fn a_client_that_is_silent_after_login_is_closed_and_one_that_pings_is_not(transport: Transport) {
    let gateway = short_heartbeat();
    let mut silent = RawClient::online(&gateway, transport, "alice").await;
    let mut lively = RawClient::online(&gateway, transport, "bob").await;
    let mut id = 0;
    while !silent.has_frame_within(TRICKLE_INTERVAL).await {
        id += 1;
        assert_eq!(lively.call(id, Body::Ping(Ping {})).await.code, 0);
    }
    expect_close(&mut silent, ErrorCode::PING_TIMEOUT).await;
    assert_eq!(lively.call(id + 1, Body::Ping(Ping {})).await.code, 0);
    drop(lively);
    let silence = gateway.metric("sluice_ping_timeouts_total");
    assert!(silence.await <= 1.0);
}

async fn bytes_that_make_no_frame_are_no_sign_of_life(transport: Transport) {
    let gateway = short_heartbeat();
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    trickle(&mut client).await;
    expect_close(&mut client, ErrorCode::PING_TIMEOUT).await;
    gateway.all_gone(1, "silent").await;
}

/// The first byte of a TLS record that carries an alert.
const TLS_ALERT: u8 = 21;

#[tokio::test]
async fn a_tls_handshake_that_does_not_begin_is_given_up() {
    let gateway = Gateway::start(|config| config.connections.handshake_timeout = LOGIN_TIMEOUT);
    let mut stream = TcpStream::connect(gateway.address(Transport::Tls))
        .await
        .expect("the port takes connections");
    let mut received = Vec::new();
    within("the end of the connection", stream.read_to_end(&mut received))
        .await
        .expect("an end, no reset");
    // Nothing is said in the clear on this port but, at most, an alert.
    assert!(received.first().is_none_or(|kind| *kind == TLS_ALERT), "{received:?}");
    gateway.all_gone(1, "handshake_failed").await;
}

/// How much memory a gateway may take for one client that does not read: many times the queue of its replies, and a
/// small part of what it sends.
const MEMORY_GROWTH_MAX: f64 = 24.0 * 1024.0 * 1024.0;

/// About as long as its answer, so that both directions fill alike.
const COMMAND_BYTES: usize = 80;

/// What the client has to send: more than all buffers on the way hold.
const FLOOD_BYTES: usize = 64 * 1024 * 1024;

async fn a_client_that_reads_no_replies_is_not_read_either_and_hurts_nobody(transport: Transport) {
    let gateway = GatewayProcess::start(&[]).await;
    let mut other = RawClient::online(&gateway, transport, "bob").await;
    let mut flooder = RawClient::online(&gateway, transport, "alice").await;
    let before = gateway.resident_bytes().await;

    let command = unknown_command(COMMAND_BYTES);
    let flood = command.repeat(FLOOD_BYTES / command.len());
    let sent = flooder.send_until_full(&flood, PATIENCE).await;
    assert!(sent < flood.len(), "the server took everything");
    assert_eq!(other.call(1, Body::Ping(Ping {})).await.code, 0);
    let growth = gateway.resident_bytes().await - before;
    assert!(
        growth < MEMORY_GROWTH_MAX,
        "{sent} bytes of commands cost {growth} bytes"
    );

    // Once it reads, it gets an answer to each whole command that it got rid of.
    for _ in 0..sent / command.len() {
        let reply = flooder.reply(1).await;
        assert_eq!(reply.code, ErrorCode::OPERATION_NOT_SUPPORTED.number());
    }
    assert_eq!(other.call(2, Body::Ping(Ping {})).await.code, 0);
}

async fn a_client_that_ends_its_side_still_gets_its_answers(transport: Transport) {
    /// Below the rate limit.
    const MESSAGES: u32 = 5;
    let gateway = Gateway::start(|_| {});
    // Rooms with homes on both workers, so that some answers come from the other one.
    for number in 0..6 {
        let room = format!("room{number}");
        let mut client = RawClient::online(&gateway, transport, &format!("user{number}")).await;
        let enter = Body::EnterRoom(EnterRoom {
            room_id: room.clone(),
            ..EnterRoom::default()
        });
        client.send(1, enter).await;
        for id in 2..2 + MESSAGES {
            let message = SendMessage {
                conversation_type: sluice_protocol::ConversationType::Room.into(),
                target_id: room.clone(),
                r#type: MessageType::Text.into(),
                content: b"hello".to_vec().into(),
                ..SendMessage::default()
            };
            client.send(id, Body::SendMessage(message)).await;
        }
        client.finish_sending().await;
        for id in 1..2 + MESSAGES {
            assert_eq!(client.reply(id).await.code, 0, "{client:?}");
        }
        while client.next_frame_or_end().await.is_some() {}
    }
    gateway.all_gone(6, "client_closed").await;
}

async fn frames_may_come_in_one_piece(transport: Transport) {
    const PINGS: u32 = 1000;
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    let login = Frame {
        request_id: 1,
        body: Some(Body::Login(client.login_command("alice"))),
    };
    let pings = (2..2 + PINGS).map(|request_id| Frame {
        request_id,
        body: Some(Body::Ping(Ping {})),
    });
    let bytes: Vec<u8> = std::iter::once(login)
        .chain(pings)
        .flat_map(|frame| encode(&frame))
        .collect();
    client.send_bytes(&bytes).await;
    for id in 1..2 + PINGS {
        assert_eq!(client.reply(id).await.code, 0, "{id}");
    }
}

async fn frames_may_come_byte_by_byte(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    let frames = [Body::Login(client.login_command("alice")), Body::Ping(Ping {})];
    for (request_id, body) in (1..).zip(frames) {
        let frame = Frame {
            request_id,
            body: Some(body),
        };
        for byte in encode(&frame) {
            client.send_bytes(&[byte]).await;
        }
        assert_eq!(client.reply(request_id).await.code, 0);
    }
}
