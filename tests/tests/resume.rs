//! Sessions that go on with another connection: what others see of it, what the client gets, and who may not.

mod endings;

use std::time::{Duration, Instant};

use serde_json::json;
use sluice_gateway::config::{Config, Rate, SingleLogin};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ConversationType, EnterRoom, LeaveAllRooms, LeaveReason, LeaveRoom, Login, LoginResult, Logout, MessageType, Reply,
    RoomEntered, RoomMessage, RoomResumed, SendMessage, SwitchRoom, limits, reply,
};
use sluice_tests::{APP_KEY, ApiCall, Gateway, RawClient, Transport, on_all_transports, unix_ms, wait_until};

on_all_transports!(
    who_is_lost_is_missed_by_nobody_until_the_window_is_over,
    a_session_goes_on_over_another_transport_with_what_it_missed,
    a_session_whose_connection_is_still_open_goes_on_elsewhere,
    who_resumes_again_and_again_gets_every_message_once,
    a_session_that_is_displaced_is_seen_by_nobody_and_cannot_be_resumed,
    who_leaves_on_purpose_is_seen_to_leave_at_once_whatever_was_displaced_before,
);

/// Long enough for a client to come back on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

fn gateway(window: Duration, change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::start(|config| {
        config.sessions.resume_window = window;
        config.rooms.room_messages_per_second = Rate::Unlimited;
        change(config);
    })
}

async fn online(gateway: &Gateway, transport: Transport, user: &str) -> (RawClient, LoginResult) {
    let mut client = RawClient::connect(gateway, transport).await;
    let result = client.login(user).await;
    (client, result)
}

/// A login that wants to go on with a session, and knows so much of these rooms.
fn resuming(client: &RawClient, user: &str, secret: &str, known: &[(&str, u64)]) -> Login {
    Login {
        resume_secret: secret.into(),
        resume_rooms: known.iter().map(|(room, _)| (*room).into()).collect(),
        resume_sequences: known.iter().map(|(_, sequence)| *sequence).collect(),
        ..client.login_command(user)
    }
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

/// Logs in with a secret, whatever comes of it.
async fn come_back(
    gateway: &Gateway,
    transport: Transport,
    secret: &str,
    known: &[(&str, u64)],
) -> (RawClient, LoginResult) {
    let mut client = RawClient::connect(gateway, transport).await;
    let login = resuming(&client, "alice", secret, known);
    let result = taken(log_in(&mut client, login).await);
    (client, result)
}

async fn enter(client: &mut RawClient, room: &str) -> RoomEntered {
    let enter = EnterRoom {
        room_id: room.into(),
        ..EnterRoom::default()
    };
    let reply = client.call(2, Body::EnterRoom(enter)).await;
    match reply.result {
        Some(reply::Result::RoomEntered(entered)) if reply.code == 0 => entered,
        _ => panic!("{reply:?}; {client:?}"),
    }
}

async fn send(client: &mut RawClient, room: &str, text: &str) {
    let send = SendMessage {
        conversation_type: ConversationType::Room.into(),
        target_id: room.into(),
        r#type: MessageType::Text.into(),
        content: text.to_owned().into(),
        ..SendMessage::default()
    };
    let reply = client.call(3, Body::SendMessage(send)).await;
    assert_eq!(reply.code, 0, "{reply:?}; {client:?}");
}

async fn message(client: &mut RawClient) -> RoomMessage {
    match client.event().await {
        Body::RoomMessage(message) => message,
        other => panic!("{other:?}; {client:?}"),
    }
}

async fn room_resumed(client: &mut RawClient) -> RoomResumed {
    match client.event().await {
        Body::RoomResumed(resumed) => resumed,
        other => panic!("{other:?}; {client:?}"),
    }
}

/// Bob, who stays in the room, and alice, who is about to go.
async fn two_inside(gateway: &Gateway, transport: Transport, room: &str) -> (RawClient, RawClient, LoginResult) {
    let (mut bob, _) = online(gateway, transport, "bob").await;
    enter(&mut bob, room).await;
    let (mut alice, result) = online(gateway, transport, "alice").await;
    enter(&mut alice, room).await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    (bob, alice, result)
}

async fn expect_left(client: &mut RawClient, reason: LeaveReason) {
    match client.event().await {
        Body::RoomMemberLeft(left) => {
            assert_eq!(left.members[0].user_id, "alice");
            assert_eq!(left.reason(), reason);
        }
        other => panic!("{other:?}; {client:?}"),
    }
}

/// Nothing came but what was said: bob says something, and that is the next he gets.
async fn expect_nothing_before(bob: &mut RawClient, room: &str, text: &str) {
    send(bob, room, text).await;
    assert_eq!(message(bob).await.content, text);
}

fn of(count: u64) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("message {number}"))
}

