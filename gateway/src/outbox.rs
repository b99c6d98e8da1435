//! All that a connection still has to send: a private queue for replies and one-to-one events, and a cursor into the
//! log of each room it is in.
//!
//! [`Outbox::flush`] is the only place that decides what goes out next: first the rest of a frame that is half
//! written, then the private queue, then the rooms. It never waits; a connection that is full is *blocked* until whoever
//! looks after it sees the transport writable again. The outbox knows nothing of commands, sessions or rooms' rules.

pub(crate) mod log;
mod private_queue;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::class::Class;
use crate::identity::ConnectionKey;
use crate::missed::Missed;
use crate::outbox::log::{Cursor, Cuts, Log, Run};
use crate::outbox::private_queue::PrivateQueue;
use crate::writer::{self, Wire, Written};

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

/// Steps of [`Moved::batches`]: each holds batches of up to twice as many frames as the one before, the last all larger ones.
pub(crate) const BATCH_STEPS: usize = 11;

/// What flushes came to, for the counters: plain numbers that whoever flushes adds up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Bytes taken, by transport.
    pub bytes: [u64; TRANSPORTS],
    /// Frames of rooms that were written in whole.
    pub room_frames: u64,
    /// Writes that carried frames of rooms, by how many they completed: up to 1, 2, 4, 8 and so on.
    pub batches: [u64; BATCH_STEPS],
    /// Frames that went in datagrams, and those that should have but had to take the stream.
    pub datagrams: u64,
    pub datagrams_on_stream: u64,
    /// Deliveries that members will not get, by class.
    pub shed: [u64; Class::COUNT],
    /// Notices of that.
    pub gaps: u64,
    /// Connections whose transport was full, less those that were and are not any more.
    pub blocked: i64,
    /// Bytes that came into private queues, less those that left them.
    pub private_bytes: i64,
}

impl Moved {
    /// Bytes taken by all transports.
    pub(crate) fn all_bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    fn count_batch(&mut self, frames: u64) {
        self.room_frames += frames;
        let step = match frames {
            0 | 1 => 0,
            _ => (u64::BITS - (frames - 1).leading_zeros()) as usize,
        };
        self.batches[step.min(BATCH_STEPS - 1)] += 1;
    }

    fn count_shed(&mut self, missed: &Missed) {
        for (sum, more) in self.shed.iter_mut().zip(missed.by_class) {
            *sum += more;
        }
    }
}

/// Why something could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

/// Whether a client takes frames of class barrage in datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barrage {
    OnTheStream,
    InDatagrams,
}

/// How a member that lags fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lag {
    /// It goes on, with what it is left.
    Bearable,
    /// It cannot even take what may not be shed. It must be closed.
    TooMuch,
}

struct Membership {
    log: SharedLog,
    cursor: Cursor,
    /// Where the room's slice keeps this outbox.
    seat: u32,
    /// Set while there is something ahead that this member does not get.
    behind: Option<Box<Behind>>,
}

impl Membership {
    fn cuts(&self) -> Cuts {
        self.behind.as_ref().map_or_else(Cuts::default, |behind| behind.cuts)
    }

    /// What it has still to get.
    fn lag(&self) -> usize {
        self.log.borrow().lag(self.cursor, &self.cuts())
    }
}

/// What lies in pieces in a log, between frames that are left out, is gathered up to so many bytes: four full records of TLS. A write
/// for each piece would be thousands of system calls.
const GATHERED_BYTES: usize = 64 * 1024;

/// Pieces of a log for one write.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    /// Where each begins, and how long it is.
    runs: Vec<(Cursor, usize)>,
}

impl Pieces {
    fn gather(&mut self, log: &Log, mut cursor: Cursor, cuts: &Cuts, barrage_apart: bool) -> &[u8] {
        while self.bytes.len() < GATHERED_BYTES
            && let Run::Frames(frames) = log.next_run(&mut cursor, cuts, barrage_apart)
        {
            self.runs.push((cursor, frames.len()));
            self.bytes.extend_from_slice(frames);
            log.advance(&mut cursor, frames.len());
        }
        &self.bytes
    }

    /// Moves `cursor` on by `bytes` of the pieces and says how many frames that completed.
    fn advance(&self, log: &Log, cursor: &mut Cursor, bytes: usize) -> u64 {
        let (mut left, mut frames) = (bytes, 0);
        for (from, len) in &self.runs {
            if left == 0 {
                break;
            }
            let taken = left.min(*len);
            *cursor = *from;
            frames += log.advance(cursor, taken);
            left -= taken;
        }
        frames
    }
}

