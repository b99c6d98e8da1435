//! The end of a connection: the last frame, the time to read it, and leaving nothing behind.

use std::rc::Rc;
use std::time::{Duration, Instant};

use sluice_protocol::{ErrorCode, LeaveReason, TokenWillExpire, frame::Body};

use crate::clock::Now;
use crate::frames;
use crate::identity::Caller;
use crate::metrics::Metric;
use crate::refusal::Refusal;
use crate::room::{self, KeptFor};
use crate::session::parked::Lost;
use crate::session::users::Ended;
use crate::session::{Online, Timeout, silence_max};
use crate::timer_wheel::Tick;
use crate::worker::Worker;
use crate::worker::connection::{Connection, Label, SENT_EVENT, State};
use crate::worker::mailbox::Message;

/// What ended a connection. The numbers are those of the metrics' label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    ClientClosed = 0,
    Broken = 1,
    Logout = 2,
    LoginRefused = 3,
    LoginTimeout = 4,
    HandshakeFailed = 5,
    Silent = 6,
    ProtocolError = 7,
    TokenExpired = 8,
    Displaced = 9,
    Slow = 10,
    Overload = 11,
    Shutdown = 12,
    Fault = 13,
    /// The session goes on with another connection.
    Resumed = 14,
    UserBlocked = 15,
}

impl CloseReason {
    fn name(self) -> &'static str {
        crate::metrics::label::CLOSE_REASON.values[self as usize]
    }

    /// What a close that a rule asked for is counted as.
    pub(super) fn of(refusal: &Refusal) -> Self {
        match refusal.code {
            ErrorCode::NO_ERROR => Self::Logout,
            ErrorCode::LOGIN_TIMEOUT if refusal.detail == "handshake" => Self::HandshakeFailed,
            ErrorCode::LOGIN_TIMEOUT => Self::LoginTimeout,
            ErrorCode::PING_TIMEOUT => Self::Silent,
            ErrorCode::TOKEN_INVALID => Self::TokenExpired,
            ErrorCode::KICKED_BY_OTHER_DEVICE => Self::Displaced,
            ErrorCode::USER_BLOCKED => Self::UserBlocked,
            ErrorCode::DISCONNECTED_BY_SERVER => Self::Slow,
            ErrorCode::SERVER_UNAVAILABLE if refusal.detail == "overload" => Self::Overload,
            ErrorCode::SERVER_UNAVAILABLE => Self::Shutdown,
            _ => Self::Fault,
        }
    }
}

/// What clients hear when the gateway stops.
pub(super) fn shutdown(retry_after: Duration) -> Refusal {
    Refusal::with_detail(ErrorCode::SERVER_UNAVAILABLE, "shutdown").retry_after(retry_after)
}

impl Worker {
    /// Ends a connection: gives up what it has, queues the last frame, and gives the client a moment to read it.
    pub(super) fn close(self: &Rc<Self>, connection: &Rc<Connection>, refusal: &Refusal, reason: CloseReason) {
        let now = Instant::now();
        {
            let mut state = connection.state.borrow_mut();
            if state.session.is_closing() {
                return;
            }
            self.count_refusal(refusal);
            state.reason.get_or_insert(reason);
            state.input = Vec::new();
            let online = state.session.handle_close(now, self.config());
            self.set_label(connection, &mut state, Label::Closing);
            self.release(connection, &mut state, online, reason);
        }
        self.metrics.add_labelled(Metric::FramesSent, SENT_EVENT, 1);
        connection
            .outbox
            .borrow_mut()
            .push_answer(&frames::close(refusal), &mut self.moved.borrow_mut());
        self.flush(connection);
        connection.state.borrow_mut().last = Some(Box::new(refusal.clone()));
        self.finish_if_drained(connection);
        self.rearm(connection, now);
        connection.outbox.borrow().wake();
    }

    /// Ends the sending side of a connection that is closing, once all is written.
    pub(super) fn finish_if_drained(&self, connection: &Rc<Connection>) {
        let mut state = connection.state.borrow_mut();
        if !state.finished
            && connection.outbox.borrow().is_drained()
            && let Some(refusal) = &state.last
        {
            self.finish(connection, refusal);
            state.finished = true;
        }
    }

