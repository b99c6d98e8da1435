//! What no client should send. Each ends its own connection with a code, or one command, and nothing else.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ALPN, Close, ConversationMessage, ConversationsLost, ErrorCode, Frame, Login, Logout, Ping, QueryBlacklist, Reply,
    RoomMessage, limits,
};
use sluice_tests::crafted::{field, framed, length_prefix, request_id, unknown_command};
use sluice_tests::{
    Gateway, RawClient, Transport, on_all_transports, quic_connect, tls_client_config, tls_connect, wait_until, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::conversations::to_peer;

on_all_transports!(
    an_empty_frame_ends_the_connection,
    a_length_beyond_4_kib_before_login_is_refused_before_its_body,
    a_length_beyond_64_kib_after_login_is_refused_before_its_body,
    the_longest_frames_are_taken,
    an_overlong_length_ends_the_connection,
    a_body_that_is_no_frame_ends_the_connection,
    a_frame_with_two_bodies_or_none_ends_the_connection,
    a_stream_that_ends_within_a_frame_leaves_nothing_behind,
    what_only_a_server_says_is_not_supported_and_the_connection_lives,
    a_command_without_a_request_id_is_refused_and_the_connection_lives,
    commands_before_login_are_refused_and_the_connection_lives,
    more_than_16_kib_before_login_end_the_connection,
    a_flood_before_login_ends_the_connection,
    a_bad_frame_behind_good_ones_does_not_take_their_answers_away,
    random_bytes_hurt_nobody_else,
    what_follows_a_bad_frame_does_not_keep_the_reason_from_the_client,
);

/// What a connection that is to be ended for bad bytes has been through.
#[derive(Debug, Clone, Copy)]
enum Stage {
    BeforeLogin,
    AfterLogin,
}

/// Bytes that end a connection, when, and with which code.
type Case = (Stage, Vec<u8>, ErrorCode);

/// Sends each case on a connection of its own, and expects it to be ended with its code and to be gone although the client
/// holds on to it.
async fn each_ends_the_connection(transport: Transport, cases: impl IntoIterator<Item = Case>) {
    let gateway = Gateway::start(|_| {});
    let mut clients = Vec::new();
    for (number, (stage, bytes, code)) in (0..).zip(cases) {
        let mut client = RawClient::connect(&gateway, transport).await;
        if let Stage::AfterLogin = stage {
            client.login(&format!("user{number}")).await;
        }
        client.send_bytes(&bytes).await;
        expect_close(&mut client, code, "").await;
        clients.push(client);
    }
    let count = u32::try_from(clients.len()).expect("a few");
    gateway.all_gone(count, "protocol_error").await;
}

/// `bytes` before login and after.
fn at_any_stage(bytes: &[u8], code: ErrorCode) -> [Case; 2] {
    [Stage::BeforeLogin, Stage::AfterLogin].map(|stage| (stage, bytes.to_vec(), code))
}

async fn expect_close(client: &mut RawClient, code: ErrorCode, detail: &str) {
    let close = client.expect_close().await;
    assert_eq!(
        (close.code, close.detail.as_str()),
        (code.number(), detail),
        "{client:?}"
    );
    let expected = (client.transport() == Transport::Quic).then_some(code.number() as u64);
    assert_eq!(client.expect_end().await, expected, "{client:?}");
}

async fn expect_alive(client: &mut RawClient) {
    let reply = client.call(9999, Body::Ping(Ping {})).await;
    assert_eq!(reply.code, 0, "{client:?}");
}

fn ping(id: u32) -> Vec<u8> {
    let frame = Frame {
        request_id: id,
        body: Some(Body::Ping(Ping {})),
    };
    encode(&frame).to_vec()
}

async fn an_empty_frame_ends_the_connection(transport: Transport) {
    each_ends_the_connection(transport, at_any_stage(&[0], ErrorCode::MALFORMED_FRAME)).await;
}

async fn a_length_beyond_4_kib_before_login_is_refused_before_its_body(transport: Transport) {
    let lengths = [
        limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN as u64 + 1,
        u32::MAX.into(),
        u64::MAX,
    ];
    let case = |length| (Stage::BeforeLogin, length_prefix(length), ErrorCode::FRAME_TOO_LONG);
    each_ends_the_connection(transport, lengths.map(case)).await;
}

async fn a_length_beyond_64_kib_after_login_is_refused_before_its_body(transport: Transport) {
    let lengths = [limits::CLIENT_FRAME_BYTES as u64 + 1, u32::MAX.into(), u64::MAX];
    let case = |length| (Stage::AfterLogin, length_prefix(length), ErrorCode::FRAME_TOO_LONG);
    each_ends_the_connection(transport, lengths.map(case)).await;
}

async fn the_longest_frames_are_taken(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    client
        .send_bytes(&unknown_command(limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN))
        .await;
    assert_eq!(client.reply(1).await.code, ErrorCode::OPERATION_NOT_SUPPORTED.number());
    client.login("alice").await;
    client.send_bytes(&unknown_command(limits::CLIENT_FRAME_BYTES)).await;
    assert_eq!(client.reply(1).await.code, ErrorCode::OPERATION_NOT_SUPPORTED.number());
    expect_alive(&mut client).await;
}

async fn an_overlong_length_ends_the_connection(transport: Transport) {
    let cases = [
        // 5 and 0 in two bytes each.
        (Stage::BeforeLogin, vec![0x85, 0x00], ErrorCode::MALFORMED_FRAME),
        (Stage::BeforeLogin, vec![0x80, 0x00], ErrorCode::MALFORMED_FRAME),
        // 5 in three bytes; before login, the second byte has already promised too much.
        (Stage::AfterLogin, vec![0x85, 0x80, 0x00], ErrorCode::MALFORMED_FRAME),
        (Stage::BeforeLogin, vec![0x85, 0x80], ErrorCode::FRAME_TOO_LONG),
        // Without an end.
        (Stage::AfterLogin, vec![0x80; 16], ErrorCode::FRAME_TOO_LONG),
        (Stage::AfterLogin, vec![0xff; 16], ErrorCode::FRAME_TOO_LONG),
    ];
    each_ends_the_connection(transport, cases).await;
}

async fn a_body_that_is_no_frame_ends_the_connection(transport: Transport) {
    let mut not_utf8 = request_id(1);
    // Login.app_key.
    not_utf8.extend(field(16, &field(2, &[0xff, 0xfe])));
    let bodies = [
        // No protobuf at all.
        vec![0xff; 40],
        vec![0x00, 0x00],
        b"hello, is anybody there?".to_vec(),
        // A ping whose length goes beyond the frame.
        vec![0x92, 0x01, 0x7f],
        // A ping as a number, and as a group.
        vec![0x90, 0x01, 0x01],
        vec![0x93, 0x01, 0x94, 0x01],
        // A request id as bytes.
        [field(1, b"1"), field(18, &[])].concat(),
        not_utf8,
    ];
    let cases = bodies
        .iter()
        .flat_map(|body| at_any_stage(&framed(body), ErrorCode::MALFORMED_FRAME));
    each_ends_the_connection(transport, cases).await;
}

async fn a_frame_with_two_bodies_or_none_ends_the_connection(transport: Transport) {
    let bodies = [
        [request_id(1), field(18, &[]), field(17, &[])].concat(),
        [request_id(1), field(18, &[]), field(18, &[])].concat(),
        // A command and an event, a command and one that nobody knows.
        [request_id(1), field(18, &[]), field(72, &[])].concat(),
        [request_id(1), field(63, &[]), field(18, &[])].concat(),
        request_id(1),
        // Numbers that are no body's.
        [request_id(1), field(5, &[])].concat(),
        [request_id(1), field(128, &[])].concat(),
    ];
    let case = |body: Vec<u8>| (Stage::AfterLogin, framed(&body), ErrorCode::MALFORMED_FRAME);
    each_ends_the_connection(transport, bodies.map(case)).await;
}

async fn a_stream_that_ends_within_a_frame_leaves_nothing_behind(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let whole = ping(1);
    let mut clients = Vec::new();
    for length in 1..whole.len() {
        let mut client = RawClient::online(&gateway, transport, &format!("user{length}")).await;
        client.send_bytes(&whole[..length]).await;
        client.finish_sending().await;
        client.expect_end().await;
        clients.push(client);
    }
    gateway
        .all_gone(u32::try_from(clients.len()).expect("a few"), "client_closed")
        .await;
}

async fn what_only_a_server_says_is_not_supported_and_the_connection_lives(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    let bodies = [
        Body::Reply(Reply::default()),
        Body::Close(Close::default()),
        Body::RoomMessage(RoomMessage::default()),
        Body::ConversationMessage(ConversationMessage::default()),
        Body::ConversationsLost(ConversationsLost {}),
    ];
    for (id, body) in (1..).zip(bodies) {
        let reply = client.call(id, body).await;
        assert_eq!(reply.code, ErrorCode::OPERATION_NOT_SUPPORTED.number(), "{client:?}");
    }
    // Commands and events that nobody has invented yet; their content is nobody's business.
    for (id, number) in (100..).zip([20, 23, 39, 95, 127]) {
        let body = [request_id(id), field(number, &[0xff; 9])].concat();
        client.send_bytes(&framed(&body)).await;
        assert_eq!(
            client.reply(id).await.code,
            ErrorCode::OPERATION_NOT_SUPPORTED.number(),
            "{client:?}"
        );
    }
    expect_alive(&mut client).await;
}

async fn a_command_without_a_request_id_is_refused_and_the_connection_lives(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    let login = client.login_command("alice");
    client.send(0, Body::Login(login)).await;
    let reply = client.reply(0).await;
    assert_eq!(
        (reply.code, reply.detail.as_str()),
        (ErrorCode::INVALID_PARAMETER.number(), "request_id")
    );
    client.login("alice").await;
    for body in [
        Body::Ping(Ping {}),
        Body::Logout(Logout {}),
        Body::Login(Login::default()),
        Body::QueryBlacklist(QueryBlacklist::default()),
        Body::SendMessage(to_peer("bob", "no answer, please")),
    ] {
        client.send(0, body).await;
        let reply = client.reply(0).await;
        assert_eq!(
            (reply.code, reply.detail.as_str()),
            (ErrorCode::INVALID_PARAMETER.number(), "request_id")
        );
    }
    expect_alive(&mut client).await;
}

async fn commands_before_login_are_refused_and_the_connection_lives(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    for (id, body) in (1..).zip([Body::Ping(Ping {}), Body::Logout(Logout {})]) {
        assert_eq!(client.call(id, body).await.code, ErrorCode::NOT_LOGGED_IN.number());
    }
    client.login("alice").await;
    expect_alive(&mut client).await;
}

async fn more_than_16_kib_before_login_end_the_connection(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    let frame = unknown_command(limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN);
    let fit = limits::BYTES_BEFORE_LOGIN / frame.len();
    for _ in 0..fit {
        client.send_bytes(&frame).await;
        assert_eq!(client.reply(1).await.code, ErrorCode::OPERATION_NOT_SUPPORTED.number());
    }
    client.send_bytes(&frame).await;
    expect_close(&mut client, ErrorCode::FRAME_TOO_LONG, "before_login").await;
    gateway.all_gone(1, "protocol_error").await;
}

async fn a_flood_before_login_ends_the_connection(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::connect(&gateway, transport).await;
    // The server may well have had enough before it is all sent.
    let _ = client.try_send_bytes(&ping(1).repeat(100_000)).await;
    expect_close(&mut client, ErrorCode::FRAME_TOO_LONG, "before_login").await;
    gateway.all_gone(1, "protocol_error").await;
}

async fn a_bad_frame_behind_good_ones_does_not_take_their_answers_away(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    let bytes: Vec<u8> = (1..=20).flat_map(ping).chain([0]).collect();
    client.send_bytes(&bytes).await;
    for id in 1..=20 {
        assert_eq!(client.reply(id).await.code, 0);
    }
    expect_close(&mut client, ErrorCode::MALFORMED_FRAME, "").await;
}

async fn what_follows_a_bad_frame_does_not_keep_the_reason_from_the_client(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    // More than fits into the buffers on the way: were the server to close at once, the rest would reset the connection.
    let mut bytes = vec![0];
    bytes.resize(1 << 20, 0x2a);
    let _ = client.try_send_bytes(&bytes).await;
    expect_close(&mut client, ErrorCode::MALFORMED_FRAME, "").await;
    gateway.all_gone(1, "protocol_error").await;
}

/// Bytes that look random and are the same each time (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.next() % 200 + 1;
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

async fn random_bytes_hurt_nobody_else(transport: Transport) {
    const CLIENTS: u32 = 60;
    let gateway = Gateway::start(|_| {});
    let mut other = RawClient::online(&gateway, transport, "alice").await;
    let mut noise = Noise(0x5108_ce00_0000_0001);
    for number in 0..CLIENTS {
        let mut client = if number % 2 == 0 {
            RawClient::connect(&gateway, transport).await
        } else {
            RawClient::online(&gateway, transport, &format!("user{number}")).await
        };
        // Some bare, some behind a good length, and some after something good. All may end the connection half-way.
        for _ in 0..3 {
            let bytes = noise.bytes();
            let bytes = if noise.next().is_multiple_of(2) {
                framed(&bytes)
            } else {
                bytes
            };
            let _ = client.try_send_bytes(&bytes).await;
        }
        drop(client);
        expect_alive(&mut other).await;
    }
    drop(other);
    let gone = async || {
        let opened = gateway.metric("sluice_connections_opened_total").await;
        let closed = gateway.metric("sluice_connections_closed_total").await;
        opened == f64::from(CLIENTS + 1) && closed == opened && gateway.metric("sluice_connections").await == 0.0
    };
    wait_until("all are gone", gone).await;
    assert_eq!(gateway.metric("sluice_task_panics_total").await, 0.0);
}

#[tokio::test]
async fn http_on_the_tcp_port_is_told_that_this_is_not_http() {
    let gateway = Gateway::start(|_| {});
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(300));
    let requests = [
        "GET / HTTP/1.1\r\n\r\n",
        long.as_str(),
        "POST /api HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "HEAD / HTTP/1.0\r\n\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let mut clients = Vec::new();
    for request in requests {
        let mut client = RawClient::connect(&gateway, Transport::Tcp).await;
        client.send_bytes(request.as_bytes()).await;
        expect_close(&mut client, ErrorCode::MALFORMED_FRAME, "http").await;
        clients.push(client);
    }
    gateway
        .all_gone(u32::try_from(requests.len()).expect("a few"), "protocol_error")
        .await;
}

#[tokio::test]
async fn tls_on_the_tcp_port_is_told_that_this_is_not_tls() {
    let gateway = Gateway::start(|_| {});
    let config = Arc::new(tls_client_config(&gateway, &[ALPN]));
    let name = ServerName::try_from("localhost").expect("a valid name");
    let mut hello = Vec::new();
    let mut tls = ClientConnection::new(config, name).expect("a client that can begin");
    tls.write_tls(&mut hello).expect("a Vec takes everything");
    let mut client = RawClient::connect(&gateway, Transport::Tcp).await;
    client.send_bytes(&hello).await;
    expect_close(&mut client, ErrorCode::MALFORMED_FRAME, "tls").await;
    gateway.all_gone(1, "protocol_error").await;
}

#[tokio::test]
async fn what_is_not_tls_on_the_tls_port_ends_the_connection() {
    let gateway = Gateway::start(|_| {});
    let login = Frame {
        request_id: 1,
        body: Some(Body::Login(Login::default())),
    };
    let inputs = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        encode(&login).to_vec(),
        vec![0; 100],
        // The head of a TLS record, and nonsense.
        [&[0x16, 0x03, 0x01, 0x00, 0x20][..], &[0xff; 32]].concat(),
    ];
    for input in &inputs {
        let mut stream = TcpStream::connect(gateway.address(Transport::Tls))
            .await
            .expect("the port takes connections");
        stream.write_all(input).await.expect("the port takes bytes");
        let mut answer = Vec::new();
        // An alert may come first. Whether the end is one or a reset says nothing.
        let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
    }
    let count = u32::try_from(inputs.len()).expect("a few");
    gateway.all_gone(count, "handshake_failed").await;
    let failures = gateway
        .metric("sluice_handshake_failures_total{transport=\"tls\"}")
        .await;
    assert!((failures - f64::from(count)).abs() < 0.5, "{failures}");
}

