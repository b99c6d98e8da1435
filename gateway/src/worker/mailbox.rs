//! Values between workers: batches in, batches out, and a bound on what waits.
//!
//! The bound is kept where work comes in: a client's command is refused when the mailbox of its room's home is full, and a message
//! or a change of a conversation when any is, since it may go to all. What follows from a command that was taken (answers, deliveries) always gets through,
//! so nothing accepted is lost here.

mod depth;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use sluice_protocol::{ErrorCode, RoomId};
use tokio::sync::{mpsc, oneshot};

use crate::class::Class;
use crate::identity::{AppIndex, Caller, ConnectionKey, ConnectionRef, RoomKey, User, UserKey, WorkerIndex};
use crate::refusal::Refusal;
use crate::room::{self, Entered};
use crate::session::parked::Lost;
use crate::session::users::{Arrival, Ended, Granted};
use crate::worker::announce::Announcement;
use crate::worker::conversing::{Conversed, Delivery, Happened, Page, Settled};

use depth::Depth;

/// Whose atomics [`depth`] counts with; its model has others.
mod sync {
    pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
}

/// A value for one worker.
#[derive(Debug)]
pub(super) enum Message {
    /// To a room's home: what somebody asks of it.
    Room {
        room: RoomKey,
        caller: Caller,
        request: room::Request,
    },
    /// To a user's home: a login that is good in itself.
    Register(Box<Arrival>),
    /// To a user's home: a session ended for good.
    Unregister {
        user: UserKey,
        connection: ConnectionRef,
        ended: Ended,
    },
    /// To a user's home: the connection of a session is lost.
    Detached(Box<Lost>),
    /// To a user's home: a connection was lost before it heard that it goes on with this session.
    Returned { connection: ConnectionRef, lost: Box<Lost> },
    /// To a connection: what the user's home decided.
    Registered {
        arrival: Box<Arrival>,
        result: Result<Granted, Refusal>,
    },
    /// To a connection: its session goes on elsewhere.
    Supplant { connection: ConnectionKey },
    /// To a user's home: the app's server puts a user out of everything, for this reason.
    Evict {
        user: UserKey,
        refusal: Refusal,
        answer: oneshot::Sender<()>,
    },
    /// To a user's home: which of them have a connection, in this order.
    Online {
        users: Vec<UserKey>,
        answer: oneshot::Sender<Vec<bool>>,
    },
    /// To a user's home: an event for all connections of a user.
    Notify { user: UserKey, frame: Bytes },
    /// To a worker: an event for all its connections that are logged in to an app.
    Broadcast {
        app: AppIndex,
        frame: Bytes,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// To a worker: a message for all rooms of an app whose home it is.
    Announce {
        announcement: Box<Announcement>,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// To a worker: so many of an app's rooms that are muted, whose home it is, the first by their ids.
    MutedRooms {
        app: AppIndex,
        limit: usize,
        answer: oneshot::Sender<Vec<RoomId>>,
    },
    /// To a connection: the answer to a message, or that there is none because none is wanted.
    Reply {
        connection: ConnectionKey,
        frame: Option<Bytes>,
        code: ErrorCode,
    },
    /// To a connection: the answer to a try to enter or leave a room that changed nothing.
    Unchanged {
        connection: ConnectionKey,
        frame: Bytes,
        code: ErrorCode,
    },
    /// To a connection: it is inside a room.
    Admit {
        connection: ConnectionKey,
        user: Arc<User>,
        room: RoomKey,
        frames: Vec<Bytes>,
        how: Entered,
    },
    /// To a connection: it is outside a room.
    Dismiss {
        connection: ConnectionKey,
        room: RoomKey,
        frame: Option<Bytes>,
    },
    /// To a connection: the server ends it.
    Close {
        connection: ConnectionKey,
        refusal: Refusal,
    },
    /// To a room's home: what the app's server asks of it.
    Order {
        room: RoomKey,
        order: Box<room::Order>,
        answer: oneshot::Sender<OrderResult>,
    },
    /// To a connection: it was put out of a room.
    Expel {
        connection: ConnectionKey,
        room: RoomKey,
        frame: Bytes,
    },
    /// To a connection: it was to go on in a room and is not inside any more.
    NotResumed {
        connection: ConnectionKey,
        room: RoomKey,
        frame: Bytes,
    },
    /// To users' homes: an event of a conversation, for all connections of these users.
    Deliver(Box<Delivery>),
    /// To connections: an event of a conversation.
    Converse {
        connections: Vec<ConnectionKey>,
        event: Arc<Happened>,
    },
    /// To a connection: the answer to a command about conversations.
    Conversed {
        connection: ConnectionKey,
        answer: Box<Conversed>,
    },
    /// To a user's home: the answer to a message, behind what was kept before it.
    Answer {
        connection: ConnectionRef,
        answer: Box<Conversed>,
    },
    /// To a user's home: all that was kept before a page was read has been told.
    Settle {
        connection: ConnectionRef,
        sync: u32,
        settled: Settled,
    },
    /// To a connection: the same, behind what its user's home had to tell it.
    Settled {
        connection: ConnectionKey,
        sync: u32,
        settled: Settled,
    },
    /// To a connection: a page of what it missed.
    Synced { connection: ConnectionKey, page: Box<Page> },
    /// To a connection: an event for it alone.
    Event { connection: ConnectionKey, frame: Bytes },
    /// To a slice: its room is no more, as this frame tells the members.
    Destroy { room: RoomKey, frame: Bytes },
    /// To a slice: a frame for all members.
    Publish {
        room: RoomKey,
        frame: Bytes,
        sequence: u64,
        class: Class,
    },
}

/// What becomes of an order of the app's server.
pub(crate) type OrderResult = Result<room::Answer, Refusal>;

/// A value counts as one more for each of these that it carries.
const WEIGHT_BYTES: usize = 1024;

impl Message {
    /// The connection of the receiving worker that it is for, if it is for one alone.
    pub(super) fn connection(&self) -> Option<ConnectionKey> {
        match self {
            Self::Registered { arrival, .. } => Some(arrival.connection.key),
            Self::Supplant { connection }
            | Self::Reply { connection, .. }
            | Self::Unchanged { connection, .. }
            | Self::Admit { connection, .. }
            | Self::Dismiss { connection, .. }
            | Self::Expel { connection, .. }
            | Self::NotResumed { connection, .. }
            | Self::Event { connection, .. }
            | Self::Conversed { connection, .. }
            | Self::Settled { connection, .. }
            | Self::Synced { connection, .. }
            | Self::Close { connection, .. } => Some(*connection),
            Self::Room { .. }
            | Self::Register(_)
            | Self::Unregister { .. }
            | Self::Detached(_)
            | Self::Returned { .. }
            | Self::Evict { .. }
            | Self::Online { .. }
            | Self::Notify { .. }
            | Self::Broadcast { .. }
            | Self::Announce { .. }
            | Self::MutedRooms { .. }
            | Self::Order { .. }
            | Self::Deliver(_)
            | Self::Converse { .. }
            | Self::Answer { .. }
            | Self::Settle { .. }
            | Self::Destroy { .. }
            | Self::Publish { .. } => None,
        }
    }

    /// What it counts against the bound of a mailbox: one, and one for each KiB it carries.
    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Room { request, .. } => request.bytes(),
            Self::Order { order, .. } => match &**order {
                room::Order::Publish(message) => message.content.len(),
                room::Order::WriteAttributes { write, .. } => write.bytes(),
                _ => 0,
            },
            Self::Deliver(delivery) => delivery.event.frame.len(),
            // Shared while it waits, but copied for each connection.
            Self::Converse { connections, event } => event.frame.len() * connections.len(),
            Self::Conversed { answer, .. } | Self::Answer { answer, .. } => answer.frame.len(),
            Self::Synced { page, .. } => page.frame.len(),
            Self::Announce { announcement, .. } => announcement.message.content.len(),
            Self::Publish { frame, .. }
            | Self::Notify { frame, .. }
            | Self::Broadcast { frame, .. }
            | Self::Unchanged { frame, .. }
            | Self::Expel { frame, .. }
            | Self::NotResumed { frame, .. }
            | Self::Event { frame, .. }
            | Self::Destroy { frame, .. } => frame.len(),
            Self::Reply { frame, .. } | Self::Dismiss { frame, .. } => frame.as_ref().map_or(0, Bytes::len),
            // Shared while it waits, but each of them is copied for its connection.
            Self::Admit { frames, .. } => frames.iter().map(Bytes::len).sum(),
            Self::Register(_)
            | Self::Unregister { .. }
            | Self::Detached(_)
            | Self::Returned { .. }
            | Self::Registered { .. }
            | Self::Supplant { .. }
            | Self::Evict { .. }
            | Self::Online { .. }
            | Self::MutedRooms { .. }
            | Self::Settle { .. }
            | Self::Settled { .. }
            | Self::Close { .. } => 0,
        };
        1 + bytes / WEIGHT_BYTES
    }
}

