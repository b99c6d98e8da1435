//! Logins that fail, counted by where they come from.
//!
//! Whoever tries tokens, apps or users learns why a login failed so often in a minute, and then no more. A login that is good is never
//! counted and never refused here: others behind the same address do not suffer.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use sluice_protocol::ErrorCode;

use crate::refusal::Refusal;

const MINUTE: Duration = Duration::from_secs(60);

/// Addresses counted at once, each 48 bytes: 3 MiB. Those that find no place are counted together.
const NETWORKS_MAX: usize = 1 << 16;

/// How often those whose minute is over are looked for at most: to go through them all takes a fraction of a millisecond.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Guesses {
    /// Failures of one address that are told their reason in a minute.
    per_minute: u32,
    networks_max: usize,
    networks: HashMap<Network, Failures>,
    /// Of all who found no place.
    others: Failures,
    swept: Option<Instant>,
}

/// What one host, or the network of one host, has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4(Ipv4Addr),
    /// The first 64 bits: whoever has one address of them has them all.
    V6(u64),
}

/// In the minute that begins with the first.
#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    since: Option<Instant>,
    count: u32,
}

impl Guesses {
    pub(crate) fn new(per_minute: usize) -> Self {
        Self {
            per_minute: u32::try_from(per_minute).unwrap_or(u32::MAX),
            networks_max: NETWORKS_MAX,
            networks: HashMap::new(),
            others: Failures::default(),
            swept: None,
        }
    }

    /// Says what a client is told whose login was refused: the reason, or only that it tries too often.
    pub(crate) fn judge(&mut self, now: Instant, peer: IpAddr, refusal: Refusal) -> Refusal {
        if !is_guess(&refusal) {
            return refusal;
        }
        match self.count(now, peer) {
            Ok(()) => refusal,
            Err(wait) => Refusal::new(ErrorCode::CONNECT_TOO_OFTEN).retry_after(wait),
        }
    }

    /// Counts something wrong that came from `peer`.
    ///
    /// # Errors
    /// When there are too many: how long the minute lasts.
    pub(crate) fn count(&mut self, now: Instant, peer: IpAddr) -> Result<(), Duration> {
        let network = Network::of(peer);
        if self.networks.len() >= self.networks_max && !self.networks.contains_key(&network) {
            self.sweep(now);
        }
        let failures = if self.networks.len() < self.networks_max || self.networks.contains_key(&network) {
            self.networks.entry(network).or_default()
        } else {
            &mut self.others
        };
        let left = failures.count(now);
        if failures.count > self.per_minute {
            Err(left)
        } else {
            Ok(())
        }
    }

    /// Forgets addresses whose minute is over, unless it has just been done.
    fn sweep(&mut self, now: Instant) {
        if self
            .swept
            .is_none_or(|swept| now.duration_since(swept) >= SWEEP_INTERVAL)
        {
            self.networks.retain(|_, failures| !failures.left(now).is_zero());
            self.swept = Some(now);
        }
    }
}

/// Whether a refusal tells something to whoever guesses. A token that is no longer or not yet good was signed by the app: nobody
/// has guessed that.
fn is_guess(refusal: &Refusal) -> bool {
    match refusal.code {
        ErrorCode::TOKEN_INVALID => !matches!(&*refusal.detail, "expired" | "not_yet_valid"),
        ErrorCode::APP_KEY_INVALID
        | ErrorCode::APP_KEY_TOKEN_MISMATCH
        | ErrorCode::APP_BLOCKED_OR_DELETED
        | ErrorCode::USER_BLOCKED => true,
        _ => false,
    }
}

