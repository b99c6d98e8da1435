//! What the words of an app do to a message. Only the content of TEXT is looked at: the rest is the app's own, in forms of its own.

use bytes::Bytes;
use sluice_protocol::{ErrorCode, MessageType, limits};

use crate::refusal::Refusal;
use crate::words::{Verdict, Words};

/// What others get of a message's content.
#[derive(Debug)]
pub(crate) enum Text {
    AsSent,
    Altered(String),
}

impl Text {
    /// What the sender is told: nothing, or that words were replaced.
    pub(crate) fn notice(&self) -> i32 {
        match self {
            Self::AsSent => ErrorCode::NO_ERROR.number(),
            Self::Altered(_) => ErrorCode::WORD_REPLACED.number(),
        }
    }

    /// The content to pass on.
    pub(crate) fn instead_of(self, content: Bytes) -> Bytes {
        match self {
            Self::AsSent => content,
            Self::Altered(text) => text.into(),
        }
    }
}

/// # Errors
/// 21501 when the message must not be passed on: for a word that blocks, or because with its words replaced it would be too long, or nothing.
/// The sender is not told the word: the list could be asked out, one message after the other.
pub(crate) fn check(words: &Words, kind: MessageType, content: &[u8], extended_data: &str) -> Result<Text, Refusal> {
    if kind != MessageType::Text || words.is_empty() {
        return Ok(Text::AsSent);
    }
    let blocked = || Refusal::new(ErrorCode::WORD_BLOCKED);
    // Checked on the way in; what cannot be read cannot be passed on either.
    let text = std::str::from_utf8(content).map_err(|_| blocked())?;
    match words.check(text) {
        Verdict::Clean => Ok(Text::AsSent),
        Verdict::Replaced(text) if !text.is_empty() && text.len() + extended_data.len() <= limits::TEXT_BYTES => {
            Ok(Text::Altered(text))
        }
        Verdict::Blocked { .. } | Verdict::Replaced(_) => Err(blocked()),
    }
}
