//! A connection and its task: reads frames, has commands handled, and goes on writing when the transport can.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sluice_protocol::ErrorCode;

use crate::admission::{ConnectionPermit, HandshakePermit};
use crate::fan_out::Slice;
use crate::handshake;
use crate::identity::{ConnectionKey, RoomKey, User, WorkerIndex};
use crate::metrics::Metric;
use crate::outbox::{Flush, Outbox, SharedOutbox};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::users::Arrival;
use crate::timer_wheel::Tick;
use crate::transport::{Transport, TransportKind};
use crate::worker::Worker;
use crate::worker::close::{CloseReason, shutdown};
use crate::worker::conversing::Conversing;
use crate::worker::mailbox::Message;
use crate::worker::resume::Walk;

/// One connection. Its task reads; whoever has something for it writes through the outbox.
pub(super) struct Connection {
    pub(super) key: ConnectionKey,
    pub(super) transport: Rc<Transport>,
    pub(super) outbox: SharedOutbox,
    /// It is flushed at the end of the pump's turn.
    pub(super) marked: Cell<bool>,
    pub(super) state: RefCell<State>,
}

impl Connection {
    /// The rooms it is inside.
    pub(super) fn rooms(&self) -> Vec<RoomKey> {
        let outbox = self.outbox.borrow();
        outbox.logs().map(|log| log.borrow().room().clone()).collect()
    }

    /// How many they are.
    pub(super) fn rooms_count(&self) -> usize {
        self.outbox.borrow().logs().len()
    }

    pub(super) fn is_inside(&self, room: &RoomKey) -> bool {
        let outbox = self.outbox.borrow();
        outbox.logs().any(|log| log.borrow().room() == room)
    }
}

/// What changes over a connection's life.
pub(super) struct State {
    pub(super) session: Session,
    /// The beginning of a frame whose end is still to come, or frames that wait while the connection is not read.
    pub(super) input: Vec<u8>,
    pub(super) in_flight: u16,
    /// What keeps it from being read although nothing waits for its client.
    pub(super) held: Held,
    pub(super) opened: Instant,
    pub(super) armed: Tick,
    pub(super) label: Label,
    pub(super) frames_received: u32,
    pub(super) bytes_received: u64,
    /// Why the connection ends, once that is decided.
    pub(super) reason: Option<CloseReason>,
    /// What the last frame said, once it is queued.
    pub(super) last: Option<Box<Refusal>>,
    /// The sending side is ended.
    pub(super) finished: bool,
    /// The client has ended its side and is given until then to get the answers that are still to come.
    pub(super) ended_until: Option<Instant>,
    /// The connection was not read on because of what it had asked already.
    pub(super) paused: bool,
    /// Since when the transport has taken nothing, and how many bytes it had taken then. Hardly anybody has one.
    pub(super) stalled: Option<Box<(Instant, u64)>>,
    pub(super) user: Option<Arc<User>>,
    /// Events of conversations, once the client has asked for them.
    pub(super) conversing: Conversing,
    /// What is still to be done. Until then nothing is read, so there is never more than one.
    pub(super) errand: Option<Box<Errand>>,
    handshake_permit: Option<HandshakePermit>,
    _permit: ConnectionPermit,
}

/// A command under way that nothing is read behind until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Not,
    /// It enters or leaves a room: what follows may depend on it, and the answer may be large.
    ByMove,
    /// It asks for what may be large. Over when all that was asked before is answered, too.
    ByQuestion,
}

/// What a connection has to do beyond waiting for an answer. In a box of its own, since hardly anybody has one.
pub(super) enum Errand {
    /// Rooms that are still to let in a session that was resumed.
    Walk(Walk),
    /// The room to leave once the one that is being entered has let the session in.
    Leave(RoomKey),
    /// The logout that waits for answers to what was asked before.
    LogOut(NonZeroU32),
    /// The login that the user's home is to be asked about.
    Register(Box<Arrival>),
}

impl State {
    /// The login that the user's home is to be asked about.
    pub(super) fn take_arrival(&mut self) -> Option<Box<Arrival>> {
        match self.errand.take().map(|errand| *errand) {
            Some(Errand::Register(arrival)) => Some(arrival),
            other => {
                self.errand = other.map(Box::new);
                None
            }
        }
    }

    /// The room to leave now that another has been entered, or could not be.
    pub(super) fn take_room_to_leave(&mut self) -> Option<RoomKey> {
        match self.errand.take().map(|errand| *errand) {
            Some(Errand::Leave(room)) => Some(room),
            other => {
                self.errand = other.map(Box::new);
                None
            }
        }
    }
}

/// The state that the gauge of connections shows. The numbers are those of the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Anonymous = 0,
    Online = 1,
    Closing = 2,
}

