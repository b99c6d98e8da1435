//! Messages: what an app sends, what it gets back, what others get.

use bytes::Bytes;
use sluice_protocol::{
    ConversationType, ErrorCode, Limits, MediaInfo, MessageKeep, MessageType, Priority, SendMessage, SendMessageResult,
    SenderInfo, UserInfo, limits,
};

use crate::conversation::ConversationId;
use crate::error::ClientError;
use crate::options::measure;
use crate::room::check_room_id;

/// What kind of message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// UTF-8 text, kept as room history.
    Text,
    /// Bytes for the app's own signalling, never kept.
    Command,
    /// A bullet-screen comment: never kept, and the first to be dropped when a receiver is slow.
    Barrage,
    /// A picture elsewhere. In conversations only, like the next four.
    Image,
    /// A file elsewhere.
    File,
    /// A recording elsewhere.
    Audio,
    /// A video elsewhere.
    Video,
    /// Several messages that are passed on as one.
    Combined,
    /// Bytes of the app's own format, kept as room history.
    Custom {
        /// The app's name for its format.
        object_name: String,
    },
    /// A kind that a newer server knows and this library does not, by its number on the wire.
    Other(i32),
}

impl MessageKind {
    pub(crate) fn of_wire(number: i32, object_name: String) -> Self {
        match MessageType::try_from(number) {
            Ok(MessageType::Text) => Self::Text,
            Ok(MessageType::Command) => Self::Command,
            Ok(MessageType::Barrage) => Self::Barrage,
            Ok(MessageType::Custom) => Self::Custom { object_name },
            Ok(MessageType::Image) => Self::Image,
            Ok(MessageType::File) => Self::File,
            Ok(MessageType::Audio) => Self::Audio,
            Ok(MessageType::Video) => Self::Video,
            Ok(MessageType::Combined) => Self::Combined,
            Ok(MessageType::Unspecified) | Err(_) => Self::Other(number),
        }
    }

    /// Its number on the wire.
    pub(crate) fn number(&self) -> i32 {
        match self {
            Self::Text => MessageType::Text.into(),
            Self::Command => MessageType::Command.into(),
            Self::Image => MessageType::Image.into(),
            Self::File => MessageType::File.into(),
            Self::Audio => MessageType::Audio.into(),
            Self::Video => MessageType::Video.into(),
            Self::Barrage => MessageType::Barrage.into(),
            Self::Combined => MessageType::Combined.into(),
            Self::Custom { .. } => MessageType::Custom.into(),
            Self::Other(number) => *number,
        }
    }
}

/// Where a message goes: a text is the id of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A room.
    Room(String),
    /// A conversation.
    Conversation(ConversationId),
}

impl From<&str> for Target {
    fn from(room_id: &str) -> Self {
        Self::Room(room_id.to_owned())
    }
}

impl From<String> for Target {
    fn from(room_id: String) -> Self {
        Self::Room(room_id)
    }
}

impl From<&String> for Target {
    fn from(room_id: &String) -> Self {
        Self::Room(room_id.clone())
    }
}

impl From<ConversationId> for Target {
    fn from(conversation: ConversationId) -> Self {
        Self::Conversation(conversation)
    }
}

impl From<&ConversationId> for Target {
    fn from(conversation: &ConversationId) -> Self {
        Self::Conversation(conversation.clone())
    }
}

/// A message to be sent to a room or in a conversation.
///
/// ```
/// use sluice_client::{ConversationId, MediaInfo, OutgoingMessage, Priority};
///
/// let message = OutgoingMessage::text("lobby", "hello").priority(Priority::High).client_message_id("7f3a-1");
///
/// let picture = MediaInfo {
///     url: "https://files.example.com/cat.jpg".into(),
///     format: "jpg".into(),
///     size_bytes: 48_000,
///     ..MediaInfo::default()
/// };
/// let message = OutgoingMessage::image(ConversationId::group("cats"), picture).mention(["bob"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    target: Target,
    kind: MessageKind,
    content: Bytes,
    priority: Priority,
    extended_data: String,
    client_message_id: String,
    /// What only messages in conversations have.
    more: SendMessage,
}

impl OutgoingMessage {
    /// A text message, at most 32 KiB unless the server announced otherwise.
    pub fn text(target: impl Into<Target>, text: impl Into<String>) -> Self {
        Self::new(target, MessageKind::Text, text.into().into())
    }

