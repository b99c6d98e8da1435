//! At most so many in any one second, or any other time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::Rate;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts exactly: no window of time, wherever it starts, holds more than the limit. Remembers as many times
/// as the limit, and only of those who were active.
#[derive(Debug, Default)]
pub(crate) struct SlidingWindow {
    taken: VecDeque<Instant>,
}

impl SlidingWindow {
    /// Takes a place at `now`.
    ///
    /// # Errors
    /// When the last second is full: how long until a place is free.
    pub(crate) fn take(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        match rate {
            Rate::PerSecond(limit) => self.take_within(now, limit as usize, WINDOW),
            Rate::Unlimited => Ok(()),
        }
    }

    /// Takes several of `limit` places in a second at once, or all of them where it is more.
    ///
    /// # Errors
    /// When fewer are free: how long until they are.
    pub(crate) fn take_several(&mut self, now: Instant, places: usize, limit: usize) -> Result<(), Duration> {
        self.forget_until(now, WINDOW);
        let places = places.min(limit);
        let missing = (self.taken.len() + places).saturating_sub(limit);
        match missing.checked_sub(1).and_then(|last| self.taken.get(last)) {
            None => {
                self.taken.extend(std::iter::repeat_n(now, places));
                Ok(())
            }
            Some(last) => Err(WINDOW - now.duration_since(*last)),
        }
    }

    /// Takes one of `limit` places within `window` at `now`.
    ///
    /// # Errors
    /// When they are taken: how long until one is free.
    pub(crate) fn take_within(&mut self, now: Instant, limit: usize, window: Duration) -> Result<(), Duration> {
        self.forget_until(now, window);
        if self.taken.len() < limit {
            self.taken.push_back(now);
            return Ok(());
        }
        let oldest = self.taken.front();
        Err(oldest.map_or(window, |oldest| window - now.duration_since(*oldest)))
    }

    fn forget_until(&mut self, now: Instant, window: Duration) {
        let is_old = |taken: &Instant| now.duration_since(*taken) >= window;
        while self.taken.front().is_some_and(is_old) {
            self.taken.pop_front();
        }
    }

    /// Whether nothing was taken in the last second, so that forgetting the window changes nothing.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.taken
            .back()
            .is_none_or(|newest| now.duration_since(*newest) >= WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sixth_within_a_second_waits_until_the_first_is_a_second_old() {
        let start = Instant::now();
        let mut window = SlidingWindow::default();
        let at = |ms: u64| start + Duration::from_millis(ms);
        for ms in [0, 100, 200, 300, 400] {
            assert_eq!(window.take(at(ms), Rate::PerSecond(5)), Ok(()));
        }
        assert_eq!(
            window.take(at(700), Rate::PerSecond(5)),
            Err(Duration::from_millis(300))
        );
        assert_eq!(window.take(at(999), Rate::PerSecond(5)), Err(Duration::from_millis(1)));
        assert_eq!(window.take(at(1000), Rate::PerSecond(5)), Ok(()));
        assert_eq!(
            window.take(at(1001), Rate::PerSecond(5)),
            Err(Duration::from_millis(99))
        );
    }

    #[test]
    fn several_places_are_taken_once_as_many_are_free() {
        let start = Instant::now();
        let mut window = SlidingWindow::default();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(window.take_several(at(0), 4, 10), Ok(()));
        assert_eq!(window.take_several(at(300), 5, 10), Ok(()));
        let wait = |ms| Err(Duration::from_millis(ms));
        assert_eq!(window.take_several(at(400), 2, 10), wait(600));
        assert_eq!(
            window.take_several(at(400), 6, 10),
            wait(900),
            "those of the first are not enough"
        );
        assert_eq!(
            window.take_several(at(400), 1, 10),
            Ok(()),
            "what is refused takes nothing"
        );
        assert_eq!(window.take_several(at(1000), 99, 10), wait(400), "all there are");
        assert_eq!(window.take_several(at(1400), 99, 10), Ok(()));
        assert_eq!(window.take_several(at(1400), 1, 10), wait(1000));
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_limit(gaps in prop::collection::vec(0_u64..400, 1..300), limit in 1_u32..12) {
            let mut now = Instant::now();
            let mut window = SlidingWindow::default();
            let mut taken: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                let recent = taken.iter().filter(|time| now.duration_since(**time) < WINDOW).count();
                let allowed = window.take(now, Rate::PerSecond(limit)).is_ok();
                prop_assert_eq!(allowed, recent < limit as usize);
                if allowed {
                    taken.push(now);
                }
            }
        }
    }
}