fn another(transport: Transport) -> Transport {
    match transport {
        Transport::Tcp => Transport::Tls,
        Transport::Tls => Transport::Quic,
        Transport::Quic => Transport::Tcp,
    }
}

async fn who_is_lost_is_missed_by_nobody_until_the_window_is_over(transport: Transport) {
    let gateway = gateway(SHORT, |_| ());
    let (mut bob, alice, _) = two_inside(&gateway, transport, "lobby").await;
    let lost = Instant::now();
    drop(alice);
    expect_left(&mut bob, LeaveReason::Offline).await;
    assert!(lost.elapsed() >= SHORT, "{:?}", lost.elapsed());
    wait_until("nothing is kept of alice", async || {
        gateway.metric("sluice_sessions_parked").await == 0.0 && gateway.metric("sluice_room_members").await == 1.0
    })
    .await;
}

async fn a_session_goes_on_over_another_transport_with_what_it_missed(transport: Transport) {
    let gateway = gateway(LONG, |_| ());
    let (mut bob, mut alice, first) = two_inside(&gateway, transport, "lobby").await;
    enter(&mut bob, "hall").await;
    enter(&mut alice, "hall").await;
    assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    assert_eq!(first.resume_secret.len(), 32);
    assert_eq!(first.resume_window_ms, 60_000);
    assert!(!first.resumed);
    for text in of(3) {
        send(&mut bob, "lobby", &text).await;
        assert_eq!(message(&mut bob).await.content, text);
    }
    for text in of(2) {
        assert_eq!(message(&mut alice).await.content, text);
    }
    drop(alice);
    wait_until("alice is known to be lost", async || {
        gateway.metric("sluice_sessions_parked").await == 1.0
    })
    .await;
    for text in ["four", "five"] {
        send(&mut bob, "lobby", text).await;
        assert_eq!(message(&mut bob).await.content, text);
    }
    send(&mut bob, "hall", "echo").await;
    assert_eq!(message(&mut bob).await.content, "echo");

    let known = [("lobby", 2), ("elsewhere", 7)];
    let (mut alice, second) = come_back(&gateway, another(transport), &first.resume_secret, &known).await;
    assert!(second.resumed);
    assert_eq!(second.session_id, first.session_id);
    assert_ne!(second.resume_secret, first.resume_secret);
    let mut rooms = Vec::new();
    for _ in 0..2 {
        let resumed = room_resumed(&mut alice).await;
        let (sequence, expected) = match &*resumed.room_id {
            "lobby" => (5, vec![(3, "message 3"), (4, "four"), (5, "five")]),
            // Not named, so it goes on from now.
            _ => (1, vec![]),
        };
        assert_eq!(
            (resumed.sequence, resumed.missed, resumed.member_count),
            (sequence, 0, 2)
        );
        assert_eq!(resumed.replayed as usize, expected.len());
        for (sequence, text) in expected {
            let message = message(&mut alice).await;
            assert_eq!((message.sequence, &message.content[..]), (sequence, text.as_bytes()));
            assert!(message.history);
        }
        rooms.push(resumed.room_id);
    }
    rooms.sort();
    assert_eq!(rooms, ["hall", "lobby"]);

    // From here on as if nothing had been, and nobody has noticed.
    for room in ["lobby", "hall"] {
        expect_nothing_before(&mut bob, room, "welcome back").await;
        let message = message(&mut alice).await;
        assert_eq!((&*message.room_id, &message.content[..]), (room, &b"welcome back"[..]));
        assert!(!message.history);
    }
    send(&mut alice, "hall", "I was never away").await;
    assert_eq!(message(&mut bob).await.content, "I was never away");
    wait_until("it is counted", async || {
        gateway.metric("sluice_resume_total{result=\"resumed\"}").await == 1.0
    })
    .await;
}

