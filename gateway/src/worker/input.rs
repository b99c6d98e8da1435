//! What clients send: bytes to frames, frames to the session, and what the session wants done.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sluice_codec::{ClientFrame, FrameError, open_client_frame, split_frame};
use sluice_protocol::{ErrorCode, LeaveAllRoomsResult, LeaveReason, frame::Body, reply};

use crate::clock::Now;
use crate::command::Switch;
use crate::config;
use crate::frames;
use crate::identity::{Caller, RoomKey};
use crate::metrics::Metric;
use crate::outbox::Flush;
use crate::refusal::Refusal;
use crate::room::{self, RETRY_AFTER_MIN};
use crate::session::dispatch::{self, Action};
use crate::session::papers::Papers;
use crate::session::users::{Arrival, Sending};
use crate::session::{Quotas, logout};
use crate::worker::Worker;
use crate::worker::close::CloseReason;
use crate::worker::connection::{Connection, Errand, Held, Progress};
use crate::worker::mailbox::Message;

/// Commands of one client that wait for an answer, or would if one were wanted. A client that sends more is not read until some are
/// done.
const IN_FLIGHT_MAX: u16 = 256;

/// Reads in a row before other connections get their turn.
const READS_PER_TURN: usize = 4;

/// Reads that look for the end of a connection behind a login: most clients send no more than a frame or two there.
const READS_BEHIND_LOGIN: usize = 2;

/// Frames in a row before other connections get their turn: some hundred microseconds. Renewals, which take longer each, have a quota.
const FRAMES_PER_TURN: usize = 256;

/// How long a client waits that met a full mailbox: many times what a worker needs to empty one.
const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Values of labels, by their place in the table of metrics.
const BEFORE_LOGIN: usize = 4;

/// Whether more can be had from what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Nothing but, perhaps, the beginning of a frame; or the connection is paused or closing.
    Handled,
    /// Whole frames wait for the next turn.
    FramesLeft,
}

