//! How connections end, and how those fare that are not let in.

use std::time::Duration;

use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ALPN, ConversationType, EnterRoom, ErrorCode, Frame, Login, Logout, MessageType, Ping, SendMessage,
};
use sluice_tests::crafted::unknown_command;
use sluice_tests::{
    DEADLINE, Gateway, GatewayProcess, RawClient, Transport, on_all_transports, quic_connect, tls_connect, wait_until,
    within,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

on_all_transports!(
    a_logout_is_answered_and_then_the_connection_ends,
    a_logout_waits_for_the_answers_to_what_was_asked_before,
    a_refused_login_is_answered_and_then_the_connection_ends,
    a_client_that_is_gone_without_a_word_leaves_nothing_behind,
    a_client_that_holds_on_is_cut_off_after_the_closing_timeout,
    a_client_that_does_not_read_is_cut_off_after_the_closing_timeout,
    a_stopping_gateway_tells_everybody_and_ends,
    a_stopping_gateway_does_not_wait_for_clients_that_do_not_read,
);

/// About as long as its answer, so that both directions fill alike.
const COMMAND_BYTES: usize = 80;

/// More than all buffers on the way hold.
const FLOOD_BYTES: usize = 64 * 1024 * 1024;

/// How long a server takes nothing before it is taken to be full. Too short would make the test weaker, not wrong.
const PATIENCE: Duration = Duration::from_millis(300);

/// As a number of QUIC, where `client` uses it.
fn quic_code(client: &RawClient, code: ErrorCode) -> Option<u64> {
    (client.transport() == Transport::Quic).then_some(code.number() as u64)
}

async fn a_logout_is_answered_and_then_the_connection_ends(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    assert_eq!(client.call(1, Body::Logout(Logout {})).await.code, 0);
    let close = client.expect_close().await;
    assert_eq!((close.code, close.detail.as_str()), (0, ""));
    assert_eq!(
        client.expect_end().await,
        quic_code(&client, ErrorCode::NO_ERROR),
        "{client:?}"
    );
    gateway.all_gone(1, "logout").await;
}

async fn a_refused_login_is_answered_and_then_the_connection_ends(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    let login = Login {
        token: "not a token".to_owned(),
        ..client.login_command("alice")
    };
    let reply = client.call(1, Body::Login(login)).await;
    let expected = (ErrorCode::TOKEN_INVALID.number(), "malformed");
    assert_eq!((reply.code, reply.detail.as_str()), expected);
    let close = client.expect_close().await;
    assert_eq!((close.code, close.detail.as_str()), expected);
    assert_eq!(
        client.expect_end().await,
        quic_code(&client, ErrorCode::TOKEN_INVALID),
        "{client:?}"
    );
    gateway.all_gone(1, "login_refused").await;
}

async fn a_client_that_is_gone_without_a_word_leaves_nothing_behind(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    drop(RawClient::online(&gateway, transport, "alice").await);
    gateway.all_gone(1, "client_closed").await;
}

async fn a_client_that_holds_on_is_cut_off_after_the_closing_timeout(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    client.send_bytes(&[0]).await;
    // It neither reads nor ends its side.
    gateway.all_gone(1, "protocol_error").await;
    assert_eq!(client.expect_close().await.code, ErrorCode::MALFORMED_FRAME.number());
}

async fn a_client_that_does_not_read_is_cut_off_after_the_closing_timeout(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    fill(&mut client).await;
    // It is displaced, and cannot be told.
    let _newer = RawClient::online(&gateway, transport, "alice").await;
    wait_until("only the newer connection is left", async || {
        let opened = gateway.metric("sluice_connections_opened_total").await;
        let displaced = gateway
            .metric("sluice_connections_closed_total{reason=\"displaced\"}")
            .await;
        let open = gateway.metric("sluice_connections").await;
        (opened, displaced, open) == (2.0, 1.0, 1.0)
    })
    .await;
}

/// Asks for answers and reads none, until the server stops to read.
async fn fill(client: &mut RawClient) {
    let command = unknown_command(COMMAND_BYTES);
    let flood = command.repeat(FLOOD_BYTES / command.len());
    let sent = client.send_until_full(&flood, PATIENCE).await;
    assert!(sent < flood.len(), "the server took everything");
}

async fn a_stopping_gateway_tells_everybody_and_ends(transport: Transport) {
    let gateway = GatewayProcess::start(&[]).await;
    let mut clients = vec![RawClient::connect(&gateway, transport).await];
    // On QUIC the server sees a client with its first command.
    let reply = clients[0].call(1, Body::Ping(Ping {})).await;
    assert_eq!(reply.code, ErrorCode::NOT_LOGGED_IN.number());
    for number in 0..4 {
        clients.push(RawClient::online(&gateway, transport, &format!("user{number}")).await);
    }
    gateway.terminate();
    for client in &mut clients {
        let close = client.expect_close().await;
        assert_eq!(
            (close.code, close.detail.as_str()),
            (ErrorCode::SERVER_UNAVAILABLE.number(), "shutdown")
        );
        assert!(close.retry_after_ms <= 5000, "{close:?}");
        assert_eq!(
            client.expect_end().await,
            quic_code(client, ErrorCode::SERVER_UNAVAILABLE),
            "{client:?}"
        );
    }
    let ended = gateway.ended().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

async fn a_stopping_gateway_does_not_wait_for_clients_that_do_not_read(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    fill(&mut client).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_with_a_handshake_under_way_stops() {
    let gateway = Gateway::start(|_| {});
    let mut stream = TcpStream::connect(gateway.address(Transport::Tls))
        .await
        .expect("the port takes connections");
    wait_until("the gateway has accepted", async || {
        gateway.metric("sluice_connections").await == 1.0
    })
    .await;
    gateway.stop().await;
    let mut rest = Vec::new();
    let _ = within("the end of the connection", stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_full_gateway_says_so_over_tcp() {
    let gateway = Gateway::start(|config| config.connections.max = 1);
    let first = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let mut second = RawClient::connect(&gateway, Transport::Tcp).await;
    let close = second.expect_close().await;
    assert_eq!(
        (close.code, close.detail.as_str()),
        (ErrorCode::SERVER_UNAVAILABLE.number(), "full")
    );
    assert!(close.retry_after_ms > 0, "{close:?}");
    second.expect_end().await;
    drop(first);
    gateway.all_gone(1, "client_closed").await;
    RawClient::online(&gateway, Transport::Tcp, "bob").await;
}

#[tokio::test]
async fn a_full_gateway_takes_no_handshakes() {
    let gateway = Gateway::start(|config| config.connections.max = 1);
    let first = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let mut stream = TcpStream::connect(gateway.address(Transport::Tls))
        .await
        .expect("the system takes the connection first");
    let mut received = Vec::new();
    within("the end of the connection", stream.read_to_end(&mut received))
        .await
        .expect("an end");
    assert_eq!(received, b"");
    let refused = quic_connect(&gateway, &[ALPN]).await;
    assert!(
        matches!(&refused, Err(quinn::ConnectionError::ConnectionClosed(close))
            if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED),
        "{refused:?}"
    );
    drop(first);
    gateway.all_gone(1, "client_closed").await;
    tls_connect(&gateway, &[ALPN]).await;
}

#[tokio::test]
async fn a_client_that_is_turned_away_hears_why_although_it_has_spoken_first() {
    let gateway = Gateway::start(|config| config.connections.max = 1);
    let _first = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    for _ in 0..20 {
        let mut client = RawClient::connect(&gateway, Transport::Tcp).await;
        let login = client.login_command("bob");
        client.send(1, Body::Login(login)).await;
        let close = client.expect_close().await;
        assert_eq!(close.code, ErrorCode::SERVER_UNAVAILABLE.number());
    }
}

#[tokio::test]
async fn a_full_house_of_handshakes_turns_others_away_until_one_is_done() {
    let gateway = Gateway::start(|config| config.connections.handshakes_max = 1);
    let silent = TcpStream::connect(gateway.address(Transport::Tls))
        .await
        .expect("the port takes connections");
    wait_until("the gateway has accepted", async || {
        gateway.metric("sluice_connections").await == 1.0
    })
    .await;
    let refused = quic_connect(&gateway, &[ALPN]).await;
    assert!(refused.is_err(), "{refused:?}");
    // Plain TCP shakes no hands.
    RawClient::online(&gateway, Transport::Tcp, "alice").await;
    drop(silent);
    wait_until("the place is free", async || {
        gateway.metric("sluice_handshake_failures_total").await == 1.0
    })
    .await;
    RawClient::online(&gateway, Transport::Tls, "bob").await;
}

#[tokio::test]
async fn a_quic_client_that_says_nothing_keeps_nobody_from_the_handshake() {
    let gateway = Gateway::start(|config| {
        config.connections.handshakes_max = 1;
        // Longer than this test waits.
        config.connections.login_timeout = DEADLINE * 2;
    });
    let _silent = quic_connect(&gateway, &[ALPN]).await.expect("QUIC takes connections");
    // The client is done a moment before the server is.
    wait_until("the next handshake is taken", async || {
        quic_connect(&gateway, &[ALPN]).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_reset_leaves_nothing_behind() {
    let gateway = Gateway::start(|_| {});
    let stream = TcpStream::connect(gateway.address(Transport::Tcp))
        .await
        .expect("the port takes connections");
    // Closing it now resets the connection.
    stream.set_zero_linger().expect("a socket that is connected");
    let mut client = RawClient::of_stream(&gateway, Transport::Tcp, stream);
    client.login("alice").await;
    drop(client);
    gateway.all_gone(1, "broken").await;
}

#[tokio::test]
async fn a_quic_stream_that_is_reset_ends_the_connection() {
    let gateway = Gateway::start(|_| {});
    let (_endpoint, connection) = quic_connect(&gateway, &[ALPN]).await.expect("QUIC takes connections");
    let (mut send, receive) = connection.open_bi().await.expect("the control stream");
    let login = Frame {
        request_id: 1,
        body: Some(Body::Login(gateway.login_command("alice"))),
    };
    send.write_all(&encode(&login))
        .await
        .expect("a stream that takes bytes");
    wait_until("alice is online", async || {
        gateway.metric("sluice_sessions_online").await == 1.0
    })
    .await;
    send.reset(7_u32.into()).expect("a stream that is open");
    drop(receive);
    within("the end of the connection", connection.closed()).await;
    gateway.all_gone(1, "broken").await;
}

/// Whatever was asked before a logout is answered before the end, and what the room took reaches its sender.
async fn a_logout_waits_for_the_answers_to_what_was_asked_before(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let enter = EnterRoom {
        room_id: "lobby".to_owned(),
        ..EnterRoom::default()
    };
    alice.call(1, Body::EnterRoom(enter)).await;
    let message = SendMessage {
        conversation_type: ConversationType::Room.into(),
        target_id: "lobby".to_owned(),
        r#type: MessageType::Text.into(),
        content: "hello".into(),
        ..SendMessage::default()
    };
    let mut bytes = Vec::new();
    for request_id in 2..7 {
        bytes.extend(encode(&Frame {
            request_id,
            body: Some(Body::SendMessage(message.clone())),
        }));
    }
    bytes.extend(encode(&Frame {
        request_id: 7,
        body: Some(Body::Logout(Logout {})),
    }));
    alice.send_bytes(&bytes).await;
    let mut replies = Vec::new();
    let mut messages = 0;
    loop {
        let frame = alice.next_frame().await;
        match frame.body {
            Some(Body::Reply(reply)) => {
                assert_eq!(reply.code, 0, "{reply:?}");
                replies.push(frame.request_id);
            }
            Some(Body::RoomMessage(_)) => messages += 1,
            Some(Body::Close(close)) => {
                assert_eq!(close.code, 0);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(replies, [2, 3, 4, 5, 6, 7]);
    assert_eq!(messages, 5);
}
