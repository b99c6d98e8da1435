//! Taking a message back, and changing it.

use std::sync::Arc;

use prost::Message;
use sluice_protocol::{
    ConversationMessage, ConversationType, EditMessage, ErrorCode, MemberRole, MessageChanged, MessageRecalled,
    MessageType, RecallMessage, UserId, frame::Body, reply,
};

use crate::conversation::audience::user;
use crate::conversation::inside::{self, Inside};
use crate::conversation::key::Key;
use crate::conversation::members::members_who;
use crate::conversation::send::allowed;
use crate::conversation::{Actor, Audience, Context, No, Outcome, Ruled, Tell, combined};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, MessageRow, Rows, RowsMut, StoreError};
use crate::words::in_message;

/// Takes back a message in the name of the app's server: any, at any time.
#[derive(Debug)]
pub(crate) struct TakeBack {
    /// Who sent it, or in whose name it is done.
    pub as_user: UserId,
    pub kind: ConversationType,
    /// The receiver, with PEER and SYSTEM; else the conversation.
    pub target_id: String,
    pub message_id: i64,
}

/// By a user: one's own for a while; in a group, owner and managers those of all.
pub(super) fn recall(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &RecallMessage) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    may_be_recalled(command.r#type())?;
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let message = message(rows, &inside, command.message_id)?;
    let leads =
        inside.kind == ConversationType::Group && matches!(inside.role(), MemberRole::Owner | MemberRole::Manager);
    if message.sender_id != user.id.as_str() && !leads {
        return Err(ErrorCode::RECALL_NOT_YOURS.into());
    }
    if message.recalled {
        return Err(ErrorCode::ALREADY_RECALLED.into());
    }
    if !leads && is_late(context, &message) {
        return Err(ErrorCode::RECALL_TOO_LATE.into());
    }
    take_back(rows, context, &inside.conversation, message, user.id.as_str())
}

/// By the app's server.
pub(super) fn recall_as(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &TakeBack) -> Ruled<Outcome> {
    let Actor::Server = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let (one, other) = (command.as_user.as_str(), command.target_id.as_str());
    let found = match command.kind {
        ConversationType::Peer => conversation(rows, context, &Key::peer(one, other))?,
        ConversationType::System => conversation(rows, context, &Key::system(one, other))?,
        kind @ (ConversationType::Group | ConversationType::Discussion) => {
            inside::find(rows, context, by, kind.into(), other)?.1
        }
        ConversationType::Room => return Err(ErrorCode::RECALL_PARAMETER.into()),
    };
    let conversation = found.ok_or(ErrorCode::MESSAGE_UNKNOWN)?;
    let message = rows.message_by_id(conversation.id, command.message_id)?;
    let message = message.ok_or(ErrorCode::MESSAGE_UNKNOWN)?;
    if message.recalled {
        return Err(ErrorCode::ALREADY_RECALLED.into());
    }
    take_back(rows, context, &conversation, message, one)
}