/// The way to a worker.
#[derive(Debug, Clone)]
struct Address {
    batches: mpsc::UnboundedSender<Vec<Message>>,
    depth: Arc<Depth>,
}

/// A worker's mailbox and the addresses of all, before the worker runs.
#[derive(Debug)]
pub(crate) struct Mailbox {
    index: WorkerIndex,
    incoming: mpsc::UnboundedReceiver<Vec<Message>>,
    addresses: Vec<Address>,
}

/// The way to all workers for those who are none.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    addresses: Vec<Address>,
    weight_max: usize,
}

/// A mailbox has as much in it as is allowed, or its worker is gone.
#[derive(Debug)]
pub(super) struct Full;

impl Outside {
    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.addresses.len()
    }

    /// Whether any worker has as much before it as is allowed.
    pub(super) fn is_any_full(&self) -> bool {
        is_any_full(&self.addresses, self.weight_max)
    }

    /// Sends what follows from something that was taken: it always gets through.
    pub(super) fn post_always(&self, worker: WorkerIndex, message: Message) {
        let address = &self.addresses[worker.get()];
        address.depth.add(message.weight());
        // A worker that has ended takes no more: its connections are gone too.
        let _ = address.batches.send(vec![message]);
    }

    /// Sends a value to a worker.
    pub(super) fn post(&self, worker: WorkerIndex, message: Message) -> Result<(), Full> {
        let address = &self.addresses[worker.get()];
        if address.depth.get() >= self.weight_max {
            return Err(Full);
        }
        let weight = message.weight();
        address.depth.add(weight);
        address.batches.send(vec![message]).map_err(|_| {
            address.depth.subtract(weight);
            Full
        })
    }
}

