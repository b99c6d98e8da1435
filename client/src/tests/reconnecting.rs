//! Losing the connection, over real sockets: what is asked of the server afterwards, and what the app is told.

use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{
    Close, ErrorCode, Login, LoginResult, LogoutResult, Pong, RenewTokenResult, Reply, RoomEntered, RoomInfo,
    RoomMessage, RoomResumed, reply,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::peer::{self, Peer};
use crate::event::EVENT_QUEUE_LENGTH;
use crate::{Client, ClientError, Event, Events, History, Options, OutgoingMessage, Reconnect};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server advises that wants its client back at once.
const AT_ONCE_MS: u32 = 1;

/// So long that no test sees the end of it.
const LATER_MS: u32 = 3_600_000;

/// How long an answer is held back: long enough for a client that does not wait to give itself away.
const HELD_BACK: Duration = Duration::from_millis(50);

struct Server(TcpListener);

impl Server {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    fn options(&self) -> Options {
        let address = self.0.local_addr().expect("an address").to_string();
        Options::new(address, "dev", "alice", "a token").reconnect(Reconnect::Automatic)
    }

    async fn accept(&self) -> Peer<TcpStream> {
        let accepted = timeout(PATIENCE, self.0.accept()).await.expect("the client connects");
        Peer::new(accepted.expect("a connection").0)
    }

    /// Takes the next connection and answers its login.
    async fn log_in(&self, result: LoginResult) -> (Login, Peer<TcpStream>) {
        let mut server = self.accept().await;
        let (request_id, login) = server.next_login().await;
        server
            .reply(request_id, peer::success(reply::Result::Login(result)))
            .await;
        (login, server)
    }

    /// A client that is logged in.
    async fn connected(&self) -> (Client, Events, Peer<TcpStream>) {
        let (client, (_, server)) = tokio::join!(Client::connect(self.options()), self.log_in(session("first", false)));
        let (client, events) = client.expect("the scripted server takes the login");
        (client, events, server)
    }
}

fn session(secret: &str, resumed: bool) -> LoginResult {
    LoginResult {
        resume_secret: secret.into(),
        resume_window_ms: 30_000,
        resumed,
        ..peer::login_result()
    }
}

fn entered(room_id: &str, sequence: u64, history_count: u32) -> RoomEntered {
    RoomEntered {
        room: Some(RoomInfo {
            room_id: room_id.into(),
            created_at_ms: 1000,
            ..RoomInfo::default()
        }),
        sequence,
        history_count,
        ..RoomEntered::default()
    }
}

fn message(sequence: u64, left: Option<u32>) -> Body {
    Body::RoomMessage(RoomMessage {
        room_id: "lobby".into(),
        sequence,
        message_id: 7000 + sequence,
        history: left.is_some(),
        left: left.unwrap_or(0),
        ..RoomMessage::default()
    })
}

fn close(code: ErrorCode, retry_after_ms: u32) -> Close {
    Close {
        code: code.into(),
        retry_after_ms,
        ..Close::default()
    }
}

fn refusal(code: ErrorCode, retry_after_ms: u32) -> Reply {
    Reply {
        code: code.into(),
        retry_after_ms,
        ..Reply::default()
    }
}

async fn enter(client: &Client, server: &mut Peer<TcpStream>, room_id: &str, sequence: u64) {
    let entering = client.enter_room(room_id, "");
    let (request_id, _) = server.next_command().await;
    let result = reply::Result::RoomEntered(entered(room_id, sequence, 0));
    server.reply(request_id, peer::success(result)).await;
    entering.await.expect("entered");
}

async fn next(events: &mut Events) -> Event {
    let event = timeout(PATIENCE, events.next()).await.expect("an event comes");
    event.expect("the client is not at its end")
}

async fn expect_sequence(events: &mut Events, sequence: u64) {
    match next(events).await {
        Event::RoomMessage(message) => assert_eq!(message.sequence, sequence),
        other => panic!("not message {sequence}: {other:?}"),
    }
}

async fn expect_outage(events: &mut Events, code: ErrorCode, wait_ms: u32) {
    assert!(matches!(next(events).await, Event::Disconnected(closed) if closed.code == code));
    let delay = Duration::from_millis(wait_ms.into());
    assert_eq!(next(events).await, Event::Reconnecting { attempt: 1, delay });
}

async fn ping(client: &Client, server: &mut Peer<TcpStream>) {
    let pinged = client.ping();
    let (request_id, command) = server.next_command().await;
    assert!(matches!(command, Body::Ping(_)), "{command:?}");
    server
        .reply(
            request_id,
            peer::success(reply::Result::Pong(Pong { server_time_ms: 7 })),
        )
        .await;
    assert_eq!(pinged.await, Ok(7));
}

#[tokio::test]
async fn a_lost_session_is_resumed_from_the_newest_message_known() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    enter(&client, &mut server, "lobby", 40).await;
    server.event(message(41, None)).await;
    server.close(close(ErrorCode::DISCONNECTED_BY_SERVER, AT_ONCE_MS)).await;
    expect_sequence(&mut events, 41).await;
    expect_outage(&mut events, ErrorCode::DISCONNECTED_BY_SERVER, AT_ONCE_MS).await;

    let result = LoginResult {
        server_time_ms: peer::login_result().server_time_ms + 5000,
        ..session("second", true)
    };
    let (login, mut server) = gateway.log_in(result).await;
    assert_eq!(login.resume_secret, "first");
    assert_eq!(
        (login.resume_rooms, login.resume_sequences),
        (vec!["lobby".to_owned()], vec![41])
    );
    assert!(login.automatic);
    assert_eq!(
        login.previous_session_started_at_ms,
        peer::login_result().server_time_ms
    );
    let resumed = RoomResumed {
        room_id: "lobby".into(),
        sequence: 44,
        replayed: 1,
        missed: 2,
        ..RoomResumed::default()
    };
    server.event(Body::RoomResumed(resumed)).await;
    server.event(message(43, Some(0))).await;
    server.event(message(45, None)).await;
    assert_eq!(next(&mut events).await, Event::Reconnected { resumed: true });
    assert!(matches!(next(&mut events).await, Event::RoomResumed(room) if (room.replayed, room.missed) == (1, 2)));
    expect_sequence(&mut events, 43).await;
    expect_sequence(&mut events, 45).await;
    ping(&client, &mut server).await;
    assert_eq!(client.session().resume_window, Duration::from_secs(30));

    // The next loss goes by the newest secret, and by the time of the first login.
    server.close(close(ErrorCode::DISCONNECTED_BY_SERVER, AT_ONCE_MS)).await;
    let (login, _server) = gateway.log_in(session("third", true)).await;
    assert_eq!(
        (login.resume_secret.as_str(), login.resume_sequences),
        ("second", vec![45])
    );
    assert_eq!(
        login.previous_session_started_at_ms,
        peer::login_result().server_time_ms
    );
}

