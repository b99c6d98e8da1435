//! What a session needs to go on with another connection.

use std::fmt;
use std::sync::Arc;

use sluice_protocol::{Login, limits};

use crate::following::Following;
use crate::places::Places;
use crate::session::Session;
use crate::sync::KnownConversation;

/// What a client remembers beyond a connection.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) session: Arc<Session>,
    pub(crate) places: Places,
    /// The newest token the server took, if it is not that of the options.
    pub(crate) token: Option<String>,
    /// If the client follows conversations.
    pub(crate) following: Option<Following>,
}

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Resumes a session whose connection was lost, see [`Client::resume`](crate::Client::resume): a secret, as good as the token for as
/// long as the session is kept, and the newest message known of each room, and of each conversation if the client follows them.
///
/// Its messages are those that came until it was taken. Read the lost connection's events to their end, and nothing is missing and
/// nothing comes twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeTicket {
    secret: Secret,
    started_at_ms: i64,
    places: Places,
    conversations: Vec<KnownConversation>,
}

impl ResumeTicket {
    pub(crate) fn of(memory: &Memory) -> Self {
        Self {
            secret: memory.session.resume_secret.clone(),
            started_at_ms: memory.session.started_at_ms,
            places: memory.places.clone(),
            conversations: memory.following.as_ref().map(Following::known).unwrap_or_default(),
        }
    }

    /// The rooms the session was inside, and the sequence number of the newest message known of each.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, u64)> {
        self.places.iter()
    }

    pub(crate) fn conversations(&self) -> impl Iterator<Item = KnownConversation> {
        self.conversations.iter().cloned()
    }

    pub(crate) fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }

    pub(crate) fn into_places(self) -> Places {
        self.places
    }

    /// Makes a login that of a library which connects again by itself. Without a secret, from a server that resumes nothing, it is an
    /// ordinary one of that kind.
    pub(crate) fn fill_in(&self, login: &mut Login) {
        login.automatic = true;
        login.previous_session_started_at_ms = self.started_at_ms;
        if self.secret.0.is_empty() {
            return;
        }
        login.resume_secret.clone_from(&self.secret.0);
        // A session cannot be inside more than a login can name.
        for (room_id, sequence) in self.places.iter().take(limits::ROOMS_PER_SESSION) {
            login.resume_rooms.push(room_id.to_owned());
            login.resume_sequences.push(sequence);
        }
    }
}
