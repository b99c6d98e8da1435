//! A message: is it a repeat, may it be sent, which number has it, who gets it.

use std::sync::Arc;

use aws_lc_rs::digest;
use prost::Message;
use sluice_protocol::{
    ConversationMessage, ConversationType, ErrorCode, MemberRole, MessageKeep, MessageType, SendMessage,
    SendMessageResult, UserInfo, frame::Body, reply,
};

use crate::conversation::key::Key;
use crate::conversation::outcome::Push;
use crate::conversation::{Actor, Context, Outcome, Ruled, Tell};
use crate::frames;
use crate::identity::User;
use crate::refusal::Refusal;
use crate::store::{ConversationRow, MemberRow, MessageRow, Rows, RowsMut, SentRow};

/// Whether a message is kept, by its type and what its sender wants.
pub(super) fn is_kept(message: &SendMessage) -> bool {
    !matches!(message.r#type(), MessageType::Command | MessageType::Barrage) && message.keep() != MessageKeep::None
}

/// Takes a message and keeps it.
pub(super) fn keep(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, message: &SendMessage) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    let digest = digest_of(message);
    if let Some(first) = first_answer(rows, context, user, message, digest)? {
        return Ok(Outcome::answer(first));
    }
    let conversation = find(rows, context, user, message)?;
    let now_ms = context.now.unix_ms.max(conversation.last_message_at_ms);
    let sequence = conversation.last_sequence + 1;
    let message_id = context.next_id().max(conversation.last_message_id + 1);
    let event = ConversationMessage {
        conversation_type: message.conversation_type,
        target_id: message.target_id.clone(),
        sequence: unsigned(sequence),
        message_id: unsigned(message_id),
        server_time_ms: now_ms,
        sender: Some(UserInfo {
            user_id: user.id.as_str().to_owned(),
            user_name: user.name.to_string(),
        }),
        r#type: message.r#type,
        content: message.content.clone(),
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
        ..ConversationMessage::default()
    };
    rows.insert_message(&MessageRow {
        conversation: conversation.id,
        sequence,
        message_id,
        sent_at_ms: now_ms,
        sender_id: user.id.as_str().to_owned(),
        kind: message.r#type,
        counts: message.keep() != MessageKeep::Stored,
        recalled: false,
        event: event.encode_to_vec(),
    })?;
    rows.move_last(conversation.id, sequence, message_id, now_ms)?;
    if !message.client_message_id.is_empty() {
        rows.insert_sent(&SentRow {
            app: context.app_key.to_owned(),
            sender_id: user.id.as_str().to_owned(),
            client_message_id: message.client_message_id.clone(),
            digest,
            sequence,
            message_id,
            sent_at_ms: now_ms,
            notice: 0,
        })?;
    }
    let result = SendMessageResult {
        client_message_id: message.client_message_id.clone(),
        message_id: unsigned(message_id),
        sequence: unsigned(sequence),
        server_time_ms: now_ms,
        duplicate: false,
        distributed: true,
        notice: 0,
    };
    let tell = Tell {
        to: context.audiences.of(rows, &conversation)?,
        push: Some(Arc::new(push_of(&event))),
        frame: frames::event(Body::ConversationMessage(event)).into(),
        conversation: conversation.id,
        sequence,
    };
    Ok(Outcome::telling(reply::Result::SendMessage(result), vec![tell]))
}

/// Gives a message to who is online, and keeps nothing.
pub(super) fn pass_on(_rows: &dyn Rows, _context: Context<'_>, _by: &Actor, _message: &SendMessage) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

/// What is answered to a repeat.
fn first_answer(
    rows: &dyn RowsMut,
    context: Context<'_>,
    user: &User,
    message: &SendMessage,
    digest: i64,
) -> Ruled<Option<reply::Result>> {
    if message.client_message_id.is_empty() {
        return Ok(None);
    }
    let Some(first) = rows.sent(context.app_key, user.id.as_str(), &message.client_message_id)? else {
        return Ok(None);
    };
    if first.digest != digest {
        return Err(Refusal::parameter("duplicate_id").into());
    }
    Ok(Some(reply::Result::SendMessage(SendMessageResult {
        client_message_id: first.client_message_id,
        message_id: unsigned(first.message_id),
        sequence: unsigned(first.sequence),
        server_time_ms: first.sent_at_ms,
        duplicate: true,
        distributed: true,
        notice: first.notice,
    })))
}

/// The conversation a message is for, if its sender may send there. One of two users is made by its first message.
fn find(rows: &dyn RowsMut, context: Context<'_>, user: &User, message: &SendMessage) -> Ruled<ConversationRow> {
    let kind = message.conversation_type();
    let key = Key::named_by(&user.id, kind, &message.target_id).ok_or(ErrorCode::OPERATION_NOT_SUPPORTED)?;
    let found = rows.conversation(context.app_key, kind.into(), &key.key)?;
    match (kind, found) {
        (ConversationType::Peer, Some(found)) => Ok(found),
        (ConversationType::Peer, None) => make_peer(rows, context, user.id.as_str(), &message.target_id, key),
        _ => Err(ErrorCode::OPERATION_NOT_SUPPORTED.into()),
    }
}

fn make_peer(rows: &dyn RowsMut, context: Context<'_>, one: &str, other: &str, key: Key) -> Ruled<ConversationRow> {
    let now_ms = context.now.unix_ms;
    let row = ConversationRow {
        id: context.next_id(),
        app: context.app_key.to_owned(),
        kind: key.kind.into(),
        key: key.key,
        creator_id: one.to_owned(),
        member_count: 2,
        members_version: context.next_id(),
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        ..ConversationRow::default()
    };
    rows.insert_conversation(&row)?;
    for user_id in [one, other] {
        rows.put_member(&MemberRow {
            conversation: row.id,
            user_id: user_id.to_owned(),
            app: row.app.clone(),
            role: MemberRole::Member.into(),
            joined_at_ms: now_ms,
            first_sequence: 1,
            ..MemberRow::default()
        })?;
    }
    Ok(row)
}

/// Of what was sent, all but the id: to tell a repeat from another message with the same id.
fn digest_of(message: &SendMessage) -> i64 {
    let sent = SendMessage {
        client_message_id: String::new(),
        ..message.clone()
    };
    let digest = digest::digest(&digest::SHA256, &sent.encode_to_vec());
    let (first, _) = digest.as_ref().split_first_chunk().expect("32 bytes");
    i64::from_be_bytes(*first)
}

fn push_of(event: &ConversationMessage) -> Push {
    Push {
        conversation_type: event.conversation_type,
        target_id: event.target_id.clone(),
        sender_id: event
            .sender
            .as_ref()
            .map(|sender| sender.user_id.clone())
            .unwrap_or_default(),
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

/// Numbers in rows are signed.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
