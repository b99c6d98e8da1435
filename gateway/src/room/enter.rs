//! Coming into a room and going: entering, leaving, a connection that is lost, a session that resumes.

use std::sync::Arc;

use bytes::Bytes;
use sluice_protocol::{
    ErrorCode, LeaveReason, LeaveRoomResult, RoomDestroyed, RoomDestroyedReason, RoomEntered, RoomResumed, UserId,
    frame::Body, reply,
};

use crate::frames;
use crate::identity::{Caller, ConnectionRef, RoomKey, User};
use crate::refusal::Refusal;
use crate::room::members::{Arrival, Departure};
use crate::room::{Context, Effect, Enter, Entered, KeptFor, Request, Room, member_events};

impl Room {
    pub(super) fn enter(&mut self, context: Context<'_>, caller: &Caller, enter: &Enter, created: bool) -> Vec<Effect> {
        let rules = context.rules;
        if self.is_full_for(context, &caller.user.id) {
            return vec![Effect::unchanged(caller, &Refusal::new(ErrorCode::CHATROOM_FULL))];
        }
        let arrival = self
            .members
            .enter(&caller.user, caller.connection, context.now.unix_seconds());
        self.came_in(&caller.user.id);
        #[cfg(test)]
        self.fail_on_purpose(caller.user.id.as_str().as_bytes());
        let history = match arrival {
            Arrival::AlreadyInside => Vec::new(),
            Arrival::NewUser | Arrival::NewConnection => {
                self.active_at = context.now.instant;
                self.history.newest(enter.history)
            }
        };
        let mute = context.moderation.mute_of(&caller.user.id, context.app, context.now);
        let entered = RoomEntered {
            room: Some(self.info()),
            created,
            already_inside: arrival == Arrival::AlreadyInside,
            member_count: self.members.len() as u64,
            sequence: self.sequence,
            history_count: u32::try_from(history.len()).expect("at most fifty"),
            member_events: member_events::step(self.members.len(), &rules.rooms).into(),
            muted: mute.muted,
            muted_until_ms: mute.until_ms,
            room_muted: mute.room_muted,
            distribution_stopped: context.moderation.rules.stopped,
            attributes_version: self.attributes_version(),
        };
        let reply = frames::reply(caller.request_id, reply::Result::RoomEntered(entered)).into();

        let mut effects = Vec::new();
        // What was shed before the newcomer came is nothing to it.
        self.tell_what_was_shed(&mut effects);
        if arrival == Arrival::NewUser {
            // Before the newcomer is admitted: the event is for the others. A first member has no others, but counts.
            let members = self.members.len();
            let event = self
                .member_events
                .on_join(&self.key, &caller.user, &enter.extra, members, &rules.rooms);
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

    /// Whether the policy's limit keeps a user out who is not inside. Those on the allow list and whom the app's server put inside
    /// neither count nor are kept out.
    fn is_full_for(&self, context: Context<'_>, user: &UserId) -> bool {
        let Some(max) = self.policy.members_max else {
            return false;
        };
        let allowed = &context.moderation.allowed;
        if self.members.contains(user) || allowed.contains(user, context.now) {
            return false;
        }
        let allowed = allowed.listed(context.now);
        let free = allowed
            .iter()
            .filter(|(user, _)| self.members.contains(user) && !self.members.is_by_server(user));
        self.members.len() - self.members.by_server_count() - free.count() >= max
    }

    pub(super) fn leave(&mut self, context: Context<'_>, caller: &Caller, reason: LeaveReason) -> Vec<Effect> {
        if !self.members.is_inside(&caller.user, caller.connection) {
            return self.refuse_outsider(context, caller, Request::Leave(reason));
        }
        let mut effects = Vec::new();
        // While the leaver's worker is still one of the room's: what was shed was its loss, too.
        self.tell_what_was_shed(&mut effects);
        let departure = self.leave_or_stay(context, caller, reason);
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
        if departure == Departure::LastOfUser {
            self.tell_who_left(context, &caller.user, reason, &mut effects);
        }
        effects
    }

    /// A user is outside, with all connections: the others are told, if there are any, and what goes with a user goes.
    pub(super) fn tell_who_left(
        &mut self,
        context: Context<'_>,
        user: &Arc<User>,
        reason: LeaveReason,
        effects: &mut Vec<Effect>,
    ) {
        if self.members.len() > 0 {
            let rules = context.rules;
            let event = self
                .member_events
                .on_leave(&self.key, user, reason, self.members.len(), &rules.rooms);
            effects.extend(event.map(|body| self.publish_event(body)));
        }
        self.delete_attributes_of(context.rules, user, effects);
    }

    /// A connection is lost. Others notice nothing: its place is kept.
    pub(super) fn detach(&mut self, caller: &Caller, kept_for: KeptFor) -> Vec<Effect> {
        let mut effects = Vec::new();
        // While its worker is still one of the room's.
        self.tell_what_was_shed(&mut effects);
        self.members.detach(&caller.user, caller.connection, kept_for);
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
            effects.push(self.tell_why_outside(context, caller));
            return effects;
        }
        let missed = after.map_or(0, |after| self.sequence.saturating_sub(after));
        let replay = self.history.after(after.unwrap_or(self.sequence));
        let mute = context.moderation.mute_of(&caller.user.id, context.app, context.now);
        let resumed = RoomResumed {
            room_id: self.key.id.as_str().to_owned(),
            sequence: self.sequence,
            replayed: u32::try_from(replay.len()).expect("at most fifty"),
            missed: missed.saturating_sub(replay.len() as u64),
            member_count: self.members.len() as u64,
            member_events: member_events::step(self.members.len(), &context.rules.rooms).into(),
            muted: mute.muted,
            muted_until_ms: mute.until_ms,
            room_muted: mute.room_muted,
            distribution_stopped: context.moderation.rules.stopped,
            attributes_version: self.attributes_version(),
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
    Effect::NotResumed {
        connection: caller.connection,
        frame: frames::event(Body::RoomDestroyed(destroyed)).into(),
    }
}
