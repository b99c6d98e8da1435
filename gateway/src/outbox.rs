//! All that a connection still has to send: a private queue for replies and one-to-one events, and a cursor into the
//! log of each room it is in.
//!
//! [`Outbox::flush`] is the only place that decides what goes out next: first the rest of a frame that is half
//! written, then the private queue, then the rooms. It never waits; a connection that is full is *blocked* until its
//! task sees the transport writable again. The outbox knows nothing of commands, sessions or rooms' rules.

mod gap;
pub(crate) mod log;
mod private_queue;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use crate::identity::ConnectionKey;
use crate::outbox::log::{Cursor, Log, Missed};
use crate::outbox::private_queue::PrivateQueue;
use crate::writer::{self, Wire};

/// A log that a room's slice and its members share on one worker.
pub(crate) type SharedLog = Rc<RefCell<Log>>;

/// How others on the worker hold a connection's outbox.
pub(crate) type SharedOutbox = Rc<RefCell<Outbox>>;

/// What a flush came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Everything is with the transport.
    Done,
    /// The transport is full. The connection's task goes on when it is writable again.
    Blocked,
    /// The connection is broken or was closed.
    Broken,
}

/// How many transports there are, for counters.
const TRANSPORTS: usize = 3;

/// What flushes moved, for the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// By transport.
    pub bytes: [u64; TRANSPORTS],
    /// Frames of rooms that were written in whole.
    pub room_frames: u64,
    /// Writes that carried frames of rooms.
    pub room_writes: u64,
}

impl std::ops::AddAssign for Moved {
    fn add_assign(&mut self, more: Self) {
        for (sum, more) in self.bytes.iter_mut().zip(more.bytes) {
            *sum += more;
        }
        self.room_frames += more.room_frames;
        self.room_writes += more.room_writes;
    }
}

/// Why something could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

struct Membership {
    log: SharedLog,
    cursor: Cursor,
    /// Where the room's slice keeps this outbox.
    seat: u32,
    /// Set while the member has fallen behind what the log keeps.
    behind: Option<Box<Behind>>,
}

/// What a member gets before the next frame of a room whose log was trimmed past it.
#[derive(Default)]
struct Behind {
    missed: Missed,
    /// Whole frames that may not be missed.
    kept: Vec<u8>,
}

/// See the module.
pub(crate) struct Outbox {
    connection: ConnectionKey,
    wire: Rc<dyn Wire>,
    private: PrivateQueue,
    /// The membership whose frame is half written. Nothing else may be written before it is whole.
    unfinished: Option<usize>,
    memberships: Vec<Membership>,
    blocked: bool,
    broken: bool,
    waker: Option<Waker>,
    /// The transport's number, for the counters.
    transport: u8,
    moved: Moved,
    sent_bytes: u64,
}

impl Outbox {
    /// An outbox that writes to `wire`; at most `private_bytes_max` wait in its private queue. Bytes count for the transport
    /// number `transport`.
    pub(crate) fn new(connection: ConnectionKey, wire: Rc<dyn Wire>, private_bytes_max: usize, transport: u8) -> Self {
        Self {
            connection,
            wire,
            private: PrivateQueue::new(private_bytes_max),
            unfinished: None,
            memberships: Vec::new(),
            blocked: false,
            broken: false,
            waker: None,
            transport,
            moved: Moved::default(),
            sent_bytes: 0,
        }
    }

    /// Whose outbox this is.
    pub(crate) fn connection(&self) -> ConnectionKey {
        self.connection
    }

