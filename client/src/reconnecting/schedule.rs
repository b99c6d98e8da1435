//! Whether and when to connect again. Knows no clock, no socket and no chance: the time and the dice are given.

use std::time::Duration;

use sluice_protocol::{ErrorCode, Retry};
use tokio::time::Instant;

/// The first try comes within this, each further one within twice as much.
const DELAY_FIRST: Duration = Duration::from_secs(1);

/// The longest back-off.
const DELAY_MAX: Duration = Duration::from_secs(300);

/// After so long a connection counts as one that holds, and the back-off begins anew.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// The detail of 31011 where the session was resumed with another connection.
const TAKEN_OVER: &str = "resumed";

/// What to do about the end of a connection, or about a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same would fail the same way, or nobody wants it.
    Stop,
    Retry(Patience),
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As the schedule says.
    BackOff,
    /// As the server says: exactly so long, as it spreads its clients itself.
    Advised(Duration),
    /// What failed may be mended by time alone: the longest back-off.
    Longest,
}

impl Verdict {
    /// By the column "retry" of the table of codes. A login that was refused with a code for the app to decide on is tried again: it
    /// is the server that could not.
    pub(crate) fn of(code: ErrorCode, detail: &str, retry_after: Option<Duration>) -> Self {
        let patience = match (code.retry(), retry_after) {
            _ if code == ErrorCode::NO_ERROR => return Self::Stop,
            // The session goes on with another connection, and to take it back would take it from whoever has it now.
            _ if code == ErrorCode::DISCONNECTED_BY_SERVER && detail == TAKEN_OVER => return Self::Stop,
            (Retry::Never, _) | (Retry::AfterDelay, None) => return Self::Stop,
            (_, Some(delay)) => Patience::Advised(delay),
            (Retry::Elsewhere, None) => Patience::Longest,
            (Retry::Automatic | Retry::App, None) => Patience::BackOff,
        };
        Self::Retry(patience)
    }
}

/// The times at which to try. Begins with a connection that is up.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Since a connection last held.
    attempts: u32,
    connected_at: Instant,
}

impl Schedule {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            attempts: 0,
            connected_at: now,
        }
    }

    pub(crate) fn on_connected(&mut self, now: Instant) {
        self.connected_at = now;
    }

    pub(crate) fn on_lost(&mut self, now: Instant) {
        if now.duration_since(self.connected_at) >= STABLE_AFTER {
            self.attempts = 0;
        }
    }

    /// How long to wait before the next try. `chance`, from 0 to 1, is drawn for each: the whole range is used, so that many who lost
    /// their connection in one moment do not come back in one.
    pub(crate) fn next_delay(&mut self, patience: Patience, chance: f64) -> Duration {
        let doublings = self.attempts.min(DELAY_MAX.as_secs().ilog2() + 1);
        let bound = DELAY_MAX.min(DELAY_FIRST * (1 << doublings));
        self.attempts = self.attempts.saturating_add(1);
        match patience {
            Patience::BackOff => bound.mul_f64(chance.clamp(0.0, 1.0)),
            Patience::Advised(delay) => delay,
            Patience::Longest => DELAY_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn longest_delays(schedule: &mut Schedule, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| schedule.next_delay(Patience::BackOff, 1.0).as_secs())
            .collect()
    }

    #[test]
    fn the_bound_of_the_delay_doubles_from_one_second_to_five_minutes() {
        let mut schedule = Schedule::new(Instant::now());
        assert_eq!(
            longest_delays(&mut schedule, 12),
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
        schedule.attempts = u32::MAX;
        assert_eq!(longest_delays(&mut schedule, 1), [300]);
    }

    #[test]
    fn the_delay_is_drawn_from_the_whole_range() {
        let delay = |chance| {
            let mut schedule = Schedule::new(Instant::now());
            schedule.next_delay(Patience::BackOff, 0.5);
            schedule.next_delay(Patience::BackOff, chance)
        };
        assert_eq!(delay(0.0), Duration::ZERO);
        assert_eq!(delay(0.25), SECOND / 2);
        assert_eq!(delay(0.999), Duration::from_millis(1998));
    }

    #[test]
    fn a_connection_that_held_for_a_minute_makes_the_back_off_begin_anew() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        longest_delays(&mut schedule, 5);
        schedule.on_connected(start);
        schedule.on_lost(start + 59 * SECOND);
        assert_eq!(longest_delays(&mut schedule, 1), [32]);
        schedule.on_connected(start + 100 * SECOND);
        schedule.on_lost(start + 160 * SECOND);
        assert_eq!(longest_delays(&mut schedule, 2), [1, 2]);
    }

    #[test]
    fn the_servers_advice_is_taken_exactly() {
        let mut schedule = Schedule::new(Instant::now());
        let advised = Duration::from_millis(1234);
        for chance in [0.0, 1.0] {
            assert_eq!(schedule.next_delay(Patience::Advised(advised), chance), advised);
        }
        assert_eq!(schedule.next_delay(Patience::Longest, 0.0), DELAY_MAX);
    }

    #[test]
    fn codes_that_would_fail_the_same_way_stop_it() {
        for code in [0, 31002, 31004, 31005, 31007, 31008, 31010, 33001, 33003] {
            for advice in [None, Some(SECOND)] {
                assert_eq!(Verdict::of(code.into(), "", advice), Verdict::Stop, "{code}");
            }
        }
        for code in [
            30010, 30011, 30013, 30015, 31000, 31003, 31011, 32002, 4109, 4200, 20607, 7_654_321,
        ] {
            let verdict = |advice| Verdict::of(code.into(), "", advice);
            assert_eq!(verdict(None), Verdict::Retry(Patience::BackOff), "{code}");
            assert_eq!(
                verdict(Some(SECOND)),
                Verdict::Retry(Patience::Advised(SECOND)),
                "{code}"
            );
        }
    }

    #[test]
    fn a_session_that_goes_on_with_another_connection_is_left_to_it() {
        let ended = |detail| Verdict::of(ErrorCode::DISCONNECTED_BY_SERVER, detail, Some(SECOND));
        assert_eq!(ended("resumed"), Verdict::Stop);
        assert_eq!(ended("slow"), Verdict::Retry(Patience::Advised(SECOND)));
    }

    #[test]
    fn a_blocked_user_comes_back_when_the_block_is_over_if_the_server_says_when() {
        let blocked = |advice| Verdict::of(ErrorCode::USER_BLOCKED, "", advice);
        assert_eq!(blocked(None), Verdict::Stop);
        assert_eq!(blocked(Some(SECOND)), Verdict::Retry(Patience::Advised(SECOND)));
    }

    #[test]
    fn a_version_the_server_does_not_speak_is_tried_again_after_the_longest_back_off() {
        let verdict = Verdict::of(ErrorCode::PROTOCOL_VERSION, "1-1", None);
        assert_eq!(verdict, Verdict::Retry(Patience::Longest));
    }
}
