//! Clients that try to get more than their share, by what each limit leaves open: all others must not notice.

mod conversations;
mod empty_records;

use std::time::Duration;

use sluice_codec::encode;
use sluice_gateway::config::{Config, Rate};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ALPN, CreateRoom, ErrorCode, Frame, JoinChatRoom, JoinRoom, Logout, MessageType, Ping, Reply, RoomMessage, limits,
};
use sluice_tests::{
    DEADLINE, Gateway, RawClient, Target, Transport, on_all_transports, quic_connect, wait_until, within,
};

use crate::rooms::{enter_room, entered, leave_room, message, no_rate_limits, sent};

use empty_records::Flooder;

on_all_transports!(
    one_room_too_many_is_refused_until_another_is_left,
    a_flood_of_barrage_keeps_nobody_else_from_sending,
    who_comes_and_goes_too_often_is_told_how_long_to_wait,
    a_member_that_pings_and_never_reads_is_closed_as_slow,
    nothing_comes_behind_the_last_frame,
    a_client_that_logs_out_and_ends_its_side_gets_all_its_answers,
    a_client_that_asks_much_at_once_and_ends_its_side_gets_all_its_answers,
    a_join_brings_the_newest_messages_that_fit,
);

const ROOM: &str = "lobby";

/// Long enough that a login on a busy machine is in time.
const LOGIN_TIMEOUT: Duration = Duration::from_millis(300);

/// A client is silent, or stuck, for 2.5 times this before it is closed.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(300);

/// One worker, so that whoever holds it up holds everybody up.
fn one_worker(config: &mut Config) {
    no_rate_limits(config);
    config.workers = 1;
}

fn command(request_id: u32, body: Body) -> Vec<u8> {
    let frame = Frame {
        request_id,
        body: Some(body),
    };
    encode(&frame).to_vec()
}

fn ping() -> Body {
    Body::Ping(Ping {})
}

fn join_chat_room(room_id: &str) -> Body {
    Body::JoinChatRoom(JoinChatRoom {
        room_id: room_id.into(),
        message_count: i32::try_from(limits::ROOM_HISTORY_MESSAGES).expect("fifty"),
        ..JoinChatRoom::default()
    })
}

fn send(kind: MessageType, content: impl Into<bytes::Bytes>) -> Body {
    Body::SendMessage(message(ROOM, kind, content))
}

fn refused(reply: &Reply) -> (i32, &str) {
    assert_ne!(reply.code, 0, "{reply:?}");
    (reply.code, &reply.detail)
}

async fn expect_alive(client: &mut RawClient) {
    assert_eq!(client.call(999_999, ping()).await.code, 0, "{client:?}");
}

async fn expect_end(client: &mut RawClient, code: ErrorCode) {
    let expected = (client.transport() == Transport::Quic).then_some(code.number().unsigned_abs().into());
    assert_eq!(client.expect_end().await, expected, "{client:?}");
}

/// The next message, whoever comes or goes before it.
async fn next_message(client: &mut RawClient) -> RoomMessage {
    loop {
        match client.event().await {
            Body::RoomMessage(message) => return message,
            Body::RoomMemberJoined(_) | Body::RoomMemberLeft(_) => {}
            other => panic!("{other:?}; {client:?}"),
        }
    }
}

#[tokio::test]
async fn tls_records_that_hold_nothing_stop_nobody_before_login() {
    flood_with_empty_records(|_| None, "login_timeout").await;
}

#[tokio::test]
async fn tls_records_that_hold_nothing_stop_nobody_after_login() {
    let login = |target: &Target| Some(command(1, Body::Login(target.login_command("flooder"))));
    flood_with_empty_records(login, "silent").await;
}