/// Whether the connection's task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Over,
}

impl Worker {
    /// Takes in a connection that was [counted](Self::count_opened) and runs its task. The time for the next step (the TLS handshake, or
    /// the login) runs from `since`.
    pub(super) fn open(
        self: &Rc<Self>,
        transport: Transport,
        permit: ConnectionPermit,
        handshake_permit: Option<HandshakePermit>,
        opened: Instant,
        since: Instant,
    ) {
        let kind = transport.kind();
        let session = if handshake_permit.is_some() {
            Session::handshaking(since, self.config())
        } else {
            Session::anonymous(since, self.config())
        };
        let transport = Rc::new(transport);
        let deadline = session.next_deadline(self.config());
        let connection = {
            let mut connections = self.connections.borrow_mut();
            let key = connections.insert_with_key(|key| {
                let armed = self.wheel.borrow_mut().arm(key, deadline);
                let private_bytes_max = self.config().connections.private_queue_bytes;
                let outbox = Outbox::new(key, transport.clone(), private_bytes_max, kind as u8);
                Rc::new(Connection {
                    key,
                    transport,
                    outbox: Rc::new(RefCell::new(outbox)),
                    marked: Cell::new(false),
                    state: RefCell::new(State {
                        session,
                        input: Vec::new(),
                        in_flight: 0,
                        held: Held::Not,
                        opened,
                        armed,
                        label: Label::Anonymous,
                        frames_received: 0,
                        bytes_received: 0,
                        reason: None,
                        last: None,
                        finished: false,
                        ended_until: None,
                        paused: false,
                        stalled: None,
                        user: None,
                        conversing: Conversing::default(),
                        errand: None,
                        handshake_permit,
                        _permit: permit,
                    }),
                })
            });
            connections[key].clone()
        };
        match connection.transport.socket() {
            Some(_) => self.watch(&connection),
            None => self.spawn_task(&connection),
        }
        if self.stopping.get() {
            // It was on its way in when the others were told.
            self.close(&connection, &shutdown(Duration::ZERO), CloseReason::Shutdown);
        }
    }

    /// Counts a connection that came in.
    pub(super) fn count_opened(&self, kind: TransportKind) {
        self.metrics.add_labelled(Metric::ConnectionsOpened, kind as usize, 1);
        self.metrics
            .shift_labelled_twice(Metric::Connections, kind as usize, Label::Anonymous as usize, 1);
    }

    /// Counts a connection that is gone.
    pub(super) fn count_closed(&self, kind: TransportKind, label: Label, reason: CloseReason, lived: Duration) {
        self.metrics
            .shift_labelled_twice(Metric::Connections, kind as usize, label as usize, -1);
        self.metrics
            .add_labelled_twice(Metric::ConnectionsClosed, kind as usize, reason as usize, 1);
        self.metrics.record(Metric::ConnectionDuration, 0, lived.as_secs_f64());
    }

    pub(super) fn set_label(&self, connection: &Connection, state: &mut State, label: Label) {
        let kind = connection.transport.kind() as usize;
        self.metrics
            .shift_labelled_twice(Metric::Connections, kind, state.label as usize, -1);
        self.metrics
            .shift_labelled_twice(Metric::Connections, kind, label as usize, 1);
        state.label = label;
    }

    /// Writes what a connection has to send, and lets its rooms forget what it got.
    pub(super) fn flush(&self, connection: &Connection) -> Flush {
        connection.outbox.borrow_mut().flush(&mut self.moved.borrow_mut())
    }

    pub(super) fn poll(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        connection.transport.set_waker(cx.waker());
        if connection.outbox.borrow().is_broken() {
            return self.broken(connection);
        }
        if connection.state.borrow().session.is_handshaking() {
            return self.poll_handshake(connection);
        }
        let progress = match self.poll_write(connection, cx) {
            Progress::Waiting => self.poll_read(connection, cx),
            Progress::Over => Progress::Over,
        };
        if progress == Progress::Waiting && self.flush(connection) == Flush::Broken {
            return self.broken(connection);
        }
        self.finish_if_drained(connection);
        self.resume_reading(connection);
        progress
    }

