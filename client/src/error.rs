//! The one error of this crate.

use std::fmt;
use std::time::Duration;

use sluice_protocol::{ErrorCode, Reply, reply};

use crate::attributes::AttributeRefusal;

/// Why a call failed, in the words of the protocol.
///
/// Decide on [`code`](Self::code) and [`detail`](Self::detail); `message` is for a developer's log. Codes of the server
/// and codes this library finds by itself share one table, `docs/error-codes.md`. These are found here:
///
/// | code | detail | when |
/// |---|---|---|
/// | 5004 | | no reply within 20 seconds; the command may or may not have been done |
/// | 30001 | | the connection ended because the last [`Client`](crate::Client) was dropped |
/// | 30002 | | the call came after the connection had ended, or while it is being opened again |
/// | 30010 | `refused`, `timeout`, `tls`, `alpn`, `unreachable` | the transport could not be opened |
/// | 30011 | `end_of_stream`, `reset` | the link broke without a word from the server |
/// | 30013 | | nothing came from the server for 2.5 heartbeat intervals |
/// | 30014 | | too many calls are waiting to be sent |
/// | 30016 | the limit in bytes | the message, or any other command, is larger than the server takes |
/// | 31000 | | no answer to the login within 10 seconds |
/// | 32002 | | the server sent something that is no frame, or a reply that does not fit the command |
/// | 33003 | the parameter | an option or argument breaks its rule |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientError {
    /// What went wrong. Numbers this version does not know come through unchanged.
    pub code: ErrorCode,
    /// English text for a developer's log; not stable, may be empty.
    pub message: String,
    /// A short stable word that narrows the code; may be empty.
    pub detail: String,
    /// How long to wait before trying the same again, when the server said so.
    pub retry_after: Option<Duration>,
    /// With 23428: why each attribute was refused. Otherwise empty.
    pub refused: Vec<AttributeRefusal>,
    pub(crate) cause: Cause,
}

/// Where an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The server's answer, or something found here.
    Call,
    /// The connection ended before there was an answer.
    End,
}

impl ClientError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: detail.into(),
            retry_after: None,
            refused: Vec::new(),
            cause: Cause::Call,
        }
    }

    /// An argument or option that breaks its rule: `parameter` says which, `message` what the rule is.
    pub(crate) fn invalid(parameter: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMETER, parameter, message)
    }

    pub(crate) fn of_reply(reply: Reply) -> Self {
        Self {
            code: ErrorCode::from(reply.code),
            message: reply.message,
            detail: reply.detail,
            retry_after: advised_delay(reply.retry_after_ms),
            refused: match reply.result {
                Some(reply::Result::RoomAttributesWritten(written)) => {
                    written.refused.into_iter().map(AttributeRefusal::from).collect()
                }
                _ => Vec::new(),
            },
            cause: Cause::Call,
        }
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(ErrorCode::CONNECTION_UNAVAILABLE, "", "the connection has ended")
    }

    pub(crate) fn down() -> Self {
        Self::new(
            ErrorCode::CONNECTION_UNAVAILABLE,
            "",
            "the connection is lost and will be opened again",
        )
    }

    /// Whether the connection ended before there was an answer. Codes do not tell: 31003 ends a connection, and is an answer too. With
    /// [`Reconnect::Automatic`](crate::Reconnect::Automatic) events say what comes of the connection.
    #[must_use]
    pub fn is_of_lost_connection(&self) -> bool {
        self.cause == Cause::End
    }

    pub(crate) fn of_end(mut self) -> Self {
        self.cause = Cause::End;
        self
    }

    /// Whether the same may be done a little later.
    pub(crate) fn is_for_a_while(&self) -> bool {
        [
            ErrorCode::TIMEOUT,
            ErrorCode::SERVER_UNAVAILABLE,
            ErrorCode::INTERNAL_ERROR,
            ErrorCode::SEND_TOO_FAST,
            ErrorCode::REQUEST_TOO_FREQUENT,
        ]
        .contains(&self.code)
    }

    pub(crate) fn timeout() -> Self {
        Self::new(
            ErrorCode::TIMEOUT,
            "",
            "no reply in time; the command may or may not have been done",
        )
    }

    pub(crate) fn unexpected_reply() -> Self {
        Self::new(ErrorCode::MALFORMED_FRAME, "", "the reply does not fit the command")
    }
}

/// The wire says "no advice" with 0.
pub(crate) fn advised_delay(milliseconds: u32) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
}

impl fmt::Display for ClientError {
    /// `31004 TokenInvalid (expired): the token has ended`, without the parts that are empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.code, f)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ClientError {}
