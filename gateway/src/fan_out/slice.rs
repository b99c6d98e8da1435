//! The members of one room on one worker.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::class::Class;
use crate::identity::{ConnectionKey, RoomKey};
use crate::outbox::log::{Cursor, Cuts, Log};
use crate::outbox::{Flush, Lag, Moved, SharedLog, SharedOutbox};

/// What one step of a sweep came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether members remain to be visited.
    pub more: bool,
    /// Members that cannot even take what may not be shed. They must be closed.
    pub too_slow: Vec<ConnectionKey>,
    /// Members whose visit panicked. Their outboxes are broken.
    pub panics: u64,
}

/// Bytes written before other tasks get their turn, whatever number of members that is: a fraction of a millisecond, with encryption
/// about one.
pub(crate) const STEP_BYTES_MAX: u64 = 512 * 1024;

/// A member may lag by this part of what the log may hold. Each of the four classes that may be shed keeps as much of its newest
/// for members that lag, what may not be shed as much again, and the rest is for those that do not lag.
const LAG_SHARE: usize = 8;

/// The members of one room on one worker, and the log they read.
#[derive(Debug)]
pub(crate) struct Slice {
    log: SharedLog,
    log_bytes_max: usize,
    members: Vec<SharedOutbox>,
    /// The member the sweep visits next.
    position: usize,
    /// The end of the log when the round began: every member that was not blocked has got as much when it is over.
    round_end: Cursor,
    /// Members that were blocked when the round came by. No others are before its end when it is over.
    blocked: Vec<SharedOutbox>,
    under_way: bool,
    /// How large the log may grow before it is worth looking where each member is.
    trim_at: usize,
    /// How large it may grow before it is worth taking something out for those who lag.
    compact_at: usize,
}

impl Slice {
    /// An empty slice whose log keeps at most `log_bytes_max` for members that lag.
    pub(crate) fn new(room: RoomKey, log_bytes_max: usize) -> Self {
        Self {
            log: Rc::new(RefCell::new(Log::new(room))),
            log_bytes_max,
            members: Vec::new(),
            position: 0,
            round_end: Cursor::default(),
            blocked: Vec::new(),
            under_way: false,
            trim_at: 0,
            compact_at: 0,
        }
    }

    /// Memory of what the log keeps.
    pub(crate) fn log_bytes(&self) -> usize {
        self.log.borrow().memory()
    }

    /// By how much that is more than it may be. Only what was published since the round began can be too much, so the next round
    /// puts it right; until then nothing more should be published.
    pub(crate) fn excess_bytes(&self) -> usize {
        self.log_bytes().saturating_sub(self.log_bytes_max)
    }

