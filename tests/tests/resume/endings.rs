//! Secrets and questions that are refused, and sessions that end before their client is back.

use super::*;

#[tokio::test]
async fn a_secret_that_is_wrong_used_or_somebody_elses_is_a_login_like_any_other() {
    let gateway = gateway(LONG, |config| config.apps[0].single_login = SingleLogin::Multi(9));
    let (_, mallory) = online(&gateway, Transport::Tcp, "mallory").await;
    let (mut bob, alice, first) = two_inside(&gateway, Transport::Tcp, "lobby").await;
    drop(alice);
    let (mut alice, second) = come_back(&gateway, Transport::Tls, &first.resume_secret, &[]).await;
    assert!(second.resumed);
    room_resumed(&mut alice).await;
    for secret in ["0".repeat(32), first.resume_secret, mallory.resume_secret] {
        let (mut other, result) = come_back(&gateway, Transport::Quic, &secret, &[("lobby", 0)]).await;
        assert!(!result.resumed, "{result:?}");
        assert_ne!(result.session_id, second.session_id);
        assert!(
            enter(&mut other, "lobby").await.member_count == 2,
            "outside before, like anybody"
        );
    }
    wait_until("they are counted", async || {
        gateway.metric("sluice_resume_total{result=\"unknown\"}").await == 3.0
    })
    .await;
    expect_nothing_before(&mut bob, "lobby", "hello").await;
    assert_eq!(message(&mut alice).await.content, "hello");
}

#[tokio::test]
async fn what_a_client_says_of_the_session_it_lost_must_have_its_form() {
    let gateway = gateway(LONG, |_| ());
    let mut client = RawClient::connect(&gateway, Transport::Tcp).await;
    let secret = "a".repeat(32);
    let good = resuming(&client, "alice", &secret, &[("lobby", 1)]);
    let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let cases = [
        (
            "resume_secret",
            Login {
                resume_secret: "a".repeat(31),
                ..good.clone()
            },
        ),
        (
            "resume_secret",
            Login {
                resume_secret: "x".repeat(32),
                ..good.clone()
            },
        ),
        (
            "resume_rooms",
            Login {
                resume_rooms: vec!["no room".into()],
                ..good.clone()
            },
        ),
        (
            "resume_rooms",
            Login {
                resume_sequences: vec![1; 101],
                resume_rooms: many,
                ..good.clone()
            },
        ),
        (
            "resume_sequences",
            Login {
                resume_sequences: Vec::new(),
                ..good.clone()
            },
        ),
        (
            "resume_sequences",
            Login {
                resume_sequences: vec![1, 2],
                ..good.clone()
            },
        ),
    ];
    for (field, login) in cases {
        let reply = log_in(&mut client, login).await;
        assert_eq!((reply.code, &*reply.detail), (33003, field), "{reply:?}");
    }
    assert!(!taken(log_in(&mut client, good).await).resumed);
}

#[tokio::test]
async fn a_user_with_two_devices_leaves_when_the_last_is_not_back_in_time() {
    let gateway = gateway(SHORT, |config| config.apps[0].single_login = SingleLogin::Multi(2));
    let (mut bob, phone, _) = two_inside(&gateway, Transport::Quic, "lobby").await;
    let (mut laptop, _) = online(&gateway, Transport::Tls, "alice").await;
    assert_eq!(enter(&mut laptop, "lobby").await.member_count, 2);
    drop(phone);
    wait_until("the phone's place is given up", async || {
        gateway.metric("sluice_room_leaves_total{reason=\"offline\"}").await == 1.0
    })
    .await;
    expect_nothing_before(&mut bob, "lobby", "one is left").await;
    drop(laptop);
    expect_left(&mut bob, LeaveReason::Offline).await;
}

#[tokio::test]
async fn who_came_too_late_finds_a_room_of_its_own_gone() {
    let gateway = gateway(SHORT, |_| ());
    let (mut alice, first) = online(&gateway, Transport::Tcp, "alice").await;
    enter(&mut alice, "alone").await;
    drop(alice);
    // As long as it may come back, the room is there.
    let (mut alice, second) = come_back(&gateway, Transport::Tcp, &first.resume_secret, &[]).await;
    assert!(second.resumed);
    assert_eq!(room_resumed(&mut alice).await.member_count, 1);
    drop(alice);
    wait_until("her place is given up", async || {
        gateway.metric("sluice_room_leaves_total{reason=\"offline\"}").await == 1.0
    })
    .await;
    let (mut alice, third) = come_back(&gateway, Transport::Tcp, &second.resume_secret, &[("alone", 0)]).await;
    assert!(!third.resumed);
    assert!(enter(&mut alice, "alone").await.created);
}

