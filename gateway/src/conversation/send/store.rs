//! A message that is taken: what members get of it, its place, and its row.

use std::sync::Arc;

use prost::Message;
use sluice_protocol::{
    ConversationMessage, MemberRole, MessageKeep, MessageType, SendMessage, SendMessageResult, UserInfo, frame::Body,
};

use crate::conversation::key::Key;
use crate::conversation::outcome::Push;
use crate::conversation::send::unsigned;
use crate::conversation::{Audience, Context, Ruled, Tell};
use crate::frames;
use crate::identity::User;
use crate::store::{ConversationRow, MemberRow, MessageRow, RowsMut};
use crate::words::in_message::Text;

/// As whom a message is sent.
#[derive(Debug)]
pub(in crate::conversation) struct Sender<'a> {
    pub id: &'a str,
    /// Empty: not known.
    pub name: &'a str,
    /// The app's server sends it in this name.
    pub from_server: bool,
}

/// Where a message is in its conversation.
#[derive(Debug, Clone, Copy)]
pub(in crate::conversation) struct Placed {
    /// 0: it is not kept.
    pub sequence: i64,
    pub message_id: i64,
    pub sent_at_ms: i64,
}

impl<'a> Sender<'a> {
    pub(super) fn of(user: &'a User) -> Self {
        Self {
            id: user.id.as_str(),
            name: &user.name,
            from_server: false,
        }
    }
}

impl Placed {
    pub(in crate::conversation) fn result(self, client_message_id: String) -> SendMessageResult {
        SendMessageResult {
            client_message_id,
            message_id: unsigned(self.message_id),
            sequence: unsigned(self.sequence),
            server_time_ms: self.sent_at_ms,
            duplicate: false,
            distributed: true,
            notice: 0,
        }
    }
}

/// What members get, but for its place.
pub(in crate::conversation) fn event(sender: &Sender<'_>, message: &SendMessage, text: Text) -> ConversationMessage {
    ConversationMessage {
        conversation_type: message.conversation_type,
        target_id: message.target_id.clone(),
        sender: Some(UserInfo {
            user_id: sender.id.to_owned(),
            user_name: sender.name.to_owned(),
        }),
        r#type: message.r#type,
        content: text.instead_of(message.content.clone()),
        object_name: message.object_name.clone(),
        priority: message.priority,
        extended_data: message.extended_data.clone(),
        client_message_id: message.client_message_id.clone(),
        media: message.media.clone(),
        sender_info: message.sender_info.clone(),
        mentioned_user_ids: message.mentioned_user_ids.clone(),
        mention_all: message.mention_all,
        push_content: message.push_content.clone(),
        push_data: message.push_data.clone(),
        keep: message.keep,
        combined_id: message.combined_id.clone(),
        from_server: sender.from_server,
        ..ConversationMessage::default()
    }
}

/// Gives a message the next place of its conversation and keeps it there.
pub(in crate::conversation) fn keep(
    rows: &dyn RowsMut,
    context: Context<'_>,
    conversation: &ConversationRow,
    event: ConversationMessage,
) -> Ruled<(Placed, Tell)> {
    let placed = Placed {
        sequence: conversation.last_sequence + 1,
        // Greater than that of the message before: ids only grow, and there is one thread that writes.
        message_id: context.next_id(),
        // Times do not fall within a conversation, whatever the clock does.
        sent_at_ms: context.now.unix_ms.max(conversation.last_message_at_ms),
    };
    let event = in_place(event, placed);
    rows.insert_message(&MessageRow {
        conversation: conversation.id,
        sequence: placed.sequence,
        message_id: placed.message_id,
        sent_at_ms: placed.sent_at_ms,
        sender_id: sender_id(&event).to_owned(),
        kind: event.r#type,
        counts: event.keep() != MessageKeep::Stored,
        recalled: false,
        event: event.encode_to_vec(),
    })?;
    rows.move_last(conversation.id, placed.sequence, placed.message_id, placed.sent_at_ms)?;
    let tell = Tell {
        to: context.audiences.of(rows, conversation)?,
        push: is_pushed(&event).then(|| Arc::new(push_of(&event))),
        frame: frames::event(Body::ConversationMessage(event)).into(),
        conversation: conversation.id,
        sequence: placed.sequence,
    };
    Ok((placed, tell))
}

/// Gives a message no place: only who is online gets it.
pub(in crate::conversation) fn pass_on(
    context: Context<'_>,
    conversation: i64,
    to: Arc<Audience>,
    event: ConversationMessage,
) -> (Placed, Tell) {
    let placed = Placed {
        sequence: 0,
        message_id: context.next_id(),
        sent_at_ms: context.now.unix_ms,
    };
    let event = in_place(event, placed);
    (placed, Tell::event(to, conversation, Body::ConversationMessage(event)))
}

/// Makes the conversation of two users. `creator_id` is empty if the app's server does.
pub(in crate::conversation) fn make_peer(
    rows: &dyn RowsMut,
    context: Context<'_>,
    creator_id: &str,
    one: &str,
    other: &str,
) -> Ruled<ConversationRow> {
    make(rows, context, creator_id, Key::peer(one, other), &[one, other])
}

/// Makes a conversation with these members, who stay what they are.
pub(in crate::conversation) fn make(
    rows: &dyn RowsMut,
    context: Context<'_>,
    creator_id: &str,
    key: Key,
    members: &[&str],
) -> Ruled<ConversationRow> {
    let now_ms = context.now.unix_ms;
    let row = ConversationRow {
        id: context.next_id(),
        app: context.app_key.to_owned(),
        kind: key.kind.into(),
        key: key.key,
        creator_id: creator_id.to_owned(),
        member_count: i64::try_from(members.len()).unwrap_or(i64::MAX),
        members_version: context.next_id(),
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        ..ConversationRow::default()
    };
    rows.insert_conversation(&row)?;
    for user_id in members {
        rows.put_member(&MemberRow {
            conversation: row.id,
            user_id: (*user_id).to_owned(),
            app: row.app.clone(),
            role: MemberRole::Member.into(),
            joined_at_ms: now_ms,
            first_sequence: 1,
            ..MemberRow::default()
        })?;
    }
    Ok(row)
}

fn in_place(event: ConversationMessage, placed: Placed) -> ConversationMessage {
    ConversationMessage {
        sequence: unsigned(placed.sequence),
        message_id: unsigned(placed.message_id),
        server_time_ms: placed.sent_at_ms,
        ..event
    }
}

fn sender_id(event: &ConversationMessage) -> &str {
    event.sender.as_ref().map_or("", |sender| &sender.user_id)
}

/// Whether who is not online is told by a push: of what says what a push shows, and of what counts as unread but is no format of the app's own.
fn is_pushed(event: &ConversationMessage) -> bool {
    let says_what = !event.push_content.is_empty() || !event.push_data.is_empty();
    says_what || (event.keep() != MessageKeep::Stored && event.r#type() != MessageType::Custom)
}

fn push_of(event: &ConversationMessage) -> Push {
    Push {
        conversation_type: event.conversation_type,
        target_id: event.target_id.clone(),
        sender_id: sender_id(event).to_owned(),
        message_id: i64::try_from(event.message_id).unwrap_or_default(),
        sequence: i64::try_from(event.sequence).unwrap_or_default(),
        sent_at_ms: event.server_time_ms,
        kind: event.r#type,
        object_name: event.object_name.clone(),
        push_content: event.push_content.clone(),
        push_data: event.push_data.clone(),
        mentioned: event.mentioned_user_ids.clone(),
        mention_all: event.mention_all,
    }
}