impl Network {
    pub(crate) fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Failures {
    /// Counts one more. Returns how long the minute lasts.
    fn count(&mut self, now: Instant) -> Duration {
        let left = self.left(now);
        if left.is_zero() {
            *self = Self {
                since: Some(now),
                count: 1,
            };
            MINUTE
        } else {
            self.count = self.count.saturating_add(1);
            left
        }
    }

    /// How long the minute lasts; nothing when it is over.
    fn left(&self, now: Instant) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| MINUTE.saturating_sub(now.duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRONG: Refusal = Refusal::with_detail(ErrorCode::TOKEN_INVALID, "bad_signature");

    struct Door {
        guesses: Guesses,
        start: Instant,
    }

    impl Door {
        fn new(per_minute: usize) -> Self {
            Self {
                guesses: Guesses::new(per_minute),
                start: Instant::now(),
            }
        }

        /// What a client at `peer` hears of a refusal after so long.
        fn refuse(&mut self, ms: u64, peer: &str, refusal: Refusal) -> Refusal {
            let now = self.start + Duration::from_millis(ms);
            self.guesses.judge(now, peer.parse().expect("an address"), refusal)
        }
    }

    fn too_often(ms: u64) -> Refusal {
        Refusal::new(ErrorCode::CONNECT_TOO_OFTEN).retry_after(Duration::from_millis(ms))
    }

    #[test]
    fn the_reason_is_told_so_often_in_the_minute_that_begins_with_the_first() {
        let mut door = Door::new(2);
        assert_eq!(door.refuse(0, "10.0.0.1", WRONG), WRONG);
        assert_eq!(door.refuse(50_000, "10.0.0.1", WRONG), WRONG);
        assert_eq!(door.refuse(50_001, "10.0.0.1", WRONG), too_often(9_999));
        assert_eq!(door.refuse(59_999, "10.0.0.1", WRONG), too_often(1));
        assert_eq!(door.refuse(60_000, "10.0.0.1", WRONG), WRONG);
        assert_eq!(door.refuse(60_001, "10.0.0.1", WRONG), WRONG);
        assert_eq!(door.refuse(60_002, "10.0.0.1", WRONG), too_often(59_998));
    }

    #[test]
    fn an_address_is_a_host_in_version_4_and_a_network_in_version_6() {
        let mut door = Door::new(1);
        for peer in ["10.0.0.1", "10.0.0.2", "2001:db8:0:1::1", "2001:db8:0:2::1"] {
            assert_eq!(door.refuse(0, peer, WRONG), WRONG, "{peer}");
        }
        for peer in ["10.0.0.1", "::ffff:10.0.0.2", "2001:db8:0:1:ffff::9", "2001:db8:0:2::2"] {
            assert_eq!(door.refuse(1, peer, WRONG), too_often(59_999), "{peer}");
        }
    }

    #[test]
    fn only_what_helps_a_guess_is_counted() {
        let mut door = Door::new(1);
        let told = |code, detail| Refusal::with_detail(code, detail);
        for refusal in [
            told(ErrorCode::TOKEN_INVALID, "expired"),
            told(ErrorCode::TOKEN_INVALID, "not_yet_valid"),
            told(ErrorCode::PROTOCOL_VERSION, "1-1"),
            told(ErrorCode::BUNDLE_ID_INVALID, ""),
            told(ErrorCode::KICKED_BY_OTHER_DEVICE, "newer_login"),
        ] {
            for _ in 0..3 {
                assert_eq!(door.refuse(0, "10.0.0.1", refusal.clone()), refusal);
            }
        }
        for (second, refusal) in (1..).zip([
            told(ErrorCode::APP_KEY_INVALID, ""),
            told(ErrorCode::TOKEN_INVALID, "malformed"),
            told(ErrorCode::TOKEN_INVALID, "bad_signature"),
            told(ErrorCode::APP_KEY_TOKEN_MISMATCH, "user"),
            told(ErrorCode::APP_BLOCKED_OR_DELETED, ""),
            told(ErrorCode::USER_BLOCKED, "1800000000000"),
        ]) {
            let at = second * 60_000;
            assert_eq!(door.refuse(at, "10.0.0.1", refusal.clone()), refusal);
            assert_eq!(door.refuse(at, "10.0.0.1", refusal), too_often(60_000));
        }
    }

    #[test]
    fn those_who_find_no_place_are_counted_together_until_others_are_over() {
        let mut door = Door::new(1);
        door.guesses.networks_max = 2;
        assert_eq!(door.refuse(0, "10.0.0.1", WRONG), WRONG);
        assert_eq!(door.refuse(30_000, "10.0.0.2", WRONG), WRONG);
        assert_eq!(door.refuse(30_000, "10.0.0.3", WRONG), WRONG);
        assert_eq!(door.refuse(30_000, "10.0.0.4", WRONG), too_often(60_000));
        // Those who have one keep it.
        assert_eq!(door.refuse(30_000, "10.0.0.1", WRONG), too_often(30_000));
        assert_eq!(
            door.refuse(60_000, "10.0.0.4", WRONG),
            WRONG,
            "in the place of the first"
        );
        assert_eq!(door.guesses.networks.len(), 2);
    }
}
