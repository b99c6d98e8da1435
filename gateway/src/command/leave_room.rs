//! LeaveRoom.

use sluice_protocol::{LeaveReason, LeaveRoom};

use crate::command::room_key;
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::Request;

pub(super) fn handle(command: &LeaveRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    Ok((room_key(app, &command.room_id)?, Request::Leave(LeaveReason::Left)))
}