#[tokio::test]
async fn tls_without_an_application_protocol_is_told_which_is_missing() {
    let gateway = Gateway::start(|_| {});
    let stream = tls_connect(&gateway, &[]).await;
    let mut client = RawClient::of_stream(&gateway, Transport::Tls, stream);
    expect_close(&mut client, ErrorCode::PROTOCOL_VERSION, "alpn").await;
    gateway.all_gone(1, "handshake_failed").await;
}

#[tokio::test]
async fn quic_without_the_application_protocol_is_refused() {
    let gateway = Gateway::start(|_| {});
    for alpn in [&[][..], &[b"h3".as_slice()][..]] {
        let refused = quic_connect(&gateway, alpn).await;
        assert!(refused.is_err(), "{alpn:?}");
    }
    RawClient::online(&gateway, Transport::Quic, "alice").await;
}

#[tokio::test]
async fn a_quic_client_gets_one_stream_and_no_more() {
    let gateway = Gateway::start(|_| {});
    let (_endpoint, connection) = quic_connect(&gateway, &[ALPN]).await.expect("QUIC takes connections");
    let (mut send, mut receive) = connection.open_bi().await.expect("the control stream");
    let login = Frame {
        request_id: 1,
        body: Some(Body::Login(gateway.login_command("alice"))),
    };
    send.write_all(&encode(&login))
        .await
        .expect("a stream that takes bytes");
    within("an answer", receive.read_chunk(1, true))
        .await
        .expect("a stream that goes on")
        .expect("a byte");
    assert!(
        connection.max_datagram_size().is_none_or(|bytes| bytes == 0),
        "a datagram"
    );
    assert!(poll_once(connection.open_bi()).is_none(), "a second stream");
    assert!(poll_once(connection.open_uni()).is_none(), "a stream in one direction");
}

/// What `future` comes to at once, if it does.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
