//! A message of a conversation, as its members get it.

use bytes::Bytes;
use sluice_protocol::{MediaInfo, MessageKeep, Priority, SenderInfo, UserInfo};

use crate::conversation::{ConversationId, MessageTakenBack};
use crate::message::MessageKind;

/// A message of a conversation this user is in: of others, and of this user's other devices. Of what this client sends there is the answer alone,
/// unless that was lost: then it comes like those of others, and is known by `client_message_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationMessage {
    /// Which conversation, as this user names it.
    pub conversation: ConversationId,
    /// Its place in the conversation: 1, 2, 3 and so on without a gap. 0 for what is not kept.
    pub sequence: u64,
    /// Unique for the server; grows with the sequence.
    pub message_id: u64,
    /// When the server took it, milliseconds since 1970-01-01 UTC.
    pub server_time_ms: i64,
    /// Who sent it, named as at the time of sending.
    pub sender: UserInfo,
    /// What kind of message.
    pub kind: MessageKind,
    /// The message itself. Empty where it was taken back.
    pub content: Bytes,
    /// As sent.
    pub priority: Priority,
    /// As sent.
    pub extended_data: String,
    /// As sent.
    pub client_message_id: String,
    /// The file it is about.
    pub media: Option<MediaInfo>,
    /// How the sender wants to be shown.
    pub sender_info: Option<SenderInfo>,
    /// Users who are meant.
    pub mentioned_user_ids: Vec<String>,
    /// Whether all are meant.
    pub mention_all: bool,
    /// As sent.
    pub push_content: String,
    /// As sent.
    pub push_data: String,
    /// As sent.
    pub keep: MessageKeep,
    /// Names the parts of a combined message: ask for them with [`Client::query_combined`](crate::Client::query_combined).
    pub combined_id: String,
    /// True when the app's server sent it.
    pub from_server: bool,
    /// When its content was last changed, if it was.
    pub edited_at_ms: Option<i64>,
    /// Whether it was taken back.
    pub recalled: Option<Recalled>,
    /// Set on a message from while this client was away, and on one from history. While it catches up: how many more such messages the server
    /// had announced to follow this one; those that this client has already are left out.
    pub history_left: Option<u32>,
}

/// Who took a message back, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recalled {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Who.
    pub by_user_id: String,
}

impl ConversationMessage {
    /// `None` for one in a conversation of a type that this library does not know.
    pub(crate) fn of_wire(message: sluice_protocol::ConversationMessage, own_user_id: &str) -> Option<Self> {
        let (priority, keep) = (message.priority(), message.keep());
        let sender = message.sender.unwrap_or_default();
        let conversation = ConversationId::of_message(
            message.conversation_type,
            message.target_id,
            &sender.user_id,
            own_user_id,
        )?;
        Some(Self {
            conversation,
            sequence: message.sequence,
            message_id: message.message_id,
            server_time_ms: message.server_time_ms,
            sender,
            kind: MessageKind::of_wire(message.r#type, message.object_name),
            content: message.content,
            priority,
            extended_data: message.extended_data,
            client_message_id: message.client_message_id,
            media: message.media,
            sender_info: message.sender_info,
            mentioned_user_ids: message.mentioned_user_ids,
            mention_all: message.mention_all,
            push_content: message.push_content,
            push_data: message.push_data,
            keep,
            combined_id: message.combined_id,
            from_server: message.from_server,
            edited_at_ms: Some(message.edited_at_ms).filter(|ms| *ms > 0),
            recalled: (message.recalled_at_ms > 0).then_some(Recalled {
                at_ms: message.recalled_at_ms,
                by_user_id: message.recalled_by,
            }),
            history_left: message.history.then_some(message.left),
        })
    }

    /// What is left of it when it is taken back.
    pub(crate) fn take_back(&mut self, event: &MessageTakenBack) {
        self.content = Bytes::new();
        self.extended_data = String::new();
        self.media = None;
        self.mentioned_user_ids = Vec::new();
        self.mention_all = false;
        self.push_content = String::new();
        self.push_data = String::new();
        self.combined_id = String::new();
        self.recalled = Some(Recalled {
            at_ms: event.recalled_at_ms,
            by_user_id: event.by_user_id.clone(),
        });
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.content.len()
            + self.extended_data.len()
            + self.push_content.len()
            + self.push_data.len()
    }
}
