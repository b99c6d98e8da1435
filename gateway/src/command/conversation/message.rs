//! Messages of conversations, and what is done to them: the form of SendMessage, RecallMessage, EditMessage, of the two for combined messages and the two
//! for blacklists.

use sluice_protocol::{
    ConversationType, EditBlacklist, EditMessage, ErrorCode, IdProfile, MediaInfo, MessageKeep, MessageType, Priority,
    PutCombinedPart, QueryBlacklist, QueryCombined, RecallMessage, SendMessage, SenderInfo, UserId, limits,
};

use super::{any, id, longest};
use crate::command::send_message::check_object_name;
use crate::conversation::Publish;
use crate::refusal::Refusal;

const NOT_SERVED: Refusal = Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED);

/// Longest name of a file's format: that of any file name extension in use.
const FORMAT_BYTES: usize = 16;

/// What a type of media may be.
struct MediaRules {
    /// Empty: any.
    formats: &'static [&'static str],
    bytes_max: u64,
    duration_ms_max: u32,
}

/// That `sender_info` names the sender is checked by who knows the sender.
pub(super) fn send(message: &SendMessage) -> Result<(), Refusal> {
    check_conversation_type(message)?;
    check_type(message)?;
    check_target(message)?;
    check_object_name(message.r#type(), &message.object_name)?;
    check_rest(message)
}

/// The message that the app's server sends, whose targets are looked at one by one.
pub(super) fn publish(publish: &Publish) -> Result<(), Refusal> {
    let message = &publish.message;
    match check_type(message)? {
        // Parts are put by users.
        MessageType::Combined => Err(Refusal::parameter("type")),
        // The app's server may name formats of the vendor's, which clients may not.
        _ => {
            longest(&message.object_name, limits::OBJECT_NAME_BYTES, "object_name")?;
            check_rest(message)
        }
    }
}

/// Everything but where it goes and what its format is called.
fn check_rest(message: &SendMessage) -> Result<(), Refusal> {
    let kind = message.r#type();
    longest(
        &message.client_message_id,
        limits::CLIENT_MESSAGE_ID_BYTES,
        "client_message_id",
    )?;
    if Priority::try_from(message.priority).is_err() {
        return Err(Refusal::parameter("priority"));
    }
    check_content(kind, message)?;
    check_size(&message.content, &message.extended_data, bytes_max(kind))?;
    check_media(kind, message.media.as_ref())?;
    if let Some(info) = &message.sender_info {
        check_sender_info(info)?;
    }
    check_users(&message.mentioned_user_ids, 0, limits::MENTIONS, "mentioned_user_ids")?;
    longest(&message.push_content, limits::PUSH_CONTENT_BYTES, "push_content")?;
    longest(&message.push_data, limits::PUSH_DATA_BYTES, "push_data")?;
    check_keep(kind, message)?;
    match kind {
        MessageType::Combined => check_combined_id(&message.combined_id),
        _ if message.combined_id.is_empty() => Ok(()),
        _ => Err(Refusal::parameter("combined_id")),
    }
}

pub(super) fn recall(command: &RecallMessage) -> Result<(), Refusal> {
    check_recalled(command.r#type, &command.id, command.message_id)
}

pub(super) fn edit(command: &EditMessage) -> Result<(), Refusal> {
    check_recalled(command.r#type, &command.id, command.message_id)?;
    if command.content.is_empty() {
        return Err(Refusal::parameter("content"));
    }
    // Of text and of custom messages, the only ones that can be changed.
    const { assert!(limits::TEXT_BYTES == limits::CUSTOM_BYTES) };
    check_size(&command.content, &command.extended_data, limits::TEXT_BYTES)
}

pub(super) fn put_part(command: &PutCombinedPart) -> Result<(), Refusal> {
    check_combined_id(&command.combined_id)?;
    if command.part >= limits::COMBINED_PARTS {
        return Err(Refusal::parameter("part"));
    }
    if command.content.is_empty() {
        return Err(Refusal::parameter("content"));
    }
    check_size(&command.content, "", limits::COMBINED_PART_BYTES)
}

pub(super) fn query_combined(command: &QueryCombined) -> Result<(), Refusal> {
    any(command.r#type, &command.id)?;
    check_message_id(command.message_id)?;
    if command.from_part >= limits::COMBINED_PARTS {
        return Err(Refusal::parameter("from_part"));
    }
    Ok(())
}

pub(super) fn edit_blacklist(command: &EditBlacklist) -> Result<(), Refusal> {
    check_users(&command.user_ids, 1, limits::FEW_USERS_PER_COMMAND, "user_ids")
}

pub(super) fn query_blacklist(command: &QueryBlacklist) -> Result<(), Refusal> {
    longest(&command.cursor, limits::USER_ID_BYTES, "cursor")
}

fn check_conversation_type(message: &SendMessage) -> Result<(), Refusal> {
    match ConversationType::try_from(message.conversation_type) {
        Ok(ConversationType::Peer | ConversationType::Group | ConversationType::Discussion) => Ok(()),
        Ok(ConversationType::System) => Err(Refusal::new(ErrorCode::SYSTEM_CONVERSATION)),
        Ok(ConversationType::Room) | Err(_) => Err(NOT_SERVED),
    }
}

/// The type, if there are such messages in conversations.
fn check_type(message: &SendMessage) -> Result<MessageType, Refusal> {
    match MessageType::try_from(message.r#type) {
        Ok(MessageType::Barrage) => Err(Refusal::parameter("type")),
        Ok(MessageType::Unspecified) | Err(_) => Err(NOT_SERVED),
        Ok(kind) => Ok(kind),
    }
}

/// The largest content of a type, extended data counted in.
fn bytes_max(kind: MessageType) -> usize {
    match kind {
        MessageType::Text => limits::TEXT_BYTES,
        MessageType::Command => limits::COMMAND_BYTES,
        MessageType::Custom => limits::CUSTOM_BYTES,
        MessageType::Image
        | MessageType::File
        | MessageType::Audio
        | MessageType::Video
        | MessageType::Combined
        | MessageType::Barrage
        | MessageType::Unspecified => limits::MEDIA_CONTENT_BYTES,
    }
}

/// More of it can be wrong for the app's profile of ids.
fn check_target(message: &SendMessage) -> Result<(), Refusal> {
    let id = &message.target_id;
    let good = match message.conversation_type() {
        ConversationType::Peer => UserId::parse(id, IdProfile::Wide).is_ok(),
        _ => !id.is_empty() && id.len() <= limits::CONVERSATION_ID_BYTES,
    };
    if good {
        Ok(())
    } else {
        Err(Refusal::parameter("target_id"))
    }
}

/// Beside a file there need be none.
fn check_content(kind: MessageType, message: &SendMessage) -> Result<(), Refusal> {
    let good = match kind {
        MessageType::Text => !message.content.is_empty() && std::str::from_utf8(&message.content).is_ok(),
        MessageType::Image | MessageType::File | MessageType::Audio | MessageType::Video => true,
        _ => !message.content.is_empty(),
    };
    if good {
        Ok(())
    } else {
        Err(Refusal::parameter("content"))
    }
}

fn check_size(content: &[u8], extended_data: &str, bytes_max: usize) -> Result<(), Refusal> {
    if content.len() + extended_data.len() <= bytes_max {
        return Ok(());
    }
    Err(above(ErrorCode::CONTENT_TOO_LARGE, bytes_max as u64))
}

fn check_media(kind: MessageType, media: Option<&MediaInfo>) -> Result<(), Refusal> {
    let wrong = || Refusal::parameter("media");
    let (rules, media) = match (media_rules(kind), media) {
        (None, None) => return Ok(()),
        (Some(rules), Some(media)) => (rules, media),
        _ => return Err(wrong()),
    };
    let url_is_good = (1..=limits::MEDIA_URL_BYTES).contains(&media.url.len()) && !media.url.contains(char::is_control);
    if !url_is_good || media.file_name.len() > limits::MEDIA_FILE_NAME_BYTES || media.format.len() > FORMAT_BYTES {
        return Err(wrong());
    }
    if !rules.formats.is_empty() && !rules.formats.contains(&media.format.as_str()) {
        return Err(Refusal::new(ErrorCode::MEDIA_FORMAT));
    }
    if media.size_bytes > rules.bytes_max {
        return Err(above(ErrorCode::MEDIA_TOO_LARGE, rules.bytes_max));
    }
    if media.duration_ms > rules.duration_ms_max {
        return Err(above(ErrorCode::MEDIA_TOO_LONG, rules.duration_ms_max.into()));
    }
    Ok(())
}

fn media_rules(kind: MessageType) -> Option<MediaRules> {
    let (formats, bytes_max, duration_ms_max): (&[&str], _, _) = match kind {
        MessageType::Image => (
            &["jpg", "jpeg", "png", "bmp", "tif", "tiff", "gif", "webp"],
            limits::IMAGE_FILE_BYTES,
            u32::MAX,
        ),
        MessageType::File => (&[], limits::FILE_BYTES, u32::MAX),
        MessageType::Audio => (&["mp3", "m4a"], limits::AUDIO_FILE_BYTES, limits::AUDIO_MS),
        MessageType::Video => (&["mp4", "mov"], limits::FILE_BYTES, u32::MAX),
        _ => return None,
    };
    Some(MediaRules {
        formats,
        bytes_max,
        duration_ms_max,
    })
}

fn check_sender_info(info: &SenderInfo) -> Result<(), Refusal> {
    let good = info.name.len() <= limits::USER_NAME_BYTES
        && info.portrait_url.len() <= limits::SENDER_INFO_BYTES
        && info.extra.len() <= limits::SENDER_INFO_BYTES;
    if good {
        Ok(())
    } else {
        Err(Refusal::parameter("sender_info"))
    }
}

/// Commands are never kept; the parts of a combined message are found by way of a message that is.
fn check_keep(kind: MessageType, message: &SendMessage) -> Result<(), Refusal> {
    let good = match MessageKeep::try_from(message.keep) {
        Ok(MessageKeep::Default) => true,
        Ok(MessageKeep::None) => kind != MessageType::Combined,
        Ok(MessageKeep::Stored | MessageKeep::Counted) => kind != MessageType::Command,
        Err(_) => false,
    };
    if good { Ok(()) } else { Err(Refusal::parameter("keep")) }
}

fn check_combined_id(id: &str) -> Result<(), Refusal> {
    let good = (1..=limits::COMBINED_ID_BYTES).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if good {
        Ok(())
    } else {
        Err(Refusal::parameter("combined_id"))
    }
}

/// A message that can be taken back or changed, by the conversation it is in.
fn check_recalled(kind: i32, name: &str, message_id: u64) -> Result<(), Refusal> {
    match ConversationType::try_from(kind) {
        Ok(ConversationType::Room | ConversationType::System) => return Err(Refusal::new(ErrorCode::RECALL_PARAMETER)),
        Ok(_) => id(name)?,
        Err(_) => return Err(NOT_SERVED),
    }
    check_message_id(message_id)
}

fn check_message_id(message_id: u64) -> Result<(), Refusal> {
    if message_id == 0 {
        return Err(Refusal::parameter("message_id"));
    }
    Ok(())
}

fn check_users(user_ids: &[String], least: usize, most: usize, field: &'static str) -> Result<(), Refusal> {
    let good = (least..=most).contains(&user_ids.len())
        && user_ids.iter().all(|id| UserId::parse(id, IdProfile::Wide).is_ok());
    if good { Ok(()) } else { Err(Refusal::parameter(field)) }
}

/// Too much of something: the detail is how much there may be.
fn above(code: ErrorCode, limit: u64) -> Refusal {
    Refusal {
        detail: limit.to_string().into(),
        ..Refusal::new(code)
    }
}

#[cfg(test)]
mod tests;
