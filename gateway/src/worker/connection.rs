//! A connection and its task: reads frames, has commands handled, and goes on writing when the transport can.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sluice_codec::{ClientFrame, FrameError, open_client_frame, split_frame};
use sluice_protocol::{ErrorCode, frame::Body};

use crate::admission::{ConnectionPermit, HandshakePermit};
use crate::clock::Now;
use crate::handshake;
use crate::identity::{Caller, ConnectionKey, RoomKey, User, WorkerIndex};
use crate::metrics::Metric;
use crate::outbox::{Flush, Outbox, SharedOutbox};
use crate::refusal::Refusal;
use crate::room;
use crate::session::Session;
use crate::session::dispatch::{self, Action};
use crate::timer_wheel::Tick;
use crate::transport::{Transport, TransportKind};
use crate::worker::Worker;
use crate::worker::close::CloseReason;
use crate::worker::mailbox::Message;

/// Commands of one client that wait for an answer. A client that sends more is not read until some are answered.
const IN_FLIGHT_MAX: u16 = 256;

/// Reads in a row before other connections get their turn.
const READS_PER_TURN: usize = 4;

/// One connection. Its task reads; whoever has something for it writes through the outbox.
pub(super) struct Connection {
    pub(super) key: ConnectionKey,
    pub(super) transport: Rc<Transport>,
    pub(super) outbox: SharedOutbox,
    pub(super) state: RefCell<State>,
}

/// What changes over a connection's life.
pub(super) struct State {
    pub(super) session: Session,
    /// The beginning of a frame whose end is still to come, or frames that wait while the connection is not read.
    pub(super) input: Vec<u8>,
    pub(super) in_flight: u16,
    /// A command to enter or leave a room is under way. Until it is answered nothing more is read: what follows may depend on it,
    /// and the answer may be large.
    pub(super) moving: bool,
    /// The answer to a logout that waits for answers to what was asked before.
    pub(super) leaving: Option<Box<[u8]>>,
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
    pub(super) user: Option<Arc<User>>,
    handshake_permit: Option<HandshakePermit>,
    _permit: ConnectionPermit,
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
enum Progress {
    Waiting,
    Over,
}

impl Worker {
    /// Takes in a connection that was [counted](Self::count_opened) and runs its task.
    pub(super) fn open(
        self: &Rc<Self>,
        transport: Transport,
        permit: ConnectionPermit,
        handshake_permit: Option<HandshakePermit>,
        opened: Instant,
    ) {
        let now = Instant::now();
        let kind = transport.kind();
        let session = if handshake_permit.is_some() {
            Session::handshaking(now, self.config())
        } else {
            Session::anonymous(now, self.config())
        };
        let transport = Rc::new(transport);
        let outbox = Outbox::new(
            transport.clone(),
            self.config().connections.private_queue_bytes,
            kind as u8,
        );
        let deadline = session.next_deadline(self.config());
        let connection = {
            let mut connections = self.connections.borrow_mut();
            let key = connections.insert_with_key(|key| {
                let armed = self.wheel.borrow_mut().arm(key, deadline);
                Rc::new(Connection {
                    key,
                    transport,
                    outbox: Rc::new(RefCell::new(outbox)),
                    state: RefCell::new(State {
                        session,
                        input: Vec::new(),
                        in_flight: 0,
                        moving: false,
                        leaving: None,
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
                        user: None,
                        handshake_permit,
                        _permit: permit,
                    }),
                })
            });
            connections[key].clone()
        };
        self.local_tasks.update(|tasks| tasks + 1);
        tokio::task::spawn_local(Task {
            worker: self.clone(),
            connection,
        });
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
        let mut outbox = connection.outbox.borrow_mut();
        let flush = outbox.flush();
        self.count_moved(outbox.take_moved());
        flush
    }

