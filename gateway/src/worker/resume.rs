//! Sessions that go on with another connection, as the workers of the old and the new one see it.
//!
//! The new one asks the rooms one after the other, each once it has answered the one before and the client has taken most of what that
//! replayed: nobody makes the gateway keep more at once by coming back than by joining. Until all have answered the client is not read.
//! How homes and workers speak about it: [`crate::worker::user_home`].

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use sluice_protocol::{ErrorCode, RoomId};

use crate::identity::{Caller, ConnectionKey, ConnectionRef, RoomKey, User};
use crate::refusal::Refusal;
use crate::room;
use crate::session::parked::Lost;
use crate::worker::Worker;
use crate::worker::close::CloseReason;
use crate::worker::connection::{Connection, Errand, State};
use crate::worker::mailbox::Message;

/// The rooms of a session that has just been resumed.
#[derive(Debug)]
pub(super) struct Walk {
    /// Whose places it takes.
    old: ConnectionRef,
    /// Still to be asked, the next last, with the newest message that the client knows of each.
    waiting: Vec<(RoomKey, Option<u64>)>,
    /// Has still to answer.
    asked: Option<RoomKey>,
}

impl Walk {
    /// To all rooms that a lost connection was inside.
    pub(super) fn new(lost: Lost, known: &[(RoomId, u64)]) -> Self {
        let known: HashMap<&RoomId, u64> = known.iter().map(|(room, sequence)| (room, *sequence)).collect();
        let rooms = lost.rooms.into_iter().rev();
        let waiting = rooms.map(|room| {
            let after = known.get(&room.id).copied();
            (room, after)
        });
        Self {
            old: lost.connection,
            waiting: waiting.collect(),
            asked: None,
        }
    }
}

impl Worker {
    /// The session of a connection goes on elsewhere.
    pub(super) fn supplant(self: &Rc<Self>, key: ConnectionKey) {
        let online = |connection: &Rc<Connection>| connection.state.borrow().session.online().is_some();
        if let Some(connection) = self.connection(key).filter(online) {
            let refusal = Refusal::with_detail(ErrorCode::DISCONNECTED_BY_SERVER, "resumed");
            self.close(&connection, &refusal, CloseReason::Resumed);
        }
    }

    /// Asks the next room of a session that was resumed, if it is time.
    pub(super) fn resume_rooms(&self, connection: &Connection) {
        let mut state = connection.state.borrow_mut();
        let state = &mut *state;
        let (Some(Errand::Walk(walk)), Some(online)) = (state.errand.as_deref_mut(), state.session.online()) else {
            return;
        };
        if walk.asked.is_some()
            || connection.outbox.borrow().private_bytes() > self.config().connections.private_queue_bytes / 2
        {
            return;
        }
        let Some((room, after)) = walk.waiting.pop() else {
            state.errand = None;
            return;
        };
        walk.asked = Some(room.clone());
        let (old, address) = (walk.old, self.connection_ref(connection.key));
        self.ask_to_resume(online.user.clone(), address, room, old, after);
    }

    /// A room that a connection was to go on in has let it in.
    pub(super) fn resumed(&self, key: ConnectionKey, room: &RoomKey, frames: &[Bytes]) {
        let online = |connection: &Rc<Connection>| connection.state.borrow().session.online().is_some();
        // Who ended meanwhile has told the room.
        let Some(connection) = self.connection(key).filter(online) else {
            return;
        };
        for frame in frames {
            self.answer(&connection, frame);
        }
        self.slices.borrow_mut().add(room, &connection.outbox);
        self.walk_on(&connection, room);
    }

    /// A room that a connection was to go on in does not know it any more.
    pub(super) fn not_resumed(self: &Rc<Self>, key: ConnectionKey, room: &RoomKey, frame: &[u8]) {
        if let Some(connection) = self.connection(key) {
            self.push_event(&connection, frame);
            self.walk_on(&connection, room);
        }
    }

    /// A room has answered a session that was resumed.
    fn walk_on(&self, connection: &Connection, room: &RoomKey) {
        let mut state = connection.state.borrow_mut();
        if let Some(Errand::Walk(walk)) = state.errand.as_deref_mut()
            && walk.asked.as_ref() == Some(room)
        {
            walk.asked = None;
            self.flush_later(connection);
        }
    }

    /// A connection ends before all rooms were asked: it takes the places nevertheless, so that all of them are one connection's. Returns
    /// the rooms that had not answered.
    pub(super) fn end_walk(&self, state: &mut State, user: &Arc<User>, address: ConnectionRef) -> Vec<RoomKey> {
        let Some(Errand::Walk(walk)) = state.errand.take().map(|errand| *errand) else {
            return Vec::new();
        };
        let mut rooms: Vec<RoomKey> = walk.asked.into_iter().collect();
        for (room, _) in walk.waiting {
            self.ask_to_resume(user.clone(), address, room.clone(), walk.old, None);
            rooms.push(room);
        }
        rooms
    }

    fn ask_to_resume(
        &self,
        user: Arc<User>,
        connection: ConnectionRef,
        room: RoomKey,
        old: ConnectionRef,
        after: Option<u64>,
    ) {
        let caller = Caller {
            user,
            connection,
            request_id: 0,
        };
        let request = room::Request::Resume { old, after };
        self.post(self.home_of_room(&room), Message::Room { room, caller, request });
    }
}
