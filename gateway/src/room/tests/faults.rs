//! A defect in one room's code: that room ends, everything else goes on, and it can be entered anew.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use jsonwebtoken::{EncodingKey, Header};
use sluice_client::{Client, ClientError, Event, Events, Options, OutgoingMessage, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::Server;

/// See `Room::fail_on_purpose`.
const ROOM: &str = "faulty";
const FAULT: &str = "fault";

const SECRET: &[u8] = b"a secret of exactly 32 bytes, ok";

/// That the kernel leads so many to the same of two workers happens once in thirty thousand times.
const MEMBERS: usize = 16;

/// The life of a token, in seconds: no test takes so long.
const TOKEN_SECONDS: u64 = 3600;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(20);

fn faulty() -> RoomKey {
    RoomKey {
        id: RoomId::parse(ROOM).unwrap(),
        ..lobby()
    }
}

/// Asks something of the faulty room, as the pump does. `None` when it fails.
fn ask(hall: &mut Hall, device: &Device, request: Request) -> Option<Vec<Effect>> {
    let caller = Caller {
        user: device.user.clone(),
        connection: device.connection,
        request_id: 7,
    };
    let handle = AssertUnwindSafe(|| hall.rooms.handle(hall.now, &faulty(), &caller, request));
    catch_unwind(handle).ok()
}

fn enter_faulty(hall: &mut Hall, device: &Device) -> bool {
    let request = enter(Create::IfMissing(new_room("", RoomPreset::Room)), 0);
    ask(hall, device, request).is_some()
}

/// Ends the room, and returns the workers that are told.
fn destroyed(hall: &mut Hall) -> Vec<u16> {
    let mut effects = hall.rooms.destroy(&faulty(), RoomDestroyedReason::Fault).into_iter();
    match effects.next() {
        Some(Effect::Destroy { to, frame }) => {
            let expected = RoomDestroyed {
                room_id: ROOM.into(),
                reason: RoomDestroyedReason::Fault.into(),
            };
            assert_eq!(open(&frame).body, Some(Body::RoomDestroyed(expected)));
            to.into_iter().map(|worker| worker.0).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_room_that_fails_is_destroyed_on_all_workers_and_made_anew_as_often_as_it_happens() {
    let mut hall = Hall::new();
    let alice = hall.device("alice", 0);
    let bob = hall.device("bob", 3);
    let fault = hall.device(FAULT, 5);
    for _ in 0..2 {
        for device in [&alice, &bob] {
            assert!(enter_faulty(&mut hall, device));
        }
        assert!(ask(&mut hall, &bob, Request::Send(text(FAULT))).is_none());
        assert_eq!(destroyed(&mut hall), [0, 3]);
        assert_eq!((hall.rooms.len(), hall.rooms.members()), (0, 0));
        assert!(hall.rooms.destroy(&faulty(), RoomDestroyedReason::Fault).is_empty());
    }
    // Half way in: whoever asks is told like those inside, if it got as far as being one of them.
    assert!(enter_faulty(&mut hall, &alice));
    assert!(!enter_faulty(&mut hall, &fault));
    assert_eq!(destroyed(&mut hall), [0, 5]);
    // As the first member, which makes the room.
    assert!(!enter_faulty(&mut hall, &fault));
    assert_eq!(destroyed(&mut hall), [5]);
    assert!(enter_faulty(&mut hall, &bob));
    let effects = ask(&mut hall, &bob, Request::Send(text("hello"))).expect("a room as good as new");
    assert!(matches!(effects[0], Effect::Publish { sequence: 1, .. }), "{effects:?}");
}

#[test]
fn digests_of_a_room_that_failed_do_not_come_any_more() {
    let mut hall = Hall::with_rules(|rules| rules.member_events_each = 0);
    let [alice, bob] = hall.devices(["alice", "bob"]);
    for device in [&alice, &bob] {
        assert!(enter_faulty(&mut hall, device));
    }
    assert!(ask(&mut hall, &bob, Request::Send(text(FAULT))).is_none());
    destroyed(&mut hall);
    hall.wait(Duration::from_secs(10));
    assert!(hall.tick().is_empty());
}

#[test]
fn a_room_that_fails_at_its_tick_is_told_apart_from_the_others() {
    let mut hall = Hall::with_rules(|rules| rules.member_events_each = 0);
    let [alice, bob] = hall.devices(["alice", "bob"]);
    for _ in 0..2 {
        for device in [&alice, &bob] {
            let request = enter(Create::IfMissing(new_room(FAULT, RoomPreset::Room)), 0);
            assert!(ask(&mut hall, device, request).is_some());
            hall.enter(device);
        }
        hall.wait(Duration::from_secs(1));
        let due = hall.rooms.tick(hall.now);
        assert_eq!(due.failed, [faulty()]);
        assert!(
            matches!(&due.effects[..], [(room, Effect::Publish { .. })] if *room == lobby()),
            "{due:?}"
        );
        assert_eq!(destroyed(&mut hall), [0]);
        assert!(hall.rooms.tick(hall.now).failed.is_empty());
        for device in [&alice, &bob] {
            hall.leave(device);
        }
    }
}

/// A folder among the system's temporary ones.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-faults-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the system takes temporary folders");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A gateway with two workers, plain TCP and metrics.
fn gateway(folder: &Folder, change: impl FnOnce(&mut config::Rooms)) -> (Server, SocketAddr, SocketAddr) {
    let mut config = Config::defaults(&folder.0);
    let any = Some(([127, 0, 0, 1], 0).into());
    (config.listen.tcp, config.listen.http) = (any, any);
    (config.listen.tls, config.listen.quic, config.listen.api) = (None, None, None);
    config.workers = 2;
    config.rooms.moves_per_second = config::Rate::Unlimited;
    change(&mut config.rooms);
    config.apps = vec![config::App {
        keys: vec![config::TokenKey {
            id: None,
            algorithm: config::TokenAlgorithm::Hs256 {
                secret: config::Secret::new(SECRET),
            },
        }],
        ..config::App::new("app")
    }];
    let server = Server::start(config).expect("a gateway on ports of its own");
    let addresses = server.addresses();
    let both = addresses.tcp.zip(addresses.http).expect("it listens");
    (server, both.0, both.1)
}

async fn online(tcp: SocketAddr, user: &str) -> (Client, Events) {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let now = now.as_secs();
    let claims = serde_json::json!({ "aud": "app", "sub": user, "exp": now + TOKEN_SECONDS });
    let key = EncodingKey::from_secret(SECRET);
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).expect("a token");
    let options = Options::new(tcp.to_string(), "app", user, token).transport(Transport::Tcp);
    Client::connect(options).await.expect("a login")
}

/// The next event that is not about coming and going.
async fn next(events: &mut Events) -> Event {
    loop {
        let next = tokio::time::timeout(DEADLINE, events.next()).await;
        match next.expect("an event in time").expect("a connection that goes on") {
            Event::MemberJoined(_) | Event::MemberLeft(_) => {}
            event => return event,
        }
    }
}

async fn expect_destroyed(events: &mut Events) {
    match next(events).await {
        Event::RoomDestroyed(destroyed) => {
            assert_eq!(
                (&*destroyed.room_id, destroyed.reason),
                (ROOM, RoomDestroyedReason::Fault)
            );
        }
        other => panic!("{other:?}"),
    }
}

async fn expect_message(events: &mut Events, room: &str, sequence: u64) {
    match next(events).await {
        Event::RoomMessage(message) => assert_eq!((&*message.room_id, message.sequence), (room, sequence)),
        other => panic!("{other:?}"),
    }
}

fn code(error: &ClientError) -> (ErrorCode, &str) {
    (error.code, &error.detail)
}

/// Waits until this metric, which has no labels, is as it should be.
async fn expect_metric(http: SocketAddr, name: &str, is_right: impl Fn(f64) -> bool) {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let until = Instant::now() + DEADLINE;
    loop {
        let mut stream = TcpStream::connect(http).await.expect("HTTP takes connections");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        if line.is_some_and(|value| is_right(value.parse().expect("a number"))) {
            return;
        }
        assert!(Instant::now() < until, "waited in vain for {name} in {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_gateway_outlives_a_room_that_fails_and_its_members_enter_it_anew() {
    let folder = Folder::new();
    let (server, tcp, http) = gateway(&folder, |_| ());
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let member = online(tcp, &format!("member{number}")).await;
        member.0.enter_room("elsewhere", "").await.expect("a room that works");
        members.push(member);
    }
    let mut elsewhere = 0;
    for _ in 0..2 {
        for (client, _) in &members {
            let entered = client.enter_room(ROOM, "").await.expect("a room that works so far");
            assert_eq!(entered.sequence, 0, "made anew");
        }
        let speaker = &members[0].0;
        speaker
            .send(OutgoingMessage::text(ROOM, "hello"))
            .await
            .expect("a message");
        for (_, events) in &mut members {
            expect_message(events, ROOM, 1).await;
        }
        let failed = members[0].0.send(OutgoingMessage::text(ROOM, FAULT)).await;
        let failed = failed.expect_err("the room failed");
        assert_eq!(code(&failed), (ErrorCode::INTERNAL_ERROR, "room"));
        for (client, events) in &mut members {
            expect_destroyed(events).await;
            let refused = client.send(OutgoingMessage::text(ROOM, "anybody there?")).await;
            assert_eq!(refused.expect_err("it is no more").code, ErrorCode::CHATROOM_NOT_EXIST);
            let refused = client.leave_room(ROOM).await;
            assert_eq!(refused.expect_err("nobody is inside").code, ErrorCode::NOT_IN_CHATROOM);
        }
        // Nobody's other rooms are touched.
        elsewhere += 1;
        let told = members[1]
            .0
            .send(OutgoingMessage::text("elsewhere", "still here"))
            .await;
        told.expect("a room that works");
        for (_, events) in &mut members {
            expect_message(events, "elsewhere", elsewhere).await;
        }
    }
    // Whoever fails it by entering is answered too, and is not inside.
    let (saboteur, mut told) = online(tcp, FAULT).await;
    let failed = saboteur.enter_room(ROOM, "").await.expect_err("the room failed");
    assert_eq!(code(&failed), (ErrorCode::INTERNAL_ERROR, "room"));
    let refused = saboteur.send(OutgoingMessage::text(ROOM, "hello")).await;
    assert_eq!(refused.expect_err("it is no more").code, ErrorCode::CHATROOM_NOT_EXIST);
    saboteur.enter_room("elsewhere", "").await.expect("a room that works");
    saboteur
        .send(OutgoingMessage::text("elsewhere", "hello"))
        .await
        .expect("a message");
    expect_message(&mut told, "elsewhere", elsewhere + 1).await;
    expect_metric(http, "sluice_room_panics_total", |value| value == 3.0).await;
    expect_metric(http, "sluice_task_panics_total", |value| value == 0.0).await;
    expect_metric(http, "sluice_rooms", |value| value == 1.0).await;
    expect_metric(http, "sluice_room_log_bytes", |value| value == 0.0).await;
    tokio::task::spawn_blocking(|| server.shutdown())
        .await
        .expect("it stops");
}

#[tokio::test]
async fn the_gateway_outlives_a_room_that_fails_at_its_tick() {
    let folder = Folder::new();
    let (server, tcp, http) = gateway(&folder, |rooms| rooms.member_events_each = 0);
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        members.push(online(tcp, &format!("member{number}")).await);
    }
    for _ in 0..2 {
        // Whoever comes after it has failed makes it anew.
        for (client, _) in &members {
            client.enter_room(ROOM, FAULT).await.expect("a room that works so far");
        }
        for (_, events) in &mut members {
            expect_destroyed(events).await;
        }
    }
    // It may have failed more often: before all of them were inside.
    expect_metric(http, "sluice_room_panics_total", |value| value >= 2.0).await;
    expect_metric(http, "sluice_rooms", |value| value == 0.0).await;
    for (client, _) in &members {
        client.enter_room("elsewhere", "").await.expect("a room that works");
    }
    tokio::task::spawn_blocking(|| server.shutdown())
        .await
        .expect("it stops");
}