    /// A message of the app's own signalling, at most 5 KiB unless the server announced otherwise.
    pub fn command(target: impl Into<Target>, content: impl Into<Bytes>) -> Self {
        Self::new(target, MessageKind::Command, content.into())
    }

    /// A bullet-screen comment, at most 5 KiB unless the server announced otherwise.
    ///
    /// [`Client::send_barrage`](crate::Client::send_barrage) sends one without asking for an answer.
    pub fn barrage(target: impl Into<Target>, content: impl Into<Bytes>) -> Self {
        Self::new(target, MessageKind::Barrage, content.into())
    }

    /// A message of the app's own format, which `object_name` names in 1 to 64 bytes, not beginning with `RC:`. The
    /// content has at most 32 KiB unless the server announced otherwise.
    pub fn custom(target: impl Into<Target>, object_name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::new(
            target,
            MessageKind::Custom {
                object_name: object_name.into(),
            },
            content.into(),
        )
    }

    /// A picture that is elsewhere: JPG, PNG, BMP, TIFF, GIF or WebP of at most 10 MiB. In conversations, like all media.
    pub fn image(conversation: ConversationId, media: MediaInfo) -> Self {
        Self::media(conversation, MessageKind::Image, media)
    }

    /// A file of any format that is elsewhere, at most 100 MiB.
    pub fn file(conversation: ConversationId, media: MediaInfo) -> Self {
        Self::media(conversation, MessageKind::File, media)
    }

    /// A recording that is elsewhere: MP3 or M4A of at most 300 seconds and 6 MiB.
    pub fn audio(conversation: ConversationId, media: MediaInfo) -> Self {
        Self::media(conversation, MessageKind::Audio, media)
    }

    /// A video that is elsewhere: MP4 or MOV of at most 100 MiB.
    pub fn video(conversation: ConversationId, media: MediaInfo) -> Self {
        Self::media(conversation, MessageKind::Video, media)
    }

    /// Several messages passed on as one: `content` is what to show of them, at most 32 KiB; `combined_id` names the parts that were put before
    /// with [`Client::put_combined_part`](crate::Client::put_combined_part).
    pub fn combined(conversation: ConversationId, combined_id: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let mut message = Self::new(conversation, MessageKind::Combined, content.into());
        message.more.combined_id = combined_id.into();
        message
    }

    fn media(conversation: ConversationId, kind: MessageKind, media: MediaInfo) -> Self {
        let mut message = Self::new(conversation, kind, Bytes::new());
        message.more.media = Some(media);
        message
    }

    fn new(target: impl Into<Target>, kind: MessageKind, content: Bytes) -> Self {
        Self {
            target: target.into(),
            kind,
            content,
            priority: Priority::Default,
            extended_data: String::new(),
            client_message_id: String::new(),
            more: SendMessage::default(),
        }
    }

    /// How much the message matters to receivers who are too slow for all. Default: the room's own.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// A string beside the content, carried unchanged; it counts into the size limit. Default: empty.
    #[must_use]
    pub fn extended_data(mut self, extended_data: impl Into<String>) -> Self {
        self.extended_data = extended_data.into();
        self
    }

    /// Names the message for its sender, at most 64 bytes. With one, sending the same again after a lost connection or
    /// a 5004 makes no second message; in conversations for 7 days, of messages that are kept. Default: empty, which means that repeats
    /// are not recognised; [`Client::submit`](crate::Client::submit) chooses one then.
    #[must_use]
    pub fn client_message_id(mut self, client_message_id: impl Into<String>) -> Self {
        self.client_message_id = client_message_id.into();
        self
    }

