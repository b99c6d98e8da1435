//! The list of a user's conversations.

use std::vec;

use sluice_protocol::{ConversationType, QueryConversations, limits};

use crate::client::Client;
use crate::conversation::{Conversation, ConversationKind};
use crate::error::ClientError;

/// Which conversations of this user. Default: the 10 with the newest messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationQuery {
    command: QueryConversations,
}

impl ConversationQuery {
    /// At most so many, 1 to 1000. Default: 10.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.command.limit = limit;
        self
    }

    /// Without the first so many. Default: 0.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.command.skip = skip;
        self
    }

    /// Only of this kind. Default: of all.
    #[must_use]
    pub fn kind(mut self, kind: ConversationKind) -> Self {
        self.command.type_plus_one = 1 + match kind {
            ConversationKind::Peer => ConversationType::Peer as u32,
            ConversationKind::Group => ConversationType::Group as u32,
            ConversationKind::Discussion => ConversationType::Discussion as u32,
            ConversationKind::System => ConversationType::System as u32,
        };
        self
    }

    /// Only those that all of these users are in, at most 20. Default: all.
    #[must_use]
    pub fn containing(mut self, user_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command.containing_user_ids = user_ids.into_iter().map(Into::into).collect();
        self
    }

    /// Only those whose name contains this, at most 100 bytes; case counts. Default: all.
    #[must_use]
    pub fn name_contains(mut self, part: impl Into<String>) -> Self {
        self.command.name_contains = part.into();
        self
    }

    /// Only those that were changed, or got a message, after this time, milliseconds since 1970-01-01 UTC. Default: all.
    #[must_use]
    pub fn updated_after(mut self, time_ms: i64) -> Self {
        self.command.updated_after_ms = time_ms;
        self
    }

    pub(super) fn into_command(self) -> QueryConversations {
        self.command
    }
}

/// Conversations, the one with the newest message first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationsPage {
    /// Those on this page, perhaps fewer than asked for.
    pub conversations: Vec<Conversation>,
    /// Whether more match. Ask for them with [`ConversationQuery::skip`].
    pub more: bool,
}

/// This user's conversations one after the other, the one with the newest message first. Made by [`Client::conversations`].
///
/// The list moves while it is read: a conversation that gets a message meanwhile goes to its top, and another may come twice.
///
/// ```no_run
/// # async fn run(client: sluice_client::Client) -> Result<(), sluice_client::ClientError> {
/// let mut conversations = client.conversations();
/// while let Some(conversation) = conversations.next().await? {
///     println!("{}: {} unread", conversation.info.conversation.id, conversation.position.unread);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ConversationList {
    client: Client,
    page: vec::IntoIter<Conversation>,
    skip: u32,
    more: bool,
}

impl ConversationList {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            page: Vec::new().into_iter(),
            skip: 0,
            more: true,
        }
    }

    /// The next conversation, or `None` after the last.
    ///
    /// Cancel safe: when the future is dropped before it is ready, the same page is asked for again.
    ///
    /// # Errors
    /// Those of [`Client::query_conversations`]. Calling again asks again.
    pub async fn next(&mut self) -> Result<Option<Conversation>, ClientError> {
        loop {
            if let Some(conversation) = self.page.next() {
                return Ok(Some(conversation));
            }
            if !self.more {
                return Ok(None);
            }
            let query = ConversationQuery::default().limit(PAGE).skip(self.skip);
            let page = self.client.query_conversations(query).await?;
            let count = u32::try_from(page.conversations.len()).unwrap_or(limits::CONVERSATIONS_PAGE_MAX);
            self.skip = self.skip.saturating_add(count);
            self.more = page.more && count > 0;
            self.page = page.conversations.into_iter();
        }
    }
}

/// Conversations asked for at once.
const PAGE: u32 = 100;
