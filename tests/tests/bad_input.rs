//! What no client should send. Each ends its own connection with a code, or one command, and nothing else.

use std::sync::Arc;

use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::{ALPN, Close, ErrorCode, Frame, Login, Logout, Ping, Reply, RoomMessage, limits};
use sluice_tests::crafted::{field, framed, length_prefix, request_id, unknown_command};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, tls_client_config, tls_connect, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
    what_follows_a_bad_frame_does_not_keep_the_reason_from_the_client,
);

/// What a connection that is to be ended for bad bytes has been through.
#[derive(Debug, Clone, Copy)]
enum Stage {
    BeforeLogin,
    AfterLogin,
}

/// Sends each of `inputs` on a connection of its own, and expects each to be ended with `code` and to be gone although
/// the client holds on to it.
async fn ends_the_connection(transport: Transport, stage: Stage, inputs: &[Vec<u8>], code: ErrorCode, detail: &str) {
    let gateway = Gateway::start(|_| {});
    let mut clients = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let mut client = RawClient::connect(&gateway, transport).await;
        if let Stage::AfterLogin = stage {
            client.login(&format!("user{number}")).await;
        }
        client.send_bytes(input).await;
        expect_close(&mut client, code, detail).await;
        clients.push(client);
    }
    let count = u32::try_from(inputs.len()).expect("a few");
    gateway.all_gone(count, "protocol_error").await;
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
    let inputs = [vec![0]];
    ends_the_connection(transport, Stage::BeforeLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
    ends_the_connection(transport, Stage::AfterLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
}

async fn a_length_beyond_4_kib_before_login_is_refused_before_its_body(transport: Transport) {
    let inputs = [
        length_prefix(limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN as u64 + 1),
        length_prefix(u32::MAX.into()),
        length_prefix(u64::MAX),
    ];
    ends_the_connection(transport, Stage::BeforeLogin, &inputs, ErrorCode::FRAME_TOO_LONG, "").await;
}

async fn a_length_beyond_64_kib_after_login_is_refused_before_its_body(transport: Transport) {
    let inputs = [
        length_prefix(limits::CLIENT_FRAME_BYTES as u64 + 1),
        length_prefix(u32::MAX.into()),
    ];
    ends_the_connection(transport, Stage::AfterLogin, &inputs, ErrorCode::FRAME_TOO_LONG, "").await;
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
    // 5 and 0 in two bytes each, then 5 in three, of which one was enough.
    let inputs = [vec![0x85, 0x00], vec![0x80, 0x00]];
    ends_the_connection(transport, Stage::BeforeLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
    let inputs = [vec![0x85, 0x80, 0x00]];
    ends_the_connection(transport, Stage::AfterLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
    // Without an end, it can only become too much.
    let inputs = [vec![0x80; 16], vec![0xff; 16]];
    ends_the_connection(transport, Stage::AfterLogin, &inputs, ErrorCode::FRAME_TOO_LONG, "").await;
}

async fn a_body_that_is_no_frame_ends_the_connection(transport: Transport) {
    let mut not_utf8 = request_id(1);
    // Login.app_key.
    not_utf8.extend(field(16, &field(2, &[0xff, 0xfe])));
    let inputs: Vec<Vec<u8>> = [
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
    ]
    .iter()
    .map(|body| framed(body))
    .collect();
    ends_the_connection(transport, Stage::BeforeLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
    ends_the_connection(transport, Stage::AfterLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
}

async fn a_frame_with_two_bodies_or_none_ends_the_connection(transport: Transport) {
    let inputs: Vec<Vec<u8>> = [
        [request_id(1), field(18, &[]), field(17, &[])].concat(),
        [request_id(1), field(18, &[]), field(18, &[])].concat(),
        // A command and an event, a command and one that nobody knows.
        [request_id(1), field(18, &[]), field(72, &[])].concat(),
        [request_id(1), field(63, &[]), field(18, &[])].concat(),
        request_id(1),
        // Numbers that are no body's.
        [request_id(1), field(5, &[])].concat(),
        [request_id(1), field(128, &[])].concat(),
    ]
    .iter()
    .map(|body| framed(body))
    .collect();
    ends_the_connection(transport, Stage::AfterLogin, &inputs, ErrorCode::MALFORMED_FRAME, "").await;
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
    ];
    for (id, body) in (1..).zip(bodies) {
        let reply = client.call(id, body).await;
        assert_eq!(reply.code, ErrorCode::OPERATION_NOT_SUPPORTED.number(), "{client:?}");
    }
    // Commands and events that nobody has invented yet; their content is nobody's business.
    for (id, number) in (100..).zip([20, 23, 41, 63, 78, 127]) {
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
        let refused = RawClient::try_quic_handshake(&gateway, alpn).await;
        assert!(refused.is_err(), "{alpn:?}");
    }
    RawClient::online(&gateway, Transport::Quic, "alice").await;
}
