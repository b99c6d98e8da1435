//! A room's log on one worker: encoded frames back to back, and cursors that read along.
//!
//! A member costs one [`Cursor`], however much it has still to get; a broadcast appends once. The log grows until its
//! owner trims it: to where the slowest reader is, or, when that would cost too much memory, past it.

use std::collections::VecDeque;

use crate::class::Class;
use crate::identity::RoomKey;

/// A reader's place: how many frames it has got in whole, and the byte it goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    frame: u64,
    offset: u64,
}

#[derive(Debug)]
struct Entry {
    /// Offset of the byte after this frame.
    end: u64,
    /// The message's sequence number in its room; 0 for frames that are no messages.
    sequence: u64,
    class: Class,
}

/// What a reader missed when the log was trimmed past it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Missed {
    pub first_sequence: u64,
    pub last_sequence: u64,
    pub by_class: [u64; Class::COUNT],
}

impl Missed {
    fn add(&mut self, entry: &Entry) {
        if self.first_sequence == 0 {
            self.first_sequence = entry.sequence;
        }
        self.last_sequence = entry.sequence;
        self.by_class[entry.class as usize] += 1;
    }

    /// Adds what was missed after this.
    pub(crate) fn extend(&mut self, later: &Self) {
        if later.first_sequence == 0 {
            return;
        }
        if self.first_sequence == 0 {
            self.first_sequence = later.first_sequence;
        }
        self.last_sequence = later.last_sequence;
        for (sum, more) in self.by_class.iter_mut().zip(later.by_class) {
            *sum += more;
        }
    }

    /// All messages missed, of whatever class.
    pub(crate) fn total(&self) -> u64 {
        self.by_class.iter().sum()
    }
}

/// What a reader that falls behind the start of the log takes along.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rescue {
    /// The rest of the frame the reader was in the middle of.
    pub tail: Vec<u8>,
    /// Whole frames that nobody may miss, in their order.
    pub kept: Vec<u8>,
    pub missed: Missed,
}

/// The frames of one room that somebody on this worker may still need.
#[derive(Debug)]
pub(crate) struct Log {
    room: RoomKey,
    /// Frames back to back; the first `head` bytes are trimmed and wait to be moved over.
    bytes: Vec<u8>,
    head: usize,
    /// Offset of `bytes[head]`, counted from the first byte ever appended.
    start: u64,
    /// One for each frame kept.
    entries: VecDeque<Entry>,
    /// Number of the first frame kept, counted from the first ever appended.
    first: u64,
}

/// An empty log gives back buffers larger than this: a quiet room costs next to nothing.
const EMPTY_CAPACITY_BYTES_MAX: usize = 16 * 1024;

impl Log {
    /// An empty log of `room`.
    pub(crate) fn new(room: RoomKey) -> Self {
        Self {
            room,
            bytes: Vec::new(),
            head: 0,
            start: 0,
            entries: VecDeque::new(),
            first: 0,
        }
    }

    /// Whose frames these are.
    pub(crate) fn room(&self) -> &RoomKey {
        &self.room
    }

    /// Adds a frame that is encoded with its length prefix. `sequence` is 0 for what is no message.
    pub(crate) fn append(&mut self, frame: &[u8], sequence: u64, class: Class) {
        self.bytes.extend_from_slice(frame);
        let end = self.start + (self.bytes.len() - self.head) as u64;
        self.entries.push_back(Entry { end, sequence, class });
    }

    /// Where a reader stands that has got everything.
    pub(crate) fn end(&self) -> Cursor {
        Cursor {
            frame: self.first + self.entries.len() as u64,
            offset: self.start + self.len() as u64,
        }
    }

    /// Bytes kept.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Whether nothing waits behind `cursor`.
    pub(crate) fn is_read(&self, cursor: Cursor) -> bool {
        cursor.offset == self.start + self.len() as u64
    }

    /// What a reader at `cursor` has still to get. The cursor must not be behind the start of the log.
    pub(crate) fn unread(&self, cursor: Cursor) -> &[u8] {
        let skip = usize::try_from(cursor.offset - self.start).expect("an offset into memory");
        &self.bytes[self.head + skip..]
    }

