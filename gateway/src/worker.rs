//! A worker: one thread that owns its connections, its slices of every room, and the rooms and users whose home it is.
//!
//! This is the shell that joins the stages: it carries out what the rules decide. Nothing on a worker takes a lock;
//! workers talk by mailboxes of values. The tasks of a worker are
//!
//! - one for all connections over sockets ([`sockets`]) and one for each over QUIC: read frames, handle commands, go on writing
//!   when the transport can ([`connection`]),
//! - the pump ([`pump`]): carries out the values that come to this worker's mailbox, from itself or others,
//! - the sweep ([`sweep`]): delivers what rooms published,
//! - the broadcast ([`broadcast`]): delivers what is for everybody in an app,
//! - the announcer ([`announce`]): says what is for all rooms of an app,
//! - the tick: deadlines, member digests, counters.

mod announce;
mod broadcast;
mod budget;
mod close;
mod connection;
mod conversing;
mod input;
mod keeping;
mod login;
mod mailbox;
mod operator;
mod pump;
mod resume;
mod sockets;
mod start;
mod sweep;
mod user_home;

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slotmap::SlotMap;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::Now;
use crate::config::Config;
use crate::conversation::Conversations;
use crate::identity::{ConnectionKey, ConnectionRef, WorkerIndex};
use crate::metrics::{self, Metric, Registry, WorkerFigures};
use crate::outbox::Moved;
use crate::policy::Policies;
use crate::push::PushHooks;
use crate::room::{RoomPlaces, Rooms, Rules};
use crate::session::apps::Apps;
use crate::session::guesses::Guesses;
use crate::session::users::Users;
use crate::store::Store;
use crate::timer_wheel::{TICK, TimerWheel};
use crate::transport::ReadySockets;

use announce::Announcements;
use broadcast::Broadcasts;
use connection::Connection;
use conversing::HeldBytes;
use mailbox::{Mailboxes, Outside};
use sweep::Slices;

pub(crate) use keeping::refusal as refusal_of;
pub(crate) use mailbox::{Mailbox, mailboxes};
pub(crate) use operator::Operator;
pub(crate) use start::{Listeners, WorkerHandle, start};

/// Read at once from one connection: the longest client frame, so that a frame that is there is never copied.
const SCRATCH_BYTES: usize = 80 * 1024;

/// Values of the label that says where something was shed.
const INGRESS: usize = 0;
const SLOW_MEMBER: usize = 1;

/// How often counters go to the shared series.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// What all workers share. Never changed after the start.
#[derive(Debug)]
pub(crate) struct Shared {
    pub config: Config,
    pub apps: Apps,
    pub store: Store,
    pub conversations: Conversations,
    pub policies: Arc<Policies>,
    pub pushes: PushHooks,
    pub room_places: Arc<RoomPlaces>,
    pub registry: Registry,
    /// Spreads users and rooms over the workers that are their homes.
    pub homes: hashbrown::DefaultHashBuilder,
    pub random: &'static dyn rustls::crypto::SecureRandom,
    pub workers: Vec<WorkerFigures>,
    pub started: Instant,
}

impl Shared {
    /// The worker that is the home of a user (app and user id) or a room (app and room id).
    pub(crate) fn home(&self, key: impl std::hash::Hash) -> WorkerIndex {
        let hash = self.homes.hash_one(key);
        WorkerIndex(u16::try_from(hash % self.workers.len() as u64).expect("fewer than 65536 workers"))
    }
}

