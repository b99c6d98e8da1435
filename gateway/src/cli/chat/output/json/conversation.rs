//! What is told of conversations, as JSON objects.

use serde::Serialize;
use sluice_client::{Conversation, ConversationId, ConversationKind, ConversationMessage, Event, SentMessage};

use super::{Content, EventLine, Reason, User, kind_name, object_name};

/// Which conversation, among the fields of a line.
#[derive(Serialize)]
pub(in crate::cli::chat::output) struct Which<'a> {
    conversation: &'static str,
    id: &'a str,
}

impl<'a> Which<'a> {
    fn of(conversation: &'a ConversationId) -> Self {
        Self {
            conversation: match conversation.kind {
                ConversationKind::Peer => "peer",
                ConversationKind::Group => "group",
                ConversationKind::Discussion => "discussion",
                ConversationKind::System => "system",
                _ => "other",
            },
            id: &conversation.id,
        }
    }
}

#[derive(Serialize)]
pub(in crate::cli::chat::output) struct MessageLine<'a> {
    #[serde(flatten)]
    which: Which<'a>,
    sequence: u64,
    message_id: String,
    time_ms: i64,
    #[serde(flatten)]
    sender: User<'a>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    extended_data: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_back_ms: Option<i64>,
}

#[derive(Serialize)]
pub(in crate::cli::chat::output) struct Listed<'a> {
    #[serde(flatten)]
    which: Which<'a>,
    name: &'a str,
    members: u32,
    sequence: u64,
    unread: u32,
}

pub(in crate::cli::chat::output) fn message(message: &ConversationMessage) -> MessageLine<'_> {
    MessageLine {
        which: Which::of(&message.conversation),
        sequence: message.sequence,
        message_id: message.message_id.to_string(),
        time_ms: message.server_time_ms,
        sender: User::of(&message.sender),
        kind: kind_name(&message.kind),
        content: Content::of(&message.content),
        object_name: object_name(&message.kind),
        url: message.media.as_ref().map(|media| &*media.url),
        extended_data: &message.extended_data,
        client_message_id: &message.client_message_id,
        edited_ms: message.edited_at_ms,
        taken_back_ms: message.recalled.as_ref().map(|recalled| recalled.at_ms),
    }
}

pub(in crate::cli::chat::output) fn list(conversations: &[Conversation]) -> Vec<Listed<'_>> {
    let listed = conversations.iter().map(|conversation| Listed {
        which: Which::of(&conversation.info.conversation),
        name: &conversation.info.name,
        members: conversation.info.member_count,
        sequence: conversation.info.last_sequence,
        unread: conversation.position.unread,
    });
    listed.collect()
}

pub(in crate::cli::chat::output) fn sent<'a>(conversation: &'a ConversationId, sent: &SentMessage) -> EventLine<'a> {
    EventLine::Sent {
        which: Which::of(conversation),
        sequence: sent.sequence,
        message_id: sent.message_id.to_string(),
    }
}

pub(super) fn event(event: &Event) -> Option<EventLine<'_>> {
    Some(match event {
        Event::ConversationMessage(event) => EventLine::ConversationMessage(Box::new(message(event))),
        Event::ConversationMessageEdited(event) => EventLine::ConversationEdited(Box::new(message(event))),
        Event::ConversationMessageRecalled(event) => EventLine::ConversationRecalled {
            which: Which::of(&event.conversation),
            sequence: event.sequence,
            message_id: event.message_id.to_string(),
            by: &event.by_user_id,
        },
        Event::ConversationMembersJoined(event) => EventLine::ConversationJoined {
            which: Which::of(&event.conversation),
            users: &event.user_ids,
            members: event.member_count,
            by: &event.by_user_id,
        },
        Event::ConversationMembersLeft(event) => EventLine::ConversationLeft {
            which: Which::of(&event.conversation),
            users: &event.user_ids,
            members: event.member_count,
            by: &event.by_user_id,
        },
        Event::Invited(event) => EventLine::Invited {
            which: Which::of(&event.info.conversation),
            name: &event.info.name,
            by: &event.by_user_id,
        },
        Event::ConversationKickedOut(event) => EventLine::ConversationKickedOut {
            which: Which::of(&event.conversation),
            by: &event.by_user_id,
        },
        Event::ConversationChanged(event) => EventLine::ConversationChanged {
            which: Which::of(&event.info.conversation),
            name: &event.info.name,
            by: &event.by_user_id,
        },
        Event::GroupDismissed(event) => EventLine::GroupDismissed {
            which: Which::of(&event.conversation),
            by: &event.by_user_id,
        },
        Event::PositionMoved(event) => EventLine::Position {
            which: Which::of(&event.conversation),
            user: &event.user_id,
            delivered_sequence: event.delivered_sequence,
            read_sequence: event.read_sequence,
        },
        Event::ConversationsSynced(event) => EventLine::Synced {
            conversations: list(&event.conversations),
            more: event.more_conversations,
        },
        Event::ConversationGap(event) => EventLine::ConversationGap {
            which: Which::of(&event.conversation),
            first_sequence: event.first_sequence,
            last_sequence: event.last_sequence,
        },
        Event::ConversationsUnavailable { error } => EventLine::ConversationsUnavailable {
            reason: Reason::of(error.code, &error.detail),
        },
        _ => return None,
    })
}
