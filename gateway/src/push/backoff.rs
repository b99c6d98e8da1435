//! How long to wait before a hook is called again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Before the second try, at most.
const FIRST: Duration = Duration::from_millis(500);

/// Before any other.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait after so many tries that failed before the last. Somewhere between half and all of what doubles each time, so that all that failed at one
/// moment does not come back at one moment; and not before the hook wants it.
pub(super) fn wait(failed_before: u32, retry_after: Option<Duration>) -> Duration {
    let longest = FIRST.saturating_mul(1 << failed_before.min(16)).min(LONGEST);
    // Each of these hashes with keys of its own.
    let random = RandomState::new().hash_one(failed_before) % 1024;
    let part = u32::try_from(random).unwrap_or_default();
    let wait = longest / 2 + (longest / 2) * part / 1024;
    retry_after.map_or(wait, |retry_after| retry_after.clamp(wait, LONGEST.max(wait)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        for (failed_before, longest) in [
            (0, FIRST),
            (1, FIRST * 2),
            (3, FIRST * 8),
            (10, LONGEST),
            (u32::MAX, LONGEST),
        ] {
            let waits: Vec<_> = (0..50).map(|_| wait(failed_before, None)).collect();
            assert!(
                waits.iter().all(|wait| (longest / 2..=longest).contains(wait)),
                "{waits:?}"
            );
            assert!(waits.iter().any(|wait| wait != &waits[0]), "{waits:?}");
        }
    }

    #[test]
    fn the_hook_may_want_to_be_left_alone_for_longer_but_not_for_ever() {
        assert_eq!(wait(0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(wait(0, Some(Duration::from_secs(3600))), LONGEST);
        assert!(wait(0, Some(Duration::ZERO)) >= FIRST / 2);
    }
}
