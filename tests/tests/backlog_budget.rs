//! The bound on all that waits for clients together: those furthest behind go, the others do not notice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quinn::{TransportConfig, VarInt};
use sluice_protocol::frame::Body;
use sluice_protocol::{ALPN, ErrorCode, MessageType, Ping, Priority, SendMessage};
use sluice_tests::{DEADLINE, Gateway, RawClient, Transport, begin_at_worker, quic_client_config, wait_until};

use crate::rooms::{enter, enter_room, message, next_message, no_rate_limits, send};
use crate::workers::{Flood, all_have_heard, listen};

const WORKERS: u16 = 2;

/// The least that can be set.
const BACKLOG_BYTES: usize = 16 << 20;

/// What a room's log may take on a worker; the least that can be set.
const LOG_BYTES: usize = 1 << 20;

/// With somebody in each who does not read. What may wait in all is less than a third of what their logs may keep.
const ROOMS: usize = 32;

/// On each worker, each in some of the rooms. As many as this go at a time.
const FAR_BEHIND: usize = 16;

/// On each worker, in a room with a single message.
const HARDLY_BEHIND: usize = 4;
const SMALL_ROOM: &str = "small";

/// In a room that is never quiet.
const BUSY: usize = 24;
const BUSY_ROOM: &str = "busy";

/// What a client takes that does not read: less than one message.
const WINDOW_BYTES: u32 = 16 * 1024;
const MESSAGE_BYTES: usize = 30 * 1024;

/// Messages under way at once: less than what a QUIC connection takes without being read.
const AT_A_TIME: usize = 6;

/// What waits more when something was said in all rooms: each worker keeps it.
const ROUND_BYTES: usize = ROOMS * MESSAGE_BYTES * WORKERS as usize;

/// No test takes so long.
const NEVER: Duration = Duration::from_secs(600);

fn room(number: usize) -> String {
    format!("room{number}")
}

/// Somebody at `worker` who takes next to nothing without reading.
async fn lazy(gateway: &Gateway, worker: u16, user: &str) -> RawClient {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(WINDOW_BYTES));
    let mut config = quic_client_config(gateway, &[ALPN]);
    config.transport_config(Arc::new(transport));
    begin_at_worker(&mut config, worker);
    RawClient::online_over_quic(gateway, config, user).await
}

/// Readers on all transports in all rooms, and on each worker some who are there and do not read.
struct Scene {
    gateway: Gateway,
    /// The first one speaks.
    readers: Vec<RawClient>,
    far_behind: Vec<RawClient>,
    /// Messages in each room.
    said: usize,
}

/// The most that waits at any time: whether it is too much is looked at between two rounds.
fn most() -> f64 {
    u32::try_from(BACKLOG_BYTES + 2 * ROUND_BYTES)
        .expect("some megabytes")
        .into()
}

impl Scene {
    /// `far_behind` on each worker share the rooms.
    async fn start(far_behind: usize) -> Self {
        let gateway = Gateway::start(|config| {
            no_rate_limits(config);
            config.workers = WORKERS.into();
            config.rooms.log_bytes = LOG_BYTES;
            config.connections.backlog_bytes = BACKLOG_BYTES;
            // Long enough for those who are closed to read their last frames.
            config.connections.closing_timeout = DEADLINE;
            // Nobody hears of so many comings.
            config.rooms.member_events_each = 0;
            config.rooms.member_events_digest = 0;
            config.rooms.count_interval = NEVER;
        });
        let mut scene = Self {
            readers: Vec::new(),
            far_behind: Vec::new(),
            said: 0,
            gateway,
        };
        for transport in Transport::ALL {
            let mut reader = RawClient::online(&scene.gateway, transport, &format!("reader-{transport}")).await;
            for number in 0..ROOMS {
                enter(&mut reader, 1, enter_room(&room(number))).await;
            }
            scene.readers.push(reader);
        }
        let rooms_of_each = ROOMS / far_behind;
        for worker in 0..WORKERS {
            for number in 0..far_behind {
                let mut client = lazy(&scene.gateway, worker, &format!("far{worker}-{number}")).await;
                for of_it in 0..rooms_of_each {
                    enter(&mut client, 1, enter_room(&room(number * rooms_of_each + of_it))).await;
                }
                scene.far_behind.push(client);
            }
        }
        scene
    }

    /// Adds some who do not read either, and who would have had one message to read.
    async fn hardly_behind(&self) -> Vec<RawClient> {
        let mut clients = Vec::new();
        for worker in 0..WORKERS {
            for number in 0..HARDLY_BEHIND {
                let mut client = lazy(&self.gateway, worker, &format!("hardly{worker}-{number}")).await;
                enter(&mut client, 1, enter_room(SMALL_ROOM)).await;
                clients.push(client);
            }
        }
        let mut speaker = RawClient::online(&self.gateway, Transport::Tcp, "small").await;
        enter(&mut speaker, 1, enter_room(SMALL_ROOM)).await;
        send(&mut speaker, 2, long(SMALL_ROOM, Priority::High)).await;
        clients
    }

