//! The keys of all apps, and what each may: the one place that says whether a call is let in.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::api::failure::{Code, Failure};
use crate::api::nonces::{Full, Known, Nonces};
use crate::api::signature::{CLOCKS_DIFFER_MAX_MS, Claim, Signed, refused};
use crate::clock::Now;
use crate::config::{ApiKey, ApiSignature, App, AppState, Rate, Secret};
use crate::identity::AppIndex;
use crate::rate_limit::SlidingWindow;
use crate::session::apps::Apps;

/// Calls in one second of one key that are turned away and named in the audit log: whoever makes too many must not push out of it what was
/// done before.
const TURNED_AWAY_TOLD_PER_SECOND: Rate = Rate::PerSecond(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Keys {
    apps: Box<[OfApp]>,
    /// What is looked at in place of the keys of an app that does not exist.
    nobodys: Vec<ApiKey>,
}

#[derive(Debug)]
struct OfApp {
    /// In the order of the app's keys: the calls of the last second.
    calls: Vec<Mutex<SlidingWindow>>,
    /// The same: those that were turned away and are told.
    told: Vec<Mutex<SlidingWindow>>,
    nonces: Mutex<Nonces>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signer {
    pub app: AppIndex,
    /// The key's place among those of its app.
    pub key: usize,
}

/// A call that is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TurnedAway {
    pub failure: Failure,
    /// Who asked, for the audit log: where that is proved, and not too often.
    pub signer: Option<Signer>,
}

impl From<Failure> for TurnedAway {
    /// Nobody knows who it was.
    fn from(failure: Failure) -> Self {
        Self { failure, signer: None }
    }
}

impl Keys {
    /// The keys of these apps, from `start` on: nobody knows which nonces were used before, so what was signed then is not taken.
    pub(super) fn new(apps: &[App], start: Now) -> Self {
        let of_app = |app: &App| OfApp {
            calls: app.api_keys.iter().map(|_| Mutex::default()).collect(),
            told: app.api_keys.iter().map(|_| Mutex::default()).collect(),
            nonces: Mutex::new(Nonces::since(start.unix_ms + CLOCKS_DIFFER_MAX_MS)),
        };
        Self {
            apps: apps.iter().map(of_app).collect(),
            nobodys: vec![ApiKey::new(Secret::new("nobody signs with this"))],
        }
    }

    /// Says who asks, if that is proved and the app may be used.
    ///
    /// # Errors
    /// 1004 when it is not proved, 1006 when the app is locked, 1008 when there were too many calls.
    pub(super) fn admit(&self, apps: &Apps, claim: &Claim, signed: Signed<'_>, now: Now) -> Result<Signer, TurnedAway> {
        let app = apps.by_key(&claim.app_key);
        let keys = app.map_or(&self.nobodys, |(_, app)| &app.settings.api_keys);
        let key = claim.signer(keys, signed);
        // Both are known by now, or the answer is the same.
        let (Some((index, app)), Some(key)) = (app, key) else {
            return Err(refused().into());
        };
        let of_app = &self.apps[usize::from(index.0)];
        let signer = Signer { app: index, key };
        let turned_away = |failure| TurnedAway {
            failure,
            signer: locked(&of_app.told[key])
                .take(now.instant, TURNED_AWAY_TOLD_PER_SECOND)
                .is_ok()
                .then_some(signer),
        };
        let lock = match app.settings.state {
            AppState::Enabled => None,
            AppState::Blocked => Some("the app is blocked or deleted"),
            AppState::ServiceDisabled => Some("the app has no chat service"),
        };
        if let Some(message) = lock {
            return Err(turned_away(Failure::new(Code::LOCKED, message)));
        }
        let rate = app.settings.api_keys[key].rate;
        let within_rate = || {
            let taken = locked(&of_app.calls[key]).take(now.instant, rate);
            taken
                .map_err(|wait| turned_away(Failure::new(Code::RATE, "too many calls with this key").retry_after(wait)))
        };
        match claim.kind {
            ApiSignature::Sha1 => within_rate()?,
            ApiSignature::Hmac => {
                let (nonce, end_ms) = (claim.nonce(), claim.end_ms(now.unix_ms)?);
                let mut nonces = locked(&of_app.nonces);
                // In this order: a call that is repeated costs no place among the calls, one too many none among the nonces.
                let known = match nonces.know(&nonce, end_ms, now.unix_ms) {
                    Known::No => None,
                    Known::Used => Some("the nonce was used before"),
                    Known::Forgotten => Some("the call was signed too long ago, or before this start of the gateway"),
                };
                if let Some(message) = known {
                    return Err(Failure::new(Code::SIGNATURE, message).into());
                }
                within_rate()?;
                nonces.take(nonce, end_ms, now.unix_ms).map_err(|Full { until_ms }| {
                    let wait = Duration::from_millis(u64::try_from(until_ms - now.unix_ms).unwrap_or(0));
                    let message = "too many calls of late to tell one from another";
                    turned_away(Failure::new(Code::RATE, message).retry_after(wait))
                })?;
            }
        }
        Ok(signer)
    }
}

/// A panic while one of these was held left it as it was: each change is a single step.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "keys/tests.rs"]
mod tests;