    /// Moves `cursor` on by `bytes` and says how many frames that completed.
    pub(crate) fn advance(&self, cursor: &mut Cursor, bytes: usize) -> u64 {
        let offset = cursor.offset + bytes as u64;
        let frame = if self.start + self.len() as u64 == offset {
            self.first + self.entries.len() as u64
        } else {
            self.first + self.entries.partition_point(|entry| entry.end <= offset) as u64
        };
        let completed = frame - cursor.frame;
        *cursor = Cursor { frame, offset };
        completed
    }

    /// What remains of the frame in which `cursor` stands: all of it when the cursor is at its start.
    pub(crate) fn rest_of_frame(&self, cursor: Cursor) -> &[u8] {
        let end = self.frame_start(cursor.frame + 1);
        &self.unread(cursor)[..usize::try_from(end - cursor.offset).expect("in memory")]
    }

    /// Whether `cursor` stands inside a frame, so that nothing else may be written before the frame is whole.
    pub(crate) fn is_mid_frame(&self, cursor: Cursor) -> bool {
        self.frame_start(cursor.frame) != cursor.offset
    }

    /// Whether a reader at `cursor` would lose something if the log were trimmed to `first`.
    pub(crate) fn is_behind(cursor: Cursor, first: Cursor) -> bool {
        cursor.offset < first.offset
    }

    /// The earlier of two places.
    pub(crate) fn earlier(a: Cursor, b: Cursor) -> Cursor {
        if a.offset <= b.offset { a } else { b }
    }

    /// The place to trim to so that at most `bytes_max` are kept: the start of the first frame that may stay.
    pub(crate) fn newest_within(&self, bytes_max: usize) -> Cursor {
        let oldest_offset = (self.start + self.len() as u64).saturating_sub(bytes_max as u64);
        let skip = self.entries.partition_point(|entry| entry.end < oldest_offset) as u64;
        // The frame that holds `oldest_offset` goes too, unless it starts there.
        let mut frame = self.first + skip;
        if self.frame_start(frame) < oldest_offset {
            frame += 1;
        }
        Cursor {
            frame,
            offset: self.frame_start(frame),
        }
    }

    /// Takes along what a reader at `cursor` must not lose when the log is trimmed to `first`, and moves it there.
    pub(crate) fn rescue(&self, cursor: &mut Cursor, first: Cursor) -> Rescue {
        let mut rescue = Rescue::default();
        let mut frame = cursor.frame;
        if self.is_mid_frame(*cursor) {
            rescue.tail = self.rest_of_frame(*cursor).to_vec();
            frame += 1;
        }
        let skip = usize::try_from(frame - self.first).expect("in memory");
        let count = usize::try_from(first.frame - frame).expect("in memory");
        for (entry, number) in self.entries.range(skip..skip + count).zip(frame..) {
            if entry.class.may_be_dropped() {
                rescue.missed.add(entry);
            } else {
                let offset = self.frame_start(number);
                let bytes = self.unread(Cursor { frame: number, offset });
                rescue
                    .kept
                    .extend_from_slice(&bytes[..usize::try_from(entry.end - offset).expect("in memory")]);
            }
        }
        *cursor = first;
        rescue
    }

