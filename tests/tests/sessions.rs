//! Login, tokens and the rules for several sessions of a user.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use rustix::net::sockopt;
use serde_json::json;
use sluice_gateway::config::{App, AppState, Config, SingleLogin};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    EnterRoom, ErrorCode, JoinRoom, LeaveReason, Limits, Login, LoginResult, Logout, Ping, Platform, Pong, RenewToken,
    RenewTokenResult, Reply, SendMessage, limits, reply,
};
use sluice_tests::{APP_KEY, Gateway, RawClient, SECRET, Transport, on_all_transports, wait_until};
use tokio::net::TcpStream;

on_all_transports!(
    a_login_that_cannot_be_is_refused_with_its_code_and_the_connection_ends,
    a_login_with_a_wrong_field_may_be_mended_on_the_same_connection,
    nothing_but_a_login_is_taken_before_the_login,
    a_second_login_is_refused_and_the_session_goes_on,
    a_login_is_answered_with_all_a_client_needs_to_know,
    a_ping_is_answered_with_the_servers_time,
    a_newer_login_of_the_same_user_ends_the_older_session,
    a_session_that_is_displaced_leaves_its_rooms,
    a_login_that_comes_late_does_not_displace_the_next_one_of_its_device,
    a_library_that_reconnects_does_not_displace_a_newer_login,
    a_token_that_ends_soon_is_announced_and_may_be_renewed,
    a_bad_renewal_leaves_the_session_on_its_old_token,
    after_the_token_has_ended_commands_are_refused_until_it_is_renewed,
    a_session_whose_token_is_not_renewed_ends_after_the_grace,
    who_logs_out_leaves_all_rooms_and_the_others_are_told,
    who_is_lost_leaves_all_rooms_and_the_others_are_told,
);

/// Short enough to wait for.
const GRACE: Duration = Duration::from_millis(100);

/// What is lost is given up at once.
fn no_window(config: &mut Config) {
    config.sessions.resume_window = Duration::ZERO;
}

fn unix_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i64::try_from(now.as_millis()).expect("a clock of this age")
}

fn unix_s() -> i64 {
    unix_ms() / 1000
}

/// Adds an app that differs from the usual one as `change` says. Its tokens are signed with the usual secret.
fn add_app(config: &mut Config, key: &str, change: impl FnOnce(&mut App)) {
    let mut app = config.apps[0].clone();
    app.key = key.to_owned();
    change(&mut app);
    config.apps.push(app);
}

fn token(app: &str, user: &str, seconds_left: i64) -> String {
    let claims = json!({"sub": user, "aud": app, "exp": unix_s() + seconds_left});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).expect("claims")
}

async fn log_in_with(client: &mut RawClient, login: Login) -> Reply {
    client.call(1, Body::Login(login)).await
}

async fn log_in_on(client: &mut RawClient, user: &str, platform: Platform) -> LoginResult {
    let login = Login {
        platform: platform.into(),
        ..client.login_command(user)
    };
    taken(log_in_with(client, login).await)
}

fn taken(reply: Reply) -> LoginResult {
    match reply.result {
        Some(reply::Result::Login(result)) if reply.code == 0 => result,
        _ => panic!("{reply:?}"),
    }
}

async fn server_time_ms(client: &mut RawClient) -> i64 {
    let reply = client.call(900, Body::Ping(Ping {})).await;
    match reply.result {
        Some(reply::Result::Pong(Pong { server_time_ms })) if reply.code == 0 => server_time_ms,
        _ => panic!("{reply:?}"),
    }
}

async fn enter_room(client: &mut RawClient, request_id: u32, room_id: &str) {
    let enter = EnterRoom {
        room_id: room_id.into(),
        ..EnterRoom::default()
    };
    let reply = client.call(request_id, Body::EnterRoom(enter)).await;
    assert_eq!(reply.code, 0, "{reply:?}; {client:?}");
}

/// Asks for a room nobody has made: harmless, and refused in a way of its own.
async fn join_nowhere(client: &mut RawClient, request_id: u32) -> (i32, String) {
    let join = JoinRoom {
        room_id: "nowhere".into(),
        ..JoinRoom::default()
    };
    let reply = client.call(request_id, Body::JoinRoom(join)).await;
    (reply.code, reply.detail)
}

