//! What a command comes to: an answer or a refusal, and whom to tell what.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluice_protocol::{ErrorCode, frame::Body, reply};

use crate::conversation::{Audience, Command, Found, Published};
use crate::frames;
use crate::refusal::Refusal;
use crate::store::StoreError;

/// How long a client waits that met a full queue, or a disk that takes nothing.
const BUSY_RETRY: Duration = Duration::from_secs(1);
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// What was decided and is kept.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub result: reply::Result,
    pub tell: Vec<Tell>,
    /// Of a synchronisation: how far each conversation in the page goes, so that what is held back is not told again.
    pub reached: Vec<(i64, i64)>,
    /// Of a message of the app's server: what became of it for each of its targets.
    pub published: Vec<Published>,
    /// What the app's server asked for.
    pub found: Found,
    /// What is to be carried out next: whoever asked gets the answer of that. Nobody outside sees this.
    pub(super) next: Option<Command>,
}

/// An event for all connections of some users.
#[derive(Debug, Clone)]
pub(crate) struct Tell {
    pub to: Arc<Audience>,
    pub frame: Bytes,
    /// The conversation's row and, of a message that is kept, its sequence number; 0 otherwise.
    pub conversation: i64,
    pub sequence: i64,
    /// For who is not online.
    pub push: Option<Arc<Push>>,
}

/// What the app's push hook gets for a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Push {
    pub conversation_type: i32,
    pub target_id: String,
    pub sender_id: String,
    pub message_id: i64,
    pub sequence: i64,
    pub sent_at_ms: i64,
    pub kind: i32,
    pub object_name: String,
    pub push_content: String,
    pub push_data: String,
    pub mentioned: Vec<String>,
    pub mention_all: bool,
}

/// Why something is not done.
#[derive(Debug)]
pub(crate) enum No {
    Refused(Refusal),
    Store(StoreError),
}

/// What a rule returns.
pub(crate) type Ruled<T> = Result<T, No>;

impl Outcome {
    /// An answer that concerns nobody else.
    pub(crate) fn answer(result: reply::Result) -> Self {
        Self {
            result,
            tell: Vec::new(),
            reached: Vec::new(),
            published: Vec::new(),
            found: Found::Nothing,
            next: None,
        }
    }

    /// An answer, and events.
    pub(crate) fn telling(result: reply::Result, tell: Vec<Tell>) -> Self {
        Self {
            tell,
            ..Self::answer(result)
        }
    }
}

impl Tell {
    /// An event that is no message.
    pub(crate) fn event(to: Arc<Audience>, conversation: i64, body: Body) -> Self {
        Self {
            to,
            frame: frames::event(body).into(),
            conversation,
            sequence: 0,
            push: None,
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ErrorCode> for No {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(Refusal::new(code))
    }
}

impl From<StoreError> for No {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What whoever asked is told of a failure of the store. None of them says that it was done: the client tries again with the same id.
pub(super) fn refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::Busy => Refusal::with_detail(ErrorCode::TIMEOUT, "overload").retry_after(BUSY_RETRY),
        StoreError::Unfit(why) => {
            tracing::error!(%why, "a command on a conversation failed");
            Refusal::with_detail(ErrorCode::INTERNAL_ERROR, "store")
        }
        StoreError::Full(_) => {
            Refusal::with_detail(ErrorCode::SERVER_UNAVAILABLE, "disk_full").retry_after(UNAVAILABLE_RETRY)
        }
        _ => Refusal::with_detail(ErrorCode::SERVER_UNAVAILABLE, "store").retry_after(UNAVAILABLE_RETRY),
    }
}