    fn poll(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        connection.outbox.borrow_mut().set_waker(cx.waker());
        connection.transport.set_waker(cx.waker());
        if connection.outbox.borrow().is_broken() {
            return self.broken(connection);
        }
        if connection.state.borrow().session.is_handshaking() {
            return self.poll_handshake(connection, cx);
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

    /// Has a connection read on that was paused, if nothing speaks against it any more.
    pub(super) fn resume_reading(&self, connection: &Connection) {
        if connection.state.borrow().paused && !self.is_paused(connection) {
            connection.state.borrow_mut().paused = false;
            connection.outbox.borrow().wake();
        }
    }

    fn poll_handshake(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        let Transport::Tls(tls) = &*connection.transport else {
            unreachable!("only TLS is handshaken here")
        };
        let kind = connection.transport.kind() as usize;
        match tls.poll_handshake(cx) {
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
                cx.waker().wake_by_ref();
                Progress::Waiting
            }
        }
    }

    /// Goes on writing if the transport was full and is not any more.
    fn poll_write(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        let mut unblocked = false;
        while connection.outbox.borrow().is_blocked() {
            match connection.transport.poll_writable(cx) {
                Poll::Pending => return Progress::Waiting,
                Poll::Ready(Err(_)) => return self.broken(connection),
                Poll::Ready(Ok(())) => {
                    connection.outbox.borrow_mut().unblock();
                    unblocked = true;
                    if self.flush(connection) == Flush::Broken {
                        return self.broken(connection);
                    }
                }
            }
        }
        if unblocked {
            // What this member held back in the logs of its rooms can be forgotten.
            let rooms: Vec<RoomKey> = connection
                .outbox
                .borrow()
                .logs()
                .map(|log| log.borrow().room().clone())
                .collect();
            let mut slices = self.slices.borrow_mut();
            rooms.iter().for_each(|room| slices.schedule(room));
            self.sweep_wanted.notify_one();
        }
        Progress::Waiting
    }

    fn poll_read(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        self.handle_input(connection, &[]);
        if connection.state.borrow().ended_until.is_some() {
            return self.client_ended(connection);
        }
        for _ in 0..READS_PER_TURN {
            let closing = connection.state.borrow().session.is_closing();
            if !closing && self.is_paused(connection) {
                connection.state.borrow_mut().paused = true;
                return Progress::Waiting;
            }
            let mut scratch = self.scratch.borrow_mut();
            match connection.transport.poll_read(cx, &mut scratch) {
                Poll::Pending => return Progress::Waiting,
                Poll::Ready(Ok(0)) => return self.client_ended(connection),
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "read");
                    return self.broken(connection);
                }
                // What comes after the end was decided is read, so that the client can read the last frame, and thrown away.
                Poll::Ready(Ok(_)) if closing => {}
                Poll::Ready(Ok(bytes)) => self.handle_input(connection, &scratch[..bytes]),
            }
        }
        cx.waker().wake_by_ref();
        Progress::Waiting
    }

    /// Whether the connection is not to be read now.
    fn is_paused(&self, connection: &Connection) -> bool {
        let state = connection.state.borrow();
        state.moving
            || state.leaving.is_some()
            || state.session.is_registering()
            || state.in_flight >= IN_FLIGHT_MAX
            || connection.outbox.borrow().private_bytes() > self.config().connections.private_queue_bytes / 2
    }

    /// Handles the frames in what was left over and in `bytes`, until the connection is paused or closed.
    fn handle_input(self: &Rc<Self>, connection: &Rc<Connection>, bytes: &[u8]) {
        let mut input = {
            let mut state = connection.state.borrow_mut();
            state.bytes_received += bytes.len() as u64;
            if state.input.is_empty() && bytes.is_empty() {
                return;
            }
            if let Err(refusal) = state.session.handle_bytes(bytes.len()) {
                drop(state);
                self.metrics.add_labelled(Metric::ProtocolErrors, BEFORE_LOGIN, 1);
                return self.close(connection, &refusal, CloseReason::ProtocolError);
            }
            std::mem::take(&mut state.input)
        };
        self.metrics.add_labelled(
            Metric::BytesReceived,
            connection.transport.kind() as usize,
            bytes.len() as u64,
        );
        // What came before its end is only copied once; a frame that is there whole is not copied at all.
        let joined = !input.is_empty();
        if joined {
            input.extend_from_slice(bytes);
        }
        let all = if joined { &input } else { bytes };
        let mut consumed = 0;
        while consumed < all.len() && !self.is_paused(connection) {
            let frame_bytes_max = {
                let state = connection.state.borrow();
                if state.session.is_closing() {
                    return;
                }
                state.session.frame_bytes_max()
            };
            let rest = &all[consumed..];
            match split_frame(rest, frame_bytes_max) {
                Ok(Some(frame)) => {
                    self.handle_frame(connection, frame.body);
                    consumed += frame.consumed;
                }
                Ok(None) => match other_protocol(rest).filter(|_| connection.state.borrow().frames_received == 0) {
                    Some(detail) => return self.protocol_error(connection, &FrameError::Malformed, detail),
                    None => break,
                },
                Err(error) => return self.protocol_error(connection, &error, ""),
            }
        }
        let mut state = connection.state.borrow_mut();
        if state.session.is_closing() {
            return;
        }
        state.input = if joined {
            input.drain(..consumed);
            input
        } else {
            bytes[consumed..].to_vec()
        };
        if state.input.is_empty() {
            // An idle connection owns no buffer.
            state.input = Vec::new();
        }
    }