fn is_any_full(addresses: &[Address], weight_max: usize) -> bool {
    addresses.iter().any(|address| address.depth.get() >= weight_max)
}

/// One mailbox for each of `workers`.
pub(crate) fn mailboxes(workers: usize) -> Vec<Mailbox> {
    let (addresses, incoming): (Vec<_>, Vec<_>) = (0..workers)
        .map(|_| {
            let (batches, incoming) = mpsc::unbounded_channel();
            (
                Address {
                    batches,
                    depth: Arc::default(),
                },
                incoming,
            )
        })
        .unzip();
    (0..)
        .zip(incoming)
        .map(|(index, incoming)| Mailbox {
            index: WorkerIndex(index),
            incoming,
            addresses: addresses.clone(),
        })
        .collect()
}

impl Mailbox {
    pub(crate) fn index(&self) -> WorkerIndex {
        self.index
    }

    /// A way to all workers from outside, with the bound that they keep themselves.
    pub(crate) fn outside(&self, weight_max: usize) -> Outside {
        Outside {
            addresses: self.addresses.clone(),
            weight_max,
        }
    }

    pub(super) fn open(self, weight_max: usize) -> (mpsc::UnboundedReceiver<Vec<Message>>, Mailboxes) {
        let mailboxes = Mailboxes {
            index: self.index,
            own: VecDeque::new(),
            outgoing: self.addresses.iter().map(|_| Vec::new()).collect(),
            addresses: self.addresses,
            weight_max,
            held: 0,
        };
        (self.incoming, mailboxes)
    }
}