/// Changes one's own text, or message of the app's own format.
pub(super) fn edit(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, command: &EditMessage) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    may_be_recalled(command.r#type())?;
    let inside = Inside::of(rows, context, by, command.r#type, &command.id)?;
    let message = message(rows, &inside, command.message_id)?;
    if message.sender_id != user.id.as_str() {
        return Err(ErrorCode::RECALL_NOT_YOURS.into());
    }
    let event = decoded(&message)?;
    let kind = event.r#type();
    if message.recalled || !matches!(kind, MessageType::Text | MessageType::Custom) {
        return Err(ErrorCode::NOT_EDITABLE.into());
    }
    if is_late(context, &message) {
        return Err(ErrorCode::EDIT_TOO_LATE.into());
    }
    if kind == MessageType::Text && std::str::from_utf8(&command.content).is_err() {
        return Err(Refusal::parameter("content").into());
    }
    // Who may not say it does not say it in the place of something else either.
    allowed::may_say(rows, context, user, &inside)?;
    let text = in_message::check(&context.policy.words, kind, &command.content, &command.extended_data)?;

    let changed_at_ms = context.now.unix_ms;
    let notice = text.notice();
    let event = ConversationMessage {
        content: text.instead_of(command.content.clone()),
        extended_data: command.extended_data.clone(),
        edited_at_ms: changed_at_ms,
        ..event
    };
    let to = who_sees(rows, context, &inside.conversation, &message)?;
    rows.update_message(&MessageRow {
        event: event.encode_to_vec(),
        ..message
    })?;
    let tell = Tell::event(to, inside.conversation.id, Body::MessageEdited(event));
    let result = MessageChanged { changed_at_ms, notice };
    Ok(Outcome::telling(reply::Result::MessageChanged(result), vec![tell]))
}

fn may_be_recalled(kind: ConversationType) -> Ruled<()> {
    match kind {
        ConversationType::Peer | ConversationType::Group | ConversationType::Discussion => Ok(()),
        ConversationType::Room | ConversationType::System => Err(ErrorCode::RECALL_PARAMETER.into()),
    }
}

/// A message that is for who asks: not from before that one came.
fn message(rows: &dyn Rows, inside: &Inside, message_id: u64) -> Ruled<MessageRow> {
    let unknown = ErrorCode::MESSAGE_UNKNOWN;
    let message_id = i64::try_from(message_id).map_err(|_| unknown)?;
    let first = inside.member.as_ref().map_or(0, |member| member.first_sequence);
    let found = rows.message_by_id(inside.conversation.id, message_id)?;
    Ok(found.filter(|message| message.sequence >= first).ok_or(unknown)?)
}

fn conversation(rows: &dyn Rows, context: Context<'_>, key: &Key) -> Ruled<Option<ConversationRow>> {
    Ok(rows.conversation(context.app_key, key.kind.into(), &key.key)?)
}

/// Whether one's own message is too old, by the clock of the server.
fn is_late(context: Context<'_>, message: &MessageRow) -> bool {
    let age_ms = context.now.unix_ms.saturating_sub(message.sent_at_ms);
    i128::from(age_ms) > i128::try_from(context.settings.recall_window.as_millis()).unwrap_or(i128::MAX)
}

pub(super) fn decoded(message: &MessageRow) -> Ruled<ConversationMessage> {
    ConversationMessage::decode(&*message.event).map_err(|error| {
        let place = format!("message {} of conversation {}", message.sequence, message.conversation);
        No::Store(StoreError::Unfit(format!("{place} cannot be read: {error}")))
    })
}

/// The members but for those for whom it is from before they came.
fn who_sees(
    rows: &dyn Rows,
    context: Context<'_>,
    conversation: &ConversationRow,
    message: &MessageRow,
) -> Ruled<Arc<Audience>> {
    // Versions and message ids are of one count, so none of them has come since.
    if conversation.members_version < message.message_id {
        return Ok(context.audiences.of(rows, conversation)?);
    }
    let members = members_who(rows, conversation.id, |member| {
        member.first_sequence <= message.sequence
    })?;
    Ok(Audience::of(members.iter().filter_map(|member| user(&member.user_id))))
}

/// Leaves of a message only that it was there.
fn take_back(
    rows: &dyn RowsMut,
    context: Context<'_>,
    conversation: &ConversationRow,
    message: MessageRow,
    by_user_id: &str,
) -> Ruled<Outcome> {
    let said = decoded(&message)?;
    let recalled_at_ms = context.now.unix_ms;
    if !said.combined_id.is_empty() {
        combined::take_back(rows, context, &message.sender_id, &said.combined_id)?;
    }
    let left = ConversationMessage {
        conversation_type: said.conversation_type,
        target_id: said.target_id,
        sequence: said.sequence,
        message_id: said.message_id,
        server_time_ms: said.server_time_ms,
        sender: said.sender,
        r#type: said.r#type,
        object_name: said.object_name,
        client_message_id: said.client_message_id,
        keep: said.keep,
        from_server: said.from_server,
        recalled_at_ms,
        recalled_by: by_user_id.to_owned(),
        ..ConversationMessage::default()
    };
    let event = MessageRecalled {
        r#type: left.conversation_type,
        target_id: left.target_id.clone(),
        sender_id: message.sender_id.clone(),
        sequence: left.sequence,
        message_id: left.message_id,
        by_user_id: by_user_id.to_owned(),
        recalled_at_ms,
    };
    let to = who_sees(rows, context, conversation, &message)?;
    rows.update_message(&MessageRow {
        recalled: true,
        event: left.encode_to_vec(),
        ..message
    })?;
    let tell = Tell::event(to, conversation.id, Body::MessageRecalled(event));
    let result = MessageChanged {
        changed_at_ms: recalled_at_ms,
        notice: 0,
    };
    Ok(Outcome::telling(reply::Result::MessageChanged(result), vec![tell]))
}