#[tokio::test]
async fn where_a_session_is_not_resumed_its_rooms_are_joined_again_and_nothing_comes_twice() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    enter(&client, &mut server, "lobby", 40).await;
    server.event(message(41, None)).await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    expect_sequence(&mut events, 41).await;
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS).await;

    let (_, mut server) = gateway.log_in(session("second", false)).await;
    assert_eq!(next(&mut events).await, Event::Reconnected { resumed: false });
    // A call that comes before the room is there again waits for it.
    let sending = client.send(OutgoingMessage::text("lobby", "hello"));
    let (request_id, command) = server.next_command().await;
    let Body::JoinExistChatRoom(join) = command else {
        panic!("the room is joined first, not {command:?}")
    };
    assert_eq!((join.room_id.as_str(), join.message_count), ("lobby", 50));
    let early = timeout(HELD_BACK, server.next_command()).await;
    assert!(early.is_err(), "the call did not wait: {early:?}");
    let result = reply::Result::RoomEntered(entered("lobby", 43, 3));
    server.reply(request_id, peer::success(result)).await;
    for (sequence, left) in [(40, 2), (41, 1), (43, 0)] {
        server.event(message(sequence, Some(left))).await;
    }
    let Event::RoomRejoined(rejoined) = next(&mut events).await else {
        panic!("the room is told of first")
    };
    assert_eq!(
        (rejoined.entered.room_id.as_str(), rejoined.messages_meanwhile),
        ("lobby", Some(2))
    );
    expect_sequence(&mut events, 43).await;
    assert!(matches!(server.next_command().await, (_, Body::SendMessage(_))));
    drop(sending);
    assert_eq!(client.resume_ticket().rooms().collect::<Vec<_>>(), [("lobby", 43)]);
}

#[tokio::test]
async fn a_room_that_cannot_be_joined_again_is_lost_and_a_busy_server_is_asked_again() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    enter(&client, &mut server, "lobby", 1).await;
    enter(&client, &mut server, "den", 1).await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS).await;

    let (_, mut server) = gateway.log_in(session("second", false)).await;
    assert_eq!(next(&mut events).await, Event::Reconnected { resumed: false });
    let mut busy = true;
    for _ in 0..3 {
        let (request_id, command) = server.next_command().await;
        let Body::JoinExistChatRoom(join) = command else {
            panic!("rooms are joined, not {command:?}")
        };
        let reply = match join.room_id.as_str() {
            "den" => refusal(ErrorCode::CHATROOM_NOT_EXIST, 0),
            _ if std::mem::take(&mut busy) => refusal(ErrorCode::REQUEST_TOO_FREQUENT, AT_ONCE_MS),
            _ => peer::success(reply::Result::RoomEntered(entered("lobby", 1, 0))),
        };
        server.reply(request_id, reply).await;
    }
    let (mut lost, mut rejoined) = (None, None);
    for _ in 0..2 {
        match next(&mut events).await {
            Event::RoomLost { room_id, error } => lost = Some((room_id, error.code)),
            Event::RoomRejoined(room) => rejoined = Some(room.entered.room_id),
            other => panic!("not expected: {other:?}"),
        }
    }
    assert_eq!(lost, Some(("den".into(), ErrorCode::CHATROOM_NOT_EXIST)));
    assert_eq!(rejoined.as_deref(), Some("lobby"));
    assert_eq!(client.resume_ticket().rooms().collect::<Vec<_>>(), [("lobby", 1)]);
}

