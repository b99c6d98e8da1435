//! What the app's server has decided about a room and its users. It holds whether the room exists or not.
//!
//! Start with [`Moderation`]; [`Decisions`] has those of all rooms of a home. Who is told what is said here alone: orders are in
//! [`orders`], who was put out and is to hear so in [`put_out`], who stays though he is gone in [`staying`].

mod decisions;
mod orders;
mod put_out;
mod staying;

use std::time::Duration;

use sluice_protocol::{ErrorCode, UserId};

use crate::clock::Now;
use crate::policy::{AppPolicy, List};
use crate::refusal::Refusal;
use crate::store::{Entry, RoomList, RoomRules};

pub(super) use decisions::Decisions;
pub(super) use put_out::Kicked;

/// Users on one list of a room whose entries end by themselves, and those whom the app's server has put inside. The vendor names no number; with 20 for each call it takes five hundred to
/// get there, and 2 MiB.
const ENDING_MAX: usize = 10_000;

/// Users of a room whose messages are never shed. Each more is one more that nothing holds back, so as few as the vendor allows.
const ALLOWED_MAX: usize = 5;

/// Users whom a mute of the room does not bind. As many as the vendor allows.
const MUTE_EXCEPTIONS_MAX: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Moderation {
    pub(super) rules: RoomRules,
    /// Who may not send.
    gags: List<UserId>,
    /// Who may not be inside.
    blocks: List<UserId>,
    /// Whose messages are never shed, and who stays inside when the connection is lost for good.
    pub(super) allowed: List<UserId>,
    /// Whom neither a gag of this room nor a mute of all binds.
    mute_exceptions: List<UserId>,
}

/// Whether a user may send, as those who enter are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MuteState {
    /// The user by himself may not: here or in all rooms.
    pub muted: bool,
    /// Until when, milliseconds since 1970-01-01 UTC; 0: without end, or not muted.
    pub until_ms: i64,
    /// Nobody may but those excepted, whether this user is or not.
    pub room_muted: bool,
}

impl Moderation {
    /// Whether `user` may send. A gag in all rooms goes before everything; who is excepted is bound by nothing else.
    ///
    /// # Errors
    /// 23408, with what forbids it and how long still.
    pub(super) fn may_send(&self, user: &UserId, app: &AppPolicy, now: Now) -> Result<(), Refusal> {
        let muted = |detail| Refusal::with_detail(ErrorCode::MUTED_IN_CHATROOM, detail);
        if let Some(gag) = app.gags.get(user, now) {
            return Err(muted("global").retry_after(left(gag, now)));
        }
        if self.mute_exceptions.contains(user, now) {
            return Ok(());
        }
        if let Some(gag) = self.gags.get(user, now) {
            return Err(muted("user").retry_after(left(gag, now)));
        }
        if self.rules.muted {
            return Err(muted("room"));
        }
        Ok(())
    }

    /// What `user` is told of it.
    pub(super) fn mute_of(&self, user: &UserId, app: &AppPolicy, now: Now) -> MuteState {
        let excepted = self.mute_exceptions.contains(user, now);
        let here = self.gags.get(user, now).filter(|_| !excepted);
        let gags = || app.gags.get(user, now).into_iter().chain(here);
        // Whoever is gagged twice may send when both are over.
        let last = gags().map(|gag| gag.until_ms).reduce(|a, b| Some(a?.max(b?)));
        MuteState {
            muted: last.is_some(),
            until_ms: last.flatten().unwrap_or(0),
            room_muted: self.rules.muted,
        }
    }

    /// Whether `user` may come in.
    ///
    /// # Errors
    /// 23409, with how long it will not.
    pub(super) fn may_enter(&self, user: &UserId, now: Now) -> Result<(), Refusal> {
        self.blocks.get(user, now).map_or(Ok(()), |block| {
            Err(Refusal::new(ErrorCode::KICKED_FROM_CHATROOM).retry_after(left(block, now)))
        })
    }

    /// The users on a list; `None` for the one that is the room's own.
    fn list(&self, list: RoomList) -> Option<&List<UserId>> {
        match list {
            RoomList::Gag => Some(&self.gags),
            RoomList::Block => Some(&self.blocks),
            RoomList::Allow => Some(&self.allowed),
            RoomList::MuteException => Some(&self.mute_exceptions),
            RoomList::ServerMember => None,
        }
    }

    fn list_mut(&mut self, list: RoomList) -> Option<&mut List<UserId>> {
        match list {
            RoomList::Gag => Some(&mut self.gags),
            RoomList::Block => Some(&mut self.blocks),
            RoomList::Allow => Some(&mut self.allowed),
            RoomList::MuteException => Some(&mut self.mute_exceptions),
            RoomList::ServerMember => None,
        }
    }

    /// What it counts against the bound of an app: one for itself, and one for each user on a list.
    fn weight(&self) -> usize {
        let lists = [&self.gags, &self.blocks, &self.allowed, &self.mute_exceptions];
        1 + lists.map(List::len).into_iter().sum::<usize>()
    }

    /// Whether it says nothing.
    fn is_default(&self) -> bool {
        self.rules == RoomRules::default() && self.weight() == 1
    }

    /// When the first entry ends, milliseconds since 1970-01-01 UTC.
    fn next_end_ms(&self) -> Option<i64> {
        let lists = [&self.gags, &self.blocks, &self.allowed, &self.mute_exceptions];
        lists.into_iter().filter_map(List::next_end_ms).min()
    }

    fn drop_ended(&mut self, now: Now) {
        self.gags.drop_ended(now);
        self.blocks.drop_ended(now);
        self.allowed.drop_ended(now);
        self.mute_exceptions.drop_ended(now);
    }
}

/// How many users a list may have, and what is answered beyond.
pub(super) fn limit(list: RoomList) -> (usize, Refusal) {
    let full = Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list_full");
    match list {
        RoomList::Allow => (ALLOWED_MAX, full),
        RoomList::MuteException => (MUTE_EXCEPTIONS_MAX, Refusal::new(ErrorCode::MUTE_EXCEPTIONS_FULL)),
        RoomList::Gag | RoomList::Block | RoomList::ServerMember => (ENDING_MAX, full),
    }
}

/// How long an entry holds still; zero when it has no end.
fn left(entry: &Entry, now: Now) -> Duration {
    let left = entry.until_ms.map_or(0, |until| until.saturating_sub(now.unix_ms));
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}
