//! The five ways into a room: CreateRoom, JoinRoom, EnterRoom, JoinChatRoom, JoinExistChatRoom.
//!
//! They differ in what they do about a room that exists or does not, the preset of one they make, and the history they want.

use sluice_protocol::{CreateRoom, EnterRoom, JoinChatRoom, JoinExistChatRoom, JoinRoom, RoomPreset, limits};

use crate::command::{Action, refuse, room_key};
use crate::refusal::Refusal;
use crate::room::{Create, Enter, NewRoom, Request};
use crate::session::Online;

pub(super) fn create_room(request_id: u32, command: CreateRoom, online: &Online) -> Action {
    let new = new_room(command.room_name, RoomPreset::Room);
    enter(request_id, &command.room_id, online, new.map(Create::Always), Ok(0))
}

pub(super) fn join_room(request_id: u32, command: &JoinRoom, online: &Online) -> Action {
    enter(request_id, &command.room_id, online, Ok(Create::Never), Ok(0))
}

pub(super) fn enter_room(request_id: u32, command: EnterRoom, online: &Online) -> Action {
    let new = new_room(command.room_name, RoomPreset::Room);
    enter(request_id, &command.room_id, online, new.map(Create::IfMissing), Ok(0))
}

pub(super) fn join_chat_room(request_id: u32, command: &JoinChatRoom, online: &Online) -> Action {
    let new = new_room(String::new(), RoomPreset::Live);
    enter(
        request_id,
        &command.room_id,
        online,
        new.map(Create::IfMissing),
        history(command.message_count),
    )
}

pub(super) fn join_exist_chat_room(request_id: u32, command: &JoinExistChatRoom, online: &Online) -> Action {
    enter(
        request_id,
        &command.room_id,
        online,
        Ok(Create::Never),
        history(command.message_count),
    )
}

fn enter(
    request_id: u32,
    room_id: &str,
    online: &Online,
    create: Result<Create, Refusal>,
    history: Result<usize, Refusal>,
) -> Action {
    let checked = room_key(online, room_id).and_then(|key| Ok((key, create?, history?)));
    match checked {
        Ok((key, create, history)) => Action::Room {
            key,
            request_id,
            request: Request::Enter(Enter { create, history }),
        },
        Err(refusal) => refuse(request_id, refusal),
    }
}

fn new_room(name: String, preset: RoomPreset) -> Result<NewRoom, Refusal> {
    if name.len() > limits::ROOM_NAME_BYTES {
        return Err(Refusal::parameter("room_name"));
    }
    Ok(NewRoom { name, preset })
}

fn history(message_count: i32) -> Result<usize, Refusal> {
    match message_count {
        -1 => Ok(0),
        0 => Ok(limits::ROOM_HISTORY_MESSAGES_DEFAULT),
        count => usize::try_from(count)
            .ok()
            .filter(|count| *count <= limits::ROOM_HISTORY_MESSAGES)
            .ok_or(Refusal::parameter("message_count")),
    }
}
