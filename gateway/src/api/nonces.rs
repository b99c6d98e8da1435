//! Nonces that were used: each is good once.
//!
//! A call is taken as long as its time is near enough, and its nonce is kept for just as long: what is forgotten is too old to be used
//! again, also for who looks at a clock that is behind, or was set back. Nothing is forgotten earlier, so when there is no room left,
//! calls wait. A start has forgotten all before it.

use std::collections::BTreeSet;

use hashbrown::HashSet;

/// Nonces of one app kept at once, about 100 bytes each: 218 calls each second for ten minutes.
const NONCES_MAX: usize = 1 << 17;

/// The hash of a nonce: so many bytes that nobody finds two that are the same.
pub(super) type Nonce = [u8; 16];

/// Those of one app.
#[derive(Debug)]
pub(super) struct Nonces {
    max: usize,
    used: HashSet<Nonce>,
    /// What ended before it is not known any more.
    forgotten_ms: i64,
    /// By when they are too old, in milliseconds since 1970.
    by_end: BTreeSet<(i64, Nonce)>,
}

/// There is no room for a nonce until this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    pub until_ms: i64,
}

/// What is known of a nonce that somebody comes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    No,
    Used,
    /// It would be forgotten if it had been used.
    Forgotten,
}

impl Nonces {
    /// For calls that end no earlier than `forgotten_ms`.
    pub(super) fn since(forgotten_ms: i64) -> Self {
        Self::new(NONCES_MAX, forgotten_ms)
    }

    fn new(max: usize, forgotten_ms: i64) -> Self {
        Self {
            max,
            forgotten_ms,
            used: HashSet::new(),
            by_end: BTreeSet::new(),
        }
    }

    /// Whether a nonce was taken that is of no use any more after `end_ms`.
    pub(super) fn know(&mut self, nonce: &Nonce, end_ms: i64, now_ms: i64) -> Known {
        self.forgotten_ms = self.forgotten_ms.max(now_ms);
        while let Some((end, oldest)) = self.by_end.first().copied().filter(|(end, _)| *end < self.forgotten_ms) {
            self.by_end.remove(&(end, oldest));
            self.used.remove(&oldest);
        }
        if end_ms < self.forgotten_ms {
            Known::Forgotten
        } else if self.used.contains(nonce) {
            Known::Used
        } else {
            Known::No
        }
    }

    /// Takes a nonce that is not known. It is of no use any more after `end_ms`.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) fn take(&mut self, nonce: Nonce, end_ms: i64, now_ms: i64) -> Result<(), Full> {
        if self.used.len() >= self.max {
            let first = self.by_end.first().map_or(now_ms, |(end, _)| *end);
            return Err(Full { until_ms: first + 1 });
        }
        self.used.insert(nonce);
        self.by_end.insert((end_ms, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Taken {
        Yes,
        Used,
        Forgotten,
        Full(i64),
    }

    fn take(nonces: &mut Nonces, number: u8, end_ms: i64, now_ms: i64) -> Taken {
        let nonce = [number; 16];
        match nonces.know(&nonce, end_ms, now_ms) {
            Known::Used => return Taken::Used,
            Known::Forgotten => return Taken::Forgotten,
            Known::No => {}
        }
        match nonces.take(nonce, end_ms, now_ms) {
            Ok(()) => Taken::Yes,
            Err(Full { until_ms }) => Taken::Full(until_ms),
        }
    }

    #[test]
    fn a_nonce_is_good_once_until_its_time_is_over() {
        let mut nonces = Nonces::new(10, 0);
        assert_eq!(take(&mut nonces, 1, 1000, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 1, 1500, 1000), Taken::Used);
        assert_eq!(take(&mut nonces, 1, 2000, 1001), Taken::Yes);
    }

    #[test]
    fn when_there_is_no_room_nothing_is_forgotten() {
        let mut nonces = Nonces::new(2, 0);
        assert_eq!(take(&mut nonces, 1, 500, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 2, 900, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 3, 900, 500), Taken::Full(501));
        assert_eq!(take(&mut nonces, 1, 900, 500), Taken::Used);
        assert_eq!(take(&mut nonces, 3, 900, 501), Taken::Yes);
    }

    #[test]
    fn a_nonce_that_another_call_had_forgotten_is_not_taken_by_a_clock_that_is_behind() {
        let mut nonces = Nonces::new(10, 0);
        assert_eq!(take(&mut nonces, 1, 1000, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 2, 5000, 1001), Taken::Yes);
        assert_eq!(take(&mut nonces, 1, 1000, 999), Taken::Forgotten);
    }

    #[test]
    fn what_ended_before_the_start_was_forgotten_then() {
        let mut nonces = Nonces::new(10, 700);
        assert_eq!(take(&mut nonces, 1, 699, 500), Taken::Forgotten);
        assert_eq!(take(&mut nonces, 1, 700, 500), Taken::Yes);
        assert_eq!(take(&mut nonces, 1, 700, 500), Taken::Used);
    }

    proptest! {
        #[test]
        fn no_nonce_is_taken_twice_with_the_same_end_whatever_the_clock_does(
            calls in prop::collection::vec((0_u8..20, 0_i64..200, -100_i64..100), 0..200),
            max in 1_usize..12,
        ) {
            let mut nonces = Nonces::new(max, 0);
            let mut taken: Vec<(u8, i64)> = Vec::new();
            let (mut now, mut latest) = (0, 0);
            for (number, end, later) in calls {
                now += later;
                latest = latest.max(now);
                let alive = |(_, end): &&(u8, i64)| *end >= latest;
                let expected = if end < latest {
                    Taken::Forgotten
                } else if taken.iter().filter(alive).any(|(known, _)| *known == number) {
                    Taken::Used
                } else if taken.iter().filter(alive).count() >= max {
                    Taken::Full(taken.iter().filter(alive).map(|(_, end)| *end).min().expect("it is full") + 1)
                } else {
                    prop_assert!(!taken.contains(&(number, end)));
                    taken.push((number, end));
                    Taken::Yes
                };
                prop_assert_eq!(take(&mut nonces, number, end, now), expected);
            }
        }
    }
}
