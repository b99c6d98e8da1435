//! Members that do not read: what they miss and are told, and that nobody else notices.

use std::time::Duration;

use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ErrorCode, Frame, LeaveReason, Login, MessageType, Ping, Priority, RoomEntered, SendMessage, limits,
};
use sluice_tests::{DEADLINE, Gateway, RawClient, Transport, on_all_transports, wait_until};

use crate::rooms::{enter_room, entered, leave_room, message, no_rate_limits, sent};

on_all_transports!(
    a_member_that_does_not_read_misses_what_it_is_told_and_nobody_else_misses_anything,
    a_member_that_cannot_even_take_what_may_not_be_missed_is_closed_as_slow,
);

const ROOM: &str = "lobby";
const SLOW: &str = "slow";

/// The least that can be set: who lags further than an eighth of this misses messages.
const LOG_BYTES: usize = limits::SERVER_FRAME_BYTES;

/// The messages of a batch: far less than the log keeps, so that members who read each batch to its end before the next one
/// cannot fall behind, however slow the machine is.
const BATCH: [(MessageType, Priority, usize); 10] = [
    (MessageType::Text, Priority::Default, 30 * 1024),
    (MessageType::Text, Priority::High, 30 * 1024),
    (MessageType::Custom, Priority::Medium, 30 * 1024),
    (MessageType::Barrage, Priority::High, 5 * 1024),
    (MessageType::Text, Priority::Low, 30 * 1024),
    (MessageType::Command, Priority::Medium, 5 * 1024),
    (MessageType::Text, Priority::High, 30 * 1024),
    (MessageType::Barrage, Priority::Default, 5 * 1024),
    (MessageType::Custom, Priority::Default, 30 * 1024),
    (MessageType::Text, Priority::Default, 30 * 1024),
];

/// Memory that their frames take, with what each takes beside its bytes.
const BATCH_BYTES: usize = 256 * 1024;

/// More than what a log keeps: whoever is blocked for as long has been cut off from some of it.
const BATCHES_OF_A_LOG: usize = 2 * LOG_BYTES / BATCH_BYTES;

/// Of each transport, in a room where one in twenty does not read.
const READERS: usize = 19;

/// As every gateway here has.
const WORKERS: usize = 2;

/// Deliveries that were shed.
const SHED: &str = "sluice_messages_shed_total";

/// Visits between two batches, some 20 KiB of events.
const VISITS: usize = 30;

/// The fields of a gap's notice, as places in an array.
const HIGH: usize = 0;
const NORMAL: usize = 1;
const LOW: usize = 2;
const BARRAGE: usize = 3;

/// In a room of the preset `room`, where a message without a priority is low.
fn class(kind: MessageType, priority: Priority) -> usize {
    match (kind, priority) {
        (MessageType::Barrage, _) => BARRAGE,
        (_, Priority::High) => HIGH,
        (_, Priority::Medium) => NORMAL,
        (_, Priority::Low | Priority::Default) => LOW,
    }
}

/// What happened in the room, in the order in which everybody hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Happening {
    Message(u64),
    Joined(String),
    Left(String),
}

impl Happening {
    fn is_left(&self) -> bool {
        matches!(self, Self::Left(_))
    }
}

/// How much of what happened a member must have heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Whole,
    Beginning,
}

/// A room with members that read, some that do not, and visitors.
struct Scene {
    gateway: Gateway,
    /// The first one sends.
    readers: Vec<RawClient>,
    slow: Vec<RawClient>,
    visitor: RawClient,
    /// Since the slow members came.
    happened: Vec<Happening>,
    /// How often each reader heard that a slow member is gone.
    slow_left: Vec<usize>,
    /// The classes of the messages, by sequence from 1 on.
    classes: Vec<usize>,
    request_id: u32,
}

impl Scene {
    /// So many members over each transport that read, and one over each of `slow` that does not.
    async fn start(readers_each: usize, slow: &[Transport]) -> Self {
        let gateway = Gateway::start(|config| {
            no_rate_limits(config);
            config.rooms.log_bytes = LOG_BYTES;
            // Long enough for the slow member to read its last frames.
            config.connections.closing_timeout = DEADLINE;
            // Who is given up is seen to leave at once.
            config.sessions.resume_window = Duration::ZERO;
        });
        let mut readers = Vec::new();
        for number in 0..readers_each {
            for transport in Transport::ALL {
                let mut reader = RawClient::online(&gateway, transport, &format!("reader-{transport}-{number}")).await;
                enter(&mut reader).await;
                readers.push(reader);
            }
        }
        let mut visitor = RawClient::connect(&gateway, Transport::Tcp).await;
        let login = Login {
            user_name: "v".repeat(limits::USER_NAME_BYTES),
            ..visitor.login_command("visitor")
        };
        assert_eq!(visitor.call(1, Body::Login(login)).await.code, 0);
        let mut members = Vec::new();
        for transport in slow {
            let mut slow = RawClient::online(&gateway, *transport, &format!("{SLOW}-{transport}")).await;
            enter(&mut slow).await;
            members.push(slow);
        }
        // Whoever came later was an event to the others; from here on all is the same for all.
        for (later, member) in readers.iter_mut().chain(&mut members).rev().enumerate() {
            for _ in 0..later {
                assert!(matches!(member.event().await, Body::RoomMemberJoined(_)));
            }
        }
        Self {
            gateway,
            slow_left: vec![0; readers.len()],
            readers,
            slow: members,
            visitor,
            happened: Vec::new(),
            classes: Vec::new(),
            request_id: 100,
        }
    }

