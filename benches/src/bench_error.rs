//! Why a measurement could not be made.

use std::io;

/// Any of them ends the run: half a measurement is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{doing}: {source}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    /// The settings cannot be measured on this machine, or the gateway is not there.
    #[error("{0}")]
    Unsuitable(String),
    /// A server or receiver did something else than its part.
    #[error("{who}: {what}")]
    Peer { who: String, what: String },
    #[error("{who} was silent for {seconds} s while {doing}")]
    Timeout {
        who: String,
        doing: &'static str,
        seconds: u64,
    },
    #[error("interrupted")]
    Interrupted,
}

impl BenchError {
    pub(crate) fn peer(who: &str, what: impl ToString) -> Self {
        Self::Peer {
            who: who.to_owned(),
            what: what.to_string(),
        }
    }
}

/// Says what was being done when a system call failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, BenchError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, BenchError> {
        self.map_err(|source| BenchError::Io {
            doing: what.into(),
            source: source.into(),
        })
    }
}
