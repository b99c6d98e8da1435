//! Why a call came to nothing: codes, what they mean, and the HTTP status that goes with each.

use std::borrow::Cow;
use std::time::Duration;

use hyper::StatusCode;
use sluice_protocol::ErrorCode;

use crate::policy::ListError;
use crate::refusal::Refusal;

/// The HTTP status of what the app has not switched on, as the vendor sends it. It stands in no RFC.
const NOT_ENABLED_STATUS: u16 = 430;

/// A code of an answer. Those of the vendor's server API below 10000, and those that rooms refuse with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub i32);

impl Code {
    pub(crate) const OK: Self = Self(200);
    pub(crate) const UNKNOWN_PATH: Self = Self(404);
    pub(crate) const INTERNAL: Self = Self(1000);
    pub(crate) const APP_KEY: Self = Self(1001);
    pub(crate) const PARAMETER: Self = Self(1002);
    pub(crate) const NO_DATA: Self = Self(1003);
    pub(crate) const SIGNATURE: Self = Self(1004);
    pub(crate) const TOO_LONG: Self = Self(1005);
    pub(crate) const LOCKED: Self = Self(1006);
    pub(crate) const SCOPE: Self = Self(1007);
    pub(crate) const RATE: Self = Self(1008);
    pub(crate) const NOT_ENABLED: Self = Self(1009);
    pub(crate) const NOT_LISTED: Self = Self(1015);
    pub(crate) const KEEP_ALIVE_FULL: Self = Self(1016);
    pub(crate) const TOO_MANY_WORDS: Self = Self(1019);
    pub(crate) const TIMEOUT: Self = Self(1050);
    pub(crate) const NO_SUCH_ROOM: Self = Self(ErrorCode::CHATROOM_NOT_EXIST.number());
}

/// A code with the status and the meaning it has wherever it is sent.
#[derive(Debug)]
pub(super) struct Explained {
    pub code: Code,
    pub status: u16,
    pub meaning: &'static str,
}

const fn explained(code: Code, status: u16, meaning: &'static str) -> Explained {
    Explained { code, status, meaning }
}

/// Every code that an answer may have, but 200. Those with a status of 200 say that there was nothing to do.
pub(super) const CODES: &[Explained] = &[
    explained(Code::UNKNOWN_PATH, 404, "there is no such path"),
    explained(Code::INTERNAL, 500, "a fault of the gateway, or of its disk"),
    explained(Code::APP_KEY, 401, "there is no app key, or it cannot be one"),
    explained(
        Code::PARAMETER,
        400,
        "a field is missing or wrong, or the method is not POST",
    ),
    explained(Code::NO_DATA, 400, "the call has no fields"),
    explained(
        Code::SIGNATURE,
        401,
        "the call is not signed, or not with a secret of this app",
    ),
    explained(Code::TOO_LONG, 400, "a field, or all of the call, is too long"),
    explained(
        Code::LOCKED,
        401,
        "the app is blocked or deleted, or has no chat service",
    ),
    explained(Code::SCOPE, 401, "the key is not for this"),
    explained(Code::RATE, 429, "too many calls; Retry-After says how long to wait"),
    explained(
        Code::NOT_ENABLED,
        NOT_ENABLED_STATUS,
        "the app or the gateway does not have this",
    ),
    explained(Code::NOT_LISTED, 200, "what was to be removed was not there"),
    explained(Code::KEEP_ALIVE_FULL, 403, "the keep-alive list is full"),
    explained(Code::TOO_MANY_WORDS, 403, "there are too many sensitive words"),
    explained(
        Code::TIMEOUT,
        504,
        "no answer in time; whether it was done is not known",
    ),
    explained(Code::NO_SUCH_ROOM, 400, "there is no such room"),
    explained(
        room(ErrorCode::ROOM_LIMIT_OF_APP),
        400,
        "the app has as many rooms as it may have",
    ),
    explained(room(ErrorCode::CHATROOM_FULL), 400, "the room is full"),
    explained(
        room(ErrorCode::KICKED_FROM_CHATROOM),
        400,
        "the user is blocked in the room",
    ),
    explained(room(ErrorCode::MUTE_EXCEPTIONS_FULL), 400, "the list is full"),
    explained(
        room(ErrorCode::ATTRIBUTES_FULL),
        400,
        "the room has as many attributes as it may have",
    ),
    explained(
        room(ErrorCode::ATTRIBUTE_NOT_YOURS),
        400,
        "the attribute belongs to somebody else",
    ),
    explained(room(ErrorCode::ATTRIBUTES_OFF), 400, "the room has no attributes"),
    explained(room(ErrorCode::ATTRIBUTE_MISSING), 400, "there is no such attribute"),
    explained(
        room(ErrorCode::ATTRIBUTES_PARTLY_FAILED),
        400,
        "some of the attributes were refused",
    ),
    explained(
        room(ErrorCode::TOO_MANY_ATTRIBUTES),
        400,
        "too many attributes in one call",
    ),
    explained(
        room(ErrorCode::CONVERSATION_UNKNOWN),
        400,
        "there is no such conversation",
    ),
    explained(room(ErrorCode::MESSAGE_UNKNOWN), 400, "there is no such message"),
    explained(room(ErrorCode::CONVERSATION_EXPIRED), 400, "the conversation has ended"),
    explained(
        room(ErrorCode::CONVERSATION_FULL),
        400,
        "the group, or the list, is full",
    ),
    explained(room(ErrorCode::NOT_IN_GROUP), 400, "the user is not in the group"),
    explained(
        room(ErrorCode::NOT_IN_DISCUSSION),
        400,
        "the user is not in the discussion",
    ),
];

