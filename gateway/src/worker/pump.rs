//! The pump: carries out the values in this worker's mailbox.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use sluice_protocol::{ErrorCode, LeaveReason, MessageType, RoomDestroyed, RoomDestroyedReason, frame::Body, limits};
use tokio::sync::{mpsc, oneshot};

use crate::class::Class;
use crate::clock::Now;
use crate::frames;
use crate::identity::{Caller, ConnectionKey, RoomKey, User};
use crate::metrics::Metric;
use crate::refusal::Refusal;
use crate::room::{self, Effect, Entered};
use crate::store::Asker;
use crate::worker::close::CloseReason;
use crate::worker::connection::{Connection, Held};
use crate::worker::mailbox::{Message, OrderResult};
use crate::worker::{INGRESS, Worker, refusal_of};

/// Values carried out before other tasks get their turn.
const MESSAGES_PER_TURN: usize = 1024;

/// The label's value for a way into a room that was refused.
const JOIN_REFUSED: usize = 3;

impl Worker {
    /// Carries out what comes, for ever.
    pub(super) async fn pump(self: Rc<Self>, mut incoming: mpsc::UnboundedReceiver<Vec<Message>>) {
        loop {
            tokio::select! {
                () = self.pump_wanted.notified() => {}
                Some(batch) = incoming.recv() => self.mailboxes.borrow_mut().take_in(batch),
            }
            while let Ok(batch) = incoming.try_recv() {
                self.mailboxes.borrow_mut().take_in(batch);
            }
            let now = Now::read();
            for turn in 1.. {
                let Some(message) = self.next_own() else { break };
                match message.connection() {
                    Some(key) => self.contain(key, || self.handle(message, now)),
                    None => self.handle(message, now),
                }
                if turn == MESSAGES_PER_TURN {
                    // The rest has its turn after everybody else's.
                    self.pump_wanted.notify_one();
                    break;
                }
            }
            self.flush_connections();
            self.hold_back();
            self.mailboxes.borrow_mut().send_batches();
            if self.slices.borrow().is_ready() {
                self.sweep_wanted.notify_one();
            }
            tokio::task::yield_now().await;
        }
    }

    fn next_own(&self) -> Option<Message> {
        self.mailboxes.borrow_mut().next_own()
    }

    fn handle(self: &Rc<Self>, message: Message, now: Now) {
        match message {
            Message::Room { room, caller, request } => self.handle_room(&room, &caller, request, now),
            Message::Register(arrival) => self.register(arrival, now),
            Message::Unregister {
                user,
                connection,
                ended,
            } => self.unregister(&user, connection, ended),
            Message::Detached(lost) => self.detached(lost, now),
            Message::Returned { connection, lost } => self.returned(connection, lost, now),
            Message::Registered { arrival, result } => self.registered(&arrival, result, now),
            Message::Supplant { connection } => self.supplant(connection),
            Message::Evict { user, refusal, answer } => {
                self.evict(&user, &refusal);
                // Nobody takes an answer that comes too late.
                let _ = answer.send(());
            }
            Message::Online { users, answer } => self.tell_online(&users, answer),
            Message::Notify { user, frame } => self.notify(&user, &frame),
            Message::Broadcast { app, frame, answer } => self.take_broadcast(app, frame, answer),
            Message::Announce { announcement, answer } => self.take_announcement(*announcement, answer),
            Message::MutedRooms { app, limit, answer } => {
                let _ = answer.send(self.rooms.borrow().muted(app, limit));
            }
            Message::Reply {
                connection,
                frame,
                code,
            } => {
                if let Some(connection) = self.answered(connection, false) {
                    self.count_reply(code);
                    if let Some(frame) = frame {
                        count_long_answer(&connection, &frame, now);
                        self.answer(&connection, &frame);
                    }
                }
            }
            Message::Unchanged {
                connection,
                frame,
                code,
            } => {
                if let Some(connection) = self.answered(connection, true) {
                    self.count_reply(code);
                    self.answer(&connection, &frame);
                }
            }
            Message::Admit {
                connection,
                room,
                frames,
                how: Entered::Resumed,
                ..
            } => self.resumed(connection, &room, &frames),
            Message::Admit {
                connection,
                user,
                room,
                frames,
                how: _,
            } => self.admit(connection, user, room, &frames),
            Message::Dismiss {
                connection,
                room,
                frame,
            } => self.dismiss(connection, &room, frame),
            Message::Close { connection, refusal } => {
                if let Some(connection) = self.connection(connection) {
                    self.close(&connection, &refusal, CloseReason::of(&refusal));
                }
            }
            Message::Order { room, order, answer } => self.handle_order(&room, *order, answer, now),
            Message::Expel {
                connection,
                room,
                frame,
            } => self.expel(connection, &room, &frame),
            Message::NotResumed {
                connection,
                room,
                frame,
            } => self.not_resumed(connection, &room, &frame),
            Message::Converse { connections, event } => self.converse_event(&connections, &event),
            Message::Conversed { connection, answer } => self.conversed(connection, &answer),
            Message::Answer { connection, answer } => self.pass_on(connection, answer),
            Message::Settle {
                connection,
                sync,
                settled,
            } => self.settle(connection, sync, settled),
            Message::Settled {
                connection,
                sync,
                settled,
            } => self.settled(connection, sync, settled),
            Message::Synced { connection, page } => self.synced(connection, *page),
            Message::Deliver(delivery) => self.deliver(&delivery),
            Message::Event { connection, frame } => {
                if let Some(connection) = self.connection(connection) {
                    self.push_event(&connection, &frame);
                }
            }
            Message::Destroy { room, frame } => self.destroy(&room, &frame),
            Message::Publish {
                room,
                frame,
                sequence,
                class,
            } => {
                self.slices.borrow_mut().append(&room, &frame, sequence, class);
            }
        }
    }