/// The flooder's deadline comes, for this reason, and another client's pings are answered meanwhile.
async fn flood_with_empty_records(login: impl FnOnce(&Target) -> Option<Vec<u8>>, reason: &str) {
    let gateway = Gateway::start(|config| {
        one_worker(config);
        config.connections.login_timeout = LOGIN_TIMEOUT;
        config.connections.heartbeat_interval = HEARTBEAT_INTERVAL;
    });
    let mut other = RawClient::online(&gateway, Transport::Tls, "other").await;
    let target: Target = (*gateway).clone();
    let login = login(&target);
    let flooding = tokio::task::spawn_blocking(move || {
        let mut flooder = Flooder::connect(&target);
        if let Some(login) = login {
            flooder.ask(&login);
        }
        flooder.flood();
    });
    let pinging = async {
        while !flooding.is_finished() {
            expect_alive(&mut other).await;
        }
    };
    within("the end of the flood", pinging).await;
    flooding.await.expect("no panic");
    let closed = format!("sluice_connections_closed_total{{reason=\"{reason}\"}}");
    wait_until("it is gone for its reason", async || {
        expect_alive(&mut other).await;
        gateway.metric(&closed).await == 1.0
    })
    .await;
}

async fn one_room_too_many_is_refused_until_another_is_left(transport: Transport) {
    const TRIES: u32 = limits::ROOMS_PER_SESSION as u32 + 20;
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::connect(&gateway, transport).await;
    let allowed = alice.login("alice").await.limits.expect("the limits in force");
    assert_eq!(allowed.rooms_per_session as usize, limits::ROOMS_PER_SESSION);
    // All at once, so that none of them is decided before the one before it is done.
    let many: Vec<u8> = (1..=TRIES)
        .flat_map(|id| command(id, enter_room(&format!("room{id}"))))
        .collect();
    alice.send_bytes(&many).await;
    for id in 1..=TRIES {
        let reply = alice.reply(id).await;
        if id as usize <= limits::ROOMS_PER_SESSION {
            assert!(entered(reply).created);
        } else {
            assert_eq!(refused(&reply), (6_000_325, ""));
        }
    }
    // No way in is left, and none of them makes a room.
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    entered(bob.call(1, join_chat_room("live")).await);
    let create = Body::CreateRoom(CreateRoom {
        room_id: "created".into(),
        ..CreateRoom::default()
    });
    for body in [create, join_chat_room("live"), join_chat_room("entered")] {
        assert_eq!(refused(&alice.call(1, body).await), (6_000_325, ""));
    }
    for room_id in ["created", "entered", &format!("room{TRIES}")] {
        let join = Body::JoinRoom(JoinRoom {
            room_id: room_id.into(),
            ..JoinRoom::default()
        });
        assert_eq!(refused(&bob.call(2, join).await), (23410, ""));
    }
    // Where she is inside already she may go once more.
    assert!(entered(alice.call(1, enter_room("room1")).await).already_inside);
    assert_eq!(alice.call(2, leave_room("room1")).await.code, 0);
    assert!(!entered(alice.call(3, join_chat_room("live")).await).already_inside);
    assert_eq!(refused(&alice.call(4, enter_room("room1")).await), (6_000_325, ""));
    expect_alive(&mut alice).await;
}

async fn a_flood_of_barrage_keeps_nobody_else_from_sending(transport: Transport) {
    const BARRAGES: u32 = 5000;
    const TEXTS: u32 = 20;
    let gateway = Gateway::start(|config| {
        one_worker(config);
        // The least that can be set, and several times what one client can have under way.
        config.rooms.mailbox_messages = 1024;
    });
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    entered(alice.call(1, enter_room(ROOM)).await);
    entered(bob.call(1, enter_room(ROOM)).await);
    let flood: Vec<u8> = (0..BARRAGES)
        .flat_map(|number| command(0, send(MessageType::Barrage, number.to_string())))
        .collect();
    let sending = async {
        alice.send_bytes(&flood).await;
        alice
    };
    let texting = async {
        for id in 0..TEXTS {
            sent(bob.call(id + 2, send(MessageType::Text, "hello")).await);
        }
        bob
    };
    let (mut alice, mut bob) = tokio::join!(sending, texting);
    for client in [&mut alice, &mut bob] {
        let mut barrages = 0;
        for sequence in 1..=u64::from(BARRAGES + TEXTS) {
            let message = next_message(client).await;
            assert_eq!(message.sequence, sequence, "{client:?}");
            if message.r#type() == MessageType::Barrage {
                assert_eq!(message.content, barrages.to_string());
                barrages += 1;
            }
        }
        assert_eq!(barrages, BARRAGES);
    }
    wait_until("all are counted", async || {
        gateway.metric("sluice_messages_accepted_total").await == f64::from(BARRAGES + TEXTS)
    })
    .await;
    assert_eq!(gateway.metric("sluice_mailbox_refusals_total").await, 0.0);
}

