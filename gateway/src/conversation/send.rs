//! A message of a user: is it a repeat, may it be sent, which number has it, who gets it. What the app's server sends is in `publish.rs`.

pub(super) mod allowed;
pub(super) mod store;

use aws_lc_rs::digest;
use prost::Message;
use sluice_protocol::{ErrorCode, MessageKeep, MessageType, SendMessage, SendMessageResult, UserId, reply};

use crate::conversation::inside::NOT_MADE;
use crate::conversation::send::store::Sender;
use crate::conversation::{Actor, Audience, Context, Outcome, Ruled, combined};
use crate::identity::User;
use crate::refusal::Refusal;
use crate::store::{REPEATS_KEPT_MS, Rows, RowsMut, SentRow};
use crate::words::in_message;

/// A message that a user sends.
#[derive(Debug)]
pub(crate) struct Sending {
    message: SendMessage,
    /// Of all but its id: to tell a repeat from another message with the same id.
    digest: i64,
}

impl Sending {
    /// Reads the whole message, so it is for the worker and not for the one thread that writes.
    pub(crate) fn new(mut message: SendMessage) -> Self {
        let digest = match message.client_message_id.is_empty() {
            true => 0,
            false => digest_of(&mut message),
        };
        Self { message, digest }
    }
}

impl std::ops::Deref for Sending {
    type Target = SendMessage;

    fn deref(&self) -> &SendMessage {
        &self.message
    }
}

/// Whether a message is kept, by its type and what its sender wants.
pub(super) fn is_kept(message: &SendMessage) -> bool {
    !matches!(message.r#type(), MessageType::Command | MessageType::Barrage) && message.keep() != MessageKeep::None
}

/// Takes a message and keeps it.
pub(super) fn keep(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, sending: &Sending) -> Ruled<Outcome> {
    let message = &sending.message;
    let user = sender(by, message)?;
    // First of all: a repeat of a message that was taken is answered as the first time, whatever has become of its sender since.
    if let Some(first) = first_answer(
        rows,
        context,
        user.id.as_str(),
        &message.client_message_id,
        sending.digest,
    )? {
        return Ok(Outcome::answer(reply::Result::SendMessage(first)));
    }
    let conversation = allowed::conversation(rows, context, by, user, message)?;
    let text = in_message::check(
        &context.policy.words,
        message.r#type(),
        &message.content,
        &message.extended_data,
    )?;
    let combined = combined::named(rows, context, user.id.as_str(), message)?;

    let conversation = match conversation.id {
        NOT_MADE => store::make_peer(rows, context, user.id.as_str(), user.id.as_str(), &message.target_id)?,
        _ => conversation,
    };
    if let Some(set) = combined {
        combined::send(rows, context, set)?;
    }
    let notice = text.notice();
    let event = store::event(&Sender::of(user), message, text);
    let (stored, tell) = store::keep(rows, context, &conversation, event)?;
    if !message.client_message_id.is_empty() {
        rows.put_sent(&SentRow {
            app: context.app_key.to_owned(),
            sender_id: user.id.as_str().to_owned(),
            client_message_id: message.client_message_id.clone(),
            digest: sending.digest,
            sequence: stored.sequence,
            message_id: stored.message_id,
            sent_at_ms: stored.sent_at_ms,
            notice,
        })?;
    }
    let result = SendMessageResult {
        notice,
        ..stored.result(message.client_message_id.clone())
    };
    Ok(Outcome::telling(reply::Result::SendMessage(result), vec![tell]))
}

/// Gives a message to who is online, and keeps nothing: neither the message nor, since this is a thread that only reads, its client message id.
pub(super) fn pass_on(rows: &dyn Rows, context: Context<'_>, by: &Actor, sending: &Sending) -> Ruled<Outcome> {
    let message = &sending.message;
    let user = sender(by, message)?;
    if let Some(first) = first_answer(
        rows,
        context,
        user.id.as_str(),
        &message.client_message_id,
        sending.digest,
    )? {
        return Ok(Outcome::answer(reply::Result::SendMessage(first)));
    }
    let conversation = allowed::conversation(rows, context, by, user, message)?;
    let text = in_message::check(
        &context.policy.words,
        message.r#type(),
        &message.content,
        &message.extended_data,
    )?;
    let notice = text.notice();
    let event = store::event(&Sender::of(user), message, text);
    let to = match conversation.id {
        NOT_MADE => Audience::of([user.id.clone(), receiver(context, message)?]),
        _ => context.audiences.of(rows, &conversation)?,
    };
    let (passed, tell) = store::pass_on(context, conversation.id, to, event);
    let result = SendMessageResult {
        notice,
        ..passed.result(message.client_message_id.clone())
    };
    Ok(Outcome::telling(reply::Result::SendMessage(result), vec![tell]))
}

/// Who sends, named as such in the message too.
fn sender<'a>(by: &'a Actor, message: &SendMessage) -> Ruled<&'a User> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    match &message.sender_info {
        Some(info) if info.user_id != user.id.as_str() => Err(Refusal::parameter("sender_info").into()),
        _ => Ok(user),
    }
}

/// Whom a message to one user is for.
pub(super) fn receiver(context: Context<'_>, message: &SendMessage) -> Result<UserId, Refusal> {
    UserId::parse(&message.target_id, context.profile).map_err(|_| Refusal::parameter("target_id"))
}

/// What is answered to a repeat: of a message that this sender sent with this id.
pub(super) fn first_answer(
    rows: &dyn Rows,
    context: Context<'_>,
    sender_id: &str,
    client_message_id: &str,
    digest: i64,
) -> Ruled<Option<SendMessageResult>> {
    if client_message_id.is_empty() {
        return Ok(None);
    }
    let Some(first) = rows.sent(context.app_key, sender_id, client_message_id)? else {
        return Ok(None);
    };
    // It is deleted when its time has come, but not at that moment.
    if first.sent_at_ms < context.now.unix_ms.saturating_sub(REPEATS_KEPT_MS) {
        return Ok(None);
    }
    if first.digest != digest {
        return Err(Refusal::parameter("duplicate_id").into());
    }
    Ok(Some(SendMessageResult {
        client_message_id: first.client_message_id,
        message_id: unsigned(first.message_id),
        sequence: unsigned(first.sequence),
        server_time_ms: first.sent_at_ms,
        duplicate: true,
        distributed: true,
        notice: first.notice,
    }))
}

/// Of what is sent, all but its id: to tell a repeat from another message with the same id.
pub(super) fn digest_of(message: &mut SendMessage) -> i64 {
    let id = std::mem::take(&mut message.client_message_id);
    let digest = digest::digest(&digest::SHA256, &message.encode_to_vec());
    message.client_message_id = id;
    let (first, _) = digest.as_ref().split_first_chunk().expect("32 bytes");
    i64::from_be_bytes(*first)
}

/// Numbers in rows are signed.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