async fn a_session_whose_connection_is_still_open_goes_on_elsewhere(transport: Transport) {
    let gateway = gateway(LONG, |_| ());
    let (mut bob, mut old, first) = two_inside(&gateway, transport, "lobby").await;
    let (mut new, second) = come_back(&gateway, another(transport), &first.resume_secret, &[("lobby", 0)]).await;
    assert!(second.resumed);
    assert_eq!(second.session_id, first.session_id);
    let close = old.expect_close().await;
    assert_eq!((close.code, &*close.detail), (31011, "resumed"));
    old.expect_end().await;
    assert_eq!(room_resumed(&mut new).await.room_id, "lobby");
    expect_nothing_before(&mut bob, "lobby", "here").await;
    assert_eq!(message(&mut new).await.content, "here");
    wait_until("it is counted", async || {
        gateway.metric("sluice_resume_total{result=\"taken_over\"}").await == 1.0
            && gateway.metric("sluice_sessions_online").await == 2.0
            && gateway.metric("sluice_sessions_parked").await == 0.0
            && gateway
                .metric("sluice_connections_closed_total{reason=\"resumed\"}")
                .await
                == 1.0
    })
    .await;
}

/// Cut off in all states, whether the gateway has noticed or not, while bob goes on talking.
async fn who_resumes_again_and_again_gets_every_message_once(transport: Transport) {
    const TIMES: u64 = 12;
    let gateway = gateway(LONG, |_| ());
    let (mut bob, mut alice, first) = two_inside(&gateway, transport, "lobby").await;
    let (mut secret, mut transport) = (first.resume_secret, transport);
    let (mut newest, mut said) = (0, 0);
    for time in 0..TIMES {
        for _ in 0..5 {
            said += 1;
            send(&mut bob, "lobby", &said.to_string()).await;
        }
        // Some of it arrives.
        for _ in 0..time % 4 {
            newest += 1;
            assert_eq!(message(&mut alice).await.content, newest.to_string());
        }
        transport = another(transport);
        let old = std::mem::replace(&mut alice, RawClient::connect(&gateway, transport).await);
        if time % 2 == 0 {
            drop(old);
        }
        let login = resuming(&alice, "alice", &secret, &[("lobby", newest)]);
        let result = taken(log_in(&mut alice, login).await);
        assert!(result.resumed, "{result:?}");
        secret = result.resume_secret;
        let resumed = room_resumed(&mut alice).await;
        assert_eq!((resumed.missed, resumed.sequence), (0, said));
        assert_eq!(u64::from(resumed.replayed), said - newest);
        if time % 3 == 0 {
            while newest < said {
                newest += 1;
                assert_eq!(message(&mut alice).await.content, newest.to_string());
            }
        }
    }
    while newest < said {
        newest += 1;
        let message = message(&mut alice).await;
        assert_eq!(
            (message.sequence, &message.content[..]),
            (newest, newest.to_string().as_bytes())
        );
    }
    for number in 1..=said {
        assert_eq!(
            message(&mut bob).await.content,
            number.to_string(),
            "and bob has seen nobody come or go"
        );
    }
}