    /// Queues a frame for this connection alone.
    ///
    /// # Errors
    /// When the private queue is full: the client does not read what it asked for.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<(), Overflow> {
        self.private.push(frame)
    }

    /// Queues an answer that the client's own command asked for, beyond the bound if need be. The caller bounds it by
    /// not reading from a client whose queue [is long](Self::private_bytes).
    pub(crate) fn push_answer(&mut self, frame: &[u8]) {
        self.private.push_unbounded(frame);
    }

    /// Bytes that wait in the private queue.
    pub(crate) fn private_bytes(&self) -> usize {
        self.private.len()
    }

    /// Whether the transport was full at the last flush.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The transport is writable again; the next flush writes.
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// The connection is gone or going; nothing is written any more.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
        self.unfinished = None;
    }

    /// Whether nothing is written any more. The cursors of a broken outbox mean nothing.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Who is woken when a flush by another task finds the transport full.
    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Wakes the connection's task.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Whether everything is with the transport.
    pub(crate) fn is_drained(&self) -> bool {
        !self.blocked && self.private.is_empty() && self.unfinished.is_none()
    }

    /// What all flushes moved since the last call.
    pub(crate) fn take_moved(&mut self) -> Moved {
        let moved = std::mem::take(&mut self.moved);
        self.sent_bytes += moved.bytes.iter().sum::<u64>();
        moved
    }

    /// Bytes that all flushes moved.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// From now on sends what is appended to `log`; `seat` is this outbox's place in the room's slice.
    pub(crate) fn subscribe(&mut self, log: &SharedLog, seat: u32) {
        let cursor = log.borrow().end();
        // Most are in one room: no room for four.
        self.memberships.reserve_exact(1);
        self.memberships.push(Membership {
            log: log.clone(),
            cursor,
            seat,
            behind: None,
        });
    }

    /// Sends nothing more of `log` than the rest of a frame that is half written. Returns the seat, if there was one.
    pub(crate) fn unsubscribe(&mut self, log: &SharedLog) -> Option<u32> {
        let index = self.index_of(log)?;
        if self.unfinished == Some(index) {
            let rest = log.borrow().rest_of_frame(self.memberships[index].cursor).to_vec();
            self.private.finish_first(rest);
            self.unfinished = None;
        }
        let seat = self.memberships.swap_remove(index).seat;
        if self.unfinished == Some(self.memberships.len()) {
            self.unfinished = Some(index);
        }
        Some(seat)
    }

    /// The slice moved this outbox to another seat.
    pub(crate) fn set_seat(&mut self, log: &SharedLog, seat: u32) {
        if let Some(index) = self.index_of(log) {
            self.memberships[index].seat = seat;
        }
    }

    /// Whether this outbox sends what is appended to `log`.
    pub(crate) fn is_subscribed(&self, log: &SharedLog) -> bool {
        self.index_of(log).is_some()
    }

    /// The logs this outbox reads.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &SharedLog> {
        self.memberships.iter().map(|membership| &membership.log)
    }

    /// Where this outbox stands in `log`, at the start of the frame it is in.
    pub(crate) fn position(&self, log: &SharedLog, content: &Log) -> Option<Cursor> {
        if self.broken {
            return None;
        }
        self.index_of(log)
            .map(|index| content.frame_of(self.memberships[index].cursor))
    }

    /// Whether this outbox would lose something if the log were trimmed to `first`.
    pub(crate) fn is_behind(&self, log: &SharedLog, first: Cursor) -> bool {
        !self.broken
            && self
                .index_of(log)
                .is_some_and(|index| Log::is_behind(self.memberships[index].cursor, first))
    }

    /// Moves past what the log is about to forget, taking along what may not be lost. Returns what was missed, if anything was.
    ///
    /// # Errors
    /// When what may not be lost does not fit in the private queue: the member is too slow even for that.
    pub(crate) fn fall_behind(
        &mut self,
        log: &SharedLog,
        content: &Log,
        first: Cursor,
    ) -> Result<Option<Missed>, Overflow> {
        let Some(index) = self.index_of(log).filter(|_| !self.broken) else {
            return Ok(None);
        };
        let membership = &mut self.memberships[index];
        if !Log::is_behind(membership.cursor, first) {
            return Ok(None);
        }
        let rescue = content.rescue(&mut membership.cursor, first);
        let behind = membership.behind.get_or_insert_default();
        behind.missed.extend(&rescue.missed);
        behind.kept.extend_from_slice(&rescue.kept);
        let kept_bytes = behind.kept.len();
        if self.unfinished == Some(index) {
            self.private.finish_first(rescue.tail);
            self.unfinished = None;
        }
        if kept_bytes > self.private.free() {
            return Err(Overflow);
        }
        Ok(Some(rescue.missed))
    }

    /// Writes what there is, until all is written or the transport is full.
    pub(crate) fn flush(&mut self) -> Flush {
        if self.broken {
            return Flush::Broken;
        }
        if self.blocked {
            return Flush::Blocked;
        }
        match self.write_all() {
            Ok(true) => Flush::Done,
            Ok(false) => {
                self.blocked = true;
                self.wake();
                Flush::Blocked
            }
            Err(_) => {
                self.break_off();
                self.wake();
                Flush::Broken
            }
        }
    }

    /// Returns false when the transport is full.
    fn write_all(&mut self) -> io::Result<bool> {
        if let Some(index) = self.unfinished
            && !self.write_membership(index)?
        {
            return Ok(false);
        }
        if !self.write_private()? {
            return Ok(false);
        }
        for index in 0..self.memberships.len() {
            if let Some(behind) = self.memberships[index].behind.take() {
                if behind.missed.total() > 0 {
                    let notice = gap::frame(self.memberships[index].log.borrow().room(), &behind.missed);
                    self.private.push_unbounded(&notice);
                }
                self.private.push_unbounded(&behind.kept);
                if !self.write_private()? {
                    return Ok(false);
                }
            }
            if !self.write_membership(index)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_private(&mut self) -> io::Result<bool> {
        if self.private.is_empty() {
            return Ok(!self.wire.has_unsent());
        }
        let written = writer::write(&*self.wire, self.private.unsent())?;
        self.private.advance(written.bytes);
        self.moved.bytes[usize::from(self.transport)] += written.bytes as u64;
        Ok(!written.blocked)
    }

    fn write_membership(&mut self, index: usize) -> io::Result<bool> {
        let membership = &mut self.memberships[index];
        let log = membership.log.borrow();
        let unread = log.unread(membership.cursor);
        if unread.is_empty() {
            self.unfinished = None;
            return Ok(true);
        }
        let written = writer::write(&*self.wire, unread)?;
        let frames = log.advance(&mut membership.cursor, written.bytes);
        self.moved.bytes[usize::from(self.transport)] += written.bytes as u64;
        self.moved.room_frames += frames;
        self.moved.room_writes += 1;
        self.unfinished = (written.blocked && log.is_mid_frame(membership.cursor)).then_some(index);
        Ok(!written.blocked)
    }

    fn index_of(&self, log: &SharedLog) -> Option<usize> {
        self.memberships
            .iter()
            .position(|membership| Rc::ptr_eq(&membership.log, log))
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("private_bytes", &self.private.len())
            .field("rooms", &self.memberships.len())
            .field("blocked", &self.blocked)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