    fn handle_room(self: &Rc<Self>, room: &RoomKey, caller: &Caller, request: room::Request, now: Now) {
        let for_all = matches!(request, room::Request::Send(_) | room::Request::WriteAttributes(_));
        let writes = matches!(request, room::Request::WriteAttributes(_));
        if for_all && self.is_behind_with(room) || writes && self.shared.store.admit(Asker::Member).is_err() {
            let refusal = self.refuse_overload();
            let frame = (caller.request_id != 0).then(|| request.refuse(caller.request_id, &refusal).into());
            // Counted already.
            let code = ErrorCode::NO_ERROR;
            let connection = caller.connection.key;
            let reply = Message::Reply {
                connection,
                frame,
                code,
            };
            self.post(caller.connection.worker, reply);
            return;
        }
        let entering = matches!(request, room::Request::Enter(_));
        if entering {
            let keep = !self.shared.store.is_behind(Asker::Member);
            self.rooms.borrow_mut().keep_new(keep);
        }
        let kind = match &request {
            room::Request::Send(message) => Some(message.kind),
            _ => None,
        };
        let leaving = match request {
            room::Request::Leave(reason) => Some(reason),
            _ => None,
        };
        let resuming = matches!(request, room::Request::Resume { .. });
        let moves_nobody = for_all || matches!(request, room::Request::Query(_));
        let handled = catch_unwind(AssertUnwindSafe(|| {
            self.rooms.borrow_mut().handle(now, room, caller, request)
        }));
        let effects = handled.unwrap_or_else(|_| {
            if resuming {
                self.end_of_faulty_for_resumed(room, caller)
            } else {
                self.end_of_faulty(room, caller, moves_nobody)
            }
        });
        if let Some(reason) = leaving
            && effects.iter().any(|effect| matches!(effect, Effect::Dismiss { .. }))
        {
            self.count_leave(reason);
        }
        if let Some(kind) = kind {
            self.count_message(kind, &effects);
        }
        if entering && matches!(effects[..], [Effect::Unchanged { .. }]) {
            self.metrics.add_labelled(Metric::RoomJoins, JOIN_REFUSED, 1);
        }
        self.carry_out_request(room, caller, effects);
    }

