//! Users whom the app's server puts out of everything: cut off at once, and refused until it takes that back.

use std::time::Duration;

use sluice_gateway::config::SingleLogin;
use sluice_protocol::frame::Body;
use sluice_protocol::{EnterRoom, LeaveReason, Login, LoginResult, Reply, reply};
use sluice_tests::{ApiCall, Gateway, RawClient, Transport, on_all_transports, unix_ms, wait_until};

on_all_transports!(
    a_blocked_user_is_cut_off_on_all_devices_and_refused_until_unblocked,
    what_is_kept_of_a_lost_session_goes_with_the_block,
);

const MINUTES: i64 = 3;

async fn call(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> serde_json::Value {
    let api = gateway.addresses().api.expect("the server API");
    let answer = ApiCall::new(path, fields).send(api).await;
    assert_eq!(answer.code(), 200, "{answer:?}");
    answer.json
}

async fn block(gateway: &Gateway, user: &str) {
    let fields = [("userId", user), ("minute", &MINUTES.to_string())];
    call(gateway, "/user/block", &fields).await;
}

async fn is_online(gateway: &Gateway, user: &str) -> bool {
    call(gateway, "/user/checkOnline", &[("userId", user)]).await["status"] == "1"
}

async fn log_in(client: &mut RawClient, login: Login) -> Reply {
    client.call(1, Body::Login(login)).await
}

fn taken(reply: Reply) -> LoginResult {
    match reply.result {
        Some(reply::Result::Login(result)) if reply.code == 0 => result,
        _ => panic!("{reply:?}"),
    }
}

async fn enter(client: &mut RawClient) {
    let enter = EnterRoom {
        room_id: "lobby".into(),
        ..EnterRoom::default()
    };
    let reply = client.call(2, Body::EnterRoom(enter)).await;
    assert_eq!(reply.code, 0, "{reply:?}; {client:?}");
}

/// What is told of the block, in a reply or the last frame: until when, and how long that is still.
fn expect_blocked(code: i32, detail: &str, retry_after_ms: u32, before_ms: i64) {
    assert_eq!(code, 31009);
    let until_ms: i64 = detail.parse().expect("milliseconds");
    let length_ms = MINUTES * 60_000;
    assert!(
        (before_ms + length_ms..=unix_ms() + length_ms).contains(&until_ms),
        "{detail}"
    );
    assert!((1..=length_ms).contains(&retry_after_ms.into()), "{retry_after_ms}");
}

async fn expect_put_out(bob: &mut RawClient) {
    match bob.event().await {
        Body::RoomMemberLeft(left) => {
            assert_eq!(left.members[0].user_id, "alice");
            assert_eq!(left.reason(), LeaveReason::UserBlocked);
        }
        other => panic!("{other:?}; {bob:?}"),
    }
}

async fn a_blocked_user_is_cut_off_on_all_devices_and_refused_until_unblocked(transport: Transport) {
    let gateway = Gateway::start(|config| config.apps[0].single_login = SingleLogin::Multi(3));
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut bob).await;
    let mut devices = Vec::new();
    for transport in Transport::ALL {
        let mut alice = RawClient::online(&gateway, transport, "alice").await;
        enter(&mut alice).await;
        devices.push(alice);
    }
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    assert!(is_online(&gateway, "alice").await);
    assert!(!is_online(&gateway, "carol").await);

    let before_ms = unix_ms();
    block(&gateway, "alice").await;
    assert!(!is_online(&gateway, "alice").await);
    for device in &mut devices {
        let close = device.expect_close().await;
        expect_blocked(close.code, &close.detail, close.retry_after_ms, before_ms);
        device.expect_end().await;
    }
    expect_put_out(&mut bob).await;
    let mut again = RawClient::connect(&gateway, transport).await;
    let login = again.login_command("alice");
    let reply = log_in(&mut again, login).await;
    expect_blocked(reply.code, &reply.detail, reply.retry_after_ms, before_ms);
    let close = again.expect_close().await;
    expect_blocked(close.code, &close.detail, close.retry_after_ms, before_ms);
    // Others are not concerned.
    RawClient::online(&gateway, transport, "carol").await;
    assert!(is_online(&gateway, "bob").await);

    call(&gateway, "/user/unblock", &[("userId", "alice")]).await;
    let mut back = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut back).await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    wait_until("the ends are counted", async || {
        gateway
            .metric("sluice_connections_closed_total{reason=\"user_blocked\"}")
            .await
            == 3.0
    })
    .await;
}

async fn what_is_kept_of_a_lost_session_goes_with_the_block(transport: Transport) {
    let gateway = Gateway::start(|config| config.sessions.resume_window = Duration::from_secs(60));
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut bob).await;
    let mut alice = RawClient::connect(&gateway, transport).await;
    let first = alice.login("alice").await;
    enter(&mut alice).await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    drop(alice);
    wait_until("alice is known to be lost", async || {
        gateway.metric("sluice_sessions_parked").await == 1.0
    })
    .await;
    block(&gateway, "alice").await;
    expect_put_out(&mut bob).await;
    call(&gateway, "/user/unblock", &[("userId", "alice")]).await;
    let mut alice = RawClient::connect(&gateway, transport).await;
    let login = Login {
        resume_secret: first.resume_secret,
        ..alice.login_command("alice")
    };
    assert!(!taken(log_in(&mut alice, login).await).resumed);
}