/// See the module.
struct Worker {
    index: WorkerIndex,
    shared: Arc<Shared>,
    metrics: metrics::Local,
    connections: RefCell<SlotMap<ConnectionKey, Rc<Connection>>>,
    wheel: RefCell<TimerWheel<ConnectionKey>>,
    slices: RefCell<Slices>,
    rooms: RefCell<Rooms>,
    users: RefCell<Users>,
    guesses: RefCell<Guesses>,
    broadcasts: RefCell<Broadcasts>,
    broadcast_wanted: Notify,
    announcements: RefCell<Announcements>,
    announcement_wanted: Notify,
    mailboxes: RefCell<Mailboxes>,
    /// For what comes back from other threads.
    outside: Outside,
    scratch: RefCell<Vec<u8>>,
    /// What flushes came to since it was last looked at.
    moved: RefCell<Moved>,
    private_bytes: Cell<usize>,
    /// Events of conversations that wait for sessions that are asking what they missed.
    held_bytes: HeldBytes,
    /// Connections with something new in their outbox, to be flushed at the end of the pump's turn.
    unflushed: RefCell<Vec<ConnectionKey>>,
    sockets: Rc<ReadySockets>,
    pump_wanted: Notify,
    sweep_wanted: Notify,
    /// Tasks of this worker that the runtime does not count.
    local_tasks: Cell<usize>,
    stopping: Cell<bool>,
    /// Where this worker has a QUIC endpoint.
    endpoint: RefCell<Option<quinn::Endpoint>>,
}

impl Worker {
    fn new(
        index: WorkerIndex,
        shared: Arc<Shared>,
        mailboxes: Mailboxes,
        outside: Outside,
        sockets: Rc<ReadySockets>,
    ) -> Rc<Self> {
        let now = Instant::now();
        let rules = Rules::new(
            shared.config.rooms.clone(),
            &shared.config.apps,
            shared.policies.clone(),
            shared.room_places.clone(),
        );
        let log_bytes_max = rules.rooms.log_bytes;
        Rc::new(Self {
            index,
            metrics: shared.registry.local(),
            connections: RefCell::default(),
            wheel: RefCell::new(TimerWheel::new(now)),
            slices: RefCell::new(Slices::new(log_bytes_max)),
            rooms: RefCell::new(Rooms::new(index, rules)),
            users: RefCell::new(Users::new(shared.config.sessions.resume_window)),
            guesses: RefCell::new(Guesses::new(shared.config.connections.failed_logins_per_minute)),
            broadcasts: RefCell::default(),
            broadcast_wanted: Notify::new(),
            announcements: RefCell::default(),
            announcement_wanted: Notify::new(),
            mailboxes: RefCell::new(mailboxes),
            outside,
            scratch: RefCell::new(vec![0; SCRATCH_BYTES]),
            moved: RefCell::default(),
            private_bytes: Cell::new(0),
            held_bytes: HeldBytes::default(),
            unflushed: RefCell::default(),
            sockets,
            pump_wanted: Notify::new(),
            sweep_wanted: Notify::new(),
            local_tasks: Cell::new(0),
            stopping: Cell::new(false),
            endpoint: RefCell::default(),
            shared,
        })
    }

    fn config(&self) -> &Config {
        &self.shared.config
    }

    fn connection(&self, key: ConnectionKey) -> Option<Rc<Connection>> {
        self.connections.borrow().get(key).cloned()
    }