    fn handle_frame(self: &Rc<Self>, connection: &Rc<Connection>, body: &[u8]) {
        let frame = match open_client_frame(body) {
            Ok(frame) => frame,
            Err(error) => {
                let first = connection.state.borrow().frames_received == 0;
                let detail = other_protocol(body).filter(|_| first).unwrap_or("");
                return self.protocol_error(connection, &error, detail);
            }
        };
        self.metrics.add_labelled(Metric::FramesReceived, operation(&frame), 1);
        let now = Now::read();
        let action = {
            let mut state = connection.state.borrow_mut();
            state.frames_received = state.frames_received.saturating_add(1);
            state.session.handle_frame(now.instant);
            let context = dispatch::Context {
                now,
                config: self.config(),
                apps: &self.shared.apps,
            };
            dispatch::handle(frame, &state.session, context)
        };
        self.act(connection, action, now);
    }

    fn act(self: &Rc<Self>, connection: &Rc<Connection>, action: Action, now: Now) {
        match action {
            Action::Answer(answer) => self.answer(connection, &answer),
            Action::Refuse { refusal, answer } => {
                self.count_refusal(&refusal);
                if let Some(answer) = answer {
                    self.answer(connection, &answer);
                }
            }
            Action::Renew { expires, answer } => {
                connection.state.borrow_mut().session.handle_renewed(expires);
                self.answer(connection, &answer);
                self.rearm(connection, now.instant);
            }
            Action::Close { answer, refusal } => {
                self.answer(connection, &answer);
                self.count_refusal(&refusal);
                self.metrics.add_labelled(Metric::Logins, LOGIN_REFUSED, 1);
                self.close(connection, &refusal, CloseReason::LoginRefused);
            }
            Action::LogOut { answer } => {
                // After the answers to what was asked before; until then nothing more is read.
                connection.state.borrow_mut().leaving = Some(answer.into());
                self.log_out_if_answered(connection);
            }
            Action::Register { request_id, login } => {
                let mut state = connection.state.borrow_mut();
                state.session.handle_login(now.instant, self.config());
                state.in_flight += 1;
                state.user = Some(login.user.clone());
                let home = self.home_of_user(&login.user);
                let message = Message::Register {
                    connection: self.connection_ref(connection.key),
                    request_id,
                    login,
                };
                self.post(home, message);
            }
            Action::Room {
                key,
                request_id,
                request,
            } => self.ask_room(connection, key, request_id, request),
        }
    }

    /// Logs out a client that asked for it, once nothing it asked before is unanswered.
    pub(super) fn log_out_if_answered(self: &Rc<Self>, connection: &Rc<Connection>) {
        let answer = {
            let mut state = connection.state.borrow_mut();
            if state.in_flight > 0 {
                return;
            }
            state.leaving.take()
        };
        if let Some(answer) = answer {
            self.answer(connection, &answer);
            self.close(connection, &Refusal::new(ErrorCode::NO_ERROR), CloseReason::Logout);
        }
    }

    /// Sends a request to a room's home, unless that has too much to do.
    fn ask_room(self: &Rc<Self>, connection: &Rc<Connection>, room: RoomKey, request_id: u32, request: room::Request) {
        let home = self.home_of_room(&room);
        if self.mailboxes.borrow().is_full(home) {
            let refusal = self.refuse_overload();
            if request_id != 0 {
                self.answer(connection, &request.refuse(request_id, &refusal));
            }
            return;
        }
        let mut state = connection.state.borrow_mut();
        let Some(online) = state.session.online() else { return };
        let user = online.user.clone();
        if request_id != 0 {
            state.in_flight += 1;
        }
        state.moving = !matches!(request, room::Request::Send(_));
        let caller = Caller {
            user,
            connection: self.connection_ref(connection.key),
            request_id,
        };
        self.post(home, Message::Room { room, caller, request });
    }

    /// A mailbox between workers is full.
    pub(super) fn refuse_overload(&self) -> Refusal {
        self.metrics.add(Metric::MailboxRefusals, 1);
        let refusal = Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload").retry_after(OVERLOAD_RETRY);
        self.count_refusal(&refusal);
        refusal
    }

    /// Queues the answer to a client's own command.
    pub(super) fn answer(&self, connection: &Connection, frame: &[u8]) {
        self.metrics.add_labelled(Metric::FramesSent, SENT_REPLY, 1);
        connection.outbox.borrow_mut().push_answer(frame);
    }

