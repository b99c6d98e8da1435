//! How a room ends: what a policy says, or the app's server instead, and when that is due.
//!
//! Nothing polls: [`Deadlines`] has the next time at which each room may end. It moves lazily, like any clock that is put back more
//! often than it rings: a room whose end has moved away keeps its old entry, and is asked again when that comes up.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use sluice_protocol::RoomDestroyedReason;

use crate::clock::Now;
use crate::config::RoomEnds;
use crate::identity::RoomKey;
use crate::policy::AppPolicy;
use crate::room::{Effect, Room, Rules};

/// How often a room that is exempt from ending by being idle is looked at, in case it is not exempt any more.
const EXEMPT_RECHECK: Duration = Duration::from_secs(60);

/// Entries that may be out of date before they are looked through: below, it is not worth the while.
const STALE_MIN: usize = 1024;

/// What ends a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// So long after the last member has left. A room that the app's server made is not empty in this sense before somebody came.
    WhenEmpty { delay: Duration },
    /// When there was no message and no join for so long.
    WhenIdle { after: Duration },
    /// At this time, milliseconds since 1970-01-01 UTC, whoever is inside.
    At { unix_ms: i64 },
    /// By the app's server alone.
    Never,
}

impl From<RoomEnds> for Ends {
    fn from(ends: RoomEnds) -> Self {
        match ends {
            RoomEnds::WhenEmpty { delay } => Self::WhenEmpty { delay },
            RoomEnds::WhenIdle { after } => Self::WhenIdle { after },
            RoomEnds::Never => Self::Never,
        }
    }
}

impl Ends {
    /// As it is kept in the store.
    pub(super) fn to_text(self) -> String {
        match self {
            Self::WhenEmpty { delay } => format!("empty {}", delay.as_millis()),
            Self::WhenIdle { after } => format!("idle {}", after.as_millis()),
            Self::At { unix_ms } => format!("at {unix_ms}"),
            Self::Never => "never".to_owned(),
        }
    }

    /// What [`Self::to_text`] wrote.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let (kind, time) = text.split_once(' ').unwrap_or((text, ""));
        let milliseconds = || time.parse().ok().map(Duration::from_millis);
        match kind {
            "empty" => Some(Self::WhenEmpty { delay: milliseconds()? }),
            "idle" => Some(Self::WhenIdle { after: milliseconds()? }),
            "at" => time.parse().ok().map(|unix_ms| Self::At { unix_ms }),
            "never" if time.is_empty() => Some(Self::Never),
            _ => None,
        }
    }
}

/// Whether somebody is inside, or a place is kept for somebody. Whom the app's server put inside does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nobody has come yet.
    Unused,
    Inhabited,
    /// After a start this is a time to come.
    EmptySince(Instant),
}

/// Whether a room ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is over. Without a reason nobody is inside who could be told.
    Now(Option<RoomDestroyedReason>),
    /// It may be over then.
    NotBefore(Instant),
    /// Nothing that time alone brings about.
    Open,
}

impl Room {
    /// Looks whether somebody is inside. Attributes do not outlive the last member, even where the room does for a while.
    pub(super) fn note_presence(&mut self, now: Now, rules: &Rules, effects: &mut Vec<Effect>) {
        match (self.members.live(), self.presence) {
            (0, Presence::Inhabited) => {
                self.presence = Presence::EmptySince(now.instant);
                if let Ends::WhenEmpty { delay } = self.ends
                    && !delay.is_zero()
                {
                    self.delete_all_attributes(rules, effects);
                }
            }
            (0, Presence::Unused | Presence::EmptySince(_)) | (_, Presence::Inhabited) => {}
            (_, Presence::EmptySince(_)) => self.presence = Presence::Inhabited,
            (_, Presence::Unused) => {
                self.presence = Presence::Inhabited;
                if let Ends::WhenEmpty { .. } = self.ends {
                    // From now on it ends, also after a restart.
                    effects.extend(self.record(rules));
                }
            }
        }
    }

    /// Whether anybody has ever been inside.
    pub(super) fn was_used(&self) -> bool {
        self.presence != Presence::Unused || self.members.live() > 0
    }

    /// Whether the room ends, as things are.
    pub(super) fn end(&self, now: Now, app: &AppPolicy) -> End {
        let by = |deadline: Instant, reason| {
            if now.instant >= deadline {
                End::Now(reason)
            } else {
                End::NotBefore(deadline)
            }
        };
        match self.ends {
            Ends::WhenEmpty { delay } => match self.presence {
                Presence::EmptySince(since) => by(since + delay, None),
                Presence::Unused | Presence::Inhabited => End::Open,
            },
            Ends::WhenIdle { after } => {
                let end = by(self.active_at + after, Some(RoomDestroyedReason::Idle));
                match end {
                    End::Now(_) if app.keep_alive.contains(&self.key.id, now) => {
                        End::NotBefore(now.instant + EXEMPT_RECHECK)
                    }
                    end => end,
                }
            }
            Ends::At { unix_ms } => {
                let left = u64::try_from(unix_ms.saturating_sub(now.unix_ms)).unwrap_or(0);
                by(
                    now.instant + Duration::from_millis(left),
                    Some(RoomDestroyedReason::Expired),
                )
            }
            Ends::Never => End::Open,
        }
    }
}

/// When rooms may end. See the module.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Deadline>,
}

/// The earliest is the greatest.
#[derive(Debug)]
struct Deadline {
    at: Instant,
    room: RoomKey,
}

impl Deadlines {
    /// Makes an entry for a room, unless it has one that comes up in time.
    pub(super) fn arm(&mut self, room: &mut Room, end: End) {
        if let End::NotBefore(at) = end
            && room.armed.is_none_or(|armed| armed > at)
        {
            room.armed = Some(at);
            let room = room.key.clone();
            self.heap.push(Deadline { at, room });
        }
    }

    /// The next room that may end now, and the time of its entry.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(RoomKey, Instant)> {
        if self.heap.peek()?.at > now {
            return None;
        }
        self.heap.pop().map(|deadline| (deadline.room, deadline.at))
    }

    /// Throws away what is out of date, once it is more than the `rooms` there are.
    pub(super) fn sweep(&mut self, rooms: usize, is_armed: impl Fn(&RoomKey, Instant) -> bool) {
        if self.heap.len() > 2 * rooms + STALE_MIN {
            self.heap.retain(|deadline| is_armed(&deadline.room, deadline.at));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Deadline {}