    fn handle_order(&self, room: &RoomKey, order: room::Order, answer: oneshot::Sender<OrderResult>, now: Now) {
        let about_what_is_kept = order.is_about_what_is_kept();
        if about_what_is_kept && let Err(error) = self.shared.store.admit(Asker::Server) {
            let _ = answer.send(Err(refusal_of(&error)));
            return;
        }
        let handled = catch_unwind(AssertUnwindSafe(|| self.rooms.borrow_mut().order(now, room, order)));
        let ordered = handled.unwrap_or_else(|_| room::Ordered {
            answer: Err(Refusal::with_detail(ErrorCode::INTERNAL_ERROR, "room")),
            effects: self.destroy_faulty(room),
        });
        self.carry_out_order(room, ordered, about_what_is_kept, answer);
    }

    /// Whether a worker that would have to deliver a room's messages has as much before it as is allowed.
    fn is_behind_with(&self, room: &RoomKey) -> bool {
        let mailboxes = self.mailboxes.borrow();
        let workers = self.rooms.borrow().workers(room);
        workers.into_iter().any(|worker| mailboxes.is_full(worker))
    }

    /// A room whose code failed is in no state to go on: it ends, and everything else goes on.
    pub(super) fn destroy_faulty(&self, room: &RoomKey) -> Vec<Effect> {
        self.metrics.add(Metric::RoomPanics, 1);
        tracing::error!(room = room.id.as_str(), "a room failed and is destroyed");
        self.rooms.borrow_mut().destroy(room, RoomDestroyedReason::Fault)
    }

    /// What becomes of a room that failed, and of whoever asked it something.
    fn end_of_faulty(&self, room: &RoomKey, caller: &Caller, moves_nobody: bool) -> Vec<Effect> {
        let destroyed = self.destroy_faulty(room);
        // Whoever asked must not wait for an answer. A leave that the gateway tells has nobody to answer.
        let refusal = Refusal::with_detail(ErrorCode::INTERNAL_ERROR, "room");
        let frame = || frames::refuse(caller.request_id, &refusal).into();
        let frame = (caller.request_id != 0).then(frame);
        let (to, code) = (caller.connection, refusal.code);
        let answer = match frame {
            frame if moves_nobody => Some(Effect::Reply { to, frame, code }),
            Some(frame) => Some(Effect::Unchanged {
                connection: to,
                frame,
                code,
            }),
            None => None,
        };
        answer.into_iter().chain(destroyed).collect()
    }

    /// What becomes of a room that failed when a session was to go on in it.
    fn end_of_faulty_for_resumed(&self, room: &RoomKey, caller: &Caller) -> Vec<Effect> {
        let destroyed = RoomDestroyed {
            room_id: room.id.as_str().to_owned(),
            reason: RoomDestroyedReason::Fault.into(),
        };
        let told = Effect::NotResumed {
            connection: caller.connection,
            frame: frames::event(Body::RoomDestroyed(destroyed)).into(),
        };
        std::iter::once(told).chain(self.destroy_faulty(room)).collect()
    }

