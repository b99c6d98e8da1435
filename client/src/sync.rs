//! What came while a user was away: how it is asked for, and what the answer says.

use crate::conversation::{Conversation, ConversationId, ConversationMessage};

/// How far this client has got in a conversation, for an app that keeps messages and starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownConversation {
    /// Which.
    pub conversation: ConversationId,
    /// The newest message of which all before are here too.
    pub sequence: u64,
    /// The same message. With 0 all messages of the conversation may be asked for, to find those that are missing.
    pub message_id: u64,
}

/// A message of this client that the server has taken, where something before it may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnMessage {
    pub(crate) conversation: ConversationId,
    pub(crate) sequence: u64,
    pub(crate) message_id: u64,
}

/// Follows this user's conversations, see [`Options::sync`](crate::Options::sync).
///
/// ```
/// use sluice_client::{Options, Reconnect, SyncOptions};
///
/// let options = Options::new("chat.example.com:7400", "my-app", "alice", "eyJhbGciOi…")
///     .reconnect(Reconnect::Automatic)
///     .sync(SyncOptions::default().newest(50));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncOptions {
    pub(crate) newest: u32,
    pub(crate) known: Vec<KnownConversation>,
    /// Beyond what is known: no events of these.
    pub(crate) own: Vec<OwnMessage>,
}

impl SyncOptions {
    /// For conversations of which nothing is known, at most this many of the newest messages, 1 to 100. Default: 20.
    #[must_use]
    pub fn newest(mut self, newest: u32) -> Self {
        self.newest = newest;
        self
    }

    /// What this client knows from before: what came since follows, without a gap. The server is told that it was delivered, where it does not know.
    /// Default: nothing.
    #[must_use]
    pub fn known(mut self, known: impl IntoIterator<Item = KnownConversation>) -> Self {
        self.known = known.into_iter().collect();
        self
    }
}

/// A page of what came while this user was away, as [`Client::sync_conversations`](crate::Client::sync_conversations) answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncPage {
    /// On the first page: the conversations with something new or unread, newest first.
    pub conversations: Vec<Conversation>,
    /// On the first page: how many more have something new.
    pub more_conversations: u32,
    /// Messages, those of each conversation oldest first.
    pub messages: Vec<ConversationMessage>,
    /// What to ask for the next page with; `None` on the last. Events come once that is here.
    pub next_cursor: Option<String>,
}

impl SyncPage {
    pub(crate) fn of_wire(page: sluice_protocol::SyncPage, own_user_id: &str) -> Self {
        let message = |message| ConversationMessage::of_wire(message, own_user_id);
        Self {
            conversations: page
                .conversations
                .into_iter()
                .filter_map(Conversation::of_wire)
                .collect(),
            more_conversations: page.more_conversations,
            messages: page.messages.into_iter().filter_map(message).collect(),
            next_cursor: Some(page.next_cursor).filter(|cursor| !cursor.is_empty()),
        }
    }
}
