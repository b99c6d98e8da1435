//! Several workers: rooms whose members are on all of them, and what a flood in one room means for everybody else.
//!
//! A client over QUIC chooses its worker; of TCP and TLS the kernel decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{MessageType, Ping};
use sluice_tests::{Gateway, RawClient, Transport, wait_until};
use tokio::task::JoinHandle;

use crate::quic_workers::expect_endpoints;
use crate::rooms::{enter, enter_room, message, next_message, no_rate_limits, send, sent, text};

/// That the kernel leads so many to the same of two workers happens once in thirty thousand times; then those over QUIC are
/// still on all.
const TCP_MEMBERS: usize = 8;
const TLS_MEMBERS: usize = 8;

/// No test takes so long.
const NEVER: Duration = Duration::from_secs(600);

/// From each worker.
const MESSAGES: u64 = 200;

/// Members of a flooded room.
const CROWD: usize = 200;

/// Messages of a flood that its speaker has not heard yet.
const UNDER_WAY: u64 = 8;

/// What an outsider does while a flood goes on.
const EXCHANGES: u32 = 20;

async fn gateway(workers: u16) -> Gateway {
    let gateway = Gateway::start(|config| {
        no_rate_limits(config);
        config.workers = workers.into();
        // Nobody hears of so many comings.
        config.rooms.member_events_each = 0;
        config.rooms.member_events_digest = 0;
        config.rooms.count_interval = NEVER;
    });
    expect_endpoints(&gateway, workers).await;
    gateway
}

/// Members of `room` on all transports, one at least on each worker. The first ones are those whose worker is known.
async fn members(gateway: &Gateway, workers: u16, room: &str) -> Vec<RawClient> {
    let mut members = Vec::new();
    for worker in 0..workers {
        members.push(RawClient::online_at_worker(gateway, worker, &format!("{room}-quic{worker}")).await);
    }
    for (transport, count) in [(Transport::Tcp, TCP_MEMBERS), (Transport::Tls, TLS_MEMBERS)] {
        for number in 0..count {
            members.push(RawClient::online(gateway, transport, &format!("{room}-{transport}{number}")).await);
        }
    }
    for member in &mut members {
        enter(member, 1, enter_room(room)).await;
    }
    members
}

#[tokio::test]
async fn messages_from_all_of_two_workers_reach_everybody_in_one_order() {
    messages_from_every_worker_reach_everybody_in_one_order(2).await;
}

#[tokio::test]
async fn messages_from_all_of_three_workers_reach_everybody_in_one_order() {
    messages_from_every_worker_reach_everybody_in_one_order(3).await;
}

async fn messages_from_every_worker_reach_everybody_in_one_order(workers: u16) {
    let gateway = gateway(workers).await;
    let mut members = members(&gateway, workers, "lobby").await;
    for speaker in &mut members[..workers.into()] {
        let said = (1..=MESSAGES).map(|number| Body::SendMessage(text("lobby", &number.to_string())));
        speaker.send_together(100, said).await;
    }
    let all = u64::from(workers) * MESSAGES;
    let mut first = Vec::new();
    for sequence in 1..=all {
        let message = next_message(&mut members[0]).await;
        assert_eq!(message.sequence, sequence);
        first.push(message);
    }
    for worker in 0..workers {
        let name = format!("lobby-quic{worker}");
        let said = first
            .iter()
            .filter(|message| message.sender.as_ref().is_some_and(|sender| sender.user_id == name));
        let said = said.map(|message| String::from_utf8_lossy(&message.content).into_owned());
        let expected = (1..=MESSAGES).map(|number| number.to_string());
        assert!(said.eq(expected), "what each says keeps its order");
    }
    for member in &mut members[1..] {
        for expected in &first {
            assert_eq!(next_message(member).await, *expected);
        }
    }
    for speaker in &mut members[..workers.into()] {
        for request_id in (100..).take(MESSAGES as usize) {
            assert!(sent(speaker.reply(request_id).await).distributed);
        }
    }
}