    /// How far a member may lag, in bytes, when a log may take `log_bytes_max`.
    pub(crate) fn lag_bytes_max(log_bytes_max: usize) -> usize {
        log_bytes_max / LAG_SHARE
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn members(&self) -> &[SharedOutbox] {
        &self.members
    }

    /// Adds a member; it gets what is published from now on.
    pub(crate) fn add(&mut self, outbox: &SharedOutbox) {
        let mut member = outbox.borrow_mut();
        if !member.is_subscribed(&self.log) {
            self.members.push(outbox.clone());
            member.subscribe(&self.log, seat(self.members.len() - 1));
        }
    }

    /// Removes a member. What was published before still goes out as far as its transport takes it at once, and the rest of a frame
    /// that is half written in any case.
    pub(crate) fn remove(&mut self, outbox: &SharedOutbox, moved: &mut Moved) {
        outbox.borrow_mut().flush(moved);
        // Who is gone is not kept alive by its lag.
        self.blocked.retain(|lags| !Rc::ptr_eq(lags, outbox));
        let Some(gone) = outbox.borrow_mut().unsubscribe(&self.log, moved) else {
            return;
        };
        self.members.swap_remove(gone as usize);
        if let Some(stays) = self.members.get(gone as usize).cloned() {
            stays.borrow_mut().set_seat(&self.log, gone);
            // From a seat that the round has still to visit to one that it has passed.
            let passed_over = (gone as usize) < self.position && self.members.len() >= self.position;
            if self.under_way && passed_over {
                self.visit(&stays, moved);
            }
        }
        if self.members.len() * 4 < self.members.capacity() {
            self.members.shrink_to(self.members.len() * 2);
        }
    }

    /// Adds a frame for all members.
    pub(crate) fn append(&mut self, frame: &[u8], sequence: u64, class: Class) {
        self.log.borrow_mut().append(frame, sequence, class);
    }

    /// A member that was blocked went on, or is gone: the log may perhaps be trimmed. Returns whether a sweep is needed for that.
    pub(crate) fn on_progress(&mut self) -> bool {
        self.trim_at = 0;
        self.log_bytes() > 0
    }

    /// Visits up to `members_max` members and writes what they have to get. Call again while there is [`Step::more`].
    pub(crate) fn sweep(&mut self, members_max: usize, moved: &mut Moved) -> Step {
        let mut step = Step::default();
        if !self.under_way {
            let end = self.log.borrow().end();
            if end == self.round_end {
                // Nothing was published since the last round, so only those who lagged then have anything to get, and they
                // see to that themselves.
                self.blocked.retain(|member| member.borrow().is_blocked());
                self.finish_round(&mut step, moved);
                return step;
            }
            self.under_way = true;
            self.position = 0;
            self.blocked = Vec::new();
            self.round_end = end;
        }
        let until = self.members.len().min(self.position + members_max);
        let before = moved.all_bytes();
        while self.position < until && moved.all_bytes() - before < STEP_BYTES_MAX {
            let member = self.members[self.position].clone();
            step.panics += self.visit(&member, moved);
            self.position += 1;
        }
        step.more = self.position < self.members.len() || !self.finish_round(&mut step, moved);
        step
    }

    /// Writes what one member has to get. Returns 1 if that panicked.
    fn visit(&mut self, member: &SharedOutbox, moved: &mut Moved) -> u64 {
        let mut outbox = member.borrow_mut();
        match catch_unwind(AssertUnwindSafe(|| outbox.flush(moved))) {
            Ok(Flush::Done | Flush::Broken) => 0,
            Ok(Flush::Blocked) => {
                self.blocked.push(member.clone());
                0
            }
            Err(_) => {
                // Whatever it is that went wrong with this one, the others get theirs.
                outbox.break_off(moved);
                outbox.wake();
                1
            }
        }
    }

    /// Forgets what all have got. Returns true when nothing is left for the sweep to do.
    fn finish_round(&mut self, step: &mut Step, moved: &mut Moved) -> bool {
        self.under_way = false;
        if self.blocked.is_empty() {
            self.log.borrow_mut().trim(self.round_end);
            self.trim_at = 0;
            self.compact_at = 0;
        } else if self.log_bytes() >= self.trim_at {
            self.forget_for_those_who_lag(step, moved);
        }
        self.log.borrow().is_read(self.round_end)
    }

    /// Trims the log to where the slowest member is, and if that leaves it large, takes out from between what is the least
    /// important to those who lag.
    fn forget_for_those_who_lag(&mut self, step: &mut Step, moved: &mut Moved) {
        let mut log = self.log.borrow_mut();
        let positions = self
            .blocked
            .iter()
            .filter_map(|outbox| outbox.borrow().position(&self.log));
        log.trim(positions.fold(self.round_end, Cursor::earlier));
        let lag_bytes_max = Self::lag_bytes_max(self.log_bytes_max);
        // Each walk over those who lag and over the log is paid for by what was published since the last.
        let worth_it = lag_bytes_max / 4;
        if log.memory() > self.compact_at.max(self.log_bytes_max / 2) {
            let cuts = log.overdue(lag_bytes_max, self.round_end);
            for outbox in &self.blocked {
                let mut outbox = outbox.borrow_mut();
                if outbox.go_without(&self.log, &log, &cuts, lag_bytes_max, moved) == Lag::TooMuch {
                    step.too_slow.push(outbox.connection());
                }
            }
            log.compact(&cuts);
            self.compact_at = log.memory() - log.lag(self.round_end, &Cuts::default()) + worth_it;
        }
        // Without what was published since the round began, which the next one delivers and may forget.
        self.trim_at = log.memory() - log.lag(self.round_end, &Cuts::default()) + worth_it;
    }
}

fn seat(index: usize) -> u32 {
    u32::try_from(index).expect("fewer connections than 2^32")
}

#[cfg(test)]
mod tests;