    /// Ends the sending side of a connection. It has its place until the transport is gone, which on QUIC may be after it is forgotten.
    pub(super) fn finish(&self, connection: &Rc<Connection>, last: &Refusal) {
        let closing_timeout = self.config().connections.closing_timeout;
        connection.transport.finish(last, closing_timeout, connection.clone());
    }

    /// Takes a connection out of everything. The last thing that happens to it.
    pub(super) fn forget(self: &Rc<Self>, connection: &Rc<Connection>) {
        if self.connections.borrow_mut().remove(connection.key).is_none() {
            return;
        }
        connection.outbox.borrow_mut().break_off(&mut self.moved.borrow_mut());
        let mut state = connection.state.borrow_mut();
        let online = state.session.handle_close(Instant::now(), self.config());
        let reason = state.reason.unwrap_or(CloseReason::Fault);
        self.release(connection, &mut state, online, reason);
        let kind = connection.transport.kind();
        let lived = state.opened.elapsed();
        self.count_closed(kind, state.label, reason, lived);
        if connection.transport.has_moved() {
            self.metrics.add(Metric::QuicMigrations, 1);
        }
        let sent = connection.outbox.borrow().sent_bytes();
        tracing::info!(
            transport = crate::metrics::label::TRANSPORT.values[kind as usize],
            peer = %connection.transport.peer(),
            user = state
                .user
                .as_ref()
                .map(|user| tracing::field::debug(user.id.as_str().to_owned())),
            reason = reason.name(),
            code = state.last.as_ref().map(|refusal| refusal.code.number()),
            seconds = lived.as_secs_f64(),
            frames_received = state.frames_received,
            bytes_received = state.bytes_received,
            bytes_sent = sent,
            "connection closed"
        );
    }

    /// Looks after a deadline of a connection.
    pub(super) fn handle_deadline(self: &Rc<Self>, connection: &Rc<Connection>, tick: Tick, now: Now) {
        let timeout = {
            let mut state = connection.state.borrow_mut();
            if state.armed != tick {
                return;
            }
            if state.ended_until.is_some_and(|until| now.instant >= until) {
                drop(state);
                return self.abandon(connection);
            }
            if self.is_stuck(connection, &mut state, now.instant) {
                drop(state);
                return self.close_slow(connection);
            }
            state.session.handle_timeout(now.instant, self.config())
        };
        match timeout {
            Timeout::Nothing => {}
            Timeout::TokenWillExpire { seconds } => {
                self.push_event(
                    connection,
                    &frames::event(Body::TokenWillExpire(TokenWillExpire { seconds })),
                );
            }
            Timeout::Close(refusal) => {
                if refusal.code == ErrorCode::PING_TIMEOUT {
                    self.metrics.add(Metric::PingTimeouts, 1);
                }
                if connection.state.borrow().session.is_handshaking() {
                    let kind = connection.transport.kind() as usize;
                    self.metrics.add_labelled(Metric::HandshakeFailures, kind, 1);
                }
                return self.close(connection, &refusal, CloseReason::of(&refusal));
            }
            Timeout::Drop => {
                return self.abandon(connection);
            }
        }
        self.rearm(connection, now.instant);
    }

    /// Ends a connection at once: its time to read the rest is over.
    fn abandon(&self, connection: &Connection) {
        let nothing = Refusal::new(ErrorCode::NO_ERROR);
        connection
            .transport
            .abandon(connection.state.borrow().last.as_deref().unwrap_or(&nothing));
        // Ends the task's wait: it finds the connection over.
        connection.outbox.borrow_mut().break_off(&mut self.moved.borrow_mut());
        connection.outbox.borrow().wake();
    }

