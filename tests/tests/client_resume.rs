//! The client library when its connection is lost: sessions that go on, and rooms that are joined again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_client::{Client, ErrorCode, Event, Events, LeaveReason, Options, OutgoingMessage, Reconnect, Trust};
use sluice_gateway::config::{Config, Rate};
use sluice_tests::{Gateway, Transport, on_all_transports, within};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

on_all_transports!(
    a_session_goes_on_over_another_transport_and_its_old_connection_keeps_away,
    a_ticket_that_is_too_old_is_a_new_session_outside_all_rooms,
);

/// Long enough for a client to come back on a busy machine.
const WINDOW: Duration = Duration::from_secs(60);

fn gateway(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::start(|config| {
        config.sessions.resume_window = WINDOW;
        config.rooms.room_messages_per_second = Rate::Unlimited;
        change(config);
    })
}

/// The way to a gateway, which can be cut.
pub(crate) struct Relay {
    address: SocketAddr,
    gateway: Arc<Mutex<SocketAddr>>,
    under_way: Arc<Mutex<JoinSet<()>>>,
    /// Whether new connections get through; if not, they wait.
    is_open: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let under_way = Arc::new(Mutex::new(JoinSet::new()));
        let mut accepting = JoinSet::new();
        let tasks = under_way.clone();
        let (is_open, open) = watch::channel(true);
        let gateway = Arc::new(Mutex::new(gateway));
        let target = gateway.clone();
        accepting.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut open, target) = (open.clone(), target.clone());
                tasks.lock().expect("no panic").spawn(async move {
                    open.wait_for(|is_open| *is_open).await.expect("the relay is there");
                    let gateway = *target.lock().expect("no panic");
                    if let Ok(mut far) = TcpStream::connect(gateway).await {
                        // How a connection ends is what is tested here.
                        drop(copy_bidirectional(&mut near, &mut far).await);
                    }
                });
            }
        });
        Self {
            address,
            gateway,
            under_way,
            is_open,
            _accepting: accepting,
        }
    }

    /// Ends all connections without a word.
    pub(crate) fn cut(&self) {
        self.under_way.lock().expect("no panic").abort_all();
    }

    /// Where new connections go.
    pub(crate) fn lead_to(&self, gateway: SocketAddr) {
        *self.gateway.lock().expect("no panic") = gateway;
    }

    /// Lets new connections through, or makes them wait.
    pub(crate) fn open(&self, is_open: bool) {
        self.is_open.send_replace(is_open);
    }

    pub(crate) fn options(&self, gateway: &Gateway, user: &str, transport: Transport) -> Options {
        Options::new(self.address.to_string(), gateway.app_key(), user, gateway.token(user))
            .transport(transport.of_client())
            .trust(Trust::CertificateFile(gateway.certificate()))
            .server_name("localhost")
            .reconnect(Reconnect::Automatic)
    }
}

async fn connect(options: Options) -> (Client, Events) {
    within("a login", Client::connect(options)).await.expect("a login")
}

async fn next(events: &mut Events) -> Event {
    within("an event", events.next())
        .await
        .expect("the client is not at its end")
}

async fn say(client: &Client, text: &str) {
    let message = OutgoingMessage::text("lobby", text);
    within("an answer", client.send(message)).await.expect("a message");
}

async fn enter(client: &Client) {
    within("an answer", client.enter_room("lobby", ""))
        .await
        .expect("a room");
}

async fn expect_message(events: &mut Events, text: &str) {
    match next(events).await {
        Event::RoomMessage(message) => assert_eq!(message.content, text),
        other => panic!("not {text}: {other:?}"),
    }
}

/// What comes up to the event of this room after a connection was lost. Nobody else may hear of it.
async fn expect_reconnected(events: &mut Events, as_before: bool) {
    assert!(matches!(next(events).await, Event::Disconnected(_)));
    loop {
        match next(events).await {
            Event::Reconnecting { delay, .. } => assert!(delay <= Duration::from_secs(300)),
            Event::Reconnected { resumed } => {
                assert_eq!(resumed, as_before);
                return;
            }
            other => panic!("not connected again: {other:?}"),
        }
    }
}

async fn a_session_goes_on_over_another_transport_and_its_old_connection_keeps_away(transport: Transport) {
    let gateway = gateway(|_| {});
    let other_transport = match transport {
        Transport::Tcp => Transport::Quic,
        Transport::Tls => Transport::Tcp,
        Transport::Quic => Transport::Tls,
    };
    let (bob, mut bobs_events) = connect(gateway.options("bob", transport)).await;
    enter(&bob).await;
    let options = |transport| gateway.options("alice", transport).reconnect(Reconnect::Automatic);
    let (alice, mut old_events) = connect(options(transport)).await;
    enter(&alice).await;
    assert!(matches!(next(&mut bobs_events).await, Event::MemberJoined(_)));
    say(&bob, "one").await;
    expect_message(&mut old_events, "one").await;
    let ticket = alice.resume_ticket();
    assert_eq!(ticket.rooms().collect::<Vec<_>>(), [("lobby", 1)]);
    say(&bob, "two").await;

    let resuming = Client::resume(options(other_transport), ticket);
    let (alice_again, mut events) = within("a login", resuming).await.expect("a login");
    assert!(alice_again.session().resumed);
    assert_eq!(alice_again.session().session_id, alice.session().session_id);
    match next(&mut events).await {
        Event::RoomResumed(room) => assert_eq!((room.replayed, room.missed, room.sequence), (1, 0, 2)),
        other => panic!("not resumed: {other:?}"),
    }
    expect_message(&mut events, "two").await;
    // The old connection was still there. It is told, and does not take the session back.
    expect_message(&mut old_events, "two").await;
    match next(&mut old_events).await {
        Event::Closed(closed) => assert_eq!(
            (closed.code, closed.detail.as_str()),
            (ErrorCode::DISCONNECTED_BY_SERVER, "resumed")
        ),
        other => panic!("not at its end: {other:?}"),
    }

    say(&alice_again, "three").await;
    expect_message(&mut events, "three").await;
    for text in ["one", "two", "three"] {
        expect_message(&mut bobs_events, text).await;
    }
    within("an answer", alice_again.logout()).await.expect("a logout");
    assert!(matches!(next(&mut bobs_events).await, Event::MemberLeft(left) if left.reason == LeaveReason::Logout));
    gateway.stop().await;
}