    fn newest(&self) -> u64 {
        self.classes.len() as u64
    }

    /// Sends a batch, and has the readers read it.
    async fn publish(&mut self) {
        let mut bytes = Vec::new();
        let first = self.request_id;
        for (kind, priority, content_bytes) in BATCH {
            let message = SendMessage {
                priority: priority.into(),
                ..message(ROOM, kind, vec![b'x'; content_bytes])
            };
            bytes.extend_from_slice(&encode(&Frame {
                request_id: self.request_id,
                body: Some(Body::SendMessage(message)),
            }));
            self.request_id += 1;
            self.classes.push(class(kind, priority));
            self.happened.push(Happening::Message(self.newest()));
        }
        self.readers[0].send_bytes(&bytes).await;
        for request_id in first..self.request_id {
            sent(self.readers[0].reply(request_id).await);
        }
        self.read(BATCH.len()).await;
    }

    /// Has the visitor come and go.
    async fn visit(&mut self) {
        enter(&mut self.visitor).await;
        assert_eq!(self.visitor.call(2, leave_room(ROOM)).await.code, 0);
        self.happened.push(Happening::Joined("visitor".into()));
        self.happened.push(Happening::Left("visitor".into()));
        self.read(2).await;
    }

    /// The readers hear of the newest happenings, all of them. When a slow member goes is not for them to know.
    async fn read(&mut self, count: usize) {
        let expected = &self.happened[self.happened.len() - count..];
        for (reader, slow_left) in self.readers.iter_mut().zip(&mut self.slow_left) {
            for expected in expected {
                let mut event = reader.event().await;
                if let Body::RoomMemberLeft(left) = &event
                    && left.members[0].user_id.starts_with(SLOW)
                {
                    assert_eq!(left.reason(), LeaveReason::Offline);
                    *slow_left += 1;
                    event = reader.event().await;
                }
                assert_eq!(happening(&event).as_ref(), Some(expected), "{reader:?}");
            }
        }
    }

    /// Has the slow members read all there is for them. Returns what each of them gets.
    async fn catch_up(&mut self) -> Vec<Vec<Body>> {
        // That somebody comes or goes may not be missed, so this one is the last.
        self.visit().await;
        let visits = self.happened.iter().filter(|happening| happening.is_left()).count();
        let mut all = Vec::new();
        for slow in &mut self.slow {
            let mut events = Vec::new();
            while events.iter().filter_map(happening).filter(Happening::is_left).count() < visits {
                events.push(slow.event().await);
            }
            all.push(events);
        }
        all
    }

    async fn metric(&self, name: &str) -> f64 {
        self.gateway.metric(name).await
    }

    /// Checks what the slow member got against what happened: all of it in order, but for what it was told it misses.
    fn check_slow(&self, events: &[Body], story: Story) {
        let mut happened = self.happened.iter();
        let mut told = [0; 4];
        let mut missed = [0; 4];
        for event in events {
            if let Body::RoomGap(gap) = event {
                let counts = [gap.high, gap.normal, gap.low, gap.barrage];
                assert!(counts.iter().sum::<u64>() > 0, "{gap:?}");
                assert!(
                    gap.first_sequence <= gap.last_sequence && gap.last_sequence <= self.newest(),
                    "{gap:?}"
                );
                (0..4).for_each(|class| told[class] += counts[class]);
                continue;
            }
            let received = happening(event).unwrap_or_else(|| panic!("{}", short(event)));
            for happening in happened.by_ref().take_while(|happening| **happening != received) {
                let Happening::Message(sequence) = happening else {
                    panic!("{happening:?} may not be missed")
                };
                missed[self.classes[usize::try_from(sequence - 1).unwrap()]] += 1;
            }
            assert!(
                (0..4).all(|class| missed[class] <= told[class]),
                "told before the next frame"
            );
        }
        if story == Story::Whole {
            assert_eq!(happened.next(), None, "all that happened came or was missed");
            assert_eq!(missed, told, "received and missed add up to all");
            assert!(told[LOW] > 0 && told[BARRAGE] > 0, "the lowest went first: {told:?}");
        }
    }
}

/// What an event is, without its content.
fn short(event: &Body) -> String {
    format!("{event:.0?}").chars().take(80).collect()
}

async fn enter(client: &mut RawClient) -> RoomEntered {
    entered(client.call(1, enter_room(ROOM)).await)
}

