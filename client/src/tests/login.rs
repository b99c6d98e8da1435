//! Logging in.

use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{Close, ErrorCode, Limits, LoginResult, PROTOCOL_VERSION, Reply, reply};
use tokio::io::AsyncWriteExt;

use super::peer::{self, Peer};
use crate::{Event, OutgoingMessage, Platform};

#[tokio::test]
async fn the_login_carries_the_options_and_the_session_what_was_announced() {
    let (link, mut server) = peer::link();
    let login = peer::options()
        .user_name("Alice")
        .platform(Platform::Ios)
        .device_id("d1")
        .package_name("org.x")
        .login();
    let script = async {
        let (request_id, login) = server.next_login().await;
        assert_eq!(login.protocol_version, PROTOCOL_VERSION);
        assert_eq!(
            (login.app_key.as_str(), login.user_id.as_str(), login.token.as_str()),
            ("dev", "alice", "a token")
        );
        assert_eq!((login.user_name.as_str(), login.device_id.as_str()), ("Alice", "d1"));
        assert_eq!(
            (login.platform(), login.package_name.as_str()),
            (Platform::Ios, "org.x")
        );
        assert!(login.sdk.starts_with("sluice-client/"));
        let limits = Limits {
            text_bytes: 3,
            ..Limits::default()
        };
        let result = LoginResult {
            limits: Some(limits),
            ..peer::login_result()
        };
        server
            .reply(request_id, peer::success(reply::Result::Login(result)))
            .await;
    };
    let (connected, ()) = tokio::join!(
        crate::Client::log_in(link, login.expect("valid"), peer::options()),
        script
    );
    let (client, _events) = connected.expect("logged in");
    assert_eq!(client.session().user_id, "alice");
    assert_eq!(client.session().heartbeat_interval, Duration::from_secs(30));
    let refused = client
        .send(OutgoingMessage::text("lobby", "four"))
        .await
        .expect_err("above the announced limit");
    assert_eq!(
        (refused.code, refused.detail.as_str()),
        (ErrorCode::CONTENT_TOO_LARGE_TO_SEND, "3")
    );
}

#[tokio::test]
async fn a_refused_login_gives_the_servers_code_and_detail() {
    let (link, mut server) = peer::link();
    let script = async {
        let (request_id, _) = server.next_login().await;
        let refusal = Reply {
            code: ErrorCode::TOKEN_INVALID.into(),
            message: "the token has ended".into(),
            detail: "expired".into(),
            retry_after_ms: 1500,
            result: None,
        };
        server.reply(request_id, refusal).await;
    };
    let (connected, ()) = tokio::join!(peer::log_in(link), script);
    let error = connected.expect_err("refused");
    assert_eq!(error.code, ErrorCode::TOKEN_INVALID);
    assert_eq!(error.retry_after, Some(Duration::from_millis(1500)));
    assert_eq!(error.to_string(), "31004 TokenInvalid (expired): the token has ended");
}

#[tokio::test]
async fn a_close_instead_of_an_answer_is_the_logins_error() {
    let (link, mut server) = peer::link();
    let script = async {
        server.next_login().await;
        server
            .close(Close {
                code: 31001,
                detail: "2-3".into(),
                ..Close::default()
            })
            .await;
    };
    let (connected, ()) = tokio::join!(peer::log_in(link), script);
    let error = connected.expect_err("closed");
    assert_eq!(
        (error.code, error.detail.as_str()),
        (ErrorCode::PROTOCOL_VERSION, "2-3")
    );
}

#[tokio::test]
async fn a_code_this_version_does_not_know_comes_through_unchanged() {
    let (link, mut server) = peer::link();
    let script = async {
        let (request_id, _) = server.next_login().await;
        server
            .reply(
                request_id,
                Reply {
                    code: 7_654_321,
                    ..Reply::default()
                },
            )
            .await;
    };
    let (connected, ()) = tokio::join!(peer::log_in(link), script);
    assert_eq!(i32::from(connected.expect_err("refused").code), 7_654_321);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_the_login_is_31000() {
    let (link, _server) = peer::link();
    assert_eq!(
        peer::log_in(link).await.expect_err("no answer").code,
        ErrorCode::CONNECT_ACK_TIMEOUT
    );
}

#[tokio::test]
async fn a_link_that_ends_before_the_answer_is_30011() {
    let (link, server) = peer::link();
    drop(server);
    let error = peer::log_in(link).await.expect_err("no server");
    assert_eq!(
        (error.code, error.detail.as_str()),
        (ErrorCode::SOCKET_DISCONNECTED, "end_of_stream")
    );
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_32002_or_4109() {
    for (answer, code) in [
        (&b"\0"[..], ErrorCode::MALFORMED_FRAME),
        (b"\x03\xff\xff\xff", ErrorCode::MALFORMED_FRAME),
        (b"\xff\xff\xff\xff\x0f", ErrorCode::FRAME_TOO_LONG),
    ] {
        let (link, mut server) = peer::link();
        let script = async { server.stream.write_all(answer).await.expect("the client is connected") };
        let (connected, ()) = tokio::join!(peer::log_in(link), script);
        assert_eq!(connected.expect_err("no frame").code, code, "{answer:?}");
    }
}

#[tokio::test]
async fn an_event_that_comes_in_one_piece_with_the_answer_is_not_lost() {
    let (link, server) = peer::link();
    let mut server: Peer = server;
    let script = async {
        let (request_id, _) = server.next_login().await;
        let answer = Body::Reply(peer::success(reply::Result::Login(peer::login_result())));
        let mut bytes = Vec::new();
        sluice_codec::encode_into(
            &sluice_protocol::Frame {
                request_id,
                body: Some(answer),
            },
            &mut bytes,
        );
        let event = peer::room_message(1, "hello");
        sluice_codec::encode_into(
            &sluice_protocol::Frame {
                request_id: 0,
                body: Some(event),
            },
            &mut bytes,
        );
        server.stream.write_all(&bytes).await.expect("the client is connected");
    };
    let (connected, ()) = tokio::join!(peer::log_in(link), script);
    let (_client, mut events) = connected.expect("logged in");
    assert!(matches!(events.next().await, Some(Event::RoomMessage(message)) if message.content == "hello"));
}