    /// Whether the client has taken nothing for as long as it may be silent, although there is something for it. It may well send
    /// pings all the while; what its rooms have for it would be kept for ever. The time counts from when this is first looked at, which
    /// is at its next deadline.
    fn is_stuck(&self, connection: &Connection, state: &mut State, now: Instant) -> bool {
        let outbox = connection.outbox.borrow();
        if !outbox.is_blocked() || state.session.is_closing() {
            state.stalled = None;
            return false;
        }
        let sent = outbox.sent_bytes();
        match state.stalled.as_deref() {
            Some((since, bytes)) if *bytes == sent => now - *since >= silence_max(self.config()),
            _ => {
                state.stalled = Some(Box::new((now, sent)));
                false
            }
        }
    }

    /// Has the wheel come back at the session's next deadline, or earlier.
    pub(super) fn rearm(&self, connection: &Connection, now: Instant) {
        let mut state = connection.state.borrow_mut();
        let mut deadline = state.session.next_deadline(self.config());
        if let Some((since, _)) = state.stalled.as_deref() {
            deadline = deadline.min(*since + silence_max(self.config()));
        }
        let deadline = state.ended_until.map_or(deadline, |until| until.min(deadline)).max(now);
        state.armed = self.wheel.borrow_mut().rearm(connection.key, state.armed, deadline);
    }

    /// Queues an event for one connection. A client that does not even take those is closed as slow.
    pub(super) fn push_event(self: &Rc<Self>, connection: &Rc<Connection>, frame: &[u8]) {
        if connection.state.borrow().session.is_closing() {
            // Nothing comes behind the last frame.
            return;
        }
        self.metrics.add_labelled(Metric::FramesSent, SENT_EVENT, 1);
        let pushed = connection.outbox.borrow_mut().push(frame, &mut self.moved.borrow_mut());
        match pushed {
            Ok(()) => {
                self.flush(connection);
            }
            Err(_) => self.close_slow(connection),
        }
    }

    /// Ends a connection that cannot take what may not be dropped.
    pub(super) fn close_slow(self: &Rc<Self>, connection: &Rc<Connection>) {
        self.metrics.add(Metric::SlowDisconnects, 1);
        let refusal = Refusal::with_detail(ErrorCode::DISCONNECTED_BY_SERVER, "slow");
        self.close(connection, &refusal, CloseReason::Slow);
    }

    /// Gives up what a logged-in connection has. Others notice at once where it ends on purpose; else its session is parked, with its
    /// places in rooms.
    fn release(&self, connection: &Connection, state: &mut State, online: Option<Box<Online>>, reason: CloseReason) {
        let Some(online) = online else { return };
        self.metrics.shift(Metric::SessionsOnline, -1);
        let address = self.connection_ref(connection.key);
        let mut rooms = connection.rooms();
        for room in &rooms {
            self.slices
                .borrow_mut()
                .remove(room, &connection.outbox, &mut self.moved.borrow_mut());
        }
        if self.stopping.get() {
            // Homes see nobody leave: a room that is kept and ends with its last member is not over because the gateway is.
            return;
        }
        rooms.extend(self.end_walk(state, &online.user, address));
        let keep = !self.config().sessions.resume_window.is_zero();
        let request = || match reason {
            CloseReason::Logout => room::Request::Leave(LeaveReason::Logout),
            CloseReason::UserBlocked => room::Request::Leave(LeaveReason::UserBlocked),
            CloseReason::Displaced if keep => room::Request::Detach(KeptFor::User),
            _ if keep => room::Request::Detach(KeptFor::Session),
            _ => room::Request::Leave(LeaveReason::Offline),
        };
        for room in &rooms {
            let caller = Caller {
                user: online.user.clone(),
                connection: address,
                request_id: 0,
            };
            let (room, request) = (room.clone(), request());
            self.post(self.home_of_room(&room), Message::Room { room, caller, request });
        }
        let home = self.home_of_user(&online.user);
        let message = match request() {
            room::Request::Detach(_) => Message::Detached(Box::new(Lost::new(online.user, address, rooms))),
            _ => Message::Unregister {
                user: online.user.key(),
                connection: address,
                ended: match reason {
                    CloseReason::Logout => Ended::LoggedOut,
                    _ => Ended::Otherwise,
                },
            },
        };
        self.post(home, message);
    }
}
