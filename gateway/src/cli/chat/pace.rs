//! How fast lines of input become messages: what a room allows, so that piping a file in is no error.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What a room takes from one client.
const MESSAGES_MAX: usize = 10;

/// The second for which that holds, and a tenth for messages that catch up with each other on the way.
const WINDOW: Duration = Duration::from_millis(1100);

/// When the newest messages were sent.
#[derive(Debug, Default)]
pub(super) struct Pace {
    sent: VecDeque<Instant>,
}

impl Pace {
    /// When the next message may be sent; `None` is now.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        let oldest = self.sent.front().filter(|_| self.sent.len() == MESSAGES_MAX)?;
        Some(*oldest + WINDOW).filter(|at| *at > now)
    }

    /// A message is sent.
    pub(super) fn take(&mut self, now: Instant) {
        if self.sent.len() == MESSAGES_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_message_waits_until_the_first_is_more_than_a_second_old() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for n in 0..10 {
            let now = start + Duration::from_millis(n * 10);
            assert_eq!(pace.next_at(now), None);
            pace.take(now);
        }
        let now = start + Duration::from_millis(200);
        assert_eq!(pace.next_at(now), Some(start + WINDOW));
        assert_eq!(pace.next_at(start + WINDOW), None);
    }
}
