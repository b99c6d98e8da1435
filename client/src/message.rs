//! Messages: what an app sends, what it gets back, what others get.

use bytes::Bytes;
use sluice_protocol::{
    ConversationType, ErrorCode, Limits, MessageType, Priority, SendMessage, SendMessageResult, UserInfo, limits,
};

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
            Ok(
                MessageType::Unspecified
                | MessageType::Image
                | MessageType::File
                | MessageType::Audio
                | MessageType::Video
                | MessageType::Combined,
            )
            | Err(_) => Self::Other(number),
        }
    }
}

/// A message to be sent to a room.
///
/// ```
/// use sluice_client::{OutgoingMessage, Priority};
///
/// let message = OutgoingMessage::text("lobby", "hello").priority(Priority::High).client_message_id("7f3a-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    room_id: String,
    kind: MessageKind,
    content: Bytes,
    priority: Priority,
    extended_data: String,
    client_message_id: String,
}

impl OutgoingMessage {
    /// A text message, at most 32 KiB unless the server announced otherwise.
    pub fn text(room_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(room_id, MessageKind::Text, text.into().into())
    }

    /// A message of the app's own signalling, at most 5 KiB unless the server announced otherwise.
    pub fn command(room_id: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::new(room_id, MessageKind::Command, content.into())
    }

    /// A bullet-screen comment, at most 5 KiB unless the server announced otherwise.
    ///
    /// [`Client::send_barrage`](crate::Client::send_barrage) sends one without asking for an answer.
    pub fn barrage(room_id: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::new(room_id, MessageKind::Barrage, content.into())
    }

    /// A message of the app's own format, which `object_name` names in 1 to 64 bytes, not beginning with `RC:`. The
    /// content has at most 32 KiB unless the server announced otherwise.
    pub fn custom(room_id: impl Into<String>, object_name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::new(
            room_id,
            MessageKind::Custom {
                object_name: object_name.into(),
            },
            content.into(),
        )
    }

    fn new(room_id: impl Into<String>, kind: MessageKind, content: Bytes) -> Self {
        Self {
            room_id: room_id.into(),
            kind,
            content,
            priority: Priority::Default,
            extended_data: String::new(),
            client_message_id: String::new(),
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
    /// a 5004 makes no second message. Default: empty, which means that repeats are not recognised.
    #[must_use]
    pub fn client_message_id(mut self, client_message_id: impl Into<String>) -> Self {
        self.client_message_id = client_message_id.into();
        self
    }

    /// The command, or why the server would refuse it.
    pub(crate) fn into_command(self, announced: &Limits) -> Result<SendMessage, ClientError> {
        check_room_id(&self.room_id)?;
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
            MessageKind::Other(_) => return Err(ClientError::invalid("type", "this kind of message cannot be sent")),
        };
        if self.content.is_empty() {
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
            conversation_type: ConversationType::Room.into(),
            target_id: self.room_id,
            r#type: message_type.into(),
            content: self.content,
            object_name,
            priority: self.priority.into(),
            extended_data: self.extended_data,
            client_message_id: self.client_message_id,
            ..SendMessage::default()
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
    /// The message's place in its room: 1, 2, 3 and so on.
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