const fn room(code: ErrorCode) -> Code {
    Code(code.number())
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: Code,
    /// For people: never empty, since the vendor's library for Node.js fails without.
    pub message: Cow<'static, str>,
    /// Zero: no advice.
    pub retry_after: Duration,
}

impl Failure {
    /// A failure with its reason.
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: Duration::ZERO,
        }
    }

    /// 1002: a field is missing or wrong.
    pub(crate) fn parameter(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::PARAMETER, message)
    }

    /// The same with advice when to try again.
    pub(crate) fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
        self
    }

    /// Which of several refusals speaks for all: that it is not known whether something was done goes before what is certain.
    pub(super) fn over(self, before: Option<Self>) -> Self {
        match before {
            Some(before) if before.code == Code::TIMEOUT => before,
            _ => self,
        }
    }

    /// The status that goes with its code; 400 with what only rooms refuse with.
    pub(super) fn status(&self) -> StatusCode {
        let known = CODES.iter().find(|known| known.code == self.code);
        let status = known.map_or(400, |known| known.status);
        StatusCode::from_u16(status).expect("a status of the table")
    }
}

impl From<Refusal> for Failure {
    /// Codes of connections become those of the server API where it has its own; those of rooms stay.
    fn from(refusal: Refusal) -> Self {
        let (code, message): (Code, Cow<'static, str>) = match refusal.code {
            // The store has not taken it: certainly not done.
            ErrorCode::TIMEOUT if refusal.detail == "overload" => (Code::RATE, "too much to do at the moment".into()),
            ErrorCode::TIMEOUT => (
                Code::TIMEOUT,
                "no answer in time; whether it was done is not known".into(),
            ),
            ErrorCode::REQUEST_TOO_FREQUENT => (Code::RATE, "too much to do at the moment".into()),
            ErrorCode::INTERNAL_ERROR | ErrorCode::SERVER_UNAVAILABLE => {
                (Code::INTERNAL, "a fault of the gateway, or of its disk".into())
            }
            ErrorCode::CHATROOM_PARAMETER if refusal.detail == "list_full" => {
                (Code::PARAMETER, "the list is full".into())
            }
            ErrorCode::INVALID_PARAMETER if refusal.detail == "list_full" => {
                (Code::PARAMETER, "the list is full".into())
            }
            ErrorCode::CONTENT_TOO_LARGE => (
                Code::TOO_LONG,
                format!("the message has more than {} bytes", refusal.detail).into(),
            ),
            ErrorCode::INVALID_PARAMETER if refusal.detail == "duplicate_id" => (
                Code::PARAMETER,
                "clientMessageId: was used for another message to this target".into(),
            ),
            ErrorCode::INVALID_PARAMETER => (Code::PARAMETER, format!("{}: is wrong", refusal.detail).into()),
            ErrorCode::OPERATION_NOT_SUPPORTED => (Code::NOT_ENABLED, "this is not served here".into()),
            code => {
                let code = room(code);
                let known = CODES.iter().find(|known| known.code == code);
                let meaning = known.map_or("the room refuses it", |known| known.meaning);
                let message = match &*refusal.detail {
                    "" => meaning.into(),
                    detail => format!("{meaning}: {detail}").into(),
                };
                (code, message)
            }
        };
        Self::new(code, message).retry_after(refusal.retry_after)
    }
}

impl From<ListError> for Failure {
    /// Where the vendor has a code of its own for a full list, its path says so.
    fn from(error: ListError) -> Self {
        Self::parameter(error.to_string())
    }
}