impl Worker {
    pub(super) fn poll_read(self: &Rc<Self>, connection: &Rc<Connection>, cx: &mut Context<'_>) -> Progress {
        if self.handle_input(connection, &[]) == Input::FramesLeft {
            connection.transport.give_turn(cx);
            return Progress::Waiting;
        }
        if connection.state.borrow().ended_until.is_some() {
            return self.client_ended(connection);
        }
        for _ in 0..READS_PER_TURN {
            if self.register_arrival(connection, cx).is_err() {
                return self.broken(connection);
            }
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
                Poll::Ready(Ok(bytes)) => {
                    if self.handle_input(connection, &scratch[..bytes]) == Input::FramesLeft {
                        break;
                    }
                }
            }
        }
        connection.transport.give_turn(cx);
        Progress::Waiting
    }

    /// Asks a user's home to let in who has logged in on this connection.
    ///
    /// # Errors
    /// When the connection is found to be broken: its login must not put off the next one of its client.
    fn register_arrival(&self, connection: &Connection, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(mut arrival) = connection.state.borrow_mut().take_arrival() else {
            return Ok(());
        };
        // With what the client has sent behind its login there is nothing more to be read for the moment, or its end.
        for _ in 0..READS_BEHIND_LOGIN {
            let mut scratch = self.scratch.borrow_mut();
            match connection.transport.poll_read(cx, &mut scratch)? {
                Poll::Pending => break,
                Poll::Ready(0) => {
                    arrival.sending = Sending::Ended;
                    break;
                }
                Poll::Ready(bytes) => {
                    self.count_received(connection, bytes);
                    connection.state.borrow_mut().input.extend_from_slice(&scratch[..bytes]);
                }
            }
        }
        let home = self.home_of_user(&arrival.login.user);
        self.post(home, Message::Register(arrival));
        Ok(())
    }

    fn count_received(&self, connection: &Connection, bytes: usize) {
        connection.state.borrow_mut().bytes_received += bytes as u64;
        self.metrics.add_labelled(
            Metric::BytesReceived,
            connection.transport.kind() as usize,
            bytes as u64,
        );
    }

    /// Whether the connection is not to be read now.
    fn is_paused(&self, connection: &Connection) -> bool {
        let state = connection.state.borrow();
        state.held != Held::Not
            || state.errand.is_some()
            || state.session.is_registering()
            || state.in_flight >= IN_FLIGHT_MAX
            || connection.outbox.borrow().private_bytes() > self.config().connections.private_queue_bytes / 2
    }

    /// Handles the frames in what was left over and in `bytes`, until the connection is paused or closed.
    fn handle_input(self: &Rc<Self>, connection: &Rc<Connection>, bytes: &[u8]) -> Input {
        let mut input = {
            self.count_received(connection, bytes.len());
            let mut state = connection.state.borrow_mut();
            if state.input.is_empty() && bytes.is_empty() {
                return Input::Handled;
            }
            if let Err(refusal) = state.session.handle_bytes(bytes.len()) {
                drop(state);
                self.metrics.add_labelled(Metric::ProtocolErrors, BEFORE_LOGIN, 1);
                self.close(connection, &refusal, CloseReason::ProtocolError);
                return Input::Handled;
            }
            std::mem::take(&mut state.input)
        };
        // What came before its end is only copied once; a frame that is there whole is not copied at all.
        let joined = !input.is_empty();
        if joined {
            input.extend_from_slice(bytes);
        }
        let all = if joined { &input } else { bytes };
        let mut consumed = 0;
        let mut frames = 0;
        while consumed < all.len() && !self.is_paused(connection) {
            let frame_bytes_max = {
                let state = connection.state.borrow();
                if state.session.is_closing() {
                    return Input::Handled;
                }
                state.session.frame_bytes_max()
            };
            if frames == FRAMES_PER_TURN {
                break;
            }
            frames += 1;
            let rest = &all[consumed..];
            match split_frame(rest, frame_bytes_max) {
                Ok(Some(frame)) => {
                    self.handle_frame(connection, frame.body);
                    consumed += frame.consumed;
                }
                Ok(None) => match other_protocol(rest).filter(|_| connection.state.borrow().frames_received == 0) {
                    Some(detail) => {
                        self.protocol_error(connection, &FrameError::Malformed, detail);
                        return Input::Handled;
                    }
                    None => break,
                },
                Err(error) => {
                    self.protocol_error(connection, &error, "");
                    return Input::Handled;
                }
            }
        }
        let mut state = connection.state.borrow_mut();
        if state.session.is_closing() {
            return Input::Handled;
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
        if frames == FRAMES_PER_TURN {
            Input::FramesLeft
        } else {
            Input::Handled
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
            dispatch::handle(frame, &mut state.session, context)
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
            Action::Close { request_id, refusal } => self.refuse_login(connection, request_id, refusal),
            Action::LogOut { request_id } => {
                // After the answers to what was asked before; until then nothing more is read.
                connection.state.borrow_mut().errand = Some(Box::new(Errand::LogOut(request_id)));
                self.log_out_if_answered(connection);
            }
            Action::Register { request_id, login } => {
                let mut state = connection.state.borrow_mut();
                state.session.handle_login(now.instant, self.config());
                state.in_flight += 1;
                state.user = Some(login.user.clone());
                let arrival = Arrival {
                    connection: self.connection_ref(connection.key),
                    opened: state.opened,
                    sending: Sending::Open,
                    request_id,
                    login,
                    papers: Papers::new(self.shared.random),
                };
                // Once it is known whether its client has ended its side.
                state.errand = Some(Box::new(Errand::Register(Box::new(arrival))));
            }
            Action::Room {
                key,
                request_id,
                request,
            } => self.ask_room(connection, key, request_id, request, None),
            Action::Switch { request_id, switch } => self.switch_room(connection, request_id, switch),
            Action::Converse { request_id, command } => self.converse(connection, request_id, command),
            Action::LeaveAll { request_id } => self.leave_all_rooms(connection, request_id),
        }
    }

    /// Logs out a client that asked for it, once nothing it asked before is unanswered.
    pub(super) fn log_out_if_answered(self: &Rc<Self>, connection: &Rc<Connection>) {
        let leaving = {
            let mut state = connection.state.borrow_mut();
            match state.errand.as_deref() {
                Some(Errand::LogOut(request_id)) if state.in_flight == 0 => {
                    let request_id = *request_id;
                    state.errand = None;
                    Some(request_id)
                }
                _ => None,
            }
        };
        if let Some(request_id) = leaving {
            self.answer(connection, &logout::answer(request_id));
            self.close(connection, &Refusal::new(ErrorCode::NO_ERROR), CloseReason::Logout);
        }
    }

    /// Enters a room and then leaves another.
    fn switch_room(self: &Rc<Self>, connection: &Rc<Connection>, request_id: u32, switch: Switch) {
        let Switch { leave, room, enter } = switch;
        if connection.is_inside(&leave) {
            return self.ask_room(connection, room, request_id, enter, Some(leave));
        }
        let refusal = Refusal::new(ErrorCode::NOT_IN_CHATROOM);
        self.count_refusal(&refusal);
        self.answer(connection, &frames::refuse(request_id, &refusal));
    }

    fn leave_all_rooms(self: &Rc<Self>, connection: &Rc<Connection>, request_id: u32) {
        let answer = match self.take(connection, |quotas, now, rules| {
            quotas.take_move(now, rules.moves_per_second)
        }) {
            Ok(()) => {
                let rooms = connection.rooms();
                let room_ids = rooms.iter().map(|room| room.id.as_str().to_owned()).collect();
                for room in rooms {
                    self.leave_unasked(connection, room);
                }
                let result = reply::Result::LeaveAllRooms(LeaveAllRoomsResult { room_ids });
                frames::reply(request_id, result)
            }
            Err(refusal) => frames::refuse(request_id, &refusal),
        };
        self.answer(connection, &answer);
    }

    /// Leaves a room without an answer of its own. Nothing of the room comes from here on; its home hears of it like of any who leaves.
    pub(super) fn leave_unasked(&self, connection: &Connection, room: RoomKey) {
        let user = match connection.state.borrow().session.online() {
            Some(online) => online.user.clone(),
            None => return,
        };
        self.slices
            .borrow_mut()
            .remove(&room, &connection.outbox, &mut self.moved.borrow_mut());
        let caller = Caller {
            user,
            connection: self.connection_ref(connection.key),
            request_id: 0,
        };
        let request = room::Request::Leave(LeaveReason::Left);
        self.post(self.home_of_room(&room), Message::Room { room, caller, request });
    }

    /// Sends a request to a room's home, unless that has too much to do.
    fn ask_room(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        room: RoomKey,
        request_id: u32,
        request: room::Request,
        then_leave: Option<RoomKey>,
    ) {
        let home = self.home_of_room(&room);
        let refused = if self.mailboxes.borrow().is_full(home) {
            Err(self.refuse_overload())
        } else {
            self.may_ask(connection, &room, &request, then_leave.as_ref())
        };
        if let Err(refusal) = refused {
            if request_id != 0 {
                self.answer(connection, &request.refuse(request_id, &refusal));
            }
            return;
        }
        let mut state = connection.state.borrow_mut();
        let Some(online) = state.session.online() else { return };
        let user = online.user.clone();
        state.in_flight += 1;
        state.held = match &request {
            room::Request::Enter(_) | room::Request::Leave(_) => Held::ByMove,
            room::Request::Query(room::Query::Attributes(_) | room::Query::Members { .. }) => Held::ByQuestion,
            _ => Held::Not,
        };
        if let Some(room) = then_leave {
            state.errand = Some(Box::new(Errand::Leave(room)));
        }
        let caller = Caller {
            user,
            connection: self.connection_ref(connection.key),
            request_id,
        };
        self.post(home, Message::Room { room, caller, request });
    }

    /// Whether a session may ask this now. It moves one step at a time, so what it is inside is known here.
    fn may_ask(
        &self,
        connection: &Connection,
        room: &RoomKey,
        request: &room::Request,
        then_leave: Option<&RoomKey>,
    ) -> Result<(), Refusal> {
        let enters = matches!(request, room::Request::Enter(_));
        if enters && then_leave.is_none() && self.rooms_max_reached(connection) && !connection.is_inside(room) {
            let refusal = Refusal::new(ErrorCode::JOINED_ROOM_LIMIT);
            self.count_refusal(&refusal);
            return Err(refusal);
        }
        self.take(connection, |quotas, now, rules| match request {
            room::Request::Enter(_) | room::Request::Leave(_) => quotas.take_move(now, rules.moves_per_second),
            room::Request::WriteAttributes(write) => {
                quotas.take_attribute_write(now, rules.attribute_writes_per_second, write.pieces())
            }
            room::Request::Query(_) => quotas.take_query(now, rules.queries_per_second),
            room::Request::Send(_) | room::Request::Detach(_) | room::Request::Resume { .. } => Ok(()),
        })
    }

    /// Whether a session is inside as many rooms as its app allows.
    fn rooms_max_reached(&self, connection: &Connection) -> bool {
        let state = connection.state.borrow();
        let app = state.session.online().map(|online| online.user.app);
        app.is_some_and(|app| connection.rooms_count() >= self.shared.apps.get(app).settings.rooms_per_user)
    }

    /// Takes a place among those that a session has in a second.
    fn take(
        &self,
        connection: &Connection,
        take: impl FnOnce(&mut Quotas, Instant, &config::Rooms) -> Result<(), Duration>,
    ) -> Result<(), Refusal> {
        let mut state = connection.state.borrow_mut();
        let Some(online) = state.session.online_mut() else {
            return Ok(());
        };
        take(&mut online.quotas, Instant::now(), &self.config().rooms).map_err(|wait| {
            let refusal = Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "rate");
            let refusal = refusal.retry_after(wait.max(RETRY_AFTER_MIN));
            self.count_refusal(&refusal);
            refusal
        })
    }

    /// A mailbox between workers is full.
    pub(super) fn refuse_overload(&self) -> Refusal {
        self.metrics.add(Metric::MailboxRefusals, 1);
        let refusal = Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload").retry_after(OVERLOAD_RETRY);
        self.count_refusal(&refusal);
        refusal
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
    fn client_ended(self: &Rc<Self>, connection: &Rc<Connection>) -> Progress {
        if self.flush(connection) == Flush::Broken {
            return self.broken(connection);
        }
        let waits = {
            let mut state = connection.state.borrow_mut();
            let asked = !state.session.is_closing() && state.in_flight > 0;
            let waits = asked || !connection.outbox.borrow().is_drained();
            if waits && state.ended_until.is_none() {
                state.ended_until = Some(Instant::now() + self.config().connections.closing_timeout);
            }
            waits
        };
        if waits {
            self.rearm(connection, Instant::now());
            Progress::Waiting
        } else {
            let mut state = connection.state.borrow_mut();
            state.reason.get_or_insert(CloseReason::ClientClosed);
            if !state.finished {
                state.finished = true;
                let nothing = Refusal::new(ErrorCode::NO_ERROR);
                self.finish(connection, state.last.as_deref().unwrap_or(&nothing));
            }
            Progress::Over
        }
    }

    /// Has a connection go on, if nothing speaks against it any more: with its rooms if it was resumed, then with reading.
    pub(super) fn resume_reading(self: &Rc<Self>, connection: &Rc<Connection>) {
        self.resume_rooms(connection);
        self.release_held(connection);
        if connection.state.borrow().paused && !self.is_paused(connection) {
            connection.state.borrow_mut().paused = false;
            connection.outbox.borrow().wake();
        }
    }
}

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
        Body::SwitchRoom(_) => 12,
        Body::LeaveAllRooms(_) => 13,
        Body::QueryRoom(_) => 14,
        Body::QueryRoomMembers(_) => 15,
        Body::QueryNamedMembers(_) => 16,
        Body::SetRoomAttributes(_) => 17,
        Body::DeleteRoomAttributes(_) => 18,
        Body::QueryRoomAttributes(_) => 19,
        Body::SyncConversations(_) => 20,
        Body::AckMessages(_) => 21,
        Body::CreateConversation(_) => 22,
        Body::QueryConversation(_) => 23,
        Body::AddMembers(_) => 24,
        Body::RemoveMembers(_) => 25,
        Body::JoinConversation(_) => 26,
        Body::QuitConversation(_) => 27,
        Body::QueryConversationMembers(_) => 28,
        Body::QueryConversations(_) => 29,
        Body::QueryMessages(_) => 30,
        Body::RecallMessage(_) => 31,
        Body::EditMessage(_) => 32,
        Body::UpdateConversation(_) => 33,
        Body::CreateGroup(_) => 34,
        Body::DismissGroup(_) => 35,
        Body::TransferGroup(_) => 36,
        Body::SetGroupManagers(_) => 37,
        Body::MuteGroupMembers(_) => 38,
        Body::PutCombinedPart(_) => 39,
        Body::QueryCombined(_) => 40,
        Body::EditBlacklist(_) => 41,
        Body::QueryBlacklist(_) => 42,
        _ => 11,
    }
}