    /// Sends an effect of a room to the workers it concerns.
    pub(super) fn carry_out(&self, room: &RoomKey, caller: Option<&Caller>, effect: Effect) {
        match effect {
            Effect::Reply { to, frame, code } => {
                self.post(
                    to.worker,
                    Message::Reply {
                        connection: to.key,
                        frame,
                        code,
                    },
                );
            }
            Effect::Unchanged {
                connection,
                frame,
                code,
            } => {
                self.post(
                    connection.worker,
                    Message::Unchanged {
                        connection: connection.key,
                        frame,
                        code,
                    },
                );
            }
            Effect::Admit {
                connection,
                frames,
                how,
            } => {
                self.metrics.add_labelled(Metric::RoomJoins, how as usize, 1);
                let user = caller.expect("only a caller is admitted").user.clone();
                let message = Message::Admit {
                    connection: connection.key,
                    user,
                    room: room.clone(),
                    frames,
                    how,
                };
                self.post(connection.worker, message);
            }
            Effect::Dismiss { connection, frame } => {
                let message = Message::Dismiss {
                    connection: connection.key,
                    room: room.clone(),
                    frame,
                };
                self.post(connection.worker, message);
            }
            Effect::Expel {
                connection,
                frame,
                reason,
            } => {
                self.count_leave(reason);
                let (worker, connection) = (connection.worker, connection.key);
                let room = room.clone();
                self.post(
                    worker,
                    Message::Expel {
                        connection,
                        room,
                        frame,
                    },
                );
            }
            Effect::NotResumed { connection, frame } => {
                let (worker, connection) = (connection.worker, connection.key);
                let room = room.clone();
                self.post(
                    worker,
                    Message::NotResumed {
                        connection,
                        room,
                        frame,
                    },
                );
            }
            Effect::Notify { connection, frame } => {
                let (worker, connection) = (connection.worker, connection.key);
                self.post(worker, Message::Event { connection, frame });
            }
            // Whoever has several to keep submits them together; a lone one, of a tick say, goes by itself.
            Effect::Keep(change) => self.keep(vec![change], |_| ()),
            Effect::Shed(class) => self
                .metrics
                .add_labelled_twice(Metric::MessagesShed, class as usize, INGRESS, 1),
            Effect::Undistributed => self.metrics.add(Metric::MessagesUndistributed, 1),
            Effect::Gap { to, frame } => {
                self.metrics.add_labelled(Metric::Gaps, INGRESS, 1);
                let publish = Effect::Publish {
                    to,
                    frame,
                    sequence: 0,
                    class: Class::Control,
                };
                self.carry_out(room, caller, publish);
            }
            Effect::Destroy { to, frame } => {
                for worker in to {
                    let (room, frame) = (room.clone(), frame.clone());
                    self.post(worker, Message::Destroy { room, frame });
                }
            }
            Effect::Publish {
                to,
                frame,
                sequence,
                class,
            } => {
                for worker in to {
                    let message = Message::Publish {
                        room: room.clone(),
                        frame: frame.clone(),
                        sequence,
                        class,
                    };
                    self.post(worker, message);
                }
            }
        }
    }

    fn admit(self: &Rc<Self>, key: ConnectionKey, user: Arc<User>, room: RoomKey, frames: &[Bytes]) {
        let room_to_leave = self
            .connection(key)
            .and_then(|connection| connection.state.borrow_mut().take_room_to_leave());
        let connection = self
            .answered(key, true)
            .filter(|c| c.state.borrow().session.online().is_some());
        let Some(connection) = connection else {
            if self.stopping.get() {
                return;
            }
            // It ended while the room let it in; nobody else knows that it is inside.
            let caller = Caller {
                user,
                connection: self.connection_ref(key),
                request_id: 0,
            };
            let request = room::Request::Leave(LeaveReason::Offline);
            return self.post(self.home_of_room(&room), Message::Room { room, caller, request });
        };
        if let Some(room) = room_to_leave {
            // Before the answer: behind it nothing of that room comes.
            self.leave_unasked(&connection, room);
        }
        for frame in frames {
            self.answer(&connection, frame);
        }
        self.slices.borrow_mut().add(&room, &connection.outbox);
    }

    /// A room is no more. What was published before still goes out as far as each transport takes it at once.
    fn destroy(self: &Rc<Self>, room: &RoomKey, frame: &[u8]) {
        let Some(mut slice) = self.slices.borrow_mut().take(room) else {
            return;
        };
        while let Some(member) = slice.members().last().cloned() {
            slice.remove(&member, &mut self.moved.borrow_mut());
            let key = member.borrow().connection();
            if let Some(connection) = self.connection(key) {
                self.push_event(&connection, frame);
            }
        }
    }

    /// Puts a connection out of a room.
    fn expel(self: &Rc<Self>, key: ConnectionKey, room: &RoomKey, frame: &[u8]) {
        if let Some(connection) = self.connection(key) {
            self.slices
                .borrow_mut()
                .remove(room, &connection.outbox, &mut self.moved.borrow_mut());
            self.push_event(&connection, frame);
        }
    }

    fn dismiss(self: &Rc<Self>, key: ConnectionKey, room: &RoomKey, frame: Option<Bytes>) {
        let connection = if frame.is_some() {
            self.answered(key, true)
        } else {
            self.connection(key)
        };
        let Some(connection) = connection else { return };
        self.slices
            .borrow_mut()
            .remove(room, &connection.outbox, &mut self.moved.borrow_mut());
        if let Some(frame) = frame {
            self.answer(&connection, &frame);
        }
    }

