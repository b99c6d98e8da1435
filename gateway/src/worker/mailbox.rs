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
    /// To a connection: the answer to a message.
    Reply {
        connection: ConnectionKey,
        frame: Bytes,
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

    pub(super) fn open(self, messages_max: usize) -> (mpsc::UnboundedReceiver<Vec<Message>>, Mailboxes) {
        let outgoing = self.addresses.iter().map(|_| Vec::new()).collect();
        let mailboxes = Mailboxes {
            index: self.index,
            own: VecDeque::new(),
            outgoing,
            addresses: self.addresses,
            messages_max,
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
    messages_max: usize,
}

impl Mailboxes {
    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.addresses.len()
    }

    /// Whether `worker` has as much before it as is allowed.
    pub(super) fn is_full(&self, worker: WorkerIndex) -> bool {
        let waiting = self.addresses[worker.get()].depth.load(Ordering::Relaxed);
        let unsent = if worker == self.index {
            self.own.len()
        } else {
            self.outgoing[worker.get()].len()
        };
        waiting + unsent >= self.messages_max
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
            self.own.push_back(message);
        } else {
            self.outgoing[worker.get()].push(message);
        }
    }

    /// The next value this worker sent to itself.
    pub(super) fn next_own(&mut self) -> Option<Message> {
        self.own.pop_front()
    }

    /// Takes in a batch that came from another worker.
    pub(super) fn take_in(&mut self, batch: Vec<Message>) {
        self.addresses[self.index.get()]
            .depth
            .fetch_sub(batch.len(), Ordering::Relaxed);
        self.own.extend(batch);
    }

    /// Sends what is queued for others, one batch for each.
    pub(super) fn send_batches(&mut self) {
        for (batch, address) in self.outgoing.iter_mut().zip(&self.addresses) {
            if !batch.is_empty() {
                let batch = std::mem::take(batch);
                address.depth.fetch_add(batch.len(), Ordering::Relaxed);
                // A worker that has ended takes no more: its connections are gone too.
                let _ = address.batches.send(batch);
            }
        }
    }

    /// Values that wait for this worker.
    pub(super) fn depth(&self) -> usize {
        self.own.len() + self.addresses[self.index.get()].depth.load(Ordering::Relaxed)
    }
}
