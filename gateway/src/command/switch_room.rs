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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Enter;

    fn switch(change: impl FnOnce(&mut SwitchRoom)) -> Result<(String, String, Enter), Refusal> {
        let mut command = SwitchRoom {
            leave_room_id: "old".into(),
            room_id: "new".into(),
            ..SwitchRoom::default()
        };
        change(&mut command);
        let Switch { leave, room, enter } = handle(command, AppIndex(3))?;
        assert_eq!(
            (leave.app, room.app),
            (AppIndex(3), AppIndex(3)),
            "rooms of the user's own app"
        );
        match enter {
            Request::Enter(enter) => Ok((leave.id.as_str().to_owned(), room.id.as_str().to_owned(), enter)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_switch_joins_what_is_there_unless_it_may_create_it() {
        let (leave, room, enter) = switch(|_| ()).expect("a good command");
        assert_eq!((&*leave, &*room, enter.history), ("old", "new", 0));
        assert!(matches!(enter.create, Create::Never));
        let (.., enter) = switch(|command| {
            command.create = true;
            command.room_name = "New".into();
            command.message_count = 7;
        })
        .expect("a good command");
        assert_eq!(enter.history, 7);
        assert!(matches!(enter.create, Create::IfMissing(new) if (&*new.name, &*new.policy) == ("New", "room")));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        type Change = fn(&mut SwitchRoom);
        let changes: [(&str, Change); 6] = [
            ("leave_room_id", |command| command.leave_room_id = String::new()),
            ("room_id", |command| command.room_id = "a b".into()),
            ("room_id", |command| command.room_id = "old".into()),
            ("message_count", |command| command.message_count = 51),
            ("message_count", |command| command.message_count = -2),
            ("room_name", |command| {
                command.create = true;
                command.room_name = "n".repeat(257);
            }),
        ];
        for (field, change) in changes {
            assert_eq!(switch(change).unwrap_err(), Refusal::parameter(field));
        }
    }
}
