//! When to ping, and when the server counts as gone. Knows no clock and no socket.

use std::time::Duration;

use sluice_protocol::limits::HEARTBEAT_INTERVALS_UNTIL_SILENT;
use tokio::time::Instant;

/// The shortest interval a server can make this client ping at; its own configuration goes no lower.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The longest interval taken at its word, so that a wrong number does not switch the heartbeat off.
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// What the time has come for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Rest,
    Ping,
}

/// One ping for each interval, whatever else is sent: the answers prove that the server lives even while the app only
/// sends what nobody answers.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    ping_at: Instant,
    /// `None` while nothing is read, as silence means nothing then.
    silent_at: Option<Instant>,
}

impl Heartbeat {
    pub(super) fn new(announced: Duration, now: Instant) -> Self {
        let interval = announced.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let mut heartbeat = Self {
            interval,
            ping_at: now + interval,
            silent_at: None,
        };
        heartbeat.on_received(now);
        heartbeat
    }

    /// Something came from the server, or reading begins again.
    pub(super) fn on_received(&mut self, now: Instant) {
        self.silent_at = Some(now + self.interval.mul_f64(HEARTBEAT_INTERVALS_UNTIL_SILENT));
    }

    /// Reading stops because the app is behind with its events.
    pub(super) fn on_reading_paused(&mut self) {
        self.silent_at = None;
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Beat {
        if now < self.ping_at {
            return Beat::Rest;
        }
        self.ping_at = now + self.interval;
        Beat::Ping
    }

    pub(super) fn is_server_silent(&self, now: Instant) -> bool {
        self.silent_at.is_some_and(|at| now >= at)
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.silent_at
            .map_or(self.ping_at, |silent_at| silent_at.min(self.ping_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_ping_is_due_once_for_each_interval() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(30 * SECOND, start);
        assert_eq!(heartbeat.next_deadline(), start + 30 * SECOND);
        assert_eq!(heartbeat.handle_timeout(start + 29 * SECOND), Beat::Rest);
        assert_eq!(heartbeat.handle_timeout(start + 30 * SECOND), Beat::Ping);
        assert_eq!(heartbeat.handle_timeout(start + 30 * SECOND), Beat::Rest);
        assert_eq!(heartbeat.next_deadline(), start + 60 * SECOND);
    }

    #[test]
    fn the_server_counts_as_gone_after_two_and_a_half_silent_intervals() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(30 * SECOND, start);
        assert!(!heartbeat.is_server_silent(start + 74 * SECOND));
        assert!(heartbeat.is_server_silent(start + 75 * SECOND));
        heartbeat.on_received(start + 70 * SECOND);
        assert!(!heartbeat.is_server_silent(start + 144 * SECOND));
        assert!(heartbeat.is_server_silent(start + 145 * SECOND));
    }

    #[test]
    fn silence_means_nothing_while_nothing_is_read() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(30 * SECOND, start);
        heartbeat.on_reading_paused();
        assert!(!heartbeat.is_server_silent(start + 1000 * SECOND));
        heartbeat.on_received(start + 1000 * SECOND);
        assert!(!heartbeat.is_server_silent(start + 1074 * SECOND));
        assert!(heartbeat.is_server_silent(start + 1075 * SECOND));
    }

    #[test]
    fn an_absurd_interval_is_bounded() {
        let start = Instant::now();
        assert_eq!(
            Heartbeat::new(Duration::ZERO, start).next_deadline(),
            start + INTERVAL_MIN
        );
        assert_eq!(
            Heartbeat::new(Duration::MAX, start).next_deadline(),
            start + INTERVAL_MAX
        );
    }
}
