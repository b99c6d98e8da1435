//! When things are to happen, decided before they do.
//!
//! A load that waits for the answer before it sends the next question slows down with the server and hides the very
//! delays it should show. So everything here that repeats has *intended* times: they are computed from the start and
//! the rate alone, what is late is sent at once, and delays are counted from the time intended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const SECOND_NS: f64 = 1e9;

/// An even pace from a start, whatever happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Of the [monotonic clock](crate::monotonic).
    pub(crate) start_ns: u64,
    /// Above 0.
    pub(crate) per_second: f64,
}

impl Pace {
    /// When number `number` is to happen, from 0.
    pub(crate) fn intended_ns(&self, number: u64) -> u64 {
        // From the start each time: adding up intervals would add up their rounding too.
        self.start_ns + (number as f64 * SECOND_NS / self.per_second).round() as u64
    }

    /// How many were to happen until `now_ns`, that moment included.
    pub(crate) fn due(&self, now_ns: u64) -> u64 {
        let Some(passed) = now_ns.checked_sub(self.start_ns) else {
            return 0;
        };
        let mut due = (passed as f64 * self.per_second / SECOND_NS) as u64;
        // The division may land a hair on the wrong side of a whole number.
        while due > 0 && self.intended_ns(due) > now_ns {
            due -= 1;
        }
        while self.intended_ns(due) <= now_ns {
            due += 1;
        }
        due
    }

    /// How many happen in `time`.
    pub(crate) fn count_in(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * self.per_second).round() as u64
    }
}

/// The window of the first wait after a failed attempt.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);

/// The window of the longest one.
const BACK_OFF_MAX: Duration = Duration::from_secs(20);

/// A source of numbers that look random and are the same in every run.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Different seeds, different numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to below 1, every part as likely as any other. (The generator is SplitMix64.)
    pub(crate) fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper 53 bits: all that a double keeps.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Full jitter: any time of the window, so that those who were lost together do not come back together.
    pub(crate) fn next_within(&mut self, window: Duration) -> Duration {
        window.mul_f64(self.next_unit())
    }

    /// How long to wait before the attempt after `failed` failed ones (at least 1) when the server advised to wait `advised`.
    pub(crate) fn next_back_off(&mut self, failed: u32, advised: Duration) -> Duration {
        let doubled = BACK_OFF_MIN.saturating_mul(1 << (failed - 1).min(16));
        advised + self.next_within(doubled.min(BACK_OFF_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intended_times_depend_on_start_and_rate_alone() {
        let pace = Pace {
            start_ns: 1_000,
            per_second: 3.0,
        };
        assert_eq!(pace.intended_ns(0), 1_000);
        assert_eq!(pace.intended_ns(1), 333_334_333);
        assert_eq!(pace.intended_ns(3), 1_000_001_000);
        // A day later it has not drifted.
        assert_eq!(pace.intended_ns(3 * 86_400), 86_400_000_001_000);
    }

    #[test]
    fn what_is_due_agrees_with_the_intended_times() {
        for per_second in [0.1, 1.0, 3.0, 7.77, 20_000.0] {
            let pace = Pace {
                start_ns: 5_000,
                per_second,
            };
            assert_eq!((pace.due(0), pace.due(4_999)), (0, 0));
            for number in 0..1_000 {
                let intended = pace.intended_ns(number);
                assert_eq!(pace.due(intended), number + 1, "{number} at {per_second}/s");
                if number > 0 {
                    assert_eq!(pace.due(intended - 1), number, "just before {number} at {per_second}/s");
                }
            }
        }
    }

    #[test]
    fn a_pace_counts_what_fits_in_a_time() {
        let pace = Pace {
            start_ns: 0,
            per_second: 2.5,
        };
        assert_eq!(pace.count_in(Duration::from_secs(4)), 10);
    }

    #[test]
    fn full_jitter_fills_its_window_evenly() {
        let mut dice = Dice::new(7);
        let window = Duration::from_secs(10);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let wait = dice.next_within(window);
            assert!(wait < window);
            tenths[wait.as_secs() as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn back_off_doubles_up_to_its_bound_and_begins_with_the_advice() {
        let mut dice = Dice::new(1);
        let mut longest = |failed, advised| {
            (0..1_000)
                .map(|_| dice.next_back_off(failed, advised))
                .max()
                .expect("a thousand of them")
        };
        let near = |wait: Duration, bound: Duration| wait <= bound && wait > bound.mul_f64(0.98);
        assert!(near(longest(1, Duration::ZERO), BACK_OFF_MIN));
        assert!(near(longest(3, Duration::ZERO), 4 * BACK_OFF_MIN));
        assert!(near(longest(40, Duration::ZERO), BACK_OFF_MAX));
        let advised = Duration::from_secs(3);
        assert!(Dice::new(2).next_back_off(1, advised) >= advised);
    }
}