/// What a member that lags does not get.
#[derive(Default)]
struct Behind {
    cuts: Cuts,
    /// What it has still to be told of, before the next frame of the room.
    untold: Missed,
}

/// See the module.
pub(crate) struct Outbox {
    connection: ConnectionKey,
    wire: Rc<dyn Wire>,
    private: PrivateQueue,
    memberships: Vec<Membership>,
    sent_bytes: u64,
    /// The membership whose frame is half written. Nothing else may be written before it is whole.
    unfinished: Option<u32>,
    blocked: bool,
    broken: bool,
    barrage: Barrage,
    /// The transport's number, for the counters.
    transport: u8,
}

impl Outbox {
    /// An outbox that writes to `wire`; at most `private_bytes_max` wait in its private queue. Bytes count for the transport
    /// number `transport`.
    pub(crate) fn new(connection: ConnectionKey, wire: Rc<dyn Wire>, private_bytes_max: usize, transport: u8) -> Self {
        Self {
            connection,
            wire,
            private: PrivateQueue::new(private_bytes_max),
            memberships: Vec::new(),
            sent_bytes: 0,
            unfinished: None,
            blocked: false,
            broken: false,
            barrage: Barrage::OnTheStream,
            transport,
        }
    }

    /// Whose outbox this is.
    pub(crate) fn connection(&self) -> ConnectionKey {
        self.connection
    }

    /// From now on frames of class barrage go in datagrams where the transport takes them.
    pub(crate) fn send_barrage_in_datagrams(&mut self) {
        self.barrage = Barrage::InDatagrams;
    }

    /// Queues a frame for this connection alone.
    ///
    /// # Errors
    /// When the private queue is full: the client does not read what it asked for.
    pub(crate) fn push(&mut self, frame: &[u8], moved: &mut Moved) -> Result<(), Overflow> {
        if !self.broken {
            self.private.push(frame)?;
            moved.private_bytes += bytes(frame.len());
        }
        Ok(())
    }

    /// Queues an answer that the client's own command asked for, beyond the bound if need be. The caller bounds it by
    /// not reading from a client whose queue [is long](Self::private_bytes).
    pub(crate) fn push_answer(&mut self, frame: &[u8], moved: &mut Moved) {
        if !self.broken {
            self.private.push_answer(frame);
            moved.private_bytes += bytes(frame.len());
        }
    }

    /// Bytes that wait in the private queue.
    pub(crate) fn private_bytes(&self) -> usize {
        self.private.len()
    }

    /// All that waits for it. What rooms keep for it they may keep for others as well.
    pub(crate) fn backlog_bytes(&self) -> usize {
        self.private.len() + self.memberships.iter().map(Membership::lag).sum::<usize>()
    }

    /// Whether the transport was full at the last flush.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The transport is writable again; the next flush writes. Of rooms whose log has more for this member than `lag_bytes_max`, it
    /// lets go of the least important: what it gets is the best of now, not of when it stopped reading.
    pub(crate) fn unblock(&mut self, lag_bytes_max: usize, moved: &mut Moved) {
        if self.blocked {
            self.blocked = false;
            moved.blocked -= 1;
        }
        for membership in &mut self.memberships {
            if membership.lag() > lag_bytes_max {
                let log = membership.log.borrow();
                let behind = membership.behind.get_or_insert_default();
                // Half of it, so that it does not lag again with the next frame.
                let missed = log.let_go(membership.cursor, &mut behind.cuts, lag_bytes_max / 2);
                behind.untold.extend(&missed);
                moved.count_shed(&missed);
            }
        }
    }

    /// The connection is gone or going; nothing is written any more.
    pub(crate) fn break_off(&mut self, moved: &mut Moved) {
        if self.broken {
            return;
        }
        self.broken = true;
        self.unfinished = None;
        moved.blocked -= i64::from(std::mem::take(&mut self.blocked));
        moved.private_bytes -= bytes(self.private.len());
    }

    /// Whether nothing is written any more. The cursors of a broken outbox mean nothing.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Has the connection looked after.
    pub(crate) fn wake(&self) {
        self.wire.wake();
    }

