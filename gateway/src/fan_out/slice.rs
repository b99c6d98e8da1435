//! The members of one room on one worker.

use std::cell::RefCell;
use std::rc::Rc;

use crate::class::Class;
use crate::identity::{ConnectionKey, RoomKey};
use crate::outbox::log::{Cursor, Log, Missed};
use crate::outbox::{Flush, Moved, SharedLog, SharedOutbox};

/// What one step of a sweep came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub moved: Moved,
    /// Whether members remain to be visited.
    pub more: bool,
}

/// A member that fell behind, and what came of it.
#[derive(Debug)]
pub(crate) enum Behind {
    /// Skipped what may be skipped, and will be told.
    Skipped(Missed),
    /// Cannot even take what may not be skipped. Must be closed.
    TooSlow(ConnectionKey),
}

/// Bytes written before other tasks get their turn, whatever number of members that is: some milliseconds, with encryption.
const STEP_BYTES_MAX: u64 = 1024 * 1024;

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
    /// Members that were blocked when the round came by.
    blocked: usize,
    under_way: bool,
}

impl Slice {
    /// An empty slice whose log keeps at most `log_bytes_max` for members who lag.
    pub(crate) fn new(room: RoomKey, log_bytes_max: usize) -> Self {
        Self {
            log: Rc::new(RefCell::new(Log::new(room))),
            log_bytes_max,
            members: Vec::new(),
            position: 0,
            round_end: Cursor::default(),
            blocked: 0,
            under_way: false,
        }
    }

    /// Bytes the log keeps.
    pub(crate) fn log_bytes(&self) -> usize {
        self.log.borrow().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a member; it gets what is appended from now on.
    pub(crate) fn add(&mut self, outbox: &SharedOutbox) {
        let mut member = outbox.borrow_mut();
        if !member.is_subscribed(&self.log) {
            member.subscribe(&self.log, seat(self.members.len()));
            self.members.push(outbox.clone());
        }
    }

    /// Removes a member. What was published before still goes out as far as its transport takes it at once, and the rest of a frame
    /// that is half written in any case.
    pub(crate) fn remove(&mut self, outbox: &SharedOutbox) {
        outbox.borrow_mut().flush();
        let Some(gone) = outbox.borrow_mut().unsubscribe(&self.log) else {
            return;
        };
        self.members.swap_remove(gone as usize);
        if let Some(moved) = self.members.get(gone as usize) {
            let mut moved = moved.borrow_mut();
            moved.set_seat(&self.log, gone);
            // From a seat that the round has still to visit to one that it has passed.
            let passed_over = (gone as usize) < self.position && self.members.len() >= self.position;
            if self.under_way && passed_over && moved.flush() == Flush::Blocked {
                self.blocked += 1;
            }
        }
        if self.members.len() * 4 < self.members.capacity() {
            self.members.shrink_to(self.members.len() * 2);
        }
    }

    /// Adds a frame for all members. Members that lag more than the log may keep lose the oldest frames, as returned.
    pub(crate) fn append(&mut self, frame: &[u8], sequence: u64, class: Class) -> Vec<Behind> {
        self.log.borrow_mut().append(frame, sequence, class);
        if self.log_bytes() <= self.log_bytes_max {
            return Vec::new();
        }
        // Trimming to half the bound makes the walk over the members rare.
        let first = self.log.borrow().newest_within(self.log_bytes_max / 2);
        // A burst may outrun the sweep. Only members whose transport is full are too slow; the others get theirs now.
        for outbox in &self.members {
            let mut outbox = outbox.borrow_mut();
            if outbox.is_behind(&self.log, first) {
                outbox.flush();
            }
        }
        let mut log = self.log.borrow_mut();
        let mut behind = Vec::new();
        for outbox in &self.members {
            let mut outbox = outbox.borrow_mut();
            match outbox.fall_behind(&self.log, &log, first) {
                Ok(None) => {}
                Ok(Some(missed)) => behind.push(Behind::Skipped(missed)),
                Err(_) => behind.push(Behind::TooSlow(outbox.connection())),
            }
        }
        log.trim(first);
        behind
    }

    /// Visits up to `members_max` members and writes what they have to get. Call again while there is [`Step::more`].
    pub(crate) fn sweep(&mut self, members_max: usize) -> Step {
        if !self.under_way {
            self.under_way = true;
            self.position = 0;
            self.blocked = 0;
            self.round_end = self.log.borrow().end();
        }
        let mut step = Step::default();
        let until = self.members.len().min(self.position + members_max);
        while self.position < until && step.moved.bytes.iter().sum::<u64>() < STEP_BYTES_MAX {
            let mut outbox = self.members[self.position].borrow_mut();
            if outbox.flush() == Flush::Blocked {
                self.blocked += 1;
            }
            step.moved += outbox.take_moved();
            self.position += 1;
        }
        step.more = self.position < self.members.len() || !self.finish_round();
        step
    }

    /// Forgets what all have got. Returns true when nothing is left for the sweep to do.
    fn finish_round(&mut self) -> bool {
        self.under_way = false;
        let mut log = self.log.borrow_mut();
        let first = if self.blocked == 0 {
            self.round_end
        } else {
            let positions = self
                .members
                .iter()
                .filter_map(|outbox| outbox.borrow().position(&self.log, &log));
            positions.fold(self.round_end, Log::earlier)
        };
        log.trim(first);
        log.is_read(self.round_end)
    }
}

fn seat(index: usize) -> u32 {
    u32::try_from(index).expect("fewer connections than 2^32")
}

#[cfg(test)]
mod tests;