async fn a_ticket_that_is_too_old_is_a_new_session_outside_all_rooms(transport: Transport) {
    let gateway = gateway(|config| config.sessions.resume_window = Duration::ZERO);
    let (bob, mut bobs_events) = connect(gateway.options("bob", transport)).await;
    enter(&bob).await;
    let (alice, events) = connect(gateway.options("alice", transport)).await;
    enter(&alice).await;
    assert!(matches!(next(&mut bobs_events).await, Event::MemberJoined(_)));
    let ticket = alice.resume_ticket();
    drop((alice, events));
    assert!(matches!(next(&mut bobs_events).await, Event::MemberLeft(left) if left.reason == LeaveReason::Offline));
    let resuming = Client::resume(gateway.options("alice", transport), ticket);
    let (alice, _events) = within("a login", resuming).await.expect("a login");
    assert!(!alice.session().resumed);
    let refused = within("an answer", alice.send(OutgoingMessage::text("lobby", "hello"))).await;
    assert_eq!(refused.expect_err("outside").code, ErrorCode::NOT_IN_CHATROOM);
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_opened_again_and_every_message_comes_once() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let gateway = gateway(|_| {});
        let relay = Relay::to(gateway.address(transport)).await;
        let (bob, mut bobs_events) = connect(gateway.options("bob", transport)).await;
        enter(&bob).await;
        let (alice, mut events) = connect(relay.options(&gateway, "alice", transport)).await;
        enter(&alice).await;
        assert!(matches!(next(&mut bobs_events).await, Event::MemberJoined(_)));

        let mut said = 0;
        for round in 0..3 {
            let count = 10 * round + 1;
            relay.cut();
            for _ in 0..count {
                said += 1;
                say(&bob, &format!("message {said}")).await;
            }
            expect_reconnected(&mut events, true).await;
            assert!(matches!(next(&mut events).await, Event::RoomResumed(room) if room.missed == 0));
            for number in said - count + 1..=said {
                expect_message(&mut events, &format!("message {number}")).await;
            }
        }
        say(&alice, "here again").await;
        for number in 1..=said {
            expect_message(&mut bobs_events, &format!("message {number}")).await;
        }
        expect_message(&mut bobs_events, "here again").await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_is_not_kept_joins_its_room_again_and_gets_what_it_missed_once() {
    let gateway = gateway(|config| config.sessions.resume_window = Duration::ZERO);
    let relay = Relay::to(gateway.address(Transport::Tcp)).await;
    let (bob, mut bobs_events) = connect(gateway.options("bob", Transport::Quic)).await;
    enter(&bob).await;
    say(&bob, "before").await;
    expect_message(&mut bobs_events, "before").await;
    let (alice, mut events) = connect(relay.options(&gateway, "alice", Transport::Tcp)).await;
    enter(&alice).await;
    say(&bob, "one").await;
    expect_message(&mut events, "one").await;
    assert!(matches!(next(&mut bobs_events).await, Event::MemberJoined(_)));
    expect_message(&mut bobs_events, "one").await;

    relay.open(false);
    relay.cut();
    let Event::MemberLeft(left) = next(&mut bobs_events).await else {
        panic!("alice is lost")
    };
    assert_eq!(left.reason, LeaveReason::Offline);
    say(&bob, "two").await;
    say(&bob, "three").await;
    relay.open(true);
    expect_reconnected(&mut events, false).await;
    match next(&mut events).await {
        Event::RoomRejoined(room) => assert_eq!(room.messages_meanwhile, Some(2)),
        other => panic!("not inside again: {other:?}"),
    }
    for text in ["two", "three"] {
        expect_message(&mut events, text).await;
        expect_message(&mut bobs_events, text).await;
    }
    assert!(matches!(next(&mut bobs_events).await, Event::MemberJoined(_)));
    say(&bob, "four").await;
    expect_message(&mut events, "four").await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_room_that_a_restart_took_with_it_is_lost_and_can_be_made_again() {
    let mut gateway = gateway(|_| {});
    let relay = Relay::to(gateway.address(Transport::Tcp)).await;
    let (alice, mut events) = connect(relay.options(&gateway, "alice", Transport::Tcp)).await;
    enter(&alice).await;
    relay.open(false);
    gateway.restart().await;
    relay.lead_to(gateway.address(Transport::Tcp));
    relay.open(true);
    expect_reconnected(&mut events, false).await;
    match next(&mut events).await {
        Event::RoomLost { room_id, error } => {
            assert_eq!((room_id.as_str(), error.code), ("lobby", ErrorCode::CHATROOM_NOT_EXIST));
        }
        other => panic!("not lost: {other:?}"),
    }
    enter(&alice).await;
    gateway.stop().await;
}
