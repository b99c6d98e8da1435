//! A "no" with its reason: the code, the word that narrows it, and when to try again.

use std::borrow::Cow;
use std::time::Duration;

use sluice_protocol::ErrorCode;

/// Why a command was refused or a connection is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: ErrorCode,
    /// A short stable word, or empty.
    pub detail: Cow<'static, str>,
    /// Zero: no advice.
    pub retry_after: Duration,
}

impl Refusal {
    /// A refusal with a code alone.
    pub(crate) const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(""),
            retry_after: Duration::ZERO,
        }
    }

    /// A refusal with a code and a word that narrows it.
    pub(crate) const fn with_detail(code: ErrorCode, detail: &'static str) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(detail),
            retry_after: Duration::ZERO,
        }
    }

    /// A parameter is wrong: 33003 with the name of the field.
    pub(crate) const fn parameter(field: &'static str) -> Self {
        Self::with_detail(ErrorCode::INVALID_PARAMETER, field)
    }

    /// The same with advice when to try again.
    #[must_use]
    pub(crate) const fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
        self
    }

    /// For the wire, in milliseconds.
    pub(crate) fn retry_after_ms(&self) -> u32 {
        u32::try_from(self.retry_after.as_millis()).unwrap_or(u32::MAX)
    }
}