#[tokio::test]
async fn who_was_put_out_meanwhile_or_whose_room_is_gone_is_told_so() {
    let gateway = gateway(LONG, |_| ());
    let api = gateway.addresses().api.expect("the server API");
    let (mut bob, _) = online(&gateway, Transport::Tcp, "bob").await;
    enter(&mut bob, "kicks").await;
    let (mut alice, first) = online(&gateway, Transport::Quic, "alice").await;
    for room in ["stays", "kicks", "ends"] {
        enter(&mut alice, room).await;
    }
    drop(alice);
    wait_until("alice is known to be lost", async || {
        gateway.metric("sluice_sessions_parked").await == 1.0
    })
    .await;
    let block = [("chatroomId", "kicks"), ("userId", "alice"), ("minute", "5")];
    let answer = ApiCall::new("/chatroom/user/block/add", &block).send(api).await;
    assert_eq!(answer.code(), 200, "{answer:?}");
    let answer = ApiCall::new("/chatroom/destroy", &[("chatroomId", "ends")])
        .send(api)
        .await;
    assert_eq!(answer.code(), 200, "{answer:?}");

    let known = ["stays", "kicks", "ends"].map(|room| (room, 0));
    let (mut alice, second) = come_back(&gateway, Transport::Tcp, &first.resume_secret, &known).await;
    assert!(second.resumed);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(match alice.event().await {
            Body::RoomResumed(resumed) => (resumed.room_id, "resumed"),
            Body::RoomKickedOut(out) if out.reason() == LeaveReason::Blocked => (out.room_id, "blocked"),
            Body::RoomDestroyed(destroyed) => (destroyed.room_id, "destroyed"),
            other => panic!("{other:?}; {alice:?}"),
        });
    }
    told.sort();
    let expected = [("ends", "destroyed"), ("kicks", "blocked"), ("stays", "resumed")];
    assert_eq!(told, expected.map(|(room, what)| (room.to_owned(), what)));
    expect_nothing_before(&mut alice, "stays", "and on").await;
}

#[tokio::test]
async fn a_client_that_dies_again_and_again_while_it_resumes_leaves_nothing_behind() {
    let gateway = gateway(SHORT, |_| ());
    let (mut bob, alice, first) = two_inside(&gateway, Transport::Tcp, "lobby").await;
    drop(alice);
    for transport in Transport::ALL.into_iter().cycle().take(30) {
        let mut client = RawClient::connect(&gateway, transport).await;
        let login = resuming(&client, "alice", &first.resume_secret, &[("lobby", 0)]);
        client.send(1, Body::Login(login)).await;
    }
    expect_left(&mut bob, LeaveReason::Offline).await;
    wait_until("only bob is left", async || {
        gateway.metric("sluice_sessions_parked").await == 0.0
            && gateway.metric("sluice_sessions_online").await == 1.0
            && gateway.metric("sluice_users_online").await == 1.0
            && gateway.metric("sluice_room_members").await == 1.0
    })
    .await;
    expect_nothing_before(&mut bob, "lobby", "she left once").await;
}

#[tokio::test]
async fn a_session_whose_token_has_ended_goes_on_with_a_good_one() {
    let gateway = gateway(LONG, |config| config.tokens.grace = Duration::ZERO);
    let (mut bob, _) = online(&gateway, Transport::Tcp, "bob").await;
    enter(&mut bob, "lobby").await;
    let mut alice = RawClient::connect(&gateway, Transport::Tls).await;
    let claims = json!({"sub": "alice", "aud": APP_KEY, "exp": unix_ms() / 1000 + 2});
    let login = Login {
        token: gateway.token_with(&claims),
        ..alice.login_command("alice")
    };
    let first = taken(log_in(&mut alice, login).await);
    enter(&mut alice, "lobby").await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    let close = alice.expect_close().await;
    assert_eq!((close.code, &*close.detail), (31004, "expired"));
    let (mut alice, second) = come_back(&gateway, Transport::Quic, &first.resume_secret, &[]).await;
    assert!(second.resumed);
    assert_eq!(room_resumed(&mut alice).await.member_count, 2);
    expect_nothing_before(&mut bob, "lobby", "still two").await;
}

#[tokio::test]
async fn without_a_window_who_is_lost_leaves_at_once_and_nothing_can_be_resumed() {
    let gateway = gateway(Duration::ZERO, |_| ());
    let (mut bob, alice, first) = two_inside(&gateway, Transport::Tcp, "lobby").await;
    assert_eq!((&*first.resume_secret, first.resume_window_ms), ("", 0));
    drop(alice);
    expect_left(&mut bob, LeaveReason::Offline).await;
}