    /// A message in each room, heard by all who read before it returns. A few at a time: whoever reads is never far behind.
    async fn publish(&mut self) {
        let classes = [Priority::High, Priority::Medium, Priority::Low];
        let priority = classes[self.said % classes.len()];
        self.said += 1;
        let rooms: Vec<String> = (0..ROOMS).map(room).collect();
        for rooms in rooms.chunks(AT_A_TIME) {
            let commands = rooms.iter().map(|room| Body::SendMessage(long(room, priority)));
            self.readers[0].send_together(100, commands).await;
            for request_id in (100..).take(rooms.len()) {
                assert_eq!(self.readers[0].reply(request_id).await.code, 0);
            }
            for reader in &mut self.readers {
                let mut heard = BTreeSet::new();
                for _ in rooms {
                    let message = next_message(reader).await;
                    assert_eq!(message.sequence, self.said as u64);
                    heard.insert(message.room_id);
                }
                assert!(heard == rooms.iter().cloned().collect(), "one of each room");
            }
        }
    }

    /// All that waits, as far as it is counted.
    async fn backlog_bytes(&self) -> f64 {
        self.gateway.metric("sluice_room_log_bytes").await + self.gateway.metric("sluice_private_queue_bytes").await
    }

    /// Publishes one round more than may wait, after which nothing more is said: what was kept for those who are closed must go with
    /// them.
    async fn publish_too_much(&mut self) {
        for _ in 0..=BACKLOG_BYTES / ROUND_BYTES {
            self.publish().await;
            let waiting = self.backlog_bytes().await;
            assert!(waiting <= most(), "{waiting} bytes wait");
        }
        wait_until("it was too much and is little", async || {
            // Each worker tells its figures once a second, at a time of its own.
            let disconnects = self.gateway.metric("sluice_budget_disconnects_total").await;
            disconnects >= self.expected_disconnects() && self.backlog_bytes().await < most() / 4.0
        })
        .await;
    }

    fn expected_disconnects(&self) -> f64 {
        u32::try_from(self.far_behind.len()).expect("a few").into()
    }

    /// Those that were far behind are closed as slow, and they alone.
    async fn expect_far_behind_gone(&mut self) {
        for client in &mut self.far_behind {
            let close = client.expect_close().await;
            let code = ErrorCode::DISCONNECTED_BY_SERVER.number();
            assert_eq!((close.code, &*close.detail), (code, "slow"), "{client:?}");
            assert_eq!(client.expect_end().await, Some(code.unsigned_abs().into()));
        }
        for reader in &mut self.readers {
            assert_eq!(reader.call(3, Body::Ping(Ping {})).await.code, 0);
        }
        for series in ["sluice_budget_disconnects_total", "sluice_slow_disconnects_total"] {
            assert_eq!(
                self.gateway.metric(series).await,
                self.expected_disconnects(),
                "{series}"
            );
        }
    }
}

fn long(room: &str, priority: Priority) -> SendMessage {
    SendMessage {
        priority: priority.into(),
        ..message(room, MessageType::Text, vec![b'x'; MESSAGE_BYTES])
    }
}

/// They get what they did not read, and go on.
async fn expect_unharmed(hardly_behind: Vec<RawClient>) {
    for mut client in hardly_behind {
        assert_eq!(next_message(&mut client).await.sequence, 1);
        assert_eq!(client.call(3, Body::Ping(Ping {})).await.code, 0);
    }
}

#[tokio::test]
async fn when_too_much_waits_in_all_those_furthest_behind_are_closed_and_no_more() {
    let mut scene = Scene::start(FAR_BEHIND).await;
    let hardly_behind = scene.hardly_behind().await;

    scene.publish_too_much().await;
    scene.expect_far_behind_gone().await;
    expect_unharmed(hardly_behind).await;
    wait_until("nothing waits", async || {
        scene.backlog_bytes().await == 0.0 && scene.gateway.metric("sluice_blocked_connections").await == 0.0
    })
    .await;
}

/// Whoever reads has something to get as well, whenever one looks; and who is full for a moment is not the cause.
#[tokio::test]
async fn however_few_are_far_behind_nobody_else_is_closed_with_them() {
    let mut scene = Scene::start(1).await;
    let hardly_behind = scene.hardly_behind().await;
    let mut listeners = Vec::new();
    for number in 0..BUSY {
        let worker = u16::try_from(number).expect("a few") % WORKERS;
        let mut member = RawClient::online_at_worker(&scene.gateway, worker, &format!("member{number}")).await;
        enter(&mut member, 1, enter_room(BUSY_ROOM)).await;
        listeners.push(listen(member));
    }
    let mut speaker = RawClient::online(&scene.gateway, Transport::Tcp, "speaker").await;
    enter(&mut speaker, 1, enter_room(BUSY_ROOM)).await;
    let flood = Flood::start(speaker, BUSY_ROOM);

    scene.publish_too_much().await;
    scene.expect_far_behind_gone().await;
    expect_unharmed(hardly_behind).await;
    assert!(!flood.has_ended());
    let said = flood.stop().await;
    all_have_heard(&listeners, said).await;
}