/// Somebody who has more to say as soon as he hears what he has said, until he is told to stop.
pub(crate) struct Flood {
    heard: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Flood {
    pub(crate) fn start(mut speaker: RawClient, room: &str) -> Self {
        let (heard, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn({
            let (heard, stop, room) = (heard.clone(), stop.clone(), room.to_owned());
            async move {
                let mut said = 0;
                loop {
                    let more = if stop.load(Ordering::Relaxed) {
                        0
                    } else {
                        UNDER_WAY - (said - heard.load(Ordering::Relaxed))
                    };
                    let content = || message(&room, MessageType::Barrage, vec![b'x'; 200]);
                    for _ in 0..more {
                        // Barrage without a number gets no answer.
                        speaker.send(0, Body::SendMessage(content())).await;
                    }
                    said += more;
                    if heard.load(Ordering::Relaxed) == said {
                        return said;
                    }
                    let message = next_message(&mut speaker).await;
                    assert_eq!(message.sequence, heard.fetch_add(1, Ordering::Relaxed) + 1);
                }
            }
        });
        Self { heard, stop, task }
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether it ended by itself, which only a failure makes it do.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it, and returns how much was said.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("a speaker that hears itself")
    }
}

/// Has a member read for ever, and counts what it hears.
pub(crate) fn listen(mut member: RawClient) -> Arc<AtomicU64> {
    let heard = Arc::<AtomicU64>::default();
    tokio::spawn({
        let heard = heard.clone();
        async move {
            loop {
                let message = next_message(&mut member).await;
                assert_eq!(message.sequence, heard.fetch_add(1, Ordering::Relaxed) + 1);
            }
        }
    });
    heard
}

/// Waits until all of them have heard `count` messages at least.
pub(crate) async fn all_have_heard(listeners: &[Arc<AtomicU64>], count: u64) {
    wait_until(&format!("all have heard {count} messages"), async || {
        listeners.iter().all(|heard| heard.load(Ordering::Relaxed) >= count)
    })
    .await;
}

#[tokio::test]
async fn rooms_that_are_flooded_at_once_all_go_on() {
    const ROOMS: usize = 6;
    const WORKERS: u16 = 2;
    let gateway = gateway(WORKERS).await;
    let mut floods = Vec::new();
    let mut listeners = Vec::new();
    for room in 0..ROOMS {
        let room = format!("room{room}");
        let mut members = members(&gateway, WORKERS, &room).await;
        let speaker = members.pop().expect("some members");
        listeners.push(members.into_iter().map(listen).collect::<Vec<_>>());
        floods.push(Flood::start(speaker, &room));
    }
    // No flood ends before every member of every room has heard so much: none waits for another's end.
    for listeners in &listeners {
        all_have_heard(listeners, 300).await;
    }
    for (flood, listeners) in floods.into_iter().zip(&listeners) {
        assert!(!flood.has_ended());
        let said = flood.stop().await;
        all_have_heard(listeners, said).await;
    }
}

#[tokio::test]
async fn while_a_large_room_is_flooded_pings_and_other_rooms_are_answered() {
    const WORKERS: u16 = 2;
    let gateway = gateway(WORKERS).await;
    let mut listeners = Vec::new();
    for number in 0..CROWD {
        let transport = Transport::ALL[number % 2];
        let mut member = RawClient::online(&gateway, transport, &format!("member{number}")).await;
        enter(&mut member, 1, enter_room("stadium")).await;
        listeners.push(listen(member));
    }
    let mut speaker = RawClient::online(&gateway, Transport::Tcp, "speaker").await;
    enter(&mut speaker, 1, enter_room("stadium")).await;
    // Outsiders on each worker, and a quiet room that both are in.
    let mut outsiders = Vec::new();
    for worker in 0..WORKERS {
        let mut outsider = RawClient::online_at_worker(&gateway, worker, &format!("outsider{worker}")).await;
        enter(&mut outsider, 1, enter_room("corner")).await;
        outsiders.push(outsider);
    }

    let flood = Flood::start(speaker, "stadium");
    all_have_heard(&listeners, 1).await;
    let before = flood.heard();
    for exchange in 0..EXCHANGES {
        for speaking in 0..outsiders.len() {
            let pinged = outsiders[speaking].call(10, Body::Ping(Ping {})).await;
            assert_eq!(pinged.code, 0);
            send(&mut outsiders[speaking], 11, text("corner", &exchange.to_string())).await;
            for outsider in &mut outsiders {
                next_message(outsider).await;
            }
        }
    }
    let meanwhile = flood.heard() - before;
    assert!(
        meanwhile > 0 && !flood.has_ended(),
        "{meanwhile} messages of the flood meanwhile"
    );
    let said = flood.stop().await;
    // Nobody in the crowd missed any of it.
    all_have_heard(&listeners, said).await;
}