async fn a_session_that_is_displaced_is_seen_by_nobody_and_cannot_be_resumed(transport: Transport) {
    let gateway = gateway(SHORT, |_| ());
    let (mut bob, mut old, first) = two_inside(&gateway, transport, "lobby").await;
    let (mut new, _) = online(&gateway, another(transport), "alice").await;
    assert_eq!(old.expect_close().await.code, 31010);
    enter(&mut new, "lobby").await;
    wait_until("the places of the old device are given up", async || {
        gateway.metric("sluice_sessions_parked").await == 0.0
            && gateway.metric("sluice_room_leaves_total{reason=\"offline\"}").await == 1.0
    })
    .await;
    expect_nothing_before(&mut bob, "lobby", "alice has another device").await;
    assert_eq!(message(&mut new).await.content, "alice has another device");

    let mut late = RawClient::connect(&gateway, transport).await;
    let login = Login {
        automatic: true,
        previous_session_started_at_ms: first.server_time_ms,
        ..resuming(&late, "alice", &first.resume_secret, &[])
    };
    let reply = log_in(&mut late, login).await;
    assert_eq!((reply.code, &*reply.detail), (31010, "newer_login"), "{reply:?}");
    expect_nothing_before(&mut new, "lobby", "still here").await;
}

/// A displaced session keeps its places for another device of its user, and not when that leaves on purpose.
async fn who_leaves_on_purpose_is_seen_to_leave_at_once_whatever_was_displaced_before(transport: Transport) {
    let ways = [
        Body::LeaveRoom(LeaveRoom {
            room_id: "lobby".into(),
        }),
        Body::LeaveAllRooms(LeaveAllRooms {}),
        Body::SwitchRoom(SwitchRoom {
            leave_room_id: "lobby".into(),
            room_id: "elsewhere".into(),
            create: true,
            ..SwitchRoom::default()
        }),
        Body::Logout(Logout {}),
    ];
    for way in ways {
        let gateway = gateway(LONG, |_| ());
        let (mut bob, mut first, _) = two_inside(&gateway, transport, "lobby").await;
        // The first is displaced while it is connected, the second when it is lost.
        let (mut second, _) = online(&gateway, another(transport), "alice").await;
        assert_eq!(first.expect_close().await.code, 31010);
        enter(&mut second, "lobby").await;
        drop(second);
        wait_until("both are parked", async || {
            gateway.metric("sluice_sessions_parked").await == 2.0
        })
        .await;
        let (mut third, _) = online(&gateway, transport, "alice").await;
        enter(&mut third, "lobby").await;
        let logs_out = matches!(way, Body::Logout(_));
        assert_eq!(third.call(9, way).await.code, 0);
        if logs_out {
            expect_left(&mut bob, LeaveReason::Logout).await;
            wait_until("nothing is kept for nobody", async || {
                gateway.metric("sluice_sessions_parked").await == 0.0
            })
            .await;
        } else {
            expect_left(&mut bob, LeaveReason::Left).await;
        }
    }
}

#[tokio::test]
async fn what_the_room_does_not_keep_any_more_is_counted_exactly() {
    let gateway = gateway(LONG, |_| ());
    let (mut bob, alice, first) = two_inside(&gateway, Transport::Tcp, "lobby").await;
    drop(alice);
    for text in of(65) {
        send(&mut bob, "lobby", &text).await;
    }
    let (mut alice, result) = come_back(&gateway, Transport::Quic, &first.resume_secret, &[("lobby", 5)]).await;
    assert!(result.resumed);
    let resumed = room_resumed(&mut alice).await;
    assert_eq!((resumed.sequence, resumed.replayed, resumed.missed), (65, 50, 10));
    for sequence in 16..=65 {
        assert_eq!(message(&mut alice).await.sequence, sequence);
    }
}