async fn who_comes_and_goes_too_often_is_told_how_long_to_wait(transport: Transport) {
    const LIMIT: u32 = 4;
    const ROOMS: u32 = 60;
    let gateway = Gateway::start(|config| config.rooms.moves_per_second = Rate::PerSecond(LIMIT));
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let rooms: Vec<String> = (0..ROOMS).map(|number| format!("room{number}")).collect();
    let mut moves = Vec::new();
    for (id, room_id) in (1..).step_by(3).zip(&rooms) {
        moves.extend(command(id, enter_room(room_id)));
        moves.extend(command(id + 1, leave_room(room_id)));
        moves.extend(command(id + 2, ping()));
    }
    alice.send_bytes(&moves).await;
    let expect_told = |reply: &Reply| {
        assert_eq!(refused(reply), (20607, "rate"));
        assert!((1..=1000).contains(&reply.retry_after_ms), "{reply:?}");
    };
    let mut refusals = 0;
    for id in (1..).step_by(3).take(ROOMS as usize) {
        let came = alice.reply(id).await;
        let went = alice.reply(id + 1).await;
        assert_eq!(alice.reply(id + 2).await.code, 0, "a ping is no move");
        if id / 3 < LIMIT / 2 {
            assert_eq!((came.code, went.code), (0, 0), "{alice:?}");
        }
        for reply in [&came, &went] {
            match reply.code {
                // Not inside, since the move before it was refused.
                23406 => assert_ne!(came.code, 0),
                0 => {}
                _ => {
                    expect_told(reply);
                    refusals += 1;
                }
            }
        }
    }
    assert!(refusals > 0, "{ROOMS} rooms take no minute");
    // Once the second is over she may move again.
    wait_until("she may move again", async || {
        let reply = alice.call(1, enter_room(ROOM)).await;
        if reply.code != 0 {
            expect_told(&reply);
        }
        reply.code == 0
    })
    .await;
    // The limit is each session's own.
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    entered(bob.call(1, enter_room(ROOM)).await);
}

/// A room that never rests: who sends, and who reads it all.
struct BusyRoom {
    alice: RawClient,
    bob: RawClient,
    /// Of the newest message.
    sequence: u64,
}

impl BusyRoom {
    async fn open(gateway: &Gateway) -> Self {
        let mut alice = RawClient::online(gateway, Transport::Tcp, "alice").await;
        let mut bob = RawClient::online(gateway, Transport::Tcp, "bob").await;
        entered(alice.call(1, enter_room(ROOM)).await);
        entered(bob.call(1, enter_room(ROOM)).await);
        assert!(matches!(alice.event().await, Body::RoomMemberJoined(_)));
        Self {
            alice,
            bob,
            sequence: 0,
        }
    }

    /// Waits until one more has come.
    async fn one_has_joined(&mut self) {
        for client in [&mut self.alice, &mut self.bob] {
            assert!(matches!(client.event().await, Body::RoomMemberJoined(_)));
        }
    }

    /// Sends large messages. The two who read miss none of them.
    async fn go_on(&mut self) {
        const MESSAGES: u32 = 10;
        for id in 0..MESSAGES {
            let large = send(MessageType::Text, vec![b'x'; 30 * 1024]);
            self.alice.send(id + 1, large).await;
        }
        for id in 0..MESSAGES {
            sent(self.alice.reply(id + 1).await);
            self.sequence += 1;
            for client in [&mut self.alice, &mut self.bob] {
                assert_eq!(next_message(client).await.sequence, self.sequence);
            }
        }
        expect_alive(&mut self.bob).await;
    }
}

