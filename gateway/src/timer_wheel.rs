//! One coarse timer for many deadlines.
//!
//! Entries are keys; the wheel does not know whether a deadline still holds. Its owner asks the key's owner when it comes
//! up, and arms it again if the deadline has moved: a heartbeat costs nothing, and an entry eight bytes. Arming a key a
//! second time does not remove the first entry; the tick number tells which one counts.

use std::time::{Duration, Instant};

/// How exact a deadline is kept.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// A deadline further ahead comes up early, after 512 ticks (51 s), and is armed again.
const SLOTS: u64 = 512;

/// The number of a tick, counted from the start of the wheel.
pub(crate) type Tick = u64;

/// See the module.
#[derive(Debug)]
pub(crate) struct TimerWheel<K> {
    slots: Vec<Vec<K>>,
    /// The slot that comes up next, and when.
    next: Tick,
    next_at: Instant,
}

impl<K> TimerWheel<K> {
    /// An empty wheel that starts to turn at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            next: 0,
            next_at: now + TICK,
        }
    }

    /// `key` comes up at the first tick that is not before `deadline`, or earlier when that is far ahead. Returns that tick.
    pub(crate) fn arm(&mut self, key: K, deadline: Instant) -> Tick {
        let tick = self.tick_of(deadline);
        self.slots[slot(tick)].push(key);
        tick
    }

    /// As [`Self::arm`], for a key whose last entry was for `armed`: while that is still to come and is not too late, nothing is added.
    /// However often a deadline moves ahead, the key so has one entry.
    pub(crate) fn rearm(&mut self, key: K, armed: Tick, deadline: Instant) -> Tick {
        if (self.next..=self.tick_of(deadline)).contains(&armed) {
            armed
        } else {
            self.arm(key, deadline)
        }
    }

    fn tick_of(&self, deadline: Instant) -> Tick {
        let ticks = deadline
            .saturating_duration_since(self.next_at)
            .as_nanos()
            .div_ceil(TICK.as_nanos());
        self.next + u64::try_from(ticks).unwrap_or(u64::MAX).min(SLOTS - 1)
    }

    /// Takes all that has come up by `now`.
    pub(crate) fn advance(&mut self, now: Instant) -> Vec<(K, Tick)> {
        let mut due = Vec::new();
        while self.next_at <= now {
            let tick = self.next;
            due.extend(
                std::mem::take(&mut self.slots[slot(tick)])
                    .into_iter()
                    .map(|key| (key, tick)),
            );
            self.next += 1;
            self.next_at += TICK;
        }
        due
    }
}

fn slot(tick: Tick) -> usize {
    usize::try_from(tick % SLOTS).expect("fewer than 512")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<K>(due: Vec<(K, Tick)>) -> Vec<K> {
        due.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_key_comes_up_at_the_first_tick_after_its_deadline_and_once() {
        let start = Instant::now();
        let mut wheel = TimerWheel::new(start);
        let deadline = start + Duration::from_millis(250);
        wheel.arm("a", deadline);
        assert_eq!(
            keys(wheel.advance(start + Duration::from_millis(249))),
            Vec::<&str>::new()
        );
        assert_eq!(keys(wheel.advance(start + Duration::from_millis(300))), ["a"]);
        assert_eq!(
            keys(wheel.advance(start + Duration::from_secs(120))),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn the_tick_tells_which_of_two_entries_counts() {
        let start = Instant::now();
        let mut wheel = TimerWheel::new(start);
        let first = wheel.arm("a", start + Duration::from_secs(5));
        let second = wheel.arm("a", start + Duration::from_secs(2));
        assert_eq!(wheel.advance(start + Duration::from_secs(3)), [("a", second)]);
        assert_eq!(wheel.advance(start + Duration::from_secs(6)), [("a", first)]);
    }

    #[test]
    fn a_deadline_that_moves_ahead_adds_no_entry_and_one_that_moves_back_does() {
        let start = Instant::now();
        let mut wheel = TimerWheel::new(start);
        let mut armed = wheel.arm("a", start + Duration::from_secs(5));
        let first = armed;
        for seconds in 5..1000 {
            armed = wheel.rearm("a", armed, start + Duration::from_secs(seconds));
        }
        assert_eq!(armed, first);
        armed = wheel.rearm("a", armed, start + Duration::from_secs(2));
        assert_eq!(wheel.advance(start + Duration::from_secs(2)), [("a", armed)]);
        let later = wheel.rearm("a", armed, start + Duration::from_secs(7));
        assert_eq!(
            wheel.advance(start + Duration::from_secs(60)),
            [("a", first), ("a", later)],
            "one that has come up is armed anew"
        );
    }

    #[test]
    fn a_deadline_in_the_past_comes_up_at_the_next_tick() {
        let start = Instant::now();
        let mut wheel = TimerWheel::new(start);
        let later = start + Duration::from_secs(10);
        wheel.advance(later);
        wheel.arm("late", start);
        assert_eq!(keys(wheel.advance(later + TICK)), ["late"]);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_comes_up_early_and_never_late() {
        let start = Instant::now();
        let mut wheel = TimerWheel::new(start);
        wheel.arm("far", start + Duration::from_secs(3600));
        assert_eq!(
            keys(wheel.advance(start + TICK * u32::try_from(SLOTS).unwrap())),
            ["far"]
        );
    }
}
