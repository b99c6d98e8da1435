//! Commands about conversations, checked for form.

mod groups;
mod look;
mod members;
mod message;
mod reading;

use std::ops::RangeInclusive;

use sluice_protocol::{ConversationType, ErrorCode, frame::Body, limits};

use crate::conversation::Command;
use crate::refusal::Refusal;

/// What a command is about.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved on at once: an allocation would cost more"
)]
pub(crate) enum About {
    Conversations(Command),
    /// Rooms, or nothing that is served.
    Rooms(Body),
}

/// Says what a command is about.
pub(crate) fn of(command: Body) -> About {
    About::Conversations(match command {
        Body::SendMessage(command) if command.conversation_type != i32::from(ConversationType::Room) => {
            Command::send(command)
        }
        Body::SyncConversations(command) => Command::Sync(command),
        Body::AckMessages(command) => Command::Ack(command),
        Body::CreateConversation(command) if !command.transient => Command::Create(command),
        Body::QueryConversation(command) => Command::Query(command),
        Body::AddMembers(command) => Command::Add(command),
        Body::RemoveMembers(command) => Command::Remove(command),
        Body::JoinConversation(command) => Command::Join(command),
        Body::QuitConversation(command) => Command::Quit(command),
        Body::QueryConversationMembers(command) => Command::QueryMembers(command),
        Body::QueryConversations(command) => Command::List(command),
        Body::QueryMessages(command) => Command::History(command),
        Body::RecallMessage(command) => Command::Recall(command),
        Body::EditMessage(command) => Command::Edit(command),
        Body::UpdateConversation(command) => Command::Update(command),
        Body::CreateGroup(command) => Command::CreateGroup(command),
        Body::DismissGroup(command) => Command::Dismiss(command),
        Body::TransferGroup(command) => Command::Transfer(command),
        Body::SetGroupManagers(command) => Command::SetManagers(command),
        Body::MuteGroupMembers(command) => Command::Mute(command),
        Body::PutCombinedPart(command) => Command::PutPart(command),
        Body::QueryCombined(command) => Command::QueryCombined(command),
        Body::EditBlacklist(command) => Command::EditBlacklist(command),
        Body::QueryBlacklist(command) => Command::QueryBlacklist(command),
        other => return About::Rooms(other),
    })
}

/// Checks what can be known without looking anything up. Users are looked at later, since each app has its own form of their ids.
///
/// # Errors
/// When a field is wrong.
pub(crate) fn check(command: &Command) -> Result<(), Refusal> {
    match command {
        Command::Create(command) => members::create(command),
        Command::CreateGroup(command) => members::create_group(command),
        Command::Add(command) => members::add(command),
        Command::Remove(command) => members::remove(command),
        Command::Join(command) => shared(command.r#type, &command.id),
        Command::Quit(command) => shared(command.r#type, &command.id),
        Command::Update(command) => groups::update(command),
        Command::Dismiss(command) => id(&command.id),
        Command::Transfer(command) => id(&command.id),
        Command::SetManagers(command) => groups::set_managers(command),
        Command::Mute(command) => groups::mute(command),
        Command::Query(command) => any(command.r#type, &command.id),
        Command::QueryMembers(command) => look::members(command),
        Command::List(command) => look::list(command),
        Command::Send(command) => message::send(command),
        Command::Publish(command) => message::publish(command),
        Command::Recall(command) => message::recall(command),
        Command::Edit(command) => message::edit(command),
        Command::PutPart(command) => message::put_part(command),
        Command::QueryCombined(command) => message::query_combined(command),
        Command::EditBlacklist(command) => message::edit_blacklist(command),
        Command::QueryBlacklist(command) => message::query_blacklist(command),
        Command::Sync(command) => reading::sync(command),
        Command::Ack(command) => any(command.r#type, &command.id),
        Command::History(command) => reading::history(command),
        // No client has it, and its fields have types of their own.
        Command::Move(_) | Command::TakeBack(_) | Command::Server(_) => Ok(()),
    }
}

/// A conversation of any type that is none of rooms.
fn any(kind: i32, name: &str) -> Result<(), Refusal> {
    match ConversationType::try_from(kind) {
        Ok(ConversationType::Room) | Err(_) => Err(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        Ok(_) => id(name),
    }
}

/// One that users come into and leave.
fn shared(kind: i32, name: &str) -> Result<(), Refusal> {
    match ConversationType::try_from(kind) {
        Ok(ConversationType::Group | ConversationType::Discussion) => id(name),
        Ok(_) | Err(_) => Err(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
    }
}

fn id(id: &str) -> Result<(), Refusal> {
    if id.is_empty() || id.len() > limits::CONVERSATION_ID_BYTES {
        return Err(Refusal::parameter("id"));
    }
    Ok(())
}

/// How many users a command names.
fn user_count(user_ids: &[String], allowed: RangeInclusive<usize>) -> Result<(), Refusal> {
    if allowed.contains(&user_ids.len()) {
        Ok(())
    } else {
        Err(Refusal::parameter("user_ids"))
    }
}

fn longest(text: &str, bytes_max: usize, field: &'static str) -> Result<(), Refusal> {
    if text.len() > bytes_max {
        return Err(Refusal::parameter(field));
    }
    Ok(())
}
