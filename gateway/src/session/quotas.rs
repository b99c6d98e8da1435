//! What one session may do only so often in a second, and that costs others more than itself.

use std::time::{Duration, Instant};

use sluice_protocol::limits;

use crate::config::Rate;

const SECOND: Duration = Duration::from_secs(1);

/// A rate above what a counter holds, 65535 in a second, is none: no session sends as much.
///
/// Counts in seconds that begin with the first thing that is done of any kind: up to twice a limit may fall into one second across
/// two of them, but this is small, and every session has one.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    second: Option<Instant>,
    moves: u16,
    attribute_writes: u16,
    queries: u16,
    renewals: u16,
}

impl Quotas {
    /// Takes a place for a command to enter or leave a room.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_move(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let left = self.left(now);
        take(&mut self.moves, rate, left)
    }

    /// Takes a place for a command to set or delete attributes of a room, whichever it is.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_attribute_write(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let left = self.left(now);
        take(&mut self.attribute_writes, rate, left)
    }

    /// Takes a place for a question about a room.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_query(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let left = self.left(now);
        take(&mut self.queries, rate, left)
    }

    /// Takes a place for a new token. To verify one takes as long as a hundred other commands, whether it is good or not.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_renewal(&mut self, now: Instant) -> Result<(), Duration> {
        let left = self.left(now);
        take(
            &mut self.renewals,
            Rate::PerSecond(limits::TOKEN_RENEWALS_PER_SECOND),
            left,
        )
    }

    /// How long the second lasts. When it is over, the next begins.
    fn left(&mut self, now: Instant) -> Duration {
        let elapsed = self.second.map(|second| now.duration_since(second));
        match elapsed.and_then(|elapsed| SECOND.checked_sub(elapsed)) {
            Some(left) if !left.is_zero() => left,
            _ => {
                *self = Self {
                    second: Some(now),
                    ..Self::default()
                };
                SECOND
            }
        }
    }
}

fn take(taken: &mut u16, rate: Rate, left: Duration) -> Result<(), Duration> {
    match rate {
        Rate::PerSecond(limit) if u32::from(*taken) >= limit => Err(left),
        Rate::PerSecond(_) => {
            *taken = taken.saturating_add(1);
            Ok(())
        }
        Rate::Unlimited => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_for_each_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut quotas = Quotas::default();
        assert_eq!(quotas.take_move(at(0), Rate::PerSecond(2)), Ok(()));
        assert_eq!(quotas.take_move(at(600), Rate::PerSecond(2)), Ok(()));
        assert_eq!(
            quotas.take_move(at(700), Rate::PerSecond(2)),
            Err(Duration::from_millis(300))
        );
        assert_eq!(quotas.take_move(at(1000), Rate::PerSecond(2)), Ok(()));
        for _ in 0..1000 {
            assert_eq!(quotas.take_move(at(1000), Rate::Unlimited), Ok(()));
        }
    }

    #[test]
    fn each_kind_has_a_quota_of_its_own() {
        let now = Instant::now();
        let mut quotas = Quotas::default();
        for _ in 0..limits::TOKEN_RENEWALS_PER_SECOND {
            assert_eq!(quotas.take_renewal(now), Ok(()));
        }
        assert_eq!(quotas.take_renewal(now), Err(SECOND));
        assert_eq!(quotas.take_move(now, Rate::PerSecond(1)), Ok(()));
        assert_eq!(quotas.take_attribute_write(now, Rate::PerSecond(1)), Ok(()));
        assert_eq!(quotas.take_attribute_write(now, Rate::PerSecond(1)), Err(SECOND));
        assert_eq!(quotas.take_move(now, Rate::PerSecond(1)), Err(SECOND));
        assert_eq!(quotas.take_renewal(now + SECOND), Ok(()));
    }
}