#[tokio::test]
async fn many_rooms_with_more_than_waits_for_a_client_are_resumed_one_after_the_other() {
    const ROOMS: [&str; 4] = ["one", "two", "three", "four"];
    let gateway = gateway(LONG, |config| config.connections.private_queue_bytes = 64 * 1024);
    let (mut bob, _) = online(&gateway, Transport::Tcp, "bob").await;
    let (mut alice, first) = online(&gateway, Transport::Tls, "alice").await;
    let text = "x".repeat(4000);
    for room in ROOMS {
        enter(&mut bob, room).await;
        enter(&mut alice, room).await;
    }
    drop(alice);
    for room in ROOMS {
        for _ in 0..40 {
            send(&mut bob, room, &text).await;
        }
    }
    let known = ROOMS.map(|room| (room, 0));
    let (mut alice, result) = come_back(&gateway, Transport::Tcp, &first.resume_secret, &known).await;
    assert!(result.resumed);
    let mut rooms = Vec::new();
    for _ in ROOMS {
        let resumed = room_resumed(&mut alice).await;
        assert_eq!((resumed.replayed, resumed.missed), (40, 0));
        for sequence in 1..=40 {
            let message = message(&mut alice).await;
            assert_eq!((message.room_id, message.sequence), (resumed.room_id.clone(), sequence));
        }
        rooms.push(resumed.room_id);
    }
    rooms.sort();
    assert_eq!(rooms, ["four", "one", "three", "two"]);
}

/// What a client gets that comes back and does not read is bounded as if it had joined; when it is lost again on the way, nothing is.
#[tokio::test]
async fn a_client_that_resumes_and_does_not_read_is_given_no_more_until_it_does_and_may_come_back_again() {
    const ROOMS: usize = 40;
    const MESSAGES: u64 = 8;
    const QUEUE_BYTES: usize = 64 * 1024;
    let gateway = gateway(LONG, |config| {
        // All figures are of the same moment.
        config.workers = 1;
        config.connections.private_queue_bytes = QUEUE_BYTES;
        config.apps[0].rooms_per_user = ROOMS;
    });
    let (mut bob, _) = online(&gateway, Transport::Tcp, "bob").await;
    let (mut alice, first) = online(&gateway, Transport::Tcp, "alice").await;
    let rooms: Vec<String> = (0..ROOMS).map(|number| format!("room{number}")).collect();
    let text = "x".repeat(30_000);
    for room in &rooms {
        enter(&mut bob, room).await;
        enter(&mut alice, room).await;
        assert!(matches!(bob.event().await, Body::RoomMemberJoined(_)));
    }
    drop(alice);
    for room in &rooms {
        for _ in 0..MESSAGES {
            send(&mut bob, room, &text).await;
            message(&mut bob).await;
        }
    }
    let known: Vec<(&str, u64)> = rooms.iter().map(|room| (&**room, 0)).collect();
    let (deaf, second) = come_back(&gateway, Transport::Quic, &first.resume_secret, &known).await;
    assert!(second.resumed);
    wait_until("the client takes no more", async || {
        gateway.metric("sluice_blocked_connections").await == 1.0
    })
    .await;
    expect_nothing_before(&mut bob, &rooms[0], "meanwhile").await;
    let said = f64::from(u32::try_from(ROOMS).expect("few")) * MESSAGES as f64 + 1.0;
    wait_until("the next figures are there", async || {
        gateway.metric("sluice_messages_accepted_total").await == said
    })
    .await;
    let asked = gateway.metric("sluice_room_joins_total{result=\"resumed\"}").await;
    assert!((1.0..ROOMS as f64).contains(&asked), "{asked}");
    let waiting = gateway.metric("sluice_private_queue_bytes").await;
    let most = QUEUE_BYTES / 2 + limits::ROOM_HISTORY_BYTES + 16 * 1024;
    assert!(waiting <= most as f64, "{waiting}");

    // Lost in the middle of it, and back again.
    drop(deaf);
    let (mut alice, third) = come_back(&gateway, Transport::Tls, &second.resume_secret, &known).await;
    assert!(third.resumed);
    assert_eq!(third.session_id, first.session_id);
    for _ in 0..ROOMS {
        let resumed = room_resumed(&mut alice).await;
        let said = if resumed.room_id == rooms[0] {
            MESSAGES + 1
        } else {
            MESSAGES
        };
        assert_eq!((u64::from(resumed.replayed), resumed.missed), (said, 0));
        for sequence in 1..=said {
            assert_eq!(message(&mut alice).await.sequence, sequence);
        }
    }
    for room in &rooms {
        expect_nothing_before(&mut bob, room, "all the time").await;
        assert_eq!(message(&mut alice).await.content, "all the time");
    }
}