#[tokio::test]
async fn rooms_that_were_still_to_be_joined_at_the_next_loss_are_joined_after_it() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    enter(&client, &mut server, "lobby", 1).await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    let (_, mut server) = gateway.log_in(session("second", false)).await;
    assert!(matches!(server.next_command().await, (_, Body::JoinExistChatRoom(_))));
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;

    let (login, mut server) = gateway.log_in(session("third", true)).await;
    assert_eq!(login.resume_secret, "second");
    let (request_id, command) = server.next_command().await;
    assert!(matches!(command, Body::JoinExistChatRoom(join) if join.room_id == "lobby"));
    let result = reply::Result::RoomEntered(entered("lobby", 1, 0));
    server.reply(request_id, peer::success(result)).await;
    loop {
        if let Event::RoomRejoined(room) = next(&mut events).await {
            assert_eq!(room.entered.room_id, "lobby");
            return;
        }
    }
}

#[tokio::test]
async fn while_the_connection_is_down_calls_fail_at_once_and_a_logout_is_the_end() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    let in_flight = client.send(OutgoingMessage::text("lobby", "one"));
    server.next_command().await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, LATER_MS)).await;
    assert_eq!(in_flight.await.expect_err("lost").code, ErrorCode::SERVER_UNAVAILABLE);
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, LATER_MS).await;
    let error: ClientError = client.ping().await.expect_err("there is no connection");
    assert_eq!(error.code, ErrorCode::CONNECTION_UNAVAILABLE);

    assert_eq!(client.logout().await, Ok(()));
    assert!(matches!(next(&mut events).await, Event::Closed(closed) if closed.error().is_none()));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn dropping_the_client_while_the_connection_is_down_is_the_end() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, LATER_MS)).await;
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, LATER_MS).await;
    drop(client);
    assert!(matches!(next(&mut events).await, Event::Closed(closed) if closed.code == ErrorCode::CONNECTION_RELEASED));
}

#[tokio::test]
async fn a_logout_whose_answer_is_lost_is_the_end_too() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    let logging_out = client.logout();
    server.next_command().await;
    drop(server);
    assert_eq!(
        logging_out.await.expect_err("lost").code,
        ErrorCode::SOCKET_DISCONNECTED
    );
    assert!(matches!(next(&mut events).await, Event::Closed(closed) if closed.code == ErrorCode::SOCKET_DISCONNECTED));
}

#[tokio::test]
async fn a_logout_that_is_answered_is_no_loss() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    let logging_out = client.logout();
    let (request_id, _) = server.next_command().await;
    server
        .reply(request_id, peer::success(reply::Result::Logout(LogoutResult {})))
        .await;
    server.close(Close::default()).await;
    assert_eq!(logging_out.await, Ok(()));
    assert!(matches!(next(&mut events).await, Event::Closed(closed) if closed.error().is_none()));
}

#[tokio::test]
async fn a_reason_that_trying_again_does_not_mend_is_the_end() {
    let gateway = Server::new().await;
    let (_client, mut events, mut server) = gateway.connected().await;
    server.close(close(ErrorCode::KICKED_BY_OTHER_DEVICE, 0)).await;
    let Event::Closed(closed) = next(&mut events).await else {
        panic!("there is no other connection")
    };
    assert_eq!(closed.code, ErrorCode::KICKED_BY_OTHER_DEVICE);

    let (_client, mut events, mut server) = gateway.connected().await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS).await;
    let mut server = gateway.accept().await;
    let (request_id, _) = server.next_login().await;
    server.reply(request_id, refusal(ErrorCode::TOKEN_INVALID, 0)).await;
    assert!(matches!(next(&mut events).await, Event::Closed(closed) if closed.code == ErrorCode::TOKEN_INVALID));
}

