//! Nonces that were used: each is good once.
//!
//! A call is taken as long as its time is near enough, and its nonce is kept for just as long: what is forgotten is too old to be used
//! again. Nothing is forgotten earlier, so when there is no room left, calls wait.

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
    /// By when they are too old, in milliseconds since 1970.
    by_end: BTreeSet<(i64, Nonce)>,
}

/// There is no room for a nonce until this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    pub until_ms: i64,
}

impl Default for Nonces {
    fn default() -> Self {
        Self::new(NONCES_MAX)
    }
}

impl Nonces {
    fn new(max: usize) -> Self {
        Self {
            max,
            used: HashSet::new(),
            by_end: BTreeSet::new(),
        }
    }

    /// Whether a nonce was taken, and not so long ago that it is of no use.
    pub(super) fn is_used(&mut self, nonce: &Nonce, now_ms: i64) -> bool {
        while let Some((end, oldest)) = self.by_end.first().copied().filter(|(end, _)| *end < now_ms) {
            self.by_end.remove(&(end, oldest));
            self.used.remove(&oldest);
        }
        self.used.contains(nonce)
    }

    /// Takes a nonce that is not used. It is of no use any more after `end_ms`.
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
        Full(i64),
    }

    fn take(nonces: &mut Nonces, number: u8, end_ms: i64, now_ms: i64) -> Taken {
        let nonce = [number; 16];
        if nonces.is_used(&nonce, now_ms) {
            return Taken::Used;
        }
        match nonces.take(nonce, end_ms, now_ms) {
            Ok(()) => Taken::Yes,
            Err(Full { until_ms }) => Taken::Full(until_ms),
        }
    }

    #[test]
    fn a_nonce_is_good_once_until_its_time_is_over() {
        let mut nonces = Nonces::new(10);
        assert_eq!(take(&mut nonces, 1, 1000, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 1, 1500, 1000), Taken::Used);
        assert_eq!(take(&mut nonces, 1, 2000, 1001), Taken::Yes);
    }

    #[test]
    fn when_there_is_no_room_nothing_is_forgotten() {
        let mut nonces = Nonces::new(2);
        assert_eq!(take(&mut nonces, 1, 500, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 2, 900, 0), Taken::Yes);
        assert_eq!(take(&mut nonces, 3, 900, 500), Taken::Full(501));
        assert_eq!(take(&mut nonces, 1, 900, 500), Taken::Used);
        assert_eq!(take(&mut nonces, 3, 900, 501), Taken::Yes);
    }

    proptest! {
        #[test]
        fn no_nonce_is_taken_twice_before_its_end(
            calls in prop::collection::vec((0_u8..20, 0_i64..50, 0_i64..100), 0..200),
            max in 1_usize..12,
        ) {
            let mut nonces = Nonces::new(max);
            let mut taken: Vec<(u8, i64)> = Vec::new();
            let mut now = 0;
            for (number, later, life) in calls {
                now += later;
                taken.retain(|(_, end)| *end >= now);
                let expected = if taken.iter().any(|(known, _)| *known == number) {
                    Taken::Used
                } else if taken.len() >= max {
                    Taken::Full(taken.iter().map(|(_, end)| *end).min().expect("it is full") + 1)
                } else {
                    taken.push((number, now + life));
                    Taken::Yes
                };
                prop_assert_eq!(take(&mut nonces, number, now + life, now), expected);
            }
        }
    }
}
