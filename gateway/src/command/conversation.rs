//! Commands about conversations, checked for form.

use sluice_protocol::{ConversationType, frame::Body};

use crate::conversation::Command;
use crate::refusal::Refusal;

/// What is not about conversations.
#[derive(Debug)]
pub(crate) struct NotAboutConversations(pub Body);

/// Takes a command that is about conversations.
///
/// # Errors
/// When it is not: the command.
pub(crate) fn of(command: Body) -> Result<Command, NotAboutConversations> {
    match command {
        Body::SendMessage(command) if command.conversation_type != i32::from(ConversationType::Room) => {
            Ok(Command::Send(Box::new(command)))
        }
        Body::SyncConversations(command) => Ok(Command::Sync(command)),
        Body::AckMessages(command) => Ok(Command::Ack(command)),
        Body::CreateConversation(command) => Ok(Command::Create(command)),
        Body::QueryConversation(command) => Ok(Command::Query(command)),
        Body::AddMembers(command) => Ok(Command::Add(command)),
        Body::RemoveMembers(command) => Ok(Command::Remove(command)),
        Body::JoinConversation(command) => Ok(Command::Join(command)),
        Body::QuitConversation(command) => Ok(Command::Quit(command)),
        Body::QueryConversationMembers(command) => Ok(Command::QueryMembers(command)),
        Body::QueryConversations(command) => Ok(Command::List(command)),
        Body::QueryMessages(command) => Ok(Command::History(command)),
        Body::RecallMessage(command) => Ok(Command::Recall(command)),
        Body::EditMessage(command) => Ok(Command::Edit(command)),
        Body::UpdateConversation(command) => Ok(Command::Update(command)),
        Body::CreateGroup(command) => Ok(Command::CreateGroup(command)),
        Body::DismissGroup(command) => Ok(Command::Dismiss(command)),
        Body::TransferGroup(command) => Ok(Command::Transfer(command)),
        Body::SetGroupManagers(command) => Ok(Command::SetManagers(command)),
        Body::MuteGroupMembers(command) => Ok(Command::Mute(command)),
        Body::PutCombinedPart(command) => Ok(Command::PutPart(command)),
        Body::QueryCombined(command) => Ok(Command::QueryCombined(command)),
        Body::EditBlacklist(command) => Ok(Command::EditBlacklist(command)),
        Body::QueryBlacklist(command) => Ok(Command::QueryBlacklist(command)),
        other => Err(NotAboutConversations(other)),
    }
}

/// Checks what can be known without looking anything up.
///
/// # Errors
/// When a field is wrong.
pub(crate) fn check(_command: &Command) -> Result<(), Refusal> {
    Ok(())
}