    fn protocol_error(self: &Rc<Self>, connection: &Rc<Connection>, error: &FrameError, detail: &'static str) {
        let kind = match error {
            FrameError::TooLong { .. } => 0,
            FrameError::Empty => 1,
            FrameError::OverlongLength => 2,
            FrameError::Malformed => 3,
        };
        self.metrics.add_labelled(Metric::ProtocolErrors, kind, 1);
        let refusal = Refusal::with_detail(error.code(), detail);
        self.close(connection, &refusal, CloseReason::ProtocolError);
    }

    /// The client has ended its side. Commands that it sent before are still answered.
    fn client_ended(self: &Rc<Self>, connection: &Connection) -> Progress {
        if self.flush(connection) == Flush::Broken {
            return self.broken(connection);
        }
        let waits = {
            let mut state = connection.state.borrow_mut();
            state.reason.get_or_insert(CloseReason::ClientClosed);
            let waits =
                !state.session.is_closing() && (state.in_flight > 0 || !connection.outbox.borrow().is_drained());
            if waits && state.ended_until.is_none() {
                state.ended_until = Some(Instant::now() + self.config().connections.closing_timeout);
            }
            waits
        };
        if waits {
            self.rearm(connection, Instant::now());
            Progress::Waiting
        } else {
            let farewell = Refusal::new(ErrorCode::NO_ERROR);
            connection
                .transport
                .finish(&farewell, self.config().connections.closing_timeout);
            Progress::Over
        }
    }

    fn broken(&self, connection: &Connection) -> Progress {
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
        use std::hash::BuildHasher;
        let workers = self.mailboxes.borrow().workers() as u64;
        let hash = self.shared.homes.hash_one(key);
        WorkerIndex(u16::try_from(hash % workers).expect("fewer than 65536 workers"))
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
        let reasons = crate::metrics::label::TOKEN_REJECTION.values;
        if matches!(
            refusal.code,
            ErrorCode::TOKEN_INVALID | ErrorCode::APP_KEY_TOKEN_MISMATCH
        ) && let Some(reason) = reasons.iter().position(|reason| *reason == refusal.detail)
        {
            self.metrics.add_labelled(Metric::TokenRejects, reason, 1);
        }
    }

    pub(super) fn count_moved(&self, moved: crate::outbox::Moved) {
        for (transport, bytes) in moved.bytes.into_iter().enumerate() {
            self.metrics.add_labelled(Metric::BytesSent, transport, bytes);
        }
        self.metrics
            .add_labelled(Metric::FramesSent, SENT_ROOM, moved.room_frames);
        self.metrics.add(Metric::RoomWrites, moved.room_writes);
    }
}

/// Values of labels, by their place in the table of metrics.
const BEFORE_LOGIN: usize = 4;
const LOGIN_REFUSED: usize = 1;
const SENT_REPLY: usize = 0;
pub(super) const SENT_EVENT: usize = 1;
const SENT_ROOM: usize = 2;

/// How long a client waits that met a full mailbox: many times what a worker needs to empty one.
const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Names a protocol that clearly is not this one, from the first bytes of a connection or of its first frame.
fn other_protocol(bytes: &[u8]) -> Option<&'static str> {
    const HTTP: [&[u8]; 8] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"OPTIONS ",
        b"DELETE ",
        b"CONNECT ",
        b"PRI * ",
    ];
    // A frame's length prefix has eaten the first letter when this looks at its body.
    if HTTP
        .iter()
        .any(|start| bytes.starts_with(start) || bytes.starts_with(&start[1..]))
    {
        return Some("http");
    }
    (bytes.starts_with(&[0x16, 0x03]) || bytes.starts_with(&[0x03, 0x01]) || bytes.starts_with(&[0x03, 0x03]))
        .then_some("tls")
}

/// The command's place in the label of frames received.
fn operation(frame: &ClientFrame) -> usize {
    let ClientFrame::Command { command, .. } = frame else {
        return 11;
    };
    match command {
        Body::Login(_) => 0,
        Body::Logout(_) => 1,
        Body::Ping(_) => 2,
        Body::RenewToken(_) => 3,
        Body::CreateRoom(_) => 4,
        Body::JoinRoom(_) => 5,
        Body::EnterRoom(_) => 6,
        Body::JoinChatRoom(_) => 7,
        Body::JoinExistChatRoom(_) => 8,
        Body::LeaveRoom(_) => 9,
        Body::SendMessage(_) => 10,
        _ => 11,
    }
}

/// The task of a connection: small, since there are many.
pub(super) struct Task {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
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