    /// What to show beside a file, at most 32 KiB, or the content of any message. Default: of media empty.
    #[must_use]
    pub fn content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = content.into();
        self
    }

    /// How the sender wants to be shown. In conversations, as all that follows. Default: as logged in.
    #[must_use]
    pub fn sender_info(mut self, sender_info: SenderInfo) -> Self {
        self.more.sender_info = Some(sender_info);
        self
    }

    /// Users who are meant, at most 50. Default: nobody.
    #[must_use]
    pub fn mention(mut self, user_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.more.mentioned_user_ids = user_ids.into_iter().map(Into::into).collect();
        self
    }

    /// All are meant. Default: not.
    #[must_use]
    pub fn mention_all(mut self) -> Self {
        self.more.mention_all = true;
        self
    }

    /// What a push to who is offline shows, at most 1024 bytes, and carries unseen, at most 4096. Default: both empty.
    #[must_use]
    pub fn push(mut self, content: impl Into<String>, data: impl Into<String>) -> Self {
        self.more.push_content = content.into();
        self.more.push_data = data.into();
        self
    }

    /// Whether the message is kept, and counts as unread. Default: as its kind has it.
    #[must_use]
    pub fn keep(mut self, keep: MessageKeep) -> Self {
        self.more.keep = keep.into();
        self
    }

    /// Where it goes.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// As its sender names it.
    pub(crate) fn name(&self) -> &str {
        &self.client_message_id
    }

    /// Gives it a name if it has none.
    pub(crate) fn or_named(mut self, name: impl FnOnce() -> String) -> Self {
        if self.client_message_id.is_empty() {
            self.client_message_id = name();
        }
        self
    }

    /// Whether the server keeps it. Only then it knows a repeat.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(self.kind, MessageKind::Command | MessageKind::Barrage) && self.more.keep() != MessageKeep::None
    }

    /// The command, or why the server would refuse it.
    pub(crate) fn into_command(self, announced: &Limits) -> Result<SendMessage, ClientError> {
        let (conversation_type, target_id) = match self.target {
            Target::Room(room_id) => {
                check_room_id(&room_id)?;
                (ConversationType::Room, room_id)
            }
            Target::Conversation(conversation) => {
                conversation.check("target_id")?;
                (conversation.wire_type(), conversation.id)
            }
        };
        let media_bytes = limits::MEDIA_CONTENT_BYTES.try_into().unwrap_or(u32::MAX);
        let may_be_empty = self.more.media.is_some();
        let (message_type, object_name, bytes_max) = match self.kind {
            MessageKind::Text => (MessageType::Text, String::new(), announced.text_bytes),
            MessageKind::Command => (MessageType::Command, String::new(), announced.command_bytes),
            MessageKind::Barrage => (MessageType::Barrage, String::new(), announced.barrage_bytes),
            MessageKind::Custom { object_name } => {
                measure("object_name", &object_name, 1, limits::OBJECT_NAME_BYTES)?;
                if object_name.starts_with("RC:") {
                    return Err(ClientError::invalid(
                        "object_name",
                        "names that begin with RC: are reserved",
                    ));
                }
                (MessageType::Custom, object_name, announced.custom_bytes)
            }
            MessageKind::Image => (MessageType::Image, String::new(), media_bytes),
            MessageKind::File => (MessageType::File, String::new(), media_bytes),
            MessageKind::Audio => (MessageType::Audio, String::new(), media_bytes),
            MessageKind::Video => (MessageType::Video, String::new(), media_bytes),
            MessageKind::Combined => (MessageType::Combined, String::new(), media_bytes),
            MessageKind::Other(_) => return Err(ClientError::invalid("type", "this kind of message cannot be sent")),
        };
        if self.content.is_empty() && !may_be_empty {
            return Err(ClientError::invalid("content", "the content must not be empty"));
        }
        let bytes = self.content.len() + self.extended_data.len();
        if bytes > bytes_max as usize {
            return Err(ClientError::new(
                ErrorCode::CONTENT_TOO_LARGE_TO_SEND,
                bytes_max.to_string(),
                format!("the message has {bytes} bytes, at most {bytes_max} are taken"),
            ));
        }
        measure(
            "client_message_id",
            &self.client_message_id,
            0,
            limits::CLIENT_MESSAGE_ID_BYTES,
        )?;
        Ok(SendMessage {
            conversation_type: conversation_type.into(),
            target_id,
            r#type: message_type.into(),
            content: self.content,
            object_name,
            priority: self.priority.into(),
            extended_data: self.extended_data,
            client_message_id: self.client_message_id,
            ..self.more
        })
    }
}

/// What the server says of a message it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentMessage {
    /// As sent.
    pub client_message_id: String,
    /// Unique for the server, never 0.
    pub message_id: u64,
    /// The message's place in its room or conversation: 1, 2, 3 and so on; 0 for what a conversation does not keep.
    pub sequence: u64,
    /// When the server took it, milliseconds since 1970-01-01 UTC.
    pub server_time_ms: i64,
    /// True when this message had been taken before; the other fields are those of the first time.
    pub duplicate: bool,
    /// False when nobody gets the message: the room was over its budget, or the app has stopped distribution in it. Do not send it
    /// again.
    pub distributed: bool,
    /// [`ErrorCode::WORD_REPLACED`] when words of the text were replaced and members got the altered text.
    pub notice: Option<ErrorCode>,
}

