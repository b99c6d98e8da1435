//! Putting users out of a room, and telling them so when they come back with something else than a wish to enter.

use std::collections::VecDeque;

use bytes::Bytes;
use hashbrown::HashSet;
use sluice_protocol::{ErrorCode, LeaveReason, RoomKickedOut, UserId, frame::Body};

use crate::frames;
use crate::identity::Caller;
use crate::refusal::Refusal;
use crate::room::{Context, Effect, Request, Room, enter};
use crate::store::{Change, RoomList};

/// Users that a room remembers to have kicked. With each is told apart from somebody who never was inside; the oldest of a thousand has had
/// time enough to notice.
const KICKED_MAX: usize = 1_000;

/// Who was kicked and has not come back. Who is blocked is on a list of its own, for as long as the block lasts.
#[derive(Debug, Default)]
pub(in crate::room) struct Kicked {
    users: HashSet<UserId>,
    /// The same, the oldest first.
    order: VecDeque<UserId>,
}

impl Kicked {
    fn remember(&mut self, user: &UserId) {
        if !self.users.insert(user.clone()) {
            return;
        }
        if self.order.len() == KICKED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.users.remove(&oldest);
        }
        self.order.push_back(user.clone());
    }

    /// `user` has come back.
    pub(in crate::room) fn forget(&mut self, user: &UserId) {
        if self.users.remove(user) {
            self.order.retain(|kicked| kicked != user);
        }
    }

    fn contains(&self, user: &UserId) -> bool {
        self.users.contains(user)
    }
}

/// Why somebody is put out, and what he is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct PutOut<'a> {
    pub reason: LeaveReason,
    /// Milliseconds since 1970-01-01 UTC; 0: no time.
    pub until_ms: i64,
    pub extra: &'a str,
}

impl Room {
    /// Puts a user out with all connections, if it is inside.
    pub(super) fn put_out(&mut self, context: Context<'_>, user: &UserId, why: PutOut<'_>, effects: &mut Vec<Effect>) {
        if !self.members.contains(user) {
            return;
        }
        // While its workers are still the room's: what was shed was its loss, too.
        self.tell_what_was_shed(effects);
        let by_server = self.members.is_by_server(user) && !self.is_staying(user);
        let Some((user, attached)) = self.members.remove(user) else {
            return;
        };
        self.stays_no_more(&user.id);
        if why.reason == LeaveReason::Kicked {
            self.kicked.remember(&user.id);
        }
        let frame = self.kicked_out(why);
        effects.extend(attached.into_iter().map(|connection| Effect::Expel {
            connection,
            frame: frame.clone(),
            reason: why.reason,
        }));
        if by_server {
            effects.push(Effect::Keep(Change::RemoveRoomUser {
                app: context.rules.app_key(self.key.app).to_owned(),
                room: self.key.id.as_str().to_owned(),
                list: RoomList::ServerMember,
                user: user.id.as_str().to_owned(),
            }));
        }
        self.tell_who_left(context, &user, why.reason, effects);
    }

    /// Answers somebody who asks something of a room that he is not inside.
    pub(in crate::room) fn refuse_outsider(
        &self,
        context: Context<'_>,
        caller: &Caller,
        request: Request,
    ) -> Vec<Effect> {
        let user = &caller.user.id;
        let refusal = match context.moderation.may_enter(user, context.now) {
            Err(blocked) => blocked,
            Ok(()) if self.kicked.contains(user) => Refusal::new(ErrorCode::KICKED_FROM_CHATROOM),
            Ok(()) => Refusal::new(ErrorCode::NOT_IN_CHATROOM),
        };
        request.refuse_with(caller, &refusal)
    }

    /// Tells a session that resumes why it is not inside any more.
    pub(in crate::room) fn tell_why_outside(&self, context: Context<'_>, caller: &Caller) -> Effect {
        let user = &caller.user.id;
        let blocked = context.moderation.blocks.get(user, context.now);
        let why = |reason, until_ms| PutOut {
            reason,
            until_ms,
            extra: "",
        };
        let why = match blocked {
            Some(block) => why(LeaveReason::Blocked, block.until_ms.unwrap_or(0)),
            None if self.kicked.contains(user) => why(LeaveReason::Kicked, 0),
            None => return enter::not_inside(&self.key, caller),
        };
        Effect::NotResumed {
            connection: caller.connection,
            frame: self.kicked_out(why),
        }
    }

    fn kicked_out(&self, why: PutOut<'_>) -> Bytes {
        let event = RoomKickedOut {
            room_id: self.key.id.as_str().to_owned(),
            reason: why.reason.into(),
            until_ms: why.until_ms,
            extra: why.extra.to_owned(),
        };
        frames::event(Body::RoomKickedOut(event)).into()
    }
}
