//! Coming into a room and going: entering, leaving, a connection that is lost, a session that resumes.

use bytes::Bytes;
use sluice_protocol::{
    LeaveReason, LeaveRoomResult, RoomDestroyed, RoomDestroyedReason, RoomEntered, RoomInfo, RoomResumed, frame::Body,
    reply,
};

use crate::frames;
use crate::identity::{Caller, ConnectionRef, RoomKey};
use crate::room::members::{Arrival, Departure};
use crate::room::{Context, Effect, Enter, Entered, Request, Room, member_events};

impl Room {
    pub(super) fn enter(&mut self, context: Context<'_>, caller: &Caller, enter: &Enter, created: bool) -> Vec<Effect> {
        let rules = context.rules;
        let arrival = self
            .members
            .enter(&caller.user, caller.connection, context.now.unix_seconds());
        #[cfg(test)]
        self.fail_on_purpose(caller.user.id.as_str().as_bytes());
        let history = match arrival {
            Arrival::AlreadyInside => Vec::new(),
            Arrival::NewUser | Arrival::NewConnection => self.history.newest(enter.history),
        };
        let entered = RoomEntered {
            room: Some(RoomInfo {
                room_id: self.key.id.as_str().to_owned(),
                room_name: self.name.clone(),
                preset: self.preset.into(),
                created_at_ms: self.created_at_ms,
                ..RoomInfo::default()
            }),
            created,
            already_inside: arrival == Arrival::AlreadyInside,
            member_count: self.members.len() as u64,
            sequence: self.sequence,
            history_count: u32::try_from(history.len()).expect("at most fifty"),
            member_events: member_events::step(self.members.len(), &rules.rooms).into(),
            ..RoomEntered::default()
        };
        let reply = frames::reply(caller.request_id, reply::Result::RoomEntered(entered)).into();

        let mut effects = Vec::new();
        // What was shed before the newcomer came is nothing to it.
        self.tell_what_was_shed(&mut effects);
        if arrival == Arrival::NewUser {
            // Before the newcomer is admitted: the event is for the others. A first member has no others, but counts.
            let event = self
                .member_events
                .on_join(&self.key, &caller.user, self.members.len(), &rules.rooms);
            effects.extend(event.filter(|_| !created).map(|body| self.publish_event(body)));
        }
        let frames = std::iter::once(reply).chain(history).collect();
        let how = match arrival {
            Arrival::AlreadyInside => Entered::AlreadyInside,
            _ if created => Entered::Created,
            Arrival::NewUser | Arrival::NewConnection => Entered::Joined,
        };
        effects.push(Effect::Admit {
            connection: caller.connection,
            frames,
            how,
        });
        effects
    }

    pub(super) fn leave(&mut self, context: Context<'_>, caller: &Caller, reason: LeaveReason) -> Vec<Effect> {
        if !self.members.is_inside(&caller.user, caller.connection) {
            return Request::Leave(reason).refuse_outsider(caller);
        }
        let mut effects = Vec::new();
        // While the leaver's worker is still one of the room's: what was shed was its loss, too.
        self.tell_what_was_shed(&mut effects);
        let departure = self.members.leave(&caller.user, caller.connection);
        let frame = (reason == LeaveReason::Left && caller.request_id != 0).then(|| {
            let result = LeaveRoomResult {
                room_id: self.key.id.as_str().to_owned(),
            };
            Bytes::from(frames::reply(caller.request_id, reply::Result::LeaveRoom(result)))
        });
        effects.push(Effect::Dismiss {
            connection: caller.connection,
            frame,
        });
        if departure == Departure::LastOfUser && self.members.len() > 0 {
            let rules = context.rules;
            let event = self
                .member_events
                .on_leave(&self.key, &caller.user, reason, self.members.len(), &rules.rooms);
            effects.extend(event.map(|body| self.publish_event(body)));
        }
        effects
    }

    /// A connection is lost. Others notice nothing: its place is kept.
    pub(super) fn detach(&mut self, caller: &Caller) -> Vec<Effect> {
        let mut effects = Vec::new();
        // While its worker is still one of the room's.
        self.tell_what_was_shed(&mut effects);
        self.members.detach(&caller.user, caller.connection);
        effects
    }

    /// A session goes on with the caller's connection: it gets what it missed, as far as the room keeps it.
    pub(super) fn resume(
        &mut self,
        context: Context<'_>,
        caller: &Caller,
        old: ConnectionRef,
        after: Option<u64>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.tell_what_was_shed(&mut effects);
        if !self.members.resume(&caller.user, old, caller.connection) {
            effects.push(not_inside(&self.key, caller));
            return effects;
        }
        let missed = after.map_or(0, |after| self.sequence.saturating_sub(after));
        let replay = self.history.after(after.unwrap_or(self.sequence));
        let resumed = RoomResumed {
            room_id: self.key.id.as_str().to_owned(),
            sequence: self.sequence,
            replayed: u32::try_from(replay.len()).expect("at most fifty"),
            missed: missed.saturating_sub(replay.len() as u64),
            member_count: self.members.len() as u64,
            member_events: member_events::step(self.members.len(), &context.rules.rooms).into(),
            ..RoomResumed::default()
        };
        let event = frames::event(Body::RoomResumed(resumed)).into();
        effects.push(Effect::Admit {
            connection: caller.connection,
            frames: std::iter::once(event).chain(replay).collect(),
            how: Entered::Resumed,
        });
        effects
    }
}

/// Tells a session that resumes that it is not inside a room any more, because that is gone or because it was put out.
pub(super) fn not_inside(room: &RoomKey, caller: &Caller) -> Effect {
    let destroyed = RoomDestroyed {
        room_id: room.id.as_str().to_owned(),
        reason: RoomDestroyedReason::Unspecified.into(),
    };
    Effect::Notify {
        connection: caller.connection,
        frame: frames::event(Body::RoomDestroyed(destroyed)).into(),
    }
}