    /// A command of a connection got its answer. Returns the connection, if it is still there, to be flushed later.
    pub(super) fn answered(&self, key: ConnectionKey, moved: bool) -> Option<Rc<Connection>> {
        let connection = self.connection(key)?;
        {
            let mut state = connection.state.borrow_mut();
            state.in_flight = state.in_flight.saturating_sub(1);
            if moved {
                state.held = Held::Not;
                state.take_room_to_leave();
            }
            if state.held == Held::ByQuestion && state.in_flight == 0 {
                state.held = Held::Not;
            }
            if state.session.is_closing() {
                // Nothing comes behind the last frame.
                return None;
            }
        }
        self.flush_later(&connection);
        Some(connection)
    }

    /// Has a connection flushed at the end of the pump's turn, once, whatever comes for it until then.
    pub(super) fn flush_later(&self, connection: &Connection) {
        if !connection.marked.replace(true) {
            self.unflushed.borrow_mut().push(connection.key);
        }
    }

    /// Writes the answers of this turn, each connection's in one go, and lets paused connections read on.
    fn flush_connections(self: &Rc<Self>) {
        let mut keys = std::mem::take(&mut *self.unflushed.borrow_mut());
        for key in keys.drain(..) {
            if let Some(connection) = self.connection(key) {
                connection.marked.set(false);
                self.contain(key, || self.flush_answers(&connection));
            }
        }
        let mut unflushed = self.unflushed.borrow_mut();
        if unflushed.is_empty() {
            // The room in it is for the next turn.
            *unflushed = keys;
        }
    }

    fn flush_answers(self: &Rc<Self>, connection: &Rc<Connection>) {
        self.log_out_if_answered(connection);
        self.flush(connection);
        self.finish_if_drained(connection);
        self.resume_reading(connection);
        if connection.state.borrow().ended_until.is_some() {
            // The answer may have been the last it waited for.
            connection.outbox.borrow().wake();
        }
    }

    fn count_message(&self, kind: MessageType, effects: &[Effect]) {
        let taken = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Publish { .. } | Effect::Shed(_) | Effect::Undistributed));
        if taken {
            self.metrics
                .add_labelled(Metric::MessagesAccepted, label_of_kind(kind), 1);
        } else if effects.iter().any(|effect| {
            matches!(
                effect,
                Effect::Reply {
                    code: ErrorCode::NO_ERROR,
                    ..
                }
            )
        }) {
            self.metrics.add(Metric::MessagesDuplicate, 1);
        }
    }

    fn count_leave(&self, reason: LeaveReason) {
        let reason = match reason {
            LeaveReason::Left | LeaveReason::Unspecified => 0,
            LeaveReason::Logout => 1,
            LeaveReason::Offline => 2,
            LeaveReason::Kicked => 3,
            LeaveReason::Blocked => 4,
            LeaveReason::UserBlocked => 5,
        };
        self.metrics.add_labelled(Metric::RoomLeaves, reason, 1);
    }

    fn count_reply(&self, code: ErrorCode) {
        if code != ErrorCode::NO_ERROR {
            self.metrics.add_code(code);
        }
    }
}

/// The place of a message type in the label of that name.
pub(super) fn label_of_kind(kind: MessageType) -> usize {
    match kind {
        MessageType::Text | MessageType::Unspecified => 0,
        MessageType::Command => 1,
        MessageType::Barrage => 2,
        MessageType::Custom => 3,
        MessageType::Image => 4,
        MessageType::File => 5,
        MessageType::Audio => 6,
        MessageType::Video => 7,
        MessageType::Combined => 8,
    }
}

/// Has a question that is answered at length count as several. No other command is answered with so much.
fn count_long_answer(connection: &Connection, frame: &[u8], now: Now) {
    if frame.len() > limits::ANSWER_PIECE_BYTES
        && let Some(online) = connection.state.borrow_mut().session.online_mut()
    {
        online.quotas.count_answer(now.instant, frame.len());
    }
}