    fn poll_handshake(self: &Rc<Self>, connection: &Rc<Connection>) -> Progress {
        let Transport::Tls(tls) = &*connection.transport else {
            unreachable!("only TLS is handshaken here")
        };
        let kind = connection.transport.kind() as usize;
        match tls.poll_handshake() {
            Poll::Pending => Progress::Waiting,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "handshake");
                connection.state.borrow_mut().reason = Some(CloseReason::HandshakeFailed);
                self.metrics.add_labelled(Metric::HandshakeFailures, kind, 1);
                Progress::Over
            }
            Poll::Ready(Ok(done)) => {
                let now = Instant::now();
                {
                    let mut state = connection.state.borrow_mut();
                    state.handshake_permit = None;
                    state.session.handle_secured(now, self.config());
                    self.metrics
                        .record(Metric::HandshakeDuration, kind, (now - state.opened).as_secs_f64());
                }
                self.metrics.add(Metric::TlsResumed, u64::from(done.resumed));
                self.rearm(connection, now);
                if let Err(refusal) = handshake::check_alpn(done.alpn.as_deref()) {
                    self.close(connection, &refusal, CloseReason::HandshakeFailed);
                }
                // On with what came behind the handshake.
                connection.outbox.borrow().wake();
                Progress::Waiting
            }
        }
    }

    /// Goes on writing if the transport was full and is not any more.
    fn poll_write(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        let mut unblocked = false;
        let lag_bytes_max = Slice::lag_bytes_max(self.config().rooms.log_bytes);
        while connection.outbox.borrow().is_blocked() {
            match connection.transport.poll_writable(cx) {
                Poll::Pending => return Progress::Waiting,
                Poll::Ready(Err(_)) => return self.broken(connection),
                Poll::Ready(Ok(())) => {
                    connection
                        .outbox
                        .borrow_mut()
                        .unblock(lag_bytes_max, &mut self.moved.borrow_mut());
                    unblocked = true;
                    if self.flush(connection) == Flush::Broken {
                        return self.broken(connection);
                    }
                }
            }
        }
        if unblocked {
            // What this member held back in the logs of its rooms can be forgotten.
            let rooms = connection.rooms();
            let mut slices = self.slices.borrow_mut();
            rooms.iter().for_each(|room| slices.on_progress(room));
            self.sweep_wanted.notify_one();
        }
        Progress::Waiting
    }

    /// Queues the answer to a client's own command.
    pub(super) fn answer(&self, connection: &Connection, frame: &[u8]) {
        self.metrics.add_labelled(Metric::FramesSent, SENT_REPLY, 1);
        connection
            .outbox
            .borrow_mut()
            .push_answer(frame, &mut self.moved.borrow_mut());
    }

    pub(super) fn broken(&self, connection: &Connection) -> Progress {
        connection.state.borrow_mut().reason.get_or_insert(CloseReason::Broken);
        Progress::Over
    }

    pub(super) fn home_of_user(&self, user: &User) -> WorkerIndex {
        self.home((user.app, &user.id))
    }

    pub(super) fn home_of_room(&self, room: &RoomKey) -> WorkerIndex {
        self.home((room.app, &room.id))
    }

    fn home(&self, key: impl std::hash::Hash) -> WorkerIndex {
        self.shared.home(key)
    }

    pub(super) fn post(&self, worker: WorkerIndex, message: Message) {
        self.mailboxes.borrow_mut().post(worker, message);
        self.pump_wanted.notify_one();
    }

    pub(super) fn count_refusal(&self, refusal: &Refusal) {
        if refusal.code == ErrorCode::NO_ERROR {
            return;
        }
        self.metrics.add_code(refusal.code);
        self.count_token_reject(refusal);
    }

    pub(super) fn count_token_reject(&self, refusal: &Refusal) {
        let reasons = crate::metrics::label::TOKEN_REJECTION.values;
        if matches!(
            refusal.code,
            ErrorCode::TOKEN_INVALID | ErrorCode::APP_KEY_TOKEN_MISMATCH
        ) && let Some(reason) = reasons.iter().position(|reason| *reason == refusal.detail)
        {
            self.metrics.add_labelled(Metric::TokenRejects, reason, 1);
        }
    }
}

/// Values of labels, by their place in the table of metrics.
const SENT_REPLY: usize = 0;
pub(super) const SENT_EVENT: usize = 1;
pub(super) const SENT_ROOM: usize = 2;

/// The task of a connection over QUIC. Those over sockets are looked after by [`Worker::serve_sockets`].
pub(super) struct Task {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
}

impl Worker {
    fn spawn_task(self: &Rc<Self>, connection: &Rc<Connection>) {
        self.local_tasks.update(|tasks| tasks + 1);
        tokio::task::spawn_local(Task {
            worker: self.clone(),
            connection: connection.clone(),
        });
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.worker.poll(&self.connection, cx) {
            Progress::Waiting => Poll::Pending,
            Progress::Over => Poll::Ready(()),
        }
    }
}

impl Drop for Task {
    /// Whatever ends the task, a panic too, the connection leaves nothing behind.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.worker.metrics.add(Metric::TaskPanics, 1);
        }
        self.worker.local_tasks.update(|tasks| tasks - 1);
        self.worker.forget(&self.connection);
    }
}
