//! QueryRoom, QueryRoomMembers, QueryNamedMembers.

use sluice_protocol::{IdProfile, QueryNamedMembers, QueryRoom, QueryRoomMembers, UserId, limits};

use crate::command::room_key;
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::{Cursor, Query, Request};

pub(super) fn room(command: &QueryRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    Ok((room_key(app, &command.room_id)?, Request::Query(Query::Status)))
}

pub(super) fn members(command: &QueryRoomMembers, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    let limit = match usize::try_from(command.limit) {
        Ok(0) => limits::MEMBERS_PER_PAGE,
        Ok(limit) if limit <= limits::MEMBERS_PER_PAGE => limit,
        _ => return Err(Refusal::parameter("limit")),
    };
    let cursor = match &*command.cursor {
        "" => None,
        text => Some(Cursor::of_text(text).ok_or(Refusal::parameter("cursor"))?),
    };
    Ok((room, Request::Query(Query::Members { limit, cursor })))
}

pub(super) fn named_members(command: &QueryNamedMembers, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    if !(1..=limits::NAMED_MEMBERS).contains(&command.user_ids.len()) {
        return Err(Refusal::parameter("user_ids"));
    }
    // Whoever has an id of this app's profile has one of the wide profile, which takes them all.
    let users = command.user_ids.iter().map(|id| UserId::parse(id, IdProfile::Wide));
    let users: Result<Vec<UserId>, _> = users.collect();
    let mut users = users.map_err(|_| Refusal::parameter("user_ids"))?;
    users.sort_unstable();
    users.dedup();
    Ok((room, Request::Query(Query::Named(users))))
}
