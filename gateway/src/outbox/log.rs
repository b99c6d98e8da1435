//! A room's log on one worker: encoded frames back to back, and cursors that read along.
//!
//! A member costs one [`Cursor`], however much it has still to get; a broadcast appends once. Frames that all have got are
//! [trimmed](Log::trim). For members that lag, each class keeps its newest: [`Log::compact`] takes the older frames out from
//! between, and a member that lags further than it may [lets go](Log::let_go) of the least important of what is left for it.
//!
//! Both are said in the same way, by [`Cuts`]: of each class that may be shed, everything before a certain frame. So the
//! state of a slow member is a handful of numbers, and what it missed can be counted from two of them.

mod lane;

use std::collections::VecDeque;

use crate::class::Class;
use crate::identity::RoomKey;
use crate::missed::Missed;

use lane::Lane;

/// A reader's place: the frame it gets next, and how much of that it has.
///
/// Packed because every member of every room has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, packed(4))]
pub(crate) struct Cursor {
    /// Counted from the first frame ever appended.
    frame: u64,
    /// Bytes of it that the reader has. More than 0: nothing else may be written before the frame is whole.
    within: u32,
}

impl Cursor {
    /// Whether the reader is inside a frame.
    pub(crate) fn is_mid_frame(self) -> bool {
        self.within > 0
    }

    /// The earlier of two places.
    pub(crate) fn earlier(self, other: Self) -> Self {
        if (self.frame, self.within) <= (other.frame, other.within) {
            self
        } else {
            other
        }
    }

    /// The first frame of which the reader has nothing.
    fn untouched(self) -> u64 {
        let frame = self.frame;
        frame + u64::from(self.is_mid_frame())
    }
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Offset of the byte after this frame.
    end: u64,
    /// The message's sequence number in its room; 0 for frames that are no messages.
    sequence: u64,
    class: Class,
}

/// Of each class, the frames that are left out: those before a number. Always 0 for what may not be shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cuts([u64; Class::COUNT]);

impl Cuts {
    fn leave_out(&self, entry: &Entry) -> bool {
        entry.number < self.0[entry.class as usize]
    }

    /// Leaves out what either leaves out.
    fn extend(&mut self, other: &Self) {
        for (cut, other) in self.0.iter_mut().zip(other.0) {
            *cut = (*cut).max(other);
        }
    }

    /// Whether a reader at `cursor` is past everything that is left out.
    pub(crate) fn are_behind(&self, cursor: Cursor) -> bool {
        self.0.iter().all(|cut| *cut <= cursor.frame)
    }
}

