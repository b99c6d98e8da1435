//! Users on the allow list, who stay inside when their last connection is lost for good: a host whose network fails for a minute is still
//! the host, and the room hears of nothing.
//!
//! They stay without a connection, as those do whom the app's server has put inside, until they come back, the list is done with them,
//! or the room ends.

use sluice_protocol::{LeaveReason, UserId};

use crate::identity::Caller;
use crate::room::members::Departure;
use crate::room::{Context, Effect, Room};

impl Room {
    /// The caller's connection leaves, but perhaps not the user.
    pub(in crate::room) fn leave_or_stay(
        &mut self,
        context: Context<'_>,
        caller: &Caller,
        reason: LeaveReason,
    ) -> Departure {
        let user = &caller.user;
        let joined = self.members.find(&user.id).map(|member| member.joined);
        let departure = match (self.members.leave(user, caller.connection), reason) {
            (Departure::OthersRemain, LeaveReason::Left | LeaveReason::Logout) => self.members.give_up_kept(&user.id),
            (departure, _) => departure,
        };
        if departure == Departure::LastOfUser
            && reason == LeaveReason::Offline
            && context.moderation.allowed.contains(&user.id, context.now)
            && let Some(joined) = joined
        {
            self.members.join_by_server(user, joined);
            self.staying.push(user.id.clone());
            return Departure::OthersRemain;
        }
        departure
    }

    /// Somebody has come in by himself, and leaves like everybody from now on.
    pub(in crate::room) fn came_in(&mut self, user: &UserId) {
        self.kicked.forget(user);
        if self.stays_no_more(user) {
            self.members.release(user);
        }
    }

    /// The app's server puts somebody inside, who is there for it from now on. Returns whether that is one who stayed.
    pub(in crate::room) fn put_in(&mut self, user: &UserId) -> bool {
        self.kicked.forget(user);
        self.stays_no_more(user)
    }

    pub(super) fn is_staying(&self, user: &UserId) -> bool {
        self.staying.contains(user)
    }

    /// Returns whether `user` was staying.
    pub(super) fn stays_no_more(&mut self, user: &UserId) -> bool {
        let place = self.staying.iter().position(|staying| staying == user);
        place.map(|place| self.staying.swap_remove(place)).is_some()
    }

    /// `user` is not on the list any more: if he was staying, he is gone now.
    pub(super) fn dismiss_staying(&mut self, context: Context<'_>, user: &UserId, effects: &mut Vec<Effect>) {
        if !self.stays_no_more(user) {
            return;
        }
        if let Some(gone) = self.members.release(user) {
            self.tell_who_left(context, &gone, LeaveReason::Offline, effects);
        }
    }
}