/// The last frame and the end of the connection, with the same code on QUIC.
async fn expect_closed(client: &mut RawClient, code: i32, detail: &str) {
    let close = client.expect_close().await;
    assert_eq!((close.code, &*close.detail), (code, detail), "{client:?}");
    let expected = (client.transport() == Transport::Quic).then(|| code.unsigned_abs().into());
    assert_eq!(client.expect_end().await, expected, "{client:?}");
}

async fn expect_alive(client: &mut RawClient) {
    server_time_ms(client).await;
}

async fn a_login_that_cannot_be_is_refused_with_its_code_and_the_connection_ends(transport: Transport) {
    let gateway = Gateway::start(|config| {
        add_app(config, "other", |_| ());
        add_app(config, "blocked", |app| app.state = AppState::Blocked);
        add_app(config, "disabled", |app| app.state = AppState::ServiceDisabled);
        add_app(config, "listed", |app| app.packages = vec!["com.example.chat".into()]);
    });
    let of_app = |app: &str| Login {
        protocol_version: 1,
        app_key: app.into(),
        user_id: "alice".into(),
        token: token(app, "alice", 60),
        ..Login::default()
    };
    let with_token = |token: String| Login {
        token,
        ..of_app(APP_KEY)
    };
    let good = of_app(APP_KEY).token;
    let of_version = |protocol_version| Login {
        protocol_version,
        ..of_app(APP_KEY)
    };
    let in_the_future = gateway.token_with(&json!({
        "sub": "alice", "aud": APP_KEY, "exp": unix_s() + 7200, "nbf": unix_s() + 3600,
    }));
    let cases = [
        (of_version(0), 31001, "1-1"),
        (of_version(2), 31001, "1-1"),
        (of_app("nobody"), 31002, ""),
        (with_token(String::new()), 31004, "malformed"),
        (with_token("a.b.c".into()), 31004, "malformed"),
        // {"alg":"none"} and {}, without a signature.
        (with_token("eyJhbGciOiJub25lIn0.e30.".into()), 31004, "malformed"),
        (with_token(format!("{good}x")), 31004, "bad_signature"),
        (with_token(token(APP_KEY, "alice", 0)), 31004, "expired"),
        (with_token(token(APP_KEY, "alice", -3600)), 31004, "expired"),
        (with_token(in_the_future), 31004, "not_yet_valid"),
        (with_token(token("other", "alice", 60)), 31005, "app"),
        (with_token(token(APP_KEY, "bob", 60)), 31005, "user"),
        (of_app("listed"), 31007, ""),
        (of_app("blocked"), 31008, ""),
        (of_app("disabled"), 31008, "service_disabled"),
    ];
    for (login, code, detail) in cases {
        let mut client = RawClient::connect(&gateway, transport).await;
        let reply = log_in_with(&mut client, login).await;
        assert_eq!((reply.code, &*reply.detail), (code, detail), "{reply:?}");
        assert!(reply.result.is_none() && !reply.message.is_empty());
        expect_closed(&mut client, code, detail).await;
    }
    let mut client = RawClient::connect(&gateway, transport).await;
    let listed = Login {
        package_name: "com.example.chat".into(),
        ..of_app("listed")
    };
    taken(log_in_with(&mut client, listed).await);
}

async fn a_login_with_a_wrong_field_may_be_mended_on_the_same_connection(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut client = RawClient::connect(&gateway, transport).await;
    let good = client.login_command("alice");
    let cases = [
        (
            "app_key",
            Login {
                app_key: String::new(),
                ..good.clone()
            },
        ),
        (
            "user_id",
            Login {
                user_id: "a b".into(),
                ..good.clone()
            },
        ),
        (
            "user_name",
            Login {
                user_name: "n".repeat(limits::USER_NAME_BYTES + 1),
                ..good.clone()
            },
        ),
        (
            "token",
            Login {
                token: "t".repeat(limits::TOKEN_BYTES + 1),
                ..good.clone()
            },
        ),
        (
            "device_id",
            Login {
                device_id: "d".repeat(limits::DEVICE_ID_BYTES + 1),
                ..good.clone()
            },
        ),
        (
            "package_name",
            Login {
                package_name: "p".repeat(limits::PACKAGE_NAME_BYTES + 1),
                ..good.clone()
            },
        ),
        (
            "sdk",
            Login {
                sdk: "s".repeat(limits::SDK_BYTES + 1),
                ..good.clone()
            },
        ),
    ];
    for (field, login) in cases {
        let reply = log_in_with(&mut client, login).await;
        let expected = ErrorCode::INVALID_PARAMETER.number();
        assert_eq!((reply.code, &*reply.detail), (expected, field), "{reply:?}");
    }
    taken(log_in_with(&mut client, good).await);
}