/// The sending side of one worker. What it sends to itself goes no detour.
#[derive(Debug)]
pub(super) struct Mailboxes {
    index: WorkerIndex,
    own: VecDeque<Message>,
    outgoing: Vec<Vec<Message>>,
    addresses: Vec<Address>,
    weight_max: usize,
    /// Counted as if it waited.
    held: usize,
}

impl Mailboxes {
    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.addresses.len()
    }

    /// Whether `worker` has as much before it as is allowed.
    pub(super) fn is_full(&self, worker: WorkerIndex) -> bool {
        self.addresses[worker.get()].depth.get() >= self.weight_max
    }

    /// Whether any worker has.
    pub(super) fn is_any_full(&self) -> bool {
        is_any_full(&self.addresses, self.weight_max)
    }

    /// Queues a value. It leaves with the next [`Self::send_batches`].
    pub(super) fn post(&mut self, worker: WorkerIndex, message: Message) {
        // Counted from here until it is taken out, so that every worker sees how much is before each.
        self.addresses[worker.get()].depth.add(message.weight());
        if worker == self.index {
            self.own.push_back(message);
        } else {
            self.outgoing[worker.get()].push(message);
        }
    }

    /// The next value for this worker: of its own, or [taken in](Self::take_in) from others.
    pub(super) fn next_own(&mut self) -> Option<Message> {
        let message = self.own.pop_front()?;
        self.addresses[self.index.get()].depth.subtract(message.weight());
        Some(message)
    }

    /// Counts `bytes` that this worker has taken out and is still behind with as if they waited, instead of those of the last call:
    /// everybody sees how much is before it.
    pub(super) fn hold(&mut self, bytes: usize) {
        let held = bytes.div_ceil(WEIGHT_BYTES);
        self.addresses[self.index.get()].depth.replace(self.held, held);
        self.held = held;
    }

    /// Takes in a batch that came from another worker.
    pub(super) fn take_in(&mut self, batch: Vec<Message>) {
        self.own.extend(batch);
    }

    /// Sends what is queued for others, one batch for each.
    pub(super) fn send_batches(&mut self) {
        for (batch, address) in self.outgoing.iter_mut().zip(&self.addresses) {
            if !batch.is_empty() {
                let batch = std::mem::take(batch);
                // A worker that has ended takes no more: its connections are gone too.
                let _ = address.batches.send(batch);
            }
        }
    }

    /// The weight of what waits for this worker.
    pub(super) fn depth(&self) -> usize {
        self.addresses[self.index.get()].depth.get()
    }
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{IdProfile, UserId};

    use super::*;

    const HERE: WorkerIndex = WorkerIndex(0);
    const THERE: WorkerIndex = WorkerIndex(1);

    fn two_workers(weight_max: usize) -> [(mpsc::UnboundedReceiver<Vec<Message>>, Mailboxes); 2] {
        let mailboxes = mailboxes(2).into_iter().map(|mailbox| mailbox.open(weight_max));
        mailboxes.collect::<Vec<_>>().try_into().expect("two")
    }

    fn room() -> RoomKey {
        RoomKey {
            app: AppIndex(0),
            id: RoomId::parse("lobby").expect("a room id"),
        }
    }

    fn frame_of(bytes: usize) -> Message {
        Message::Publish {
            room: room(),
            frame: vec![0; bytes].into(),
            sequence: 1,
            class: Class::Low,
        }
    }

    #[test]
    fn many_small_values_fill_a_mailbox() {
        let [(_, mut mailboxes), _] = two_workers(3);
        for worker in [HERE, THERE] {
            for _ in 0..3 {
                assert!(!mailboxes.is_full(worker));
                mailboxes.post(worker, frame_of(100));
            }
            assert!(mailboxes.is_full(worker));
        }
    }

    #[test]
    fn a_few_large_values_fill_a_mailbox_too() {
        let [(_, mut mailboxes), _] = two_workers(64);
        mailboxes.post(HERE, frame_of(32 * 1024));
        assert_eq!(mailboxes.depth(), 33);
        assert!(!mailboxes.is_full(HERE));
        mailboxes.post(HERE, frame_of(32 * 1024));
        assert!(mailboxes.is_full(HERE));
        assert!(!mailboxes.is_full(THERE));
    }

    #[test]
    fn a_history_weighs_for_each_who_joins() {
        let [(_, mut mailboxes), _] = two_workers(64);
        let message = Bytes::from(vec![0; 10 * 1024]);
        for joined in 1..=2 {
            let admit = Message::Admit {
                connection: ConnectionKey::default(),
                user: Arc::new(User {
                    app: AppIndex(0),
                    id: UserId::parse("alice", IdProfile::Zim).expect("a user id"),
                    name: "".into(),
                }),
                room: room(),
                frames: vec![message.clone(); 3],
                how: Entered::Joined,
            };
            mailboxes.post(HERE, admit);
            assert_eq!(mailboxes.depth(), joined * 31);
        }
        while mailboxes.next_own().is_some() {}
        assert_eq!(mailboxes.depth(), 0);
    }

    #[test]
    fn what_is_asked_and_answered_weighs_as_much_as_it_carries() {
        let [(_, mut mailboxes), _] = two_workers(64);
        let connection = ConnectionKey::default();
        let frame = Bytes::from(vec![0; 430 * 1024]);
        mailboxes.post(
            HERE,
            Message::Event {
                connection,
                frame: frame.clone(),
            },
        );
        assert_eq!(mailboxes.depth(), 431);
        let answer = Message::Reply {
            connection,
            frame: Some(frame),
            code: ErrorCode::NO_ERROR,
        };
        mailboxes.post(HERE, answer);
        assert_eq!(mailboxes.depth(), 2 * 431);
        let write = room::Write::Set {
            entries: vec![("k".repeat(128), "v".repeat(4096)); 10],
            force: true,
            take_over: false,
            delete_on_leave: false,
            if_version: None,
        };
        let order = Message::Order {
            room: room(),
            order: Box::new(room::Order::WriteAttributes { by: None, write }),
            answer: oneshot::channel().0,
        };
        mailboxes.post(HERE, order);
        assert_eq!(mailboxes.depth(), 2 * 431 + 42);
        while mailboxes.next_own().is_some() {}
        assert_eq!(mailboxes.depth(), 0);
    }

    #[test]
    fn a_mailbox_is_as_light_as_before_when_all_is_taken_out() {
        let [(_, mut sender), (mut incoming, mut receiver)] = two_workers(64);
        let sizes = [0, 1023, 1024, 5000, 40_000];
        for bytes in sizes {
            sender.post(THERE, frame_of(bytes));
            receiver.post(THERE, frame_of(bytes));
        }
        // What is under way counts, whether it was sent or not.
        assert!(sender.is_full(THERE) && receiver.is_full(THERE));
        sender.send_batches();
        assert!(sender.is_full(THERE) && receiver.is_full(THERE));
        receiver.take_in(incoming.try_recv().expect("a batch"));
        assert!(sender.is_full(THERE) && receiver.is_full(THERE));
        for _ in 0..2 * sizes.len() {
            assert!(receiver.next_own().is_some());
        }
        assert!(receiver.next_own().is_none());
        assert_eq!(receiver.depth(), 0);
        assert!(!sender.is_full(HERE) && !receiver.is_full(THERE));
    }
}
