//! What is told of conversations, as lines for people.

use sluice_client::{
    Conversation, ConversationId, ConversationKind, ConversationMessage, Event, MessageKind, SentMessage,
};

use super::{count, kind_name, printable, text_of};

/// `bob, 3 of group cats: hello`: the number is what history and the list name.
pub(in crate::cli::chat::output) fn message(message: &ConversationMessage) -> String {
    let place = match message.sequence {
        0 => String::new(),
        sequence => format!("{sequence} of "),
    };
    let what = match (&message.recalled, &message.kind) {
        (Some(_), _) => "(taken back)".to_owned(),
        (None, MessageKind::Text) => text_of(&message.content),
        (None, kind) => {
            let url = message.media.as_ref().map_or("", |media| &*media.url);
            format!("({}) {}{}", kind_name(kind), printable(url), text_of(&message.content))
        }
    };
    format!(
        "{}, {place}{}: {what}",
        printable(&message.sender.user_id),
        name(&message.conversation)
    )
}

pub(in crate::cli::chat::output) fn list(conversations: &[Conversation]) -> String {
    if conversations.is_empty() {
        return "* no conversations".to_owned();
    }
    let lines = conversations.iter().map(|conversation| {
        format!(
            "* {}: {}, {} unread",
            name(&conversation.info.conversation),
            count(conversation.info.last_sequence, "message", "messages"),
            conversation.position.unread
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(in crate::cli::chat::output) fn sent(conversation: &ConversationId, sent: &SentMessage) -> String {
    format!(
        "* sent, {} of {}, id {}",
        sent.sequence,
        name(conversation),
        sent.message_id
    )
}

pub(super) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::ConversationMessage(event) => message(event),
        Event::ConversationMessageEdited(event) => format!("* changed: {}", message(event)),
        Event::ConversationMessageRecalled(event) => {
            format!("* {} of {} was taken back", event.sequence, name(&event.conversation))
        }
        Event::ConversationMembersJoined(event) => {
            format!("* {} joined {}", names(&event.user_ids), name(&event.conversation))
        }
        Event::ConversationMembersLeft(event) => {
            format!("* {} left {}", names(&event.user_ids), name(&event.conversation))
        }
        Event::Invited(event) => format!(
            "* you are in {} now, by {}",
            name(&event.info.conversation),
            by(&event.by_user_id)
        ),
        Event::ConversationKickedOut(event) => format!(
            "* you were put out of {} by {}",
            name(&event.conversation),
            by(&event.by_user_id)
        ),
        Event::ConversationChanged(event) => format!(
            "* {} was changed by {}",
            name(&event.info.conversation),
            by(&event.by_user_id)
        ),
        Event::GroupDismissed(event) => format!("* {} is no more", name(&event.conversation)),
        Event::PositionMoved(event) => format!(
            "* {} has got {} and read {} of {}",
            printable(&event.user_id),
            event.delivered_sequence,
            event.read_sequence,
            name(&event.conversation)
        ),
        Event::ConversationGap(event) => format!(
            "* missed {} to {} of {}",
            event.first_sequence,
            event.last_sequence,
            name(&event.conversation)
        ),
        Event::ConversationsUnavailable { error } => {
            format!("* no conversations here: {}", printable(&error.to_string()))
        }
        Event::ConversationsSynced(event) if event.conversations.is_empty() => return None,
        Event::ConversationsSynced(event) => list(&event.conversations),
        _ => return None,
    })
}

/// A conversation with one other has the other one's name.
fn name(conversation: &ConversationId) -> String {
    let kind = match conversation.kind {
        ConversationKind::Peer => "talk with",
        ConversationKind::Group => "group",
        ConversationKind::Discussion => "discussion",
        _ => "messages of",
    };
    format!("{kind} {}", printable(&conversation.id))
}

fn names(user_ids: &[String]) -> String {
    let names: Vec<_> = user_ids.iter().map(|user_id| printable(user_id)).collect();
    names.join(", ")
}

fn by(user_id: &str) -> String {
    if user_id.is_empty() {
        "the app".to_owned()
    } else {
        printable(user_id)
    }
}