async fn nothing_but_a_login_is_taken_before_the_login(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut client = RawClient::connect(&gateway, transport).await;
    for (request_id, command) in (2..).zip([
        Body::Ping(Ping {}),
        Body::Logout(Logout {}),
        Body::RenewToken(RenewToken {
            token: gateway.token("alice"),
        }),
        Body::EnterRoom(EnterRoom {
            room_id: "lobby".into(),
            ..EnterRoom::default()
        }),
        Body::SendMessage(SendMessage::default()),
    ]) {
        let reply = client.call(request_id, command.clone()).await;
        assert_eq!(reply.code, ErrorCode::NOT_LOGGED_IN.number(), "{command:?}");
    }
    client.login("alice").await;
    expect_alive(&mut client).await;
}

async fn a_second_login_is_refused_and_the_session_goes_on(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    for user in ["alice", "bob"] {
        let login = client.login_command(user);
        let reply = log_in_with(&mut client, login).await;
        assert_eq!(reply.code, ErrorCode::ALREADY_CONNECTED.number(), "{reply:?}");
    }
    expect_alive(&mut client).await;
}

async fn a_login_is_answered_with_all_a_client_needs_to_know(transport: Transport) {
    let gateway = Gateway::start(|config| config.apps[0].single_login = SingleLogin::Multi(2));
    let expires = unix_s() + 100;
    let login = |client: &RawClient| Login {
        token: gateway.token_with(&json!({"sub": "alice", "aud": APP_KEY, "exp": expires})),
        ..client.login_command("alice")
    };
    let mut client = RawClient::connect(&gateway, transport).await;
    let before_ms = unix_ms();
    let command = login(&client);
    let result = taken(log_in_with(&mut client, command).await);
    assert!((before_ms..=unix_ms()).contains(&result.server_time_ms));
    assert_eq!(result.session_id.len(), 32);
    assert!(result.session_id.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(result.user_id, "alice");
    assert_eq!(result.heartbeat_interval_ms, 30_000);
    assert_eq!(result.token_expires_at_ms, expires * 1000);
    assert_eq!(
        result.limits,
        Some(Limits {
            client_frame_bytes: 64 * 1024,
            server_frame_bytes: 1024 * 1024,
            text_bytes: 32 * 1024,
            command_bytes: 5 * 1024,
            barrage_bytes: 5 * 1024,
            custom_bytes: 32 * 1024,
            room_history_messages: 50,
            rooms_per_session: 5,
        })
    );
    let mut second = RawClient::connect(&gateway, transport).await;
    let command = login(&second);
    let other = taken(log_in_with(&mut second, command).await);
    assert_ne!(result.session_id, other.session_id);
}

async fn a_ping_is_answered_with_the_servers_time(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    let before_ms = unix_ms();
    let told_ms = server_time_ms(&mut client).await;
    assert!((before_ms..=unix_ms()).contains(&told_ms));
}

async fn a_newer_login_of_the_same_user_ends_the_older_session(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    for newer_transport in Transport::ALL {
        let mut older = RawClient::online(&gateway, transport, "alice").await;
        let mut bystander = RawClient::online(&gateway, transport, "bob").await;
        let mut newer = RawClient::online(&gateway, newer_transport, "alice").await;
        expect_closed(&mut older, 31010, "").await;
        expect_alive(&mut newer).await;
        expect_alive(&mut bystander).await;
    }
    wait_until("one session of each user is left", async || {
        gateway.metric("sluice_users_online").await <= 2.0
    })
    .await;
}

async fn a_session_that_is_displaced_leaves_its_rooms(transport: Transport) {
    let gateway = Gateway::start(no_window);
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter_room(&mut bob, 1, "lobby").await;
    let mut older = RawClient::online(&gateway, transport, "alice").await;
    enter_room(&mut older, 1, "lobby").await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    let mut newer = RawClient::online(&gateway, transport, "alice").await;
    match bob.event().await {
        Body::RoomMemberLeft(left) => {
            assert_eq!(left.members[0].user_id, "alice");
            assert_eq!(left.reason(), LeaveReason::Offline);
            assert_eq!(left.member_count, 1);
        }
        other => panic!("{other:?}"),
    }
    enter_room(&mut newer, 1, "lobby").await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
}

#[tokio::test]
async fn per_platform_only_a_session_on_the_same_platform_is_displaced() {
    let gateway = Gateway::start(|config| config.apps[0].single_login = SingleLogin::PerPlatform);
    let [tcp, tls, quic] = Transport::ALL;
    let mut phone = RawClient::connect(&gateway, tcp).await;
    log_in_on(&mut phone, "alice", Platform::Ios).await;
    let mut laptop = RawClient::connect(&gateway, tls).await;
    log_in_on(&mut laptop, "alice", Platform::Linux).await;
    expect_alive(&mut phone).await;
    let mut new_phone = RawClient::connect(&gateway, quic).await;
    log_in_on(&mut new_phone, "alice", Platform::Ios).await;
    expect_closed(&mut phone, 31010, "").await;
    expect_alive(&mut laptop).await;
    expect_alive(&mut new_phone).await;
}

#[tokio::test]
async fn of_several_sessions_that_are_allowed_the_oldest_gives_way() {
    let gateway = Gateway::start(|config| config.apps[0].single_login = SingleLogin::Multi(2));
    let mut sessions = Vec::new();
    for transport in Transport::ALL.into_iter().rev() {
        sessions.push(RawClient::online(&gateway, transport, "alice").await);
    }
    expect_closed(&mut sessions[0], 31010, "").await;
    expect_alive(&mut sessions[1]).await;
    expect_alive(&mut sessions[2]).await;
    // One that goes by itself makes place.
    drop(sessions.remove(1));
    wait_until("the session is gone", async || {
        gateway.metric("sluice_sessions_online").await <= 1.0
    })
    .await;
    let mut newest = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    expect_alive(&mut newest).await;
    expect_alive(&mut sessions[1]).await;
}

#[tokio::test]
async fn of_many_who_log_in_as_the_same_user_at_once_one_remains() {
    let gateway = Gateway::start(|_| ());
    let mut clients = Vec::new();
    for transport in Transport::ALL.into_iter().cycle().take(9) {
        clients.push(RawClient::connect(&gateway, transport).await);
    }
    for client in &mut clients {
        let login = client.login_command("alice");
        client.send(1, Body::Login(login)).await;
    }
    for client in &mut clients {
        taken(client.reply(1).await);
    }
    wait_until("all but one are displaced", async || {
        let mut still_there = Vec::new();
        for mut client in std::mem::take(&mut clients) {
            if client.is_ended().await {
                expect_closed(&mut client, 31010, "").await;
            } else {
                still_there.push(client);
            }
        }
        clients = still_there;
        clients.len() <= 1
    })
    .await;
    expect_alive(&mut clients[0]).await;
    wait_until("one session is counted", async || {
        gateway.metric("sluice_sessions_online").await.to_string() == "1"
    })
    .await;
}

#[tokio::test]
async fn users_of_the_same_name_in_different_apps_have_nothing_to_do_with_each_other() {
    let gateway = Gateway::start(|config| add_app(config, "other", |_| ()));
    let mut here = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    enter_room(&mut here, 1, "lobby").await;
    let mut there = RawClient::connect(&gateway, Transport::Tls).await;
    let login = Login {
        app_key: "other".into(),
        token: token("other", "alice", 60),
        ..there.login_command("alice")
    };
    taken(log_in_with(&mut there, login).await);
    let join = JoinRoom {
        room_id: "lobby".into(),
        ..JoinRoom::default()
    };
    let reply = there.call(2, Body::JoinRoom(join)).await;
    assert_eq!(
        reply.code,
        ErrorCode::CHATROOM_NOT_EXIST.number(),
        "rooms are the app's own"
    );
    expect_alive(&mut here).await;
}

/// As it comes when a worker was busy: the client has given the connection up for another, or ended its side.
async fn a_login_that_comes_late_does_not_displace_the_next_one_of_its_device(transport: Transport) {
    let gateway = Gateway::start(|config| config.workers = 1);
    let phone = |client: &RawClient| Login {
        device_id: "phone".into(),
        ..client.login_command("alice")
    };
    let mut late = RawClient::connect(&gateway, transport).await;
    // On QUIC the server sees a connection with its first bytes.
    let reply = late.call(1, Body::Ping(Ping {})).await;
    assert_eq!(reply.code, ErrorCode::NOT_LOGGED_IN.number());
    let mut next = RawClient::connect(&gateway, transport).await;
    let login = phone(&next);
    taken(log_in_with(&mut next, login).await);
    let login = phone(&late);
    let reply = log_in_with(&mut late, login).await;
    assert_eq!((reply.code, &*reply.detail), (31010, "newer_login"), "{reply:?}");
    expect_closed(&mut late, 31010, "newer_login").await;
    expect_alive(&mut next).await;
}

#[tokio::test]
async fn a_login_whose_connection_has_ended_does_not_displace_the_one_that_is_in_use() {
    let gateway = Gateway::start(|_| ());
    let mut next = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let address = gateway.address(Transport::Tcp);
    let stream = TcpStream::connect(address)
        .await
        .expect("the gateway takes connections");
    // The login leaves together with the end.
    sockopt::set_tcp_cork(&stream, true).expect("Linux can");
    let mut late = RawClient::of_stream(&gateway, Transport::Tcp, stream);
    let login = late.login_command("alice");
    late.send_together(1, [Body::Login(login), Body::Ping(Ping {})]).await;
    late.finish_sending().await;
    let reply = late.reply(1).await;
    assert_eq!((reply.code, &*reply.detail), (31010, "newer_login"), "{reply:?}");
    expect_alive(&mut next).await;
}

async fn a_library_that_reconnects_does_not_displace_a_newer_login(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut lost = RawClient::connect(&gateway, transport).await;
    let lost_began_ms = lost.login("alice").await.server_time_ms;
    // Within the same millisecond, nobody could tell which is newer.
    let mut clock = RawClient::online(&gateway, transport, "clock").await;
    wait_until("the clock has moved on", async || {
        server_time_ms(&mut clock).await > lost_began_ms
    })
    .await;
    let mut by_hand = RawClient::connect(&gateway, transport).await;
    let newer_began_ms = by_hand.login("alice").await.server_time_ms;
    expect_closed(&mut lost, 31010, "").await;

    let automatic = |client: &RawClient, previous_ms| Login {
        automatic: true,
        previous_session_started_at_ms: previous_ms,
        ..client.login_command("alice")
    };
    let mut returning = RawClient::connect(&gateway, transport).await;
    let login = automatic(&returning, lost_began_ms);
    let reply = log_in_with(&mut returning, login).await;
    assert_eq!((reply.code, &*reply.detail), (31010, "newer_login"), "{reply:?}");
    expect_closed(&mut returning, 31010, "newer_login").await;
    expect_alive(&mut by_hand).await;

    // The one that lost the newest session takes its place.
    let mut returning = RawClient::connect(&gateway, transport).await;
    let login = automatic(&returning, newer_began_ms);
    taken(log_in_with(&mut returning, login).await);
    expect_closed(&mut by_hand, 31010, "").await;
}

async fn online_for(gateway: &Gateway, transport: Transport, seconds_left: i64) -> RawClient {
    let mut client = RawClient::connect(gateway, transport).await;
    let login = Login {
        token: token(APP_KEY, "alice", seconds_left),
        ..client.login_command("alice")
    };
    taken(log_in_with(&mut client, login).await);
    client
}

async fn renew(client: &mut RawClient, request_id: u32, token: &str) -> Reply {
    let renew = RenewToken { token: token.into() };
    client.call(request_id, Body::RenewToken(renew)).await
}

async fn expect_warning(client: &mut RawClient, seconds: std::ops::RangeInclusive<u32>) {
    match client.event().await {
        Body::TokenWillExpire(warning) => assert!(seconds.contains(&warning.seconds), "{warning:?}"),
        other => panic!("{other:?}; {client:?}"),
    }
}

async fn a_token_that_ends_soon_is_announced_and_may_be_renewed(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut client = online_for(&gateway, transport, 20).await;
    enter_room(&mut client, 2, "lobby").await;
    // Less is left than the usual warning, so it comes at once.
    expect_warning(&mut client, 0..=20).await;
    let expires_ms = (unix_s() + 25) * 1000;
    let next = gateway.token_with(&json!({"sub": "alice", "aud": APP_KEY, "exp": expires_ms / 1000}));
    let reply = renew(&mut client, 3, &next).await;
    assert_eq!(reply.code, 0, "{reply:?}");
    let result = RenewTokenResult {
        token: next,
        token_expires_at_ms: expires_ms,
    };
    assert_eq!(reply.result, Some(reply::Result::RenewToken(result)));
    // Each token is announced once.
    expect_warning(&mut client, 0..=25).await;
    let long = token(APP_KEY, "alice", 3600);
    assert_eq!(renew(&mut client, 4, &long).await.code, 0);
    // Still inside, and nothing more about tokens.
    let send = SendMessage {
        conversation_type: sluice_protocol::ConversationType::Room.into(),
        target_id: "lobby".into(),
        r#type: sluice_protocol::MessageType::Text.into(),
        content: "hello".into(),
        ..SendMessage::default()
    };
    assert_eq!(client.call(5, Body::SendMessage(send)).await.code, 0);
    assert!(matches!(client.event().await, Body::RoomMessage(_)), "{client:?}");
}

async fn a_bad_renewal_leaves_the_session_on_its_old_token(transport: Transport) {
    let gateway = Gateway::start(|config| add_app(config, "other", |_| ()));
    let mut client = online_for(&gateway, transport, 3600).await;
    let good = token(APP_KEY, "alice", 3600);
    for (request_id, (renewal, code, detail)) in (2..).zip([
        ("no token".into(), 31004, "malformed"),
        (format!("{good}x"), 31004, "bad_signature"),
        (token(APP_KEY, "alice", -1), 31004, "expired"),
        (token("other", "alice", 3600), 31005, "app"),
        (token(APP_KEY, "bob", 3600), 31005, "user"),
        ("t".repeat(limits::TOKEN_BYTES + 1), 33003, "token"),
    ]) {
        let reply = renew(&mut client, request_id, &renewal).await;
        assert_eq!((reply.code, &*reply.detail), (code, detail), "{reply:?}");
    }
    enter_room(&mut client, 20, "lobby").await;
}

/// Waits until commands are refused for the token's end.
async fn wait_until_expired(client: &mut RawClient) {
    let mut request_id = 100;
    wait_until("the token has ended", async || {
        request_id += 1;
        match join_nowhere(client, request_id).await {
            (23410, _) => false,
            (31004, detail) if detail == "expired" => true,
            other => panic!("{other:?}"),
        }
    })
    .await;
}

async fn after_the_token_has_ended_commands_are_refused_until_it_is_renewed(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut client = online_for(&gateway, transport, 2).await;
    wait_until_expired(&mut client).await;
    expect_alive(&mut client).await;
    let renewed = token(APP_KEY, "alice", 3600);
    assert_eq!(renew(&mut client, 3, &renewed).await.code, 0);
    assert_eq!(join_nowhere(&mut client, 4).await.0, 23410);
}

async fn a_session_whose_token_is_not_renewed_ends_after_the_grace(transport: Transport) {
    let gateway = Gateway::start(|config| config.tokens.grace = GRACE);
    let mut client = online_for(&gateway, transport, 2).await;
    expect_closed(&mut client, 31004, "expired").await;
}

/// Two members of two rooms; the second is about to go.
async fn two_in_two_rooms(gateway: &Gateway, transport: Transport) -> (RawClient, RawClient) {
    let mut stays = RawClient::online(gateway, transport, "bob").await;
    let mut goes = RawClient::online(gateway, transport, "alice").await;
    for (request_id, room) in (1..).zip(["lobby", "hall"]) {
        enter_room(&mut stays, request_id, room).await;
        enter_room(&mut goes, request_id, room).await;
        assert!(matches!(stays.event().await, Body::RoomMemberJoined(_)));
    }
    (stays, goes)
}

async fn expect_left_both(client: &mut RawClient, reason: LeaveReason) {
    let mut rooms = Vec::new();
    for _ in 0..2 {
        match client.event().await {
            Body::RoomMemberLeft(left) => {
                assert_eq!(left.members[0].user_id, "alice");
                assert_eq!((left.reason(), left.member_count), (reason, 1));
                rooms.push(left.room_id);
            }
            other => panic!("{other:?}"),
        }
    }
    rooms.sort();
    assert_eq!(rooms, ["hall", "lobby"]);
}

async fn who_logs_out_leaves_all_rooms_and_the_others_are_told(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let (mut stays, mut goes) = two_in_two_rooms(&gateway, transport).await;
    assert_eq!(goes.call(10, Body::Logout(Logout {})).await.code, 0);
    expect_closed(&mut goes, 0, "").await;
    expect_left_both(&mut stays, LeaveReason::Logout).await;
}

async fn who_is_lost_leaves_all_rooms_and_the_others_are_told(transport: Transport) {
    let gateway = Gateway::start(no_window);
    let (mut stays, goes) = two_in_two_rooms(&gateway, transport).await;
    drop(goes);
    expect_left_both(&mut stays, LeaveReason::Offline).await;
}