/// What a reader gets next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run<'a> {
    /// Nothing: it has got everything.
    End,
    /// Whole frames, or the rest of one.
    Frames(&'a [u8]),
    /// One frame of class barrage.
    Barrage(&'a [u8]),
}

/// The frames of one room that somebody on this worker may still need.
#[derive(Debug)]
pub(crate) struct Log {
    room: RoomKey,
    /// Frames back to back; the first `head` bytes are trimmed and wait to be moved over.
    bytes: Vec<u8>,
    head: usize,
    /// Offset of `bytes[head]`.
    start: u64,
    /// One for each frame kept, in the order of their numbers.
    entries: VecDeque<Entry>,
    /// The number of the next frame.
    next: u64,
    /// From this number on no frame is missing.
    whole_from: u64,
    /// Where the frames of each class are. Made when there is something to be found: most logs are empty most of the time.
    lanes: [Lane; Class::COUNT],
}

/// An empty log gives back buffers larger than this: a quiet room costs next to nothing.
const EMPTY_CAPACITY_BYTES_MAX: usize = 16 * 1024;

/// What a frame takes beside its bytes. It counts wherever bytes are bounded: short frames would take several times as much memory
/// as allowed.
const FRAME_OVERHEAD: usize = size_of::<Entry>() + lane::MARK_BYTES;

/// The classes that may be shed, the most important first.
const SHEDDABLE: [Class; 4] = [Class::High, Class::Normal, Class::Low, Class::Barrage];

/// The others.
const KEPT: [Class; 2] = [Class::Control, Class::Protected];

impl Log {
    /// An empty log of `room`.
    pub(crate) fn new(room: RoomKey) -> Self {
        Self {
            room,
            bytes: Vec::new(),
            head: 0,
            start: 0,
            entries: VecDeque::new(),
            next: 0,
            whole_from: 0,
            lanes: Default::default(),
        }
    }

    /// Whose frames these are.
    pub(crate) fn room(&self) -> &RoomKey {
        &self.room
    }

    /// Adds a frame that is encoded with its length prefix. `sequence` is 0 for what is no message.
    pub(crate) fn append(&mut self, frame: &[u8], sequence: u64, class: Class) {
        self.bytes.extend_from_slice(frame);
        self.entries.push_back(Entry {
            number: self.next,
            end: self.end_offset(),
            sequence,
            class,
        });
        self.lanes[class as usize].push(self.next, frame.len() + FRAME_OVERHEAD);
        self.next += 1;
    }

    /// Where a reader stands that has got everything.
    pub(crate) fn end(&self) -> Cursor {
        Cursor {
            frame: self.next,
            within: 0,
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Memory that the frames take.
    pub(crate) fn memory(&self) -> usize {
        self.len() + self.entries.len() * FRAME_OVERHEAD
    }

    /// Whether nothing waits behind `cursor`.
    pub(crate) fn is_read(&self, cursor: Cursor) -> bool {
        cursor.frame == self.next
    }

    /// All that is kept behind `cursor`.
    pub(crate) fn unread(&self, cursor: Cursor) -> &[u8] {
        self.bytes_from(self.offset_of(cursor))
    }

    /// What a reader at `cursor` gets next, for which `cuts` are left out: moves it over those. With `barrage_apart`, frames of
    /// class barrage come one by one.
    pub(crate) fn next_run(&self, cursor: &mut Cursor, cuts: &Cuts, barrage_apart: bool) -> Run<'_> {
        if cursor.is_mid_frame() {
            return Run::Frames(self.rest_of_frame(*cursor));
        }
        let mut index = self.index_of(cursor.frame);
        while self.entries.get(index).is_some_and(|entry| cuts.leave_out(entry)) {
            index += 1;
        }
        let Some(first) = self.entries.get(index) else {
            *cursor = self.end();
            return Run::End;
        };
        *cursor = Cursor {
            frame: first.number,
            within: 0,
        };
        let alone = |entry: &Entry| barrage_apart && entry.class == Class::Barrage;
        let is_barrage = alone(first);
        let mut until = index + 1;
        while !is_barrage
            && let Some(entry) = self.entries.get(until)
            && !alone(entry)
            && !cuts.leave_out(entry)
        {
            until += 1;
        }
        let (from, to) = (self.start_of(index), self.start_of(until));
        let bytes = &self.bytes_from(from)[..in_memory(to - from)];
        if is_barrage {
            Run::Barrage(bytes)
        } else {
            Run::Frames(bytes)
        }
    }

    /// Moves `cursor` on by `bytes` and says how many frames that completed.
    pub(crate) fn advance(&self, cursor: &mut Cursor, bytes: usize) -> u64 {
        let index = self.index_of(cursor.frame);
        let offset = self.start_of(index) + u64::from(cursor.within) + bytes as u64;
        let reached = if offset == self.end_offset() {
            self.entries.len()
        } else {
            self.entries.partition_point(|entry| entry.end <= offset)
        };
        *cursor = match self.entries.get(reached) {
            None => self.end(),
            Some(entry) => Cursor {
                frame: entry.number,
                within: u32::try_from(offset - self.start_of(reached)).expect("frames are far below 4 GiB"),
            },
        };
        (reached - index) as u64
    }

    /// What remains of the frame in which `cursor` stands: all of it when the cursor is at its start.
    pub(crate) fn rest_of_frame(&self, cursor: Cursor) -> &[u8] {
        let end = self.start_of(self.index_of(cursor.frame) + 1);
        &self.unread(cursor)[..in_memory(end - self.offset_of(cursor))]
    }

    /// The memory of the frames that a reader at `cursor`, for which `cuts` are left out, has still to get.
    pub(crate) fn lag(&self, cursor: Cursor, cuts: &Cuts) -> usize {
        let from = |cut: u64| cursor.untouched().max(cut);
        let lanes = self.lanes.iter().zip(cuts.0);
        let whole: usize = lanes.map(|(lane, cut)| lane.bytes_from(from(cut))).sum();
        if cursor.is_mid_frame() {
            whole + self.rest_of_frame(cursor).len()
        } else {
            whole
        }
    }

    /// The memory of those that may not be shed.
    pub(crate) fn kept_lag(&self, cursor: Cursor) -> usize {
        let bytes = KEPT.map(|class| self.lanes[class as usize].bytes_from(cursor.untouched()));
        bytes.into_iter().sum()
    }

    /// Chooses what a reader at `cursor` lets go of so that at most `bytes_max` are left for it, beside what may not be shed:
    /// the lowest classes whole, and the oldest of the class at which it comes out. Adds that to `cuts` and returns it.
    pub(crate) fn let_go(&self, cursor: Cursor, cuts: &mut Cuts, bytes_max: usize) -> Missed {
        let mut left = bytes_max.saturating_sub(self.kept_lag(cursor));
        let mut chosen = *cuts;
        for class in SHEDDABLE {
            let lane = &self.lanes[class as usize];
            let from = cursor.untouched().max(cuts.0[class as usize]);
            let bytes = lane.bytes_from(from);
            if bytes <= left {
                left -= bytes;
            } else {
                chosen.0[class as usize] = lane.newest(left).unwrap_or(self.next).max(from);
                // Nothing of a lower class is kept where something of this one is not.
                left = 0;
            }
        }
        self.leave_out(cursor, cuts, &chosen)
    }

    /// What no reader will get any more if each class keeps at most its newest `bytes_max`, and `fast`, where the readers are that
    /// do not lag, loses nothing.
    pub(crate) fn overdue(&self, bytes_max: usize, fast: Cursor) -> Cuts {
        let mut cuts = Cuts::default();
        for class in SHEDDABLE {
            let kept = self.lanes[class as usize].newest(bytes_max).unwrap_or(self.next);
            cuts.0[class as usize] = kept.min(fast.frame);
        }
        cuts
    }

    /// Has a reader at `cursor` go without what `more` leaves out. Returns what that is beyond `cuts`, which it adds to.
    pub(crate) fn leave_out(&self, cursor: Cursor, cuts: &mut Cuts, more: &Cuts) -> Missed {
        let mut missed = Missed::default();
        for class in SHEDDABLE {
            let lane = &self.lanes[class as usize];
            let from = cursor.untouched().max(cuts.0[class as usize]);
            if let Some(span) = lane.between(from, more.0[class as usize]) {
                let sequence = |number| self.entries[self.index_of(number)].sequence;
                missed.extend(&Missed::several(
                    sequence(span.first),
                    sequence(span.last),
                    class,
                    span.count,
                ));
            }
        }
        cuts.extend(more);
        missed
    }

    /// The rest of the frame in which a reader stands that `cuts` are about to take away, and moves it behind the frame.
    pub(crate) fn rescue(&self, cursor: &mut Cursor, cuts: &Cuts) -> Option<Vec<u8>> {
        let entry = self.entries.get(self.index_of(cursor.frame))?;
        if !cursor.is_mid_frame() || !cuts.leave_out(entry) {
            return None;
        }
        let rest = self.rest_of_frame(*cursor).to_vec();
        *cursor = Cursor {
            frame: cursor.frame + 1,
            within: 0,
        };
        Some(rest)
    }

    /// Takes out what `cuts` leave out. Every reader that has still to get some of it must [have gone without](Self::leave_out).
    pub(crate) fn compact(&mut self, cuts: &Cuts) {
        let (frames, bytes) = self.left_by(cuts);
        let mut kept_bytes = Vec::with_capacity(bytes);
        let mut kept = VecDeque::with_capacity(frames);
        let mut from = 0;
        let mut dropped = 0;
        for entry in std::mem::take(&mut self.entries) {
            let to = in_memory(entry.end - self.start);
            if cuts.leave_out(&entry) {
                dropped += (to - from) as u64;
                self.whole_from = self.whole_from.max(entry.number + 1);
            } else {
                kept_bytes.extend_from_slice(&self.bytes[self.head + from..self.head + to]);
                // Offsets count on from the old end, so that frames behind the last that is taken out keep theirs.
                kept.push_back(Entry {
                    end: entry.end - dropped,
                    ..entry
                });
            }
            from = to;
        }
        for entry in &mut kept {
            entry.end += dropped;
        }
        self.start += dropped;
        self.head = 0;
        self.bytes = kept_bytes;
        self.entries = kept;
        for class in SHEDDABLE {
            self.lanes[class as usize].trim(cuts.0[class as usize]);
        }
    }

    /// How many frames and bytes `cuts` leave.
    fn left_by(&self, cuts: &Cuts) -> (usize, usize) {
        let mut from = self.start;
        let (mut frames, mut bytes) = (0, 0);
        for entry in &self.entries {
            if !cuts.leave_out(entry) {
                frames += 1;
                bytes += in_memory(entry.end - from);
            }
            from = entry.end;
        }
        (frames, bytes)
    }

    /// Forgets everything before the frame in which `first` stands.
    pub(crate) fn trim(&mut self, first: Cursor) {
        let index = self.index_of(first.frame);
        if index == 0 {
            return;
        }
        let offset = self.start_of(index);
        self.entries.drain(..index);
        self.head += in_memory(offset - self.start);
        self.start = offset;
        self.lanes.iter_mut().for_each(|lane| lane.trim(first.frame));
        if self.entries.is_empty() {
            self.head = 0;
            self.bytes.clear();
            if self.bytes.capacity() > EMPTY_CAPACITY_BYTES_MAX {
                self.bytes = Vec::new();
                self.entries = VecDeque::new();
                self.lanes = Default::default();
            }
        } else if self.head > self.bytes.len() / 2 {
            // Moving at most as many bytes as were trimmed keeps the cost of a frame constant.
            self.bytes.drain(..self.head);
            self.head = 0;
            // After a flood the buffers are much larger than what is left.
            if self.bytes.capacity() > EMPTY_CAPACITY_BYTES_MAX.max(4 * self.bytes.len()) {
                self.bytes.shrink_to(2 * self.bytes.len());
                self.entries.shrink_to(2 * self.entries.len());
                self.lanes.iter_mut().for_each(Lane::shrink);
            }
        }
    }

    /// The place of the first frame kept whose number is at least `number`.
    fn index_of(&self, number: u64) -> usize {
        if number >= self.whole_from {
            // Those behind it are all there.
            let behind = in_memory(self.next - number);
            return self.entries.len().saturating_sub(behind);
        }
        self.entries.partition_point(|entry| entry.number < number)
    }

    /// Offset of the first byte of the frame at this place, or of the end.
    fn start_of(&self, index: usize) -> u64 {
        match index {
            0 => self.start,
            _ => self.entries[index - 1].end,
        }
    }

    fn offset_of(&self, cursor: Cursor) -> u64 {
        self.start_of(self.index_of(cursor.frame)) + u64::from(cursor.within)
    }

    fn end_offset(&self) -> u64 {
        self.start + self.len() as u64
    }

    fn bytes_from(&self, offset: u64) -> &[u8] {
        &self.bytes[self.head + in_memory(offset - self.start)..]
    }
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("what is in memory")
}

#[cfg(test)]
mod tests;
