//! LeaveRoom.

use sluice_protocol::{LeaveReason, LeaveRoom};

use crate::command::{Action, refuse, room_key};
use crate::room::Request;
use crate::session::Online;

pub(super) fn handle(request_id: u32, command: &LeaveRoom, online: &Online) -> Action {
    match room_key(online, &command.room_id) {
        Ok(key) => Action::Room {
            key,
            request_id,
            request: Request::Leave(LeaveReason::Left),
        },
        Err(refusal) => refuse(request_id, refusal),
    }
}