async fn a_member_that_pings_and_never_reads_is_closed_as_slow(transport: Transport) {
    let gateway = Gateway::start(|config| {
        no_rate_limits(config);
        config.connections.heartbeat_interval = HEARTBEAT_INTERVAL;
        // Long enough for the slow member to read its last frames.
        config.connections.closing_timeout = DEADLINE;
    });
    let mut room = BusyRoom::open(&gateway).await;
    let mut slow = RawClient::online(&gateway, transport, "slow").await;
    entered(slow.call(1, enter_room(ROOM)).await);
    room.one_has_joined().await;
    let silent = "sluice_ping_timeouts_total";
    wait_until("the member that does not read is given up", async || {
        room.go_on().await;
        slow.send(7, ping()).await;
        gateway.metric("sluice_slow_disconnects_total").await == 1.0
    })
    .await;
    room.go_on().await;
    // All that comes of it now is what was on its way.
    let close = slow.expect_close().await;
    assert_eq!(
        (close.code, &*close.detail),
        (ErrorCode::DISCONNECTED_BY_SERVER.number(), "slow")
    );
    expect_end(&mut slow, ErrorCode::DISCONNECTED_BY_SERVER).await;
    assert_eq!(gateway.metric(silent).await, 0.0);
}

#[tokio::test]
async fn a_quic_client_that_never_reads_hears_from_the_connection_that_it_was_too_slow() {
    let gateway = Gateway::start(|config| {
        no_rate_limits(config);
        config.connections.heartbeat_interval = HEARTBEAT_INTERVAL;
    });
    let mut room = BusyRoom::open(&gateway).await;
    let (_endpoint, connection) = quic_connect(&gateway, &[ALPN]).await.expect("QUIC takes connections");
    let (mut send, _receive) = connection.open_bi().await.expect("the control stream");
    for (id, body) in (1..).zip([Body::Login(gateway.login_command("slow")), enter_room(ROOM)]) {
        let written = send.write_all(&command(id, body)).await;
        written.expect("a stream that takes bytes");
    }
    room.one_has_joined().await;
    wait_until("the server has closed the connection", async || {
        room.go_on().await;
        // Fails at the end.
        let _ = send.write_all(&command(3, ping())).await;
        connection.close_reason().is_some()
    })
    .await;
    match connection.close_reason() {
        Some(quinn::ConnectionError::ApplicationClosed(close)) => assert_eq!(
            close.error_code.into_inner(),
            u64::from(ErrorCode::DISCONNECTED_BY_SERVER.number().unsigned_abs())
        ),
        other => panic!("{other:?}"),
    }
    room.go_on().await;
}

/// Visits of a room with much to tell: far more than all buffers on the way to a client that does not read hold.
const VISITS: u32 = 24;

/// What is told on each of them.
const HISTORY: u32 = 8;

/// A gateway that sends a client all it asks for, however much that is, and gives it the time to read it.
async fn patient_gateway() -> (Gateway, RawClient) {
    let gateway = Gateway::start(|config| {
        no_rate_limits(config);
        config.connections.private_queue_bytes = 64 * 1024 * 1024;
        config.connections.closing_timeout = DEADLINE;
    });
    let mut host = RawClient::online(&gateway, Transport::Tcp, "host").await;
    entered(host.call(1, enter_room(ROOM)).await);
    for id in 1..=HISTORY {
        let large = send(MessageType::Text, vec![b'x'; 30 * 1024]);
        sent(host.call(id, large).await);
    }
    (gateway, host)
}

/// Commands with the ids from 1 on: the visits, and then these.
fn visits_and(more: impl IntoIterator<Item = Body>) -> Vec<u8> {
    let visits = (0..VISITS).flat_map(|_| [join_chat_room(ROOM), leave_room(ROOM)]);
    (1..)
        .zip(visits.chain(more))
        .flat_map(|(id, body)| command(id, body))
        .collect()
}

