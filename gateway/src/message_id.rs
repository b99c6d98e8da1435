//! Message ids: unique for the server, growing with time on each worker.

use crate::identity::WorkerIndex;

/// Milliseconds since 1970 at 2024-01-01: the ids start counting here.
const EPOCH_MS: u64 = 1_704_067_200_000;
const WORKER_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;

/// Makes message ids: 42 bits of milliseconds (until the year 2163), 10 of worker, 12 of counter. When a millisecond is used up, or the
/// clock steps back, the ids run ahead of the clock rather than repeat.
#[derive(Debug)]
pub(crate) struct MessageIds {
    worker: u64,
    last_ms: u64,
    counter: u64,
}

impl MessageIds {
    /// The ids of one worker.
    pub(crate) fn new(worker: WorkerIndex) -> Self {
        Self {
            worker: u64::from(worker.0) & ((1 << WORKER_BITS) - 1),
            last_ms: 0,
            counter: 0,
        }
    }

    /// The same, but greater than an id that any worker made, whatever the clock says.
    #[must_use]
    pub(crate) fn after(mut self, id: u64) -> Self {
        self.last_ms = self.last_ms.max(id >> (WORKER_BITS + COUNTER_BITS));
        // As if the millisecond were used up.
        self.counter = (1 << COUNTER_BITS) - 1;
        self
    }

    /// The next id, never 0.
    pub(crate) fn next(&mut self, unix_ms: i64) -> u64 {
        let ms = u64::try_from(unix_ms).unwrap_or(0).saturating_sub(EPOCH_MS).max(1);
        if ms > self.last_ms {
            self.last_ms = ms;
            self.counter = 0;
        } else {
            self.counter += 1;
            if self.counter >> COUNTER_BITS != 0 {
                self.last_ms += 1;
                self.counter = 0;
            }
        }
        self.last_ms << (WORKER_BITS + COUNTER_BITS) | self.worker << COUNTER_BITS | self.counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_steps_back_or_a_millisecond_is_used_up() {
        let mut ids = MessageIds::new(WorkerIndex(3));
        let mut last = 0;
        let now = i64::try_from(EPOCH_MS).unwrap() + 1000;
        for unix_ms in std::iter::repeat_n(now, 40_000).chain([now - 500, now - 1, now, now + 1, 0, now + 5000]) {
            let id = ids.next(unix_ms);
            assert!(id > last);
            last = id;
        }
    }

    #[test]
    fn ids_go_on_behind_those_of_another_worker_when_the_clock_has_stepped_back() {
        let now = i64::try_from(EPOCH_MS).unwrap() + 1000;
        let greatest = MessageIds::new(WorkerIndex(9)).next(now);
        for unix_ms in [now - 500, now, 0] {
            let mut ids = MessageIds::new(WorkerIndex(3)).after(greatest);
            let first = ids.next(unix_ms);
            assert!(first > greatest && ids.next(unix_ms) > first);
        }
        let later = MessageIds::new(WorkerIndex(3)).after(greatest).next(now + 500);
        assert_eq!(
            later,
            MessageIds::new(WorkerIndex(3)).next(now + 500),
            "the clock is ahead"
        );
    }

    #[test]
    fn workers_never_make_the_same_id() {
        let now = i64::try_from(EPOCH_MS).unwrap() + 1000;
        assert_ne!(
            MessageIds::new(WorkerIndex(0)).next(now),
            MessageIds::new(WorkerIndex(1)).next(now)
        );
    }
}