impl From<SendMessageResult> for SentMessage {
    fn from(result: SendMessageResult) -> Self {
        Self {
            client_message_id: result.client_message_id,
            message_id: result.message_id,
            sequence: result.sequence,
            server_time_ms: result.server_time_ms,
            duplicate: result.duplicate,
            distributed: result.distributed,
            notice: Some(result.notice.into()).filter(|notice| *notice != ErrorCode::NO_ERROR),
        }
    }
}

/// A message in a room this client is inside. The sender gets its own messages too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomMessage {
    /// The room.
    pub room_id: String,
    /// The message's place in its room, growing by one from message to message.
    pub sequence: u64,
    /// Unique for the server.
    pub message_id: u64,
    /// When the server took it, milliseconds since 1970-01-01 UTC.
    pub server_time_ms: i64,
    /// Who sent it, named as at the time of sending.
    pub sender: UserInfo,
    /// What kind of message.
    pub kind: MessageKind,
    /// The message itself.
    pub content: Bytes,
    /// As sent.
    pub priority: Priority,
    /// As sent.
    pub extended_data: String,
    /// As sent.
    pub client_message_id: String,
    /// Set on a message from before the join, which the join asked for, and on one from while this client was away: how many more such
    /// messages follow this one.
    pub history_left: Option<u32>,
    /// True when the app's server sent it: the sender need not be a member, or a user at all.
    pub from_server: bool,
}

impl From<sluice_protocol::RoomMessage> for RoomMessage {
    fn from(message: sluice_protocol::RoomMessage) -> Self {
        let priority = message.priority();
        Self {
            room_id: message.room_id,
            sequence: message.sequence,
            message_id: message.message_id,
            server_time_ms: message.server_time_ms,
            sender: message.sender.unwrap_or_default(),
            kind: MessageKind::of_wire(message.r#type, message.object_name),
            content: message.content,
            priority,
            extended_data: message.extended_data,
            client_message_id: message.client_message_id,
            history_left: message.history.then_some(message.left),
            from_server: message.from_server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocol::Limits;

    fn refusal(message: OutgoingMessage) -> (ErrorCode, String) {
        let error = message
            .into_command(&Limits::of_protocol())
            .expect_err("the message breaks a rule");
        (error.code, error.detail)
    }

    #[test]
    fn a_message_over_the_limit_of_its_kind_is_refused_before_it_is_sent() {
        let too_large = |limit: usize| (ErrorCode::CONTENT_TOO_LARGE_TO_SEND, limit.to_string());
        assert_eq!(
            refusal(OutgoingMessage::text("r", "x".repeat(32_769))),
            too_large(32_768)
        );
        assert_eq!(
            refusal(OutgoingMessage::text("r", "x".repeat(32_768)).extended_data("y")),
            too_large(32_768)
        );
        assert_eq!(refusal(OutgoingMessage::command("r", vec![0; 5121])), too_large(5120));
        assert_eq!(refusal(OutgoingMessage::barrage("r", vec![0; 5121])), too_large(5120));
        assert_eq!(
            refusal(OutgoingMessage::custom("r", "o", vec![0; 32_769])),
            too_large(32_768)
        );
        assert!(
            OutgoingMessage::text("r", "x".repeat(32_768))
                .into_command(&Limits::of_protocol())
                .is_ok()
        );
    }

    #[test]
    fn a_message_that_breaks_a_rule_names_the_parameter() {
        let invalid = |parameter: &str| (ErrorCode::INVALID_PARAMETER, parameter.to_owned());
        assert_eq!(refusal(OutgoingMessage::text("", "x")), invalid("room_id"));
        assert_eq!(refusal(OutgoingMessage::text("r", "")), invalid("content"));
        assert_eq!(refusal(OutgoingMessage::custom("r", "", "x")), invalid("object_name"));
        assert_eq!(
            refusal(OutgoingMessage::custom("r", "RC:Txt", "x")),
            invalid("object_name")
        );
        assert_eq!(
            refusal(OutgoingMessage::text("r", "x").client_message_id("i".repeat(65))),
            invalid("client_message_id")
        );
    }

    #[test]
    fn a_kind_this_library_does_not_know_keeps_its_number() {
        let message = sluice_protocol::RoomMessage {
            r#type: 77,
            ..Default::default()
        };
        assert_eq!(RoomMessage::from(message).kind, MessageKind::Other(77));
    }
}
