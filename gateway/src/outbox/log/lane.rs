//! Where the frames of one class are in a log: which numbers they have, and how much memory those from any of them on take.

use std::collections::VecDeque;

/// Memory that a frame takes here.
pub(super) const MARK_BYTES: usize = size_of::<Mark>();

#[derive(Debug)]
struct Mark {
    /// The frame's number in the log.
    number: u64,
    /// Memory of this class up to the end of the frame, from the first ever appended.
    end: u64,
}

/// See the module. Every question costs a binary search, however long the log is.
#[derive(Debug, Default)]
pub(super) struct Lane {
    marks: VecDeque<Mark>,
    /// As in a mark, before the first of them and behind the last.
    start: u64,
    end: u64,
}

/// Some frames of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub first: u64,
    pub last: u64,
    pub count: u64,
}

impl Lane {
    /// A frame that takes `bytes` of memory was appended under `number`.
    pub(super) fn push(&mut self, number: u64, bytes: usize) {
        self.end += bytes as u64;
        self.marks.push_back(Mark { number, end: self.end });
    }

    /// Forgets the frames before `number`.
    pub(super) fn trim(&mut self, number: u64) {
        let index = self.index_of(number);
        self.start = self.start_of(index);
        self.marks.drain(..index);
    }

    /// Gives back memory that it has not needed for long.
    pub(super) fn shrink(&mut self) {
        self.marks.shrink_to(2 * self.marks.len());
    }

    /// How many bytes there are from frame `number` on.
    pub(super) fn bytes_from(&self, number: u64) -> usize {
        usize::try_from(self.end - self.start_of(self.index_of(number))).expect("in memory")
    }

    /// The oldest frame of the newest that are together at most `bytes`. `None` if not even the newest is.
    pub(super) fn newest(&self, bytes: usize) -> Option<u64> {
        let oldest_start = self.end.saturating_sub(bytes as u64);
        // The frame that begins there or later: behind the last that begins before.
        let ends_before = self.marks.partition_point(|mark| mark.end <= oldest_start);
        let index = ends_before + usize::from(self.start_of(ends_before) < oldest_start);
        self.marks.get(index).map(|mark| mark.number)
    }

    /// The frames from number `from` on that are before `until`.
    pub(super) fn between(&self, from: u64, until: u64) -> Option<Span> {
        if from >= until {
            return None;
        }
        let (first, behind) = (self.index_of(from), self.index_of(until));
        (first < behind).then(|| Span {
            first: self.marks[first].number,
            last: self.marks[behind - 1].number,
            count: (behind - first) as u64,
        })
    }

    fn index_of(&self, number: u64) -> usize {
        self.marks.partition_point(|mark| mark.number < number)
    }

    fn start_of(&self, index: usize) -> u64 {
        match index {
            0 => self.start,
            _ => self.marks[index - 1].end,
        }
    }
}
