//! Commands of a session to rooms: checked for form and turned into what a room is asked.
//!
//! One file for each command, and one for the five ways in, which differ little. A command sees who asks and what, never
//! a session or a socket. What a session answers itself (login, logout, ping, a new token) is with the session.

mod attributes;
pub(crate) mod conversation;
mod enter;
mod leave_room;
mod queries;
mod send_message;
mod switch_room;

use sluice_protocol::{ErrorCode, RoomId, SwitchRoom, frame::Body};

use crate::frames;
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::Request;

pub(crate) use conversation::{About, check as check_conversation, of as about_conversation};
pub(crate) use send_message::may_go_unanswered;
pub(crate) use switch_room::Switch;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub refusal: Refusal,
    /// Unless none is wanted.
    pub answer: Option<Vec<u8>>,
}

/// Turns a command of a user of `app` into a request to a room of that app, whatever the client writes.
///
/// # Errors
/// When a field is wrong, or rooms do not know the command.
pub(crate) fn handle(request_id: u32, command: Body, app: AppIndex) -> Result<(RoomKey, Request), Refused> {
    let asked = match command {
        Body::SendMessage(command) => return send_message::handle(request_id, command, app),
        Body::CreateRoom(command) => enter::create_room(command, app),
        Body::JoinRoom(command) => enter::join_room(command, app),
        Body::EnterRoom(command) => enter::enter_room(command, app),
        Body::JoinChatRoom(command) => enter::join_chat_room(command, app),
        Body::JoinExistChatRoom(command) => enter::join_exist_chat_room(command, app),
        Body::CreateConversation(command) if command.transient => enter::transient(command, app),
        Body::LeaveRoom(command) => leave_room::handle(&command, app),
        Body::QueryRoom(command) => queries::room(&command, app),
        Body::QueryRoomMembers(command) => queries::members(&command, app),
        Body::QueryNamedMembers(command) => queries::named_members(&command, app),
        Body::SetRoomAttributes(command) => attributes::set(command, app),
        Body::DeleteRoomAttributes(command) => attributes::delete(command, app),
        Body::QueryRoomAttributes(command) => attributes::query(command, app),
        // The session's own commands and those that concern more than one room; and replies and events, which the codec does not let through.
        Body::Login(_)
        | Body::Logout(_)
        | Body::Ping(_)
        | Body::RenewToken(_)
        | Body::Reply(_)
        | Body::Close(_)
        | Body::TokenWillExpire(_)
        | Body::RoomMessage(_)
        | Body::RoomMemberJoined(_)
        | Body::RoomMemberLeft(_)
        | Body::RoomMemberDigest(_)
        | Body::RoomMemberCount(_)
        | Body::RoomGap(_)
        | Body::RoomDestroyed(_)
        | Body::RoomResumed(_)
        | Body::RoomKickedOut(_)
        | Body::RoomMuteChanged(_)
        | Body::RoomAttributesChanged(_)
        | Body::RoomMessageRecalled(_)
        | Body::SystemMessage(_)
        | Body::ConversationMessage(_)
        | Body::MembersJoined(_)
        | Body::MembersLeft(_)
        | Body::Invited(_)
        | Body::KickedFromConversation(_)
        | Body::ConversationChanged(_)
        | Body::GroupDismissed(_)
        | Body::MessageRecalled(_)
        | Body::MessageEdited(_)
        | Body::PositionMoved(_)
        | Body::ConversationsLost(_)
        // Those about conversations, which go another way.
        | Body::SyncConversations(_)
        | Body::AckMessages(_)
        | Body::CreateConversation(_)
        | Body::QueryConversation(_)
        | Body::AddMembers(_)
        | Body::RemoveMembers(_)
        | Body::JoinConversation(_)
        | Body::QuitConversation(_)
        | Body::QueryConversationMembers(_)
        | Body::QueryConversations(_)
        | Body::QueryMessages(_)
        | Body::RecallMessage(_)
        | Body::EditMessage(_)
        | Body::UpdateConversation(_)
        | Body::CreateGroup(_)
        | Body::DismissGroup(_)
        | Body::TransferGroup(_)
        | Body::SetGroupManagers(_)
        | Body::MuteGroupMembers(_)
        | Body::PutCombinedPart(_)
        | Body::QueryCombined(_)
        | Body::EditBlacklist(_)
        | Body::QueryBlacklist(_)
        | Body::SwitchRoom(_)
        | Body::LeaveAllRooms(_) => Err(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
    };
    asked.map_err(|refusal| Refused {
        answer: Some(frames::refuse(request_id, &refusal)),
        refusal,
    })
}

/// Checks a command to leave one room for another.
///
/// # Errors
/// When a field is wrong.
pub(crate) fn switch_room(request_id: u32, command: SwitchRoom, app: AppIndex) -> Result<Switch, Refused> {
    switch_room::handle(command, app).map_err(|refusal| Refused {
        answer: Some(frames::refuse(request_id, &refusal)),
        refusal,
    })
}

fn room_key(app: AppIndex, room_id: &str) -> Result<RoomKey, Refusal> {
    let id = RoomId::parse(room_id).map_err(|_| Refusal::parameter("room_id"))?;
    Ok(RoomKey { app, id })
}
