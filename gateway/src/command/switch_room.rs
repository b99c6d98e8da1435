//! SwitchRoom.

use sluice_protocol::{RoomId, RoomPreset, SwitchRoom};

use crate::command::{enter, room_key};
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::{Create, Request};

/// A room to leave once another has been entered.
#[derive(Debug)]
pub(crate) struct Switch {
    pub leave: RoomKey,
    pub room: RoomKey,
    pub enter: Request,
}

pub(super) fn handle(command: SwitchRoom, app: AppIndex) -> Result<Switch, Refusal> {
    let leave = RoomId::parse(&command.leave_room_id).map_err(|_| Refusal::parameter("leave_room_id"))?;
    let room = room_key(app, &command.room_id)?;
    if room.id == leave {
        return Err(Refusal::parameter("room_id"));
    }
    let create = if command.create {
        Create::IfMissing(enter::new_room(command.room_name, String::new(), RoomPreset::Room)?)
    } else {
        Create::Never
    };
    // Unlike elsewhere, whoever says nothing gets nothing.
    let history = match command.message_count {
        0 => 0,
        count => enter::history(count)?,
    };
    let (room, enter) = enter::enter(room, create, history, command.extra)?;
    let leave = RoomKey { app, id: leave };
    Ok(Switch { leave, room, enter })
}