/// Waits until the server has handled all that these clients sent: they were online, and only the host still is.
async fn only_the_host_is_online(gateway: &Gateway, clients: u32) {
    wait_until("the clients are not online any more", async || {
        let logins = gateway.metric("sluice_logins_total{result=\"accepted\"}").await;
        let online = gateway.metric("sluice_sessions_online").await;
        (logins, online) == (f64::from(1 + clients), 1.0)
    })
    .await;
}

/// Reads up to the last frame. Returns the ids of the replies before it, and how many messages.
async fn read_to_the_close(client: &mut RawClient, code: ErrorCode) -> (Vec<u32>, u32) {
    let mut replies = Vec::new();
    let mut messages = 0;
    loop {
        let frame = client.next_frame().await;
        match frame.body {
            Some(Body::Reply(reply)) => {
                assert_eq!(reply.code, 0, "{reply:?}");
                replies.push(frame.request_id);
            }
            Some(Body::RoomMessage(_)) => messages += 1,
            Some(Body::Close(close)) => {
                assert_eq!(close.code, code.number());
                return (replies, messages);
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn nothing_comes_behind_the_last_frame(transport: Transport) {
    const SENDS: u32 = 100;
    let (gateway, _host) = patient_gateway().await;
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    let sends = (0..SENDS).map(|_| send(MessageType::Text, "hello"));
    let mut bytes = visits_and([join_chat_room(ROOM)].into_iter().chain(sends));
    // No frame has a length of 0.
    bytes.push(0);
    client.send_bytes(&bytes).await;
    only_the_host_is_online(&gateway, 1).await;
    // The sends were answered while the last frame still waited for its turn.
    let (replies, _) = read_to_the_close(&mut client, ErrorCode::MALFORMED_FRAME).await;
    assert!(replies.len() > 2 * VISITS as usize, "{replies:?}");
    expect_end(&mut client, ErrorCode::MALFORMED_FRAME).await;
}

/// On QUIC the whole connection is closed once the client has the last frame.
#[tokio::test]
async fn a_client_that_goes_on_after_its_last_frame_is_heard_to_the_end() {
    const CLIENTS: u32 = 8;
    let (gateway, _host) = patient_gateway().await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let transport = [Transport::Tcp, Transport::Tls][number as usize % 2];
        // In rooms with homes on both workers.
        let room_id = format!("room{number}");
        let mut client = RawClient::online(&gateway, transport, &format!("user{number}")).await;
        entered(client.call(1, enter_room(&room_id)).await);
        let hello = Body::SendMessage(message(&room_id, MessageType::Text, "hello"));
        let mut bytes: Vec<u8> = (2..102).flat_map(|id| command(id, hello.clone())).collect();
        bytes.push(0);
        client.send_bytes(&bytes).await;
        read_to_the_close(&mut client, ErrorCode::MALFORMED_FRAME).await;
        expect_end(&mut client, ErrorCode::MALFORMED_FRAME).await;
        clients.push(client);
    }
    // The answers that came to nothing have not ended the connections: a reset could take the last frame away.
    only_the_host_is_online(&gateway, CLIENTS).await;
    for client in &mut clients {
        client.send_bytes(&[0x2a; 64 * 1024]).await;
    }
    let closing = "sluice_connections{state=\"closing\"}";
    wait_until("all are waited for", async || {
        gateway.metric(closing).await == f64::from(CLIENTS)
    })
    .await;
    for client in &mut clients {
        client.finish_sending().await;
    }
    wait_until("none is waited for any more", async || {
        gateway.metric(closing).await == 0.0
    })
    .await;
}

async fn a_client_that_logs_out_and_ends_its_side_gets_all_its_answers(transport: Transport) {
    let (gateway, _host) = patient_gateway().await;
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    client.send_bytes(&visits_and([ping(), Body::Logout(Logout {})])).await;
    client.finish_sending().await;
    only_the_host_is_online(&gateway, 1).await;
    let (replies, messages) = read_to_the_close(&mut client, ErrorCode::NO_ERROR).await;
    assert_eq!(replies, (1..=2 * VISITS + 2).collect::<Vec<u32>>());
    assert_eq!(messages, VISITS * HISTORY);
    expect_end(&mut client, ErrorCode::NO_ERROR).await;
    wait_until("it is counted as a logout", async || {
        let closed = gateway.metric("sluice_connections_closed_total").await;
        let logout = gateway
            .metric("sluice_connections_closed_total{reason=\"logout\"}")
            .await;
        (closed, logout) == (1.0, 1.0)
    })
    .await;
}

async fn a_client_that_asks_much_at_once_and_ends_its_side_gets_all_its_answers(transport: Transport) {
    // Many times what is handled in one turn.
    const PINGS: u32 = 5000;
    let gateway = Gateway::start(|_| {});
    let mut client = RawClient::online(&gateway, transport, "alice").await;
    let pings: Vec<u8> = (1..=PINGS).flat_map(|id| command(id, ping())).collect();
    client.send_bytes(&pings).await;
    client.finish_sending().await;
    for id in 1..=PINGS {
        let frame = client.next_frame().await;
        assert_eq!(frame.request_id, id, "{client:?}");
    }
    expect_end(&mut client, ErrorCode::NO_ERROR).await;
    gateway.all_gone(1, "client_closed").await;
}

async fn a_join_brings_the_newest_messages_that_fit(transport: Transport) {
    const LARGE_BYTES: usize = 30 * 1024;
    /// A little of each message is not its content.
    const FITTING: u32 = (limits::ROOM_HISTORY_BYTES / LARGE_BYTES) as u32;
    const LARGE: u32 = 20;
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    entered(alice.call(1, enter_room(ROOM)).await);
    for id in 1..=LARGE {
        sent(alice.call(id, send(MessageType::Text, vec![b'x'; LARGE_BYTES])).await);
    }
    let small = sent(alice.call(1, send(MessageType::Text, "small")).await);
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    let joined = entered(bob.call(1, join_chat_room(ROOM)).await);
    assert_eq!(joined.sequence, small.sequence);
    assert_eq!(joined.history_count, FITTING + 1, "the small one too");
    sent(alice.call(2, send(MessageType::Text, "live")).await);
    for left in (0..joined.history_count).rev() {
        let message = next_message(&mut bob).await;
        assert_eq!((message.history, message.left), (true, left));
        assert_eq!(message.sequence, small.sequence - u64::from(left));
    }
    let live = next_message(&mut bob).await;
    assert_eq!((live.history, live.sequence), (false, small.sequence + 1));
}

#[tokio::test]
async fn a_quic_client_whose_stream_comes_while_the_gateway_stops_is_told_so() {
    let gateway = Gateway::start(|config| {
        one_worker(config);
        // The one that holds on keeps the gateway from ending before the other has spoken.
        config.connections.closing_timeout = DEADLINE;
    });
    let mut holding_on = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let mut late = RawClient::connect(&gateway, Transport::Quic).await;
    let late = async move {
        assert_eq!(
            holding_on.expect_close().await.code,
            ErrorCode::SERVER_UNAVAILABLE.number()
        );
        let login = late.login_command("bob");
        late.send(1, Body::Login(login)).await;
        let close = late.expect_close().await;
        assert_eq!(
            (close.code, &*close.detail),
            (ErrorCode::SERVER_UNAVAILABLE.number(), "shutdown")
        );
        expect_end(&mut late, ErrorCode::SERVER_UNAVAILABLE).await;
    };
    tokio::join!(gateway.stop(), late);
}

#[tokio::test]
async fn a_quic_client_without_a_stream_hears_that_the_gateway_stops() {
    let gateway = Gateway::start(|_| {});
    let (_endpoint, connection) = quic_connect(&gateway, &[ALPN]).await.expect("QUIC takes connections");
    wait_until("the gateway has accepted", async || {
        gateway.metric("sluice_connections").await == 1.0
    })
    .await;
    gateway.stop().await;
    match within("the end of the connection", connection.closed()).await {
        quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(
            close.error_code.into_inner(),
            u64::from(ErrorCode::SERVER_UNAVAILABLE.number().unsigned_abs())
        ),
        other => panic!("{other}"),
    }
}