    /// Does something for one connection. If that panics, the connection ends and everything else goes on.
    fn contain(self: &Rc<Self>, key: ConnectionKey, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.metrics.add(Metric::TaskPanics, 1);
            if let Some(connection) = self.connection(key) {
                self.forget(&connection);
            }
        }
    }

    /// Runs a task on this worker.
    fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        struct Alive(Rc<Worker>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.local_tasks.update(|tasks| tasks - 1);
            }
        }
        self.local_tasks.update(|tasks| tasks + 1);
        let alive = Alive(self.clone());
        tokio::task::spawn_local(async move {
            let _alive = alive;
            task.await;
        })
    }

    fn connection_ref(&self, key: ConnectionKey) -> ConnectionRef {
        ConnectionRef {
            worker: self.index,
            key,
        }
    }

    /// Deadlines, digests, counters: ten times a second.
    async fn tick(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut flushed = Instant::now();
        loop {
            interval.tick().await;
            let now = Now::read();
            self.fire_deadlines(now);
            let due = self.rooms.borrow_mut().tick(now);
            for (room, effect) in due.effects {
                self.carry_out(&room, None, effect);
            }
            self.expire_parked(now);
            for room in due.failed {
                for effect in self.destroy_faulty(&room) {
                    self.carry_out(&room, None, effect);
                }
            }
            self.pump_wanted.notify_one();
            self.count_moved();
            self.keep_the_budget();
            if now.instant - flushed >= FLUSH_INTERVAL {
                flushed = now.instant;
                self.flush_metrics();
            }
            let since_start = now.instant.duration_since(self.shared.started);
            let (lag, depth) = (self.slices.borrow().lag(), self.mailboxes.borrow().depth());
            self.shared.workers[self.index.get()].set(since_start, lag, depth);
        }
    }

    fn fire_deadlines(self: &Rc<Self>, now: Now) {
        let due = self.wheel.borrow_mut().advance(now.instant);
        for (key, tick) in due {
            if let Some(connection) = self.connection(key) {
                self.contain(key, || self.handle_deadline(&connection, tick, now));
            }
        }
    }

    /// Brings the counters up to date with what flushes came to.
    fn count_moved(&self) {
        let moved = self.moved.take();
        for (transport, bytes) in moved.bytes.into_iter().enumerate() {
            self.metrics.add_labelled(Metric::BytesSent, transport, bytes);
        }
        self.metrics
            .add_labelled(Metric::FramesSent, connection::SENT_ROOM, moved.room_frames);
        for (step, writes) in moved.batches.into_iter().enumerate() {
            self.metrics.add_labelled(Metric::RoomWrites, step, writes);
        }
        self.metrics.add_labelled(Metric::Datagrams, 0, moved.datagrams);
        self.metrics
            .add_labelled(Metric::Datagrams, 1, moved.datagrams_on_stream);
        for (class, count) in moved.shed.into_iter().enumerate() {
            self.metrics
                .add_labelled_twice(Metric::MessagesShed, class, SLOW_MEMBER, count);
        }
        self.metrics.add_labelled(Metric::Gaps, SLOW_MEMBER, moved.gaps);
        self.metrics.shift(Metric::BlockedMembers, moved.blocked);
        self.metrics.shift(Metric::PrivateBytes, moved.private_bytes);
        let private_bytes = self
            .private_bytes
            .get()
            .saturating_add_signed(moved.private_bytes as isize);
        self.private_bytes.set(private_bytes);
    }

    fn flush_metrics(&self) {
        self.count_moved();
        let rooms = self.rooms.borrow();
        self.metrics.set(Metric::Rooms, rooms.len());
        self.metrics.set(Metric::RoomMembers, rooms.members());
        self.metrics.set(Metric::RoomAttributeBytes, rooms.attribute_bytes());
        self.metrics.set(Metric::UsersOnline, self.users.borrow().len());
        self.metrics.set(Metric::SessionsParked, self.users.borrow().parked());
        self.metrics.set(Metric::RoomLogBytes, self.slices.borrow().log_bytes());
        self.metrics.set(Metric::ConversationHeldBytes, self.held_bytes.get());
        let of_runtime = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        self.metrics.set(Metric::Tasks, of_runtime + self.local_tasks.get());
        self.metrics.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::connection::{Connection, Task};
    use crate::outbox::Outbox;
    use crate::session::Online;
    use crate::transport::Socket;

    /// There are a hundred thousand of each. What grows here is paid for by every idle client.
    #[test]
    fn what_a_connection_keeps_is_small() {
        assert!(size_of::<Task>() <= 16);
        assert!(size_of::<Connection>() <= 224);
        assert!(size_of::<Outbox>() <= 112);
        assert!(size_of::<Online>() <= 64);
        assert!(size_of::<Socket>() <= 64);
    }
}