    /// Forgets everything before `first`, which must be a place where a frame starts.
    pub(crate) fn trim(&mut self, first: Cursor) {
        if first.offset <= self.start {
            return;
        }
        self.entries
            .drain(..usize::try_from(first.frame - self.first).expect("in memory"));
        self.head += usize::try_from(first.offset - self.start).expect("in memory");
        self.start = first.offset;
        self.first = first.frame;
        if self.entries.is_empty() {
            self.head = 0;
            self.bytes.clear();
            if self.bytes.capacity() > EMPTY_CAPACITY_BYTES_MAX {
                self.bytes = Vec::new();
                self.entries = VecDeque::new();
            }
        } else if self.head > self.bytes.len() / 2 {
            // Moving at most as many bytes as were trimmed keeps the cost of a frame constant.
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }

    /// The start of the frame in which `cursor` stands: the furthest the log may be trimmed for it.
    pub(crate) fn frame_of(&self, cursor: Cursor) -> Cursor {
        Cursor {
            frame: cursor.frame,
            offset: self.frame_start(cursor.frame),
        }
    }

    fn frame_start(&self, frame: u64) -> u64 {
        match usize::try_from(frame - self.first).expect("in memory") {
            0 => self.start,
            n => self.entries[n - 1].end,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn empty() -> Log {
        Log::new(RoomKey {
            app: crate::identity::AppIndex(0),
            id: sluice_protocol::RoomId::parse("lobby").unwrap(),
        })
    }

    fn log(frames: &[&[u8]]) -> Log {
        let mut log = empty();
        for (frame, sequence) in frames.iter().zip(1..) {
            log.append(frame, sequence, Class::Low);
        }
        log
    }

    #[test]
    fn a_reader_gets_what_was_appended_after_it_came() {
        let mut log = log(&[b"one"]);
        let cursor = log.end();
        log.append(b"two", 2, Class::Low);
        log.append(b"three", 3, Class::Low);
        assert_eq!(log.unread(cursor), b"twothree");
    }

    #[test]
    fn advancing_counts_whole_frames_only() {
        let log = log(&[b"one", b"three"]);
        let mut cursor = Cursor::default();
        assert_eq!(log.advance(&mut cursor, 2), 0);
        assert!(log.is_mid_frame(cursor));
        assert_eq!(log.advance(&mut cursor, 1), 1);
        assert!(!log.is_mid_frame(cursor));
        assert_eq!(log.advance(&mut cursor, 5), 1);
        assert!(log.is_read(cursor));
        assert!(!log.is_mid_frame(cursor));
    }

    #[test]
    fn a_reader_behind_the_trim_takes_its_half_frame_along_and_hears_what_it_missed() {
        let mut log = log(&[b"one", b"two", b"three"]);
        log.append(b"joined", 0, Class::Control);
        log.append(b"four", 4, Class::High);
        let mut cursor = Cursor::default();
        log.advance(&mut cursor, 1);
        let first = log.newest_within(4);
        let rescue = log.rescue(&mut cursor, first);
        assert_eq!(rescue.tail, b"ne");
        assert_eq!(rescue.kept, b"joined");
        assert_eq!((rescue.missed.first_sequence, rescue.missed.last_sequence), (2, 3));
        assert_eq!(rescue.missed.by_class[Class::Low as usize], 2);
        log.trim(first);
        assert_eq!(log.unread(cursor), b"four");
    }

    #[test]
    fn an_empty_log_gives_its_memory_back() {
        let mut log = empty();
        log.append(&vec![0; 1 << 20], 1, Class::Low);
        log.trim(log.end());
        assert_eq!(log.len(), 0);
        assert!(log.bytes.capacity() <= EMPTY_CAPACITY_BYTES_MAX);
    }

    proptest! {
        /// Readers of any speed, with trims between, read exactly the frames that were appended, in order, minus
        /// exactly those they were told they missed.
        #[test]
        fn read_and_missed_add_up_to_what_was_appended(
            steps in prop::collection::vec((0_u8..4, 1_usize..40), 1..200),
        ) {
            let mut log = empty();
            let mut appended: u64 = 0;
            let mut cursor = Cursor::default();
            let mut stream: Vec<u8> = Vec::new();
            let mut missed = Missed::default();
            for (step, size) in steps {
                match step {
                    0 | 1 => {
                        appended += 1;
                        let class = if size % 7 == 0 { Class::Control } else { Class::Low };
                        let mut frame = vec![u8::try_from(size).unwrap()];
                        frame.extend(std::iter::repeat_n(u8::try_from(appended % 251).unwrap(), size));
                        log.append(&frame, appended, class);
                    }
                    2 => {
                        let n = size.min(log.unread(cursor).len());
                        stream.extend_from_slice(&log.unread(cursor)[..n]);
                        log.advance(&mut cursor, n);
                    }
                    _ => {
                        let first = log.newest_within(size * 4);
                        if Log::is_behind(cursor, first) {
                            let rescue = log.rescue(&mut cursor, first);
                            stream.extend_from_slice(&rescue.tail);
                            stream.extend_from_slice(&rescue.kept);
                            missed.extend(&rescue.missed);
                        }
                        log.trim(first);
                        prop_assert!(log.len() <= size * 4);
                    }
                }
            }
            stream.extend_from_slice(log.unread(cursor));
            let mut read = 0;
            let mut at = 0;
            while at < stream.len() {
                let size = usize::from(stream[at]);
                let body = &stream[at + 1..at + 1 + size];
                prop_assert!(body.iter().all(|byte| *byte == body[0]), "frames are whole");
                at += 1 + size;
                read += 1;
            }
            prop_assert_eq!(read + missed.total(), appended);
        }
    }
}
