//! Why a member is not where it should be.

use std::fmt;
use std::time::Duration;

/// A refusal, an end, or a server that does not do its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// The transport failed.
    Transport { doing: &'static str, what: String },
    /// A command was refused.
    Refused {
        code: i32,
        detail: String,
        retry_after_ms: u32,
    },
    /// The server ended the connection.
    Closed {
        code: i32,
        detail: String,
        retry_after_ms: u32,
    },
    /// The server broke a promise.
    Wrong(String),
}

impl Lost {
    pub(super) fn transport(doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Transport {
            doing,
            what: error.kind().to_string(),
        }
    }

    /// How long the server wants to be left alone.
    pub(super) fn advised(&self) -> Duration {
        match self {
            Self::Refused { retry_after_ms, .. } | Self::Closed { retry_after_ms, .. } => {
                Duration::from_millis((*retry_after_ms).into())
            }
            Self::Transport { .. } | Self::Wrong(_) => Duration::ZERO,
        }
    }
}

/// Short and the same for the same cause: failures are counted by it.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { doing, what } => write!(f, "{doing}: {what}"),
            Self::Refused { code, detail, .. } => write!(f, "refused with {code} {detail}"),
            Self::Closed { code, detail, .. } => write!(f, "closed with {code} {detail}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}
