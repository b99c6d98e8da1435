//! Values between workers: batches in, batches out, and a bound on what waits.
//!
//! The bound is kept where work comes in: a client's command is refused when the mailbox of its room's home is full, and a message
//! when any is, since it may go to all. What follows from a command that was taken (answers, deliveries) always gets through,
//! so nothing accepted is lost here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sluice_protocol::ErrorCode;
use tokio::sync::mpsc;

use crate::class::Class;
use crate::identity::{Caller, ConnectionKey, ConnectionRef, RoomKey, User, UserKey, WorkerIndex};
use crate::refusal::Refusal;
use crate::room;
use crate::session::login::Accepted;

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
    Register {
        connection: ConnectionRef,
        request_id: u32,
        login: Box<Accepted>,
    },
    /// To a user's home: a session ended.
    Unregister { user: UserKey, connection: ConnectionRef },
    /// To a connection: what the user's home decided.
    Registered {
        connection: ConnectionKey,
        request_id: u32,
        login: Box<Accepted>,
        result: Result<(), Refusal>,
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
    /// To a slice: a frame for all members.
    Publish {
        room: RoomKey,
        frame: Bytes,
        sequence: u64,
        class: Class,
    },
}

impl Message {
    /// What it counts against the bound of a mailbox: one, and one for each KiB it carries.
    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Room {
                request: room::Request::Send(message),
                ..
            } => message.content.len(),
            Self::Publish { frame, .. } => frame.len(),
            _ => 0,
        };
        1 + bytes / 1024
    }
}

fn weight_of(batch: &[Message]) -> usize {
    batch.iter().map(Message::weight).sum()
}

/// The way to a worker.
#[derive(Debug, Clone)]
struct Address {
    batches: mpsc::UnboundedSender<Vec<Message>>,
    depth: Arc<AtomicUsize>,
}

/// A worker's mailbox and the addresses of all, before the worker runs.
#[derive(Debug)]
pub(crate) struct Mailbox {
    index: WorkerIndex,
    incoming: mpsc::UnboundedReceiver<Vec<Message>>,
    addresses: Vec<Address>,
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

    pub(super) fn open(self, weight_max: usize) -> (mpsc::UnboundedReceiver<Vec<Message>>, Mailboxes) {
        let mailboxes = Mailboxes {
            index: self.index,
            own: VecDeque::new(),
            own_weight: 0,
            outgoing: self.addresses.iter().map(|_| Vec::new()).collect(),
            addresses: self.addresses,
            weight_max,
        };
        (self.incoming, mailboxes)
    }
}

/// The sending side of one worker. What it sends to itself goes no detour.
#[derive(Debug)]
pub(super) struct Mailboxes {
    index: WorkerIndex,
    own: VecDeque<Message>,
    own_weight: usize,
    outgoing: Vec<Vec<Message>>,
    addresses: Vec<Address>,
    weight_max: usize,
}

impl Mailboxes {
    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.addresses.len()
    }

    /// Whether `worker` has as much before it as is allowed.
    pub(super) fn is_full(&self, worker: WorkerIndex) -> bool {
        let own = if worker == self.index { self.own_weight } else { 0 };
        own + self.addresses[worker.get()].depth.load(Ordering::Relaxed) >= self.weight_max
    }

    /// Whether any worker has as much before it as is allowed.
    pub(super) fn is_any_full(&self) -> bool {
        (0..)
            .zip(&self.addresses)
            .any(|(index, _)| self.is_full(WorkerIndex(index)))
    }

    /// Queues a value. It leaves with the next [`Self::send_batches`].
    pub(super) fn post(&mut self, worker: WorkerIndex, message: Message) {
        if worker == self.index {
            self.own_weight += message.weight();
            self.own.push_back(message);
        } else {
            self.addresses[worker.get()]
                .depth
                .fetch_add(message.weight(), Ordering::Relaxed);
            self.outgoing[worker.get()].push(message);
        }
    }

    /// The next value this worker sent to itself.
    pub(super) fn next_own(&mut self) -> Option<Message> {
        let message = self.own.pop_front()?;
        self.own_weight -= message.weight();
        Some(message)
    }

    /// Takes in a batch that came from another worker.
    pub(super) fn take_in(&mut self, batch: Vec<Message>) {
        let weight = weight_of(&batch);
        self.addresses[self.index.get()]
            .depth
            .fetch_sub(weight, Ordering::Relaxed);
        self.own_weight += weight;
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
        self.own_weight + self.addresses[self.index.get()].depth.load(Ordering::Relaxed)
    }
}
