//! What one session may do only so often in a second, and that costs others more than itself.

use std::time::{Duration, Instant};

use sluice_protocol::limits;

use crate::config::Rate;

const SECOND: Duration = Duration::from_secs(1);

/// A rate above what a counter holds, 65535 in a second, is none: no session sends as much.
///
/// Who writes more attributes in one command than a second has places owes the rest: it waits for as many seconds more.
///
/// Counts in seconds that begin with the first thing that is done of any kind: up to twice a limit may fall into one second across
/// two of them, but this is small, and every session has one.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    second: Option<Instant>,
    moves: u16,
    attribute_writes: u16,
    queries: u16,
    renewals: u8,
    /// So many seconds, this one counted, are full because more was written than they have places. What is left of it is counted already
    /// for the second behind them.
    attribute_seconds_owed: u8,
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

    /// Takes the places for a command to set or delete attributes of a room, which needs so many of them. It is let through where one is
    /// free, or a rate below what it needs would never let it.
    ///
    /// # Errors
    /// When the second is full, or something is owed: how long until neither is.
    pub(crate) fn take_attribute_write(&mut self, now: Instant, rate: Rate, places: usize) -> Result<(), Duration> {
        let left = self.left(now);
        if let Some(further) = self.attribute_seconds_owed.checked_sub(1) {
            return Err(left + SECOND * u32::from(further));
        }
        take(&mut self.attribute_writes, rate, left)?;
        if let Rate::PerSecond(limit) = rate {
            let limit = u16::try_from(limit).unwrap_or(u16::MAX);
            let places = u16::try_from(places).unwrap_or(u16::MAX);
            let written = self.attribute_writes.saturating_add(places.saturating_sub(1));
            self.attribute_writes = written;
            if written > limit {
                self.attribute_writes = written % limit;
                self.attribute_seconds_owed = u8::try_from(written / limit).unwrap_or(u8::MAX);
            }
        }
        Ok(())
    }

    /// Takes a place for a question about a room.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_query(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let left = self.left(now);
        take(&mut self.queries, rate, left)
    }

    /// Counts a question for as much as [its answer](limits::ANSWER_PIECE_BYTES) turned out to be.
    pub(crate) fn count_answer(&mut self, now: Instant, bytes: usize) {
        self.left(now);
        let further = bytes.div_ceil(limits::ANSWER_PIECE_BYTES).saturating_sub(1);
        self.queries = self.queries.saturating_add(u16::try_from(further).unwrap_or(u16::MAX));
    }

    /// Takes a place for a new token. To verify one takes as long as a hundred other commands, whether it is good or not.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_renewal(&mut self, now: Instant) -> Result<(), Duration> {
        let left = self.left(now);
        if u32::from(self.renewals) >= limits::TOKEN_RENEWALS_PER_SECOND {
            return Err(left);
        }
        self.renewals += 1;
        Ok(())
    }

    /// How long the second lasts. When it is over, the next begins.
    fn left(&mut self, now: Instant) -> Duration {
        let elapsed = self.second.map(|second| now.duration_since(second));
        match elapsed.and_then(|elapsed| SECOND.checked_sub(elapsed)) {
            Some(left) if !left.is_zero() => left,
            _ => {
                let before = std::mem::take(self);
                self.second = Some(now);
                match elapsed {
                    Some(elapsed) if before.attribute_seconds_owed > 0 => self.go_on_owing(&before, now, elapsed),
                    _ => SECOND,
                }
            }
        }
    }

    /// Takes over from the second that was `elapsed` ago what was owed in it. Returns how long this one lasts: where something was owed they
    /// follow one on the other, so that who is told to wait need not wait for longer.
    fn go_on_owing(&mut self, before: &Self, now: Instant, elapsed: Duration) -> Duration {
        let seconds = elapsed.as_secs();
        let Some(owed) = u64::from(before.attribute_seconds_owed).checked_sub(seconds) else {
            return SECOND;
        };
        let since = elapsed - Duration::from_secs(seconds);
        self.second = now.checked_sub(since);
        self.attribute_writes = before.attribute_writes;
        self.attribute_seconds_owed = u8::try_from(owed).unwrap_or(u8::MAX);
        SECOND - since
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
        assert_eq!(quotas.take_attribute_write(now, Rate::PerSecond(1), 1), Ok(()));
        assert_eq!(quotas.take_attribute_write(now, Rate::PerSecond(1), 1), Err(SECOND));
        assert_eq!(quotas.take_move(now, Rate::PerSecond(1)), Err(SECOND));
        assert_eq!(quotas.take_renewal(now + SECOND), Ok(()));
    }

    #[test]
    fn a_question_counts_for_as_much_as_it_is_answered() {
        let now = Instant::now();
        let mut quotas = Quotas::default();
        let rate = Rate::PerSecond(10);
        for bytes in [0, 1, limits::ANSWER_PIECE_BYTES] {
            assert_eq!(quotas.take_query(now, rate), Ok(()));
            quotas.count_answer(now, bytes);
        }
        assert_eq!(quotas.take_query(now, rate), Ok(()));
        quotas.count_answer(now, 430 * 1024);
        assert_eq!(quotas.take_query(now, rate), Err(SECOND), "that was seven");
        assert_eq!(quotas.take_query(now + SECOND, rate), Ok(()));
    }

    #[test]
    fn what_one_command_writes_beyond_the_second_is_owed() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut quotas = Quotas::default();
        let mut take = |ms, places| {
            let taken = quotas.take_attribute_write(at(ms), Rate::PerSecond(10), places);
            taken.map_err(|wait| wait.as_millis())
        };
        assert_eq!([take(0, 4), take(100, 6)], [Ok(()), Ok(())]);
        assert_eq!(take(200, 1), Err(800), "the second is full, and nothing is owed");
        assert_eq!([take(1000, 9), take(1500, 26)], [Ok(()), Ok(())], "one place was free");
        assert_eq!(take(1600, 1), Err(2400), "35 are three seconds full");
        assert_eq!(
            [take(2700, 1), take(3999, 1)],
            [Err(1300), Err(1)],
            "whatever is tried meanwhile"
        );
        assert_eq!(
            [take(4100, 4), take(4200, 1)],
            [Ok(()), Ok(())],
            "and five of the fourth"
        );
        assert_eq!(take(4300, 1), Err(700));
        assert_eq!(
            [take(5000, 11), take(7500, 10)],
            [Ok(()), Ok(())],
            "nothing is owed for ever"
        );
        assert_eq!(take(7500, 1), Err(1000));
        let unlimited = quotas.take_attribute_write(at(9000), Rate::Unlimited, usize::MAX);
        assert_eq!(unlimited, Ok(()));
    }
}