    /// Whether everything is with the transport.
    pub(crate) fn is_drained(&self) -> bool {
        !self.blocked && self.private.is_empty() && self.unfinished.is_none()
    }

    /// Bytes that the transport took in all.
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
    pub(crate) fn unsubscribe(&mut self, log: &SharedLog, moved: &mut Moved) -> Option<u32> {
        let index = self.index_of(log)?;
        if self.is_unfinished(index) {
            let rest = log.borrow().rest_of_frame(self.memberships[index].cursor).to_vec();
            self.finish_first(rest, moved);
        }
        let seat = self.memberships.swap_remove(index).seat;
        if self.is_unfinished(self.memberships.len()) {
            self.unfinished = Some(place(index));
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
    pub(crate) fn logs(&self) -> impl ExactSizeIterator<Item = &SharedLog> {
        self.memberships.iter().map(|membership| &membership.log)
    }

    /// Where this outbox stands in `log`.
    pub(crate) fn position(&self, log: &SharedLog) -> Option<Cursor> {
        if self.broken {
            return None;
        }
        self.index_of(log).map(|index| self.memberships[index].cursor)
    }

    /// Goes without what `cuts` are about to take out of `log`, taking along the rest of a frame that is half written.
    pub(crate) fn go_without(
        &mut self,
        log: &SharedLog,
        content: &Log,
        cuts: &Cuts,
        kept_bytes_max: usize,
        moved: &mut Moved,
    ) -> Lag {
        let Some(index) = self.index_of(log).filter(|_| !self.broken) else {
            return Lag::Bearable;
        };
        let membership = &mut self.memberships[index];
        if cuts.are_behind(membership.cursor) {
            return Lag::Bearable;
        }
        let behind = membership.behind.get_or_insert_default();
        let missed = content.leave_out(membership.cursor, &mut behind.cuts, cuts);
        behind.untold.extend(&missed);
        moved.count_shed(&missed);
        let lag = if content.kept_lag(membership.cursor) > kept_bytes_max {
            Lag::TooMuch
        } else {
            Lag::Bearable
        };
        if let Some(rest) = content.rescue(&mut membership.cursor, cuts) {
            self.finish_first(rest, moved);
        }
        lag
    }

    /// Writes what there is, until all is written or the transport is full.
    pub(crate) fn flush(&mut self, moved: &mut Moved) -> Flush {
        if self.broken {
            return Flush::Broken;
        }
        if self.blocked {
            return Flush::Blocked;
        }
        match self.write_all(moved) {
            Ok(true) => Flush::Done,
            Ok(false) => {
                self.blocked = true;
                moved.blocked += 1;
                self.wire.expect_writable();
                Flush::Blocked
            }
            Err(_) => {
                self.break_off(moved);
                self.wake();
                Flush::Broken
            }
        }
    }

    /// Returns false when the transport is full.
    fn write_all(&mut self, moved: &mut Moved) -> io::Result<bool> {
        let rooms = self.memberships.len();
        let mut first = 0;
        if let Some(index) = self.unfinished {
            let index = index as usize;
            // With nobody else waiting, the rest of the frame goes in one write with what follows it.
            if (rooms > 1 || !self.private.is_empty()) && !self.write_rest(index, moved)? {
                return Ok(false);
            }
            // A room that fills the transport each time must not always be the first.
            first = (index + usize::from(rooms > 1)) % rooms;
        }
        if self.unfinished.is_none() && !self.write_private(moved)? {
            return Ok(false);
        }
        for step in 0..rooms {
            if !self.write_membership((first + step) % rooms, moved)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the rest of the frame that is half written, and nothing else.
    fn write_rest(&mut self, index: usize, moved: &mut Moved) -> io::Result<bool> {
        let membership = &mut self.memberships[index];
        let log = membership.log.borrow();
        let written = writer::write(&*self.wire, log.rest_of_frame(membership.cursor))?;
        let frames = log.advance(&mut membership.cursor, written.bytes);
        self.unfinished = membership.cursor.is_mid_frame().then_some(place(index));
        drop(log);
        self.count_written(frames, &written, moved);
        Ok(!written.blocked)
    }

    fn write_private(&mut self, moved: &mut Moved) -> io::Result<bool> {
        if self.private.is_empty() {
            return Ok(!self.wire.has_unsent());
        }
        let written = writer::write(&*self.wire, self.private.unsent())?;
        self.private.advance(written.bytes);
        moved.private_bytes -= bytes(written.bytes);
        self.count_bytes(written.bytes, moved);
        Ok(!written.blocked)
    }

    fn write_membership(&mut self, index: usize, moved: &mut Moved) -> io::Result<bool> {
        let membership = &mut self.memberships[index];
        if membership.behind.is_some() || self.barrage == Barrage::InDatagrams {
            return self.write_selected(index, moved);
        }
        // Nearly everybody, nearly always: all there is, in one write.
        let log = membership.log.borrow();
        let unread = log.unread(membership.cursor);
        if unread.is_empty() {
            self.unfinished = None;
            return Ok(true);
        }
        let written = writer::write(&*self.wire, unread)?;
        let frames = log.advance(&mut membership.cursor, written.bytes);
        self.unfinished = membership.cursor.is_mid_frame().then_some(place(index));
        drop(log);
        self.count_written(frames, &written, moved);
        Ok(!written.blocked)
    }

    /// For a member that does not get everything, or not everything on the stream.
    fn write_selected(&mut self, index: usize, moved: &mut Moved) -> io::Result<bool> {
        loop {
            let membership = &mut self.memberships[index];
            let log = membership.log.borrow();
            if !membership.cursor.is_mid_frame()
                && let Some(behind) = &mut membership.behind
            {
                let untold = std::mem::take(&mut behind.untold);
                if behind.cuts.are_behind(membership.cursor) {
                    membership.behind = None;
                }
                if untold.total() > 0 {
                    let notice = untold.notice(log.room());
                    drop(log);
                    moved.gaps += 1;
                    self.push_answer(&notice, moved);
                    if !self.write_private(moved)? {
                        return Ok(false);
                    }
                    continue;
                }
            }
            let cuts = membership.cuts();
            let apart = self.barrage == Barrage::InDatagrams;
            let mut piece = Pieces::default();
            let frames = match log.next_run(&mut membership.cursor, &cuts, apart) {
                Run::End => {
                    membership.behind = None;
                    self.unfinished = None;
                    return Ok(true);
                }
                Run::Barrage(frame) if self.wire.try_send_datagram(frame) => {
                    log.advance(&mut membership.cursor, frame.len());
                    moved.datagrams += 1;
                    moved.room_frames += 1;
                    let sent = frame.len();
                    drop(log);
                    self.count_bytes(sent, moved);
                    continue;
                }
                Run::Barrage(frame) => {
                    moved.datagrams_on_stream += 1;
                    frame
                }
                Run::Frames(frames) if frames.len() >= GATHERED_BYTES || membership.cursor.is_mid_frame() => frames,
                Run::Frames(_) => piece.gather(&log, membership.cursor, &cuts, apart),
            };
            let written = writer::write(&*self.wire, frames)?;
            let frames = if piece.runs.is_empty() {
                log.advance(&mut membership.cursor, written.bytes)
            } else {
                piece.advance(&log, &mut membership.cursor, written.bytes)
            };
            self.unfinished = membership.cursor.is_mid_frame().then_some(place(index));
            drop(log);
            self.count_written(frames, &written, moved);
            if written.blocked {
                return Ok(false);
            }
        }
    }

    fn count_written(&mut self, frames: u64, written: &Written, moved: &mut Moved) {
        if written.bytes > 0 {
            moved.count_batch(frames);
            self.count_bytes(written.bytes, moved);
        }
    }

    fn count_bytes(&mut self, bytes: usize, moved: &mut Moved) {
        moved.bytes[usize::from(self.transport)] += bytes as u64;
        self.sent_bytes += bytes as u64;
    }

    /// Puts the rest of the unfinished frame before everything private.
    fn finish_first(&mut self, rest: Vec<u8>, moved: &mut Moved) {
        moved.private_bytes += bytes(rest.len());
        self.private.finish_first(rest);
        self.unfinished = None;
    }

    fn is_unfinished(&self, index: usize) -> bool {
        self.unfinished == Some(place(index))
    }

    fn index_of(&self, log: &SharedLog) -> Option<usize> {
        self.memberships
            .iter()
            .position(|membership| Rc::ptr_eq(&membership.log, log))
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).expect("a session is in a hundred rooms at most")
}

fn bytes(count: usize) -> i64 {
    i64::try_from(count).expect("in memory")
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