fn missed_by(event: &Body) -> u64 {
    match event {
        Body::RoomGap(gap) => gap.high + gap.normal + gap.low + gap.barrage,
        _ => 0,
    }
}

fn happening(event: &Body) -> Option<Happening> {
    match event {
        Body::RoomMessage(message) => Some(Happening::Message(message.sequence)),
        Body::RoomMemberJoined(joined) => Some(Happening::Joined(joined.members[0].user_id.clone())),
        Body::RoomMemberLeft(left) => Some(Happening::Left(left.members[0].user_id.clone())),
        _ => None,
    }
}

async fn a_member_that_does_not_read_misses_what_it_is_told_and_nobody_else_misses_anything(transport: Transport) {
    let mut scene = Scene::start(1, &[transport]).await;
    wait_until("the slow member has fallen behind", async || {
        scene.visit().await;
        scene.publish().await;
        scene.metric(SHED).await >= 20.0
    })
    .await;
    // Then it reads.
    let events = scene.catch_up().await.remove(0);
    scene.check_slow(&events, Story::Whole);
    let dropped: u64 = events.iter().map(missed_by).sum();
    wait_until("what was missed is counted", async || {
        scene.metric(SHED).await.to_string() == dropped.to_string()
    })
    .await;
    // From now on it is a member like the others.
    scene.publish().await;
    for sequence in 1 + scene.newest() - BATCH.len() as u64..=scene.newest() {
        assert_eq!(
            happening(&scene.slow[0].event().await),
            Some(Happening::Message(sequence))
        );
    }
    assert_eq!(scene.slow[0].call(7, Body::Ping(Ping {})).await.code, 0);
}

async fn a_member_that_cannot_even_take_what_may_not_be_missed_is_closed_as_slow(transport: Transport) {
    let mut scene = Scene::start(1, &[transport]).await;
    wait_until("the slow member is given up", async || {
        // That somebody comes or goes is told to everybody, here with a long name.
        for _ in 0..VISITS {
            scene.visit().await;
        }
        scene.publish().await;
        scene.metric("sluice_slow_disconnects_total").await >= 1.0
    })
    .await;
    let mut events = Vec::new();
    let close = loop {
        match scene.slow[0].event().await {
            Body::Close(close) => break close,
            event => events.push(event),
        }
    };
    let code = ErrorCode::DISCONNECTED_BY_SERVER.number();
    assert_eq!((close.code, &*close.detail), (code, "slow"));
    let expected = (transport == Transport::Quic).then(|| code.unsigned_abs().into());
    assert_eq!(scene.slow[0].expect_end().await, expected);
    scene.check_slow(&events, Story::Beginning);
    for (reader, slow_left) in scene.readers.iter_mut().zip(&mut scene.slow_left) {
        if *slow_left == 0 {
            let left = Happening::Left(format!("{SLOW}-{transport}"));
            assert_eq!(happening(&reader.event().await), Some(left));
            *slow_left = 1;
        }
    }
    scene.publish().await;
    assert_eq!(
        scene.slow_left,
        vec![1; scene.readers.len()],
        "each reader heard once that it is gone"
    );
}

/// Most that rooms' logs take together.
fn log_bytes_max() -> f64 {
    u32::try_from(WORKERS * (LOG_BYTES + BATCH_BYTES))
        .expect("some megabytes")
        .into()
}

#[tokio::test]
async fn one_in_twenty_that_stops_reading_hurts_nobody_and_gets_the_newest_when_it_reads_again() {
    let mut scene = Scene::start(READERS, &Transport::ALL).await;
    let mut batches = 0;
    wait_until(
        "the slow members are blocked, and for so long that each misses something",
        async || {
            // The readers have heard all of it when this returns.
            scene.publish().await;
            assert!(scene.metric("sluice_room_log_bytes").await <= log_bytes_max());
            if scene.metric("sluice_blocked_connections").await >= 3.0 {
                batches += 1;
            }
            batches > BATCHES_OF_A_LOG
        },
    )
    .await;
    assert!(scene.metric(SHED).await > 0.0);
    let newest = scene.classes.iter().rposition(|class| *class == HIGH).expect("some");
    let newest = Happening::Message(newest as u64 + 1);
    let mut dropped = 0;
    for events in scene.catch_up().await {
        scene.check_slow(&events, Story::Whole);
        assert!(events.iter().filter_map(happening).any(|happening| happening == newest));
        dropped += events.iter().map(missed_by).sum::<u64>();
    }
    wait_until("nothing is kept, and all that was missed is counted", async || {
        scene.metric("sluice_room_log_bytes").await == 0.0
            && scene.metric("sluice_blocked_connections").await == 0.0
            && scene.metric("sluice_private_queue_bytes").await == 0.0
            && scene.metric(SHED).await.to_string() == dropped.to_string()
    })
    .await;
    assert_eq!(scene.metric("sluice_slow_disconnects_total").await, 0.0);
}
