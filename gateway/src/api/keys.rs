//! The keys of all apps, and what each may: the one place that says whether a call is let in.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::api::failure::{Code, Failure};
use crate::api::nonces::{Full, Known, Nonces};
use crate::api::signature::{CLOCKS_DIFFER_MAX_MS, Claim, Signed, refused};
use crate::clock::Now;
use crate::config::{ApiKey, ApiSignature, App, AppState, Secret};
use crate::identity::AppIndex;
use crate::rate_limit::SlidingWindow;
use crate::session::apps::Apps;

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
    nonces: Mutex<Nonces>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signer {
    pub app: AppIndex,
    /// The key's place among those of its app.
    pub key: usize,
}

impl Keys {
    /// The keys of these apps, from `start` on: nobody knows which nonces were used before, so what was signed then is not taken.
    pub(super) fn new(apps: &[App], start: Now) -> Self {
        let of_app = |app: &App| OfApp {
            calls: app.api_keys.iter().map(|_| Mutex::default()).collect(),
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
    pub(super) fn admit(&self, apps: &Apps, claim: &Claim, signed: Signed<'_>, now: Now) -> Result<Signer, Failure> {
        let app = apps.by_key(&claim.app_key);
        let keys = app.map_or(&self.nobodys, |(_, app)| &app.settings.api_keys);
        let key = claim.signer(keys, signed);
        // Both are known by now, or the answer is the same.
        let (Some((index, app)), Some(key)) = (app, key) else {
            return Err(refused());
        };
        match app.settings.state {
            AppState::Enabled => {}
            AppState::Blocked => return Err(Failure::new(Code::LOCKED, "the app is blocked or deleted")),
            AppState::ServiceDisabled => return Err(Failure::new(Code::LOCKED, "the app has no chat service")),
        }
        let of_app = &self.apps[usize::from(index.0)];
        let rate = app.settings.api_keys[key].rate;
        let within_rate = || {
            let taken = locked(&of_app.calls[key]).take(now.instant, rate);
            taken.map_err(|wait| Failure::new(Code::RATE, "too many calls with this key").retry_after(wait))
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
                    return Err(Failure::new(Code::SIGNATURE, message));
                }
                within_rate()?;
                nonces.take(nonce, end_ms, now.unix_ms).map_err(|Full { until_ms }| {
                    let wait = Duration::from_millis(u64::try_from(until_ms - now.unix_ms).unwrap_or(0));
                    Failure::new(Code::RATE, "too many calls of late to tell one from another").retry_after(wait)
                })?;
            }
        }
        Ok(Signer { app: index, key })
    }
}

/// A panic while one of these was held left it as it was: each change is a single step.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "keys/tests.rs"]
mod tests;
