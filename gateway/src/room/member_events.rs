//! The ladder: how much a room tells of its members' coming and going.
//!
//! Each one in small rooms, a digest about once a second in larger ones, a count every few seconds in the largest:
//! a thousand members who each hear of a thousand joins would be a million frames.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use sluice_protocol::{
    LeaveReason, MemberEvents as Step, RoomMemberCount, RoomMemberDigest, RoomMemberJoined, RoomMemberLeft, UserId,
    UserInfo, frame::Body,
};

use crate::config;
use crate::identity::{RoomKey, User};
use crate::timer_wheel::TICK;

/// Names in each list of a digest, at most.
const DIGEST_NAMES_MAX: usize = 50;

/// Names noted for a digest: some more than it can tell, since who comes and goes is taken out again.
const NOTED_NAMES_MAX: usize = 4 * DIGEST_NAMES_MAX;

/// Whether there is room for more names until the next digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Room,
    Full,
}

/// See the module.
#[derive(Debug)]
pub(super) struct MemberEvents {
    /// Who came (true) or went (false) since the last digest, net: who did both is not in it.
    changed: HashMap<UserId, (Arc<User>, bool)>,
    names: Names,
    joined: u64,
    left: u64,
    told_count: usize,
    told_at: Instant,
}

/// The step of the ladder for a room of `members`.
pub(super) fn step(members: usize, rules: &config::Rooms) -> Step {
    if members <= rules.member_events_each {
        Step::Each
    } else if members <= rules.member_events_digest {
        Step::Digest
    } else {
        Step::Count
    }
}

impl MemberEvents {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            changed: HashMap::new(),
            names: Names::Room,
            joined: 0,
            left: 0,
            told_count: 0,
            told_at: now,
        }
    }

    /// `user` came, with something for the others, and the room has `members` now. Returns what to publish at once.
    pub(super) fn on_join(
        &mut self,
        room: &RoomKey,
        user: &Arc<User>,
        extra: &str,
        members: usize,
        rules: &config::Rooms,
    ) -> Option<Body> {
        match self.step_of_event(members, rules) {
            Step::Each => Some(Body::RoomMemberJoined(RoomMemberJoined {
                room_id: room.id.as_str().to_owned(),
                members: vec![user_info(user)],
                member_count: members as u64,
                extra: extra.to_owned(),
            })),
            Step::Digest => {
                self.note(user, true);
                None
            }
            Step::Count => {
                self.forget();
                None
            }
        }
    }

    /// `user` went and the room has `members` now. Returns what to publish at once.
    pub(super) fn on_leave(
        &mut self,
        room: &RoomKey,
        user: &Arc<User>,
        reason: LeaveReason,
        members: usize,
        rules: &config::Rooms,
    ) -> Option<Body> {
        match self.step_of_event(members, rules) {
            Step::Each => Some(Body::RoomMemberLeft(RoomMemberLeft {
                room_id: room.id.as_str().to_owned(),
                members: vec![user_info(user)],
                reason: reason.into(),
                member_count: members as u64,
            })),
            Step::Digest => {
                self.note(user, false);
                None
            }
            Step::Count => {
                self.forget();
                None
            }
        }
    }

    /// Returns a digest or a count if one is due.
    pub(super) fn on_tick(
        &mut self,
        now: Instant,
        room: &RoomKey,
        members: usize,
        rules: &config::Rooms,
    ) -> Option<Body> {
        let elapsed = now.duration_since(self.told_at);
        let room_id = || room.id.as_str().to_owned();
        // What was noted while the room was larger is told even when it has shrunk since.
        if self.joined + self.left > 0 {
            if elapsed < rules.digest_interval {
                return None;
            }
            let (joined, left): (Vec<_>, Vec<_>) = self.changed.values().partition(|(_, came)| *came);
            let named = |users: Vec<&(Arc<User>, bool)>| {
                users
                    .into_iter()
                    .take(DIGEST_NAMES_MAX)
                    .map(|(user, _)| user_info(user))
                    .collect()
            };
            let digest = RoomMemberDigest {
                room_id: room_id(),
                joined: named(joined),
                left: named(left),
                joined_count: self.joined,
                left_count: self.left,
                member_count: members as u64,
            };
            self.forget();
            self.told(now, members);
            return Some(Body::RoomMemberDigest(digest));
        }
        // At the next tick it would be older than it may be.
        let count_is_due = elapsed + TICK > rules.count_interval;
        if step(members, rules) == Step::Count && members != self.told_count && count_is_due {
            self.told(now, members);
            return Some(Body::RoomMemberCount(RoomMemberCount {
                room_id: room_id(),
                member_count: members as u64,
            }));
        }
        None
    }

    /// Whether a digest or a count may become due without anything else happening.
    pub(super) fn is_pending(&self, members: usize, rules: &config::Rooms) -> bool {
        self.joined + self.left > 0 || (step(members, rules) == Step::Count && members != self.told_count)
    }

    /// The step for one event. While a digest is to come, single events wait for it too: told at once they would contradict
    /// the digest that follows.
    fn step_of_event(&self, members: usize, rules: &config::Rooms) -> Step {
        match step(members, rules) {
            Step::Each if self.joined + self.left > 0 => Step::Digest,
            step => step,
        }
    }

    fn note(&mut self, user: &Arc<User>, came: bool) {
        if came {
            self.joined += 1;
        } else {
            self.left += 1;
        }
        match self.changed.get(&user.id) {
            Some((_, noted)) if *noted != came => {
                self.changed.remove(&user.id);
            }
            _ if self.names == Names::Full => {}
            _ if self.changed.len() < NOTED_NAMES_MAX => {
                self.changed.insert(user.id.clone(), (user.clone(), came));
            }
            // From here on a name that is not noted may have come or gone unseen, so no new ones are taken.
            _ => self.names = Names::Full,
        }
    }

    fn forget(&mut self) {
        self.changed = HashMap::new();
        self.joined = 0;
        self.left = 0;
        self.names = Names::Room;
    }

    fn told(&mut self, now: Instant, members: usize) {
        self.told_at = now;
        self.told_count = members;
    }
}

pub(super) fn user_info(user: &User) -> UserInfo {
    UserInfo {
        user_id: user.id.as_str().to_owned(),
        user_name: user.name.to_string(),
    }
}
