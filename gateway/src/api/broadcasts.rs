//! How often an app's server may speak to everybody at once: each time costs a write for every client, whatever the key may do otherwise.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hashbrown::HashMap;

use crate::api::failure::{Code, Failure};
use crate::config::Rate;
use crate::identity::AppIndex;
use crate::rate_limit::SlidingWindow;

/// Messages to all rooms of an app each second, as the vendor has it.
const TO_ROOMS: Rate = Rate::PerSecond(1);

/// Messages to all who are online each second. The vendor allows two an hour, which is a price and not a limit of what can be carried.
const TO_ONLINE: Rate = Rate::PerSecond(2);

/// Who is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Audience {
    Rooms,
    Online,
}

/// What was said lately, by app.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    windows: Mutex<HashMap<(AppIndex, Audience), SlidingWindow>>,
}

impl Broadcasts {
    /// Takes a place at `now`.
    ///
    /// # Errors
    /// 1008 when there was one lately.
    pub(super) fn take(&self, app: AppIndex, audience: Audience, now: Instant) -> Result<(), Failure> {
        let rate = match audience {
            Audience::Rooms => TO_ROOMS,
            Audience::Online => TO_ONLINE,
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((app, audience)).or_default();
        window
            .take(now, rate)
            .map_err(|wait| Failure::new(Code::RATE, "too many broadcasts").retry_after(wait))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_a_second_reaches_all_rooms_and_two_all_who_are_online_for_each_app() {
        let broadcasts = Broadcasts::default();
        let start = Instant::now();
        let take = |app, audience, ms| {
            let taken = broadcasts.take(AppIndex(app), audience, start + Duration::from_millis(ms));
            taken.map_err(|failure| (failure.code, failure.retry_after))
        };
        let wait = |ms| Err((Code::RATE, Duration::from_millis(ms)));
        assert_eq!(take(0, Audience::Rooms, 0), Ok(()));
        assert_eq!(take(0, Audience::Rooms, 999), wait(1));
        assert_eq!(take(1, Audience::Rooms, 999), Ok(()));
        assert_eq!(take(0, Audience::Online, 0), Ok(()));
        assert_eq!(take(0, Audience::Online, 300), Ok(()));
        assert_eq!(take(0, Audience::Online, 400), wait(600));
        assert_eq!(take(0, Audience::Rooms, 1000), Ok(()));
        assert_eq!(take(0, Audience::Online, 1000), Ok(()));
    }
}