#[tokio::test]
async fn a_try_that_fails_is_followed_by_another() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS).await;
    let mut server = gateway.accept().await;
    let (request_id, _) = server.next_login().await;
    server.reply(request_id, refusal(ErrorCode::CONNECT_TOO_OFTEN, 2)).await;
    let delay = Duration::from_millis(2);
    assert_eq!(next(&mut events).await, Event::Reconnecting { attempt: 2, delay });
    let (_, mut server) = gateway.log_in(session("second", true)).await;
    assert_eq!(next(&mut events).await, Event::Reconnected { resumed: true });
    ping(&client, &mut server).await;
}

#[tokio::test]
async fn the_newest_token_is_used_for_the_next_login() {
    let gateway = Server::new().await;
    let (client, _events, mut server) = gateway.connected().await;
    let renewing = client.renew_token("newer");
    let (request_id, _) = server.next_command().await;
    let result = RenewTokenResult {
        token: "newer".into(),
        token_expires_at_ms: 9,
    };
    server
        .reply(request_id, peer::success(reply::Result::RenewToken(result)))
        .await;
    assert_eq!(renewing.await, Ok(9));
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    let (login, _server) = gateway.log_in(session("second", true)).await;
    assert_eq!(login.token, "newer");
}

#[tokio::test]
async fn an_app_that_reads_no_events_meanwhile_is_told_all_of_it_later() {
    let gateway = Server::new().await;
    let (client, mut events, mut server) = gateway.connected().await;
    enter(&client, &mut server, "lobby", 0).await;
    let count = EVENT_QUEUE_LENGTH as u64;
    for sequence in 1..=count {
        server.event(message(sequence, None)).await;
    }
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    let (login, mut server) = gateway.log_in(session("second", true)).await;
    assert_eq!(login.resume_sequences, [count]);
    server.event(message(count + 1, None)).await;

    for sequence in 1..=count {
        expect_sequence(&mut events, sequence).await;
    }
    expect_outage(&mut events, ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS).await;
    assert_eq!(next(&mut events).await, Event::Reconnected { resumed: true });
    expect_sequence(&mut events, count + 1).await;
}

#[tokio::test]
async fn without_being_told_to_a_client_does_not_connect_again() {
    let gateway = Server::new().await;
    let options = gateway.options().reconnect(Reconnect::Never);
    let (connected, (_, mut server)) = tokio::join!(Client::connect(options), gateway.log_in(session("first", false)));
    let (_client, mut events) = connected.expect("logged in");
    server.stream.shutdown().await.expect("the client is connected");
    assert!(matches!(next(&mut events).await, Event::Closed(closed) if closed.code == ErrorCode::SOCKET_DISCONNECTED));
}

#[tokio::test]
async fn an_app_can_resume_a_session_by_itself() {
    let gateway = Server::new().await;
    let options = || gateway.options().reconnect(Reconnect::Never);
    let (connected, (_, mut server)) =
        tokio::join!(Client::connect(options()), gateway.log_in(session("first", false)));
    let (client, _events) = connected.expect("logged in");
    enter(&client, &mut server, "lobby", 40).await;
    let ticket = client.resume_ticket();
    assert_eq!(ticket.rooms().collect::<Vec<_>>(), [("lobby", 40)]);
    assert!(
        !format!("{ticket:?} {:?}", client.session()).contains("first"),
        "no log shows the secret"
    );
    drop(server);

    for resumed in [true, false] {
        let (connected, (login, _server)) = tokio::join!(
            Client::resume(options(), ticket.clone()),
            gateway.log_in(session("second", resumed))
        );
        let (client, _events) = connected.expect("logged in");
        assert_eq!((login.resume_secret.as_str(), login.automatic), ("first", true));
        assert_eq!(client.session().resumed, resumed);
        let rooms = client.resume_ticket().rooms().count();
        assert_eq!(rooms, usize::from(resumed), "a new session is inside no room");
    }
}

#[tokio::test]
async fn a_switch_moves_the_place_and_what_was_brought_along_is_brought_again() {
    let gateway = Server::new().await;
    let (client, _events, mut server) = gateway.connected().await;
    enter(&client, &mut server, "lobby", 40).await;
    let options = crate::SwitchOptions::default().history(History::None).extra("hat");
    let switching = client.switch_room("lobby", "den", options);
    let (request_id, _) = server.next_command().await;
    let result = reply::Result::RoomEntered(entered("den", 3, 0));
    server.reply(request_id, peer::success(result)).await;
    switching.await.expect("switched");
    server.close(close(ErrorCode::SERVER_UNAVAILABLE, AT_ONCE_MS)).await;
    let (login, mut server) = gateway.log_in(session("second", false)).await;
    assert_eq!(
        (login.resume_rooms, login.resume_sequences),
        (vec!["den".to_owned()], vec![3])
    );
    let (_, command) = server.next_command().await;
    assert!(matches!(command, Body::JoinExistChatRoom(join) if join.room_id == "den" && join.extra == "hat"));
}
