//! Why a chat fails.

use std::fmt;
use std::io;

use sluice_client::{ClientError, ErrorCode};

#[derive(Debug)]
pub(super) enum Failure {
    /// A call failed; the connection may well go on.
    Call(ClientError),
    /// The connection has ended.
    Closed(ClientError),
    /// Found here, before any call.
    Local {
        code: ErrorCode,
        detail: &'static str,
        message: String,
    },
    /// Nobody reads standard output any more.
    OutputClosed,
}

impl Failure {
    pub(super) fn invalid(detail: &'static str, message: impl Into<String>) -> Self {
        Self::Local {
            code: ErrorCode::INVALID_PARAMETER,
            detail,
            message: message.into(),
        }
    }

    /// Code and detail, for programs.
    pub(super) fn code_and_detail(&self) -> (ErrorCode, &str) {
        match self {
            Self::Call(error) | Self::Closed(error) => (error.code, &error.detail),
            Self::Local { code, detail, .. } => (*code, detail),
            Self::OutputClosed => (ErrorCode::NO_ERROR, ""),
        }
    }

    /// Standard output takes nothing, or the system has no thread for us.
    pub(super) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::invalid("stdout", error.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for Failure {
    /// `code name (detail): message`, as the client library has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) | Self::Closed(error) => fmt::Display::fmt(error, f),
            Self::Local { code, detail, message } => write!(f, "{code} ({detail}): {message}"),
            Self::OutputClosed => f.write_str("standard output is closed"),
        }
    }
}
