//! Asking for the messages of a conversation.

use sluice_protocol::{HistoryDirection, QueryMessages, limits};

use crate::client::Client;
use crate::conversation::{ConversationId, ConversationMessage};
use crate::error::ClientError;

/// Which messages of a conversation. Default: the newest 20.
///
/// ```
/// use sluice_client::{MessageKind, MessagesQuery};
///
/// let pictures = MessagesQuery::default().limit(50).before(1234).kinds([MessageKind::Image]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessagesQuery {
    command: QueryMessages,
}

impl MessagesQuery {
    /// At most so many, 1 to 1000. Default: 20.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.command.limit = limit;
        self
    }

    /// The newest of those before this message. Default: the newest of all.
    #[must_use]
    pub fn before(self, message_id: u64) -> Self {
        self.beyond(HistoryDirection::Older, message_id, 0)
    }

    /// The oldest of those after this message; 0: the oldest of all.
    #[must_use]
    pub fn after(self, message_id: u64) -> Self {
        self.beyond(HistoryDirection::Newer, message_id, 0)
    }

    /// The newest of those before this time, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn before_time(self, time_ms: i64) -> Self {
        self.beyond(HistoryDirection::Older, 0, time_ms)
    }

    /// The oldest of those after this time, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn after_time(self, time_ms: i64) -> Self {
        self.beyond(HistoryDirection::Newer, 0, time_ms)
    }

    /// Only messages of these kinds, at most 10. Default: of all.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = crate::MessageKind>) -> Self {
        // A number that no type has is refused by the server.
        let number = |kind: crate::MessageKind| u32::try_from(kind.number()).unwrap_or(u32::MAX);
        self.command.message_types = kinds.into_iter().map(number).collect();
        self
    }

    fn beyond(mut self, direction: HistoryDirection, message_id: u64, time_ms: i64) -> Self {
        self.command.direction = direction.into();
        self.command.message_id = message_id;
        self.command.time_ms = time_ms;
        self
    }

    pub(super) fn into_command(self, conversation: &ConversationId) -> QueryMessages {
        QueryMessages {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            ..self.command
        }
    }
}

/// Messages of a conversation, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessagesPage {
    /// Those on this page. It may be empty though more follow, where few are of the kinds asked for.
    pub messages: Vec<ConversationMessage>,
    /// Whether there are more in this direction. Ask for them with [`MessagesQuery::before`] or [`MessagesQuery::after`] and `beyond_message_id`.
    pub more: bool,
    /// How far this page goes.
    pub beyond_message_id: u64,
}

/// The messages of a conversation from the newest back, a page at a time. Made by [`Client::history`].
///
/// ```no_run
/// # use sluice_client::{Client, ConversationId};
/// # async fn run(client: Client) -> Result<(), sluice_client::ClientError> {
/// let mut history = client.history(&ConversationId::peer("bob"), 10);
/// loop {
///     let page = history.next().await?;
///     for message in &page.value {
///         println!("{}: {:?}", message.sender.user_id, message.content);
///     }
///     if page.done {
///         return Ok(());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct MessageHistory {
    client: Client,
    conversation: ConversationId,
    page_size: usize,
    /// All before this one are still to be asked for; 0: all.
    before: u64,
    /// What has come of the next page, newest first.
    begun: Vec<ConversationMessage>,
    exhausted: bool,
}

/// One step through history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The messages of this page, oldest first: all of them older than those of the page before.
    pub value: Vec<ConversationMessage>,
    /// Whether this page is the last: then it has fewer messages than a page has, perhaps none.
    pub done: bool,
}

impl MessageHistory {
    pub(super) fn new(client: Client, conversation: ConversationId, page_size: u32) -> Self {
        let page_size = match page_size {
            0 => limits::HISTORY_PAGE_DEFAULT,
            size => size.min(limits::HISTORY_PAGE_MAX),
        };
        Self {
            client,
            conversation,
            page_size: usize::try_from(page_size).unwrap_or(usize::MAX),
            before: 0,
            begun: Vec::new(),
            exhausted: false,
        }
    }

    /// The next page. After the last, pages are empty and `done`.
    ///
    /// Cancel safe: when the future is dropped before it is ready, the same page comes next.
    ///
    /// # Errors
    /// Those of [`Client::query_messages`]. Calling again asks again.
    pub async fn next(&mut self) -> Result<Step, ClientError> {
        while self.begun.len() < self.page_size && !self.exhausted {
            let missing = u32::try_from(self.page_size - self.begun.len()).unwrap_or(limits::HISTORY_PAGE_MAX);
            let query = MessagesQuery::default().limit(missing).before(self.before);
            let page = self.client.query_messages(&self.conversation, query).await?;
            // A page that goes no further would be asked for for ever.
            self.exhausted = !page.more || page.beyond_message_id == self.before;
            self.before = page.beyond_message_id;
            self.begun.extend(page.messages.into_iter().rev());
        }
        let mut value = std::mem::take(&mut self.begun);
        value.reverse();
        Ok(Step {
            done: value.len() < self.page_size,
            value,
        })
    }
}
