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

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppIndex = AppIndex(3);

    fn members_of(limit: u32, cursor: &str) -> Result<(usize, bool), Refusal> {
        let command = QueryRoomMembers {
            room_id: "lobby".into(),
            limit,
            cursor: cursor.into(),
        };
        match members(&command, APP)? {
            (key, Request::Query(Query::Members { limit, cursor })) => {
                assert_eq!(
                    (key.app, key.id.as_str()),
                    (APP, "lobby"),
                    "a room of the user's own app"
                );
                Ok((limit, cursor.is_some()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_page_has_at_most_a_hundred_members_and_that_many_unless_fewer_are_asked_for() {
        assert_eq!(members_of(0, ""), Ok((100, false)));
        assert_eq!(members_of(1, "00000000x"), Ok((1, true)));
        assert_eq!(members_of(100, ""), Ok((100, false)));
        for limit in [101, u32::MAX] {
            assert_eq!(members_of(limit, ""), Err(Refusal::parameter("limit")));
        }
        assert_eq!(members_of(0, "00000000"), Err(Refusal::parameter("cursor")));
    }

    #[test]
    fn one_to_ten_users_can_be_named_each_of_whom_is_looked_for_once() {
        let named = |users: &[&str]| {
            let command = QueryNamedMembers {
                room_id: "lobby".into(),
                user_ids: users.iter().map(|user| (*user).to_owned()).collect(),
            };
            named_members(&command, APP)
        };
        match named(&["bob", "alice", "bob"]) {
            Ok((_, Request::Query(Query::Named(users)))) => {
                let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
                assert_eq!(users, ["alice", "bob"]);
            }
            other => panic!("{other:?}"),
        }
        let too_many = ["x"; 11];
        let too_long = "x".repeat(65);
        for users in [&[][..], &too_many, &[""], &["a\nb"], &[&*too_long]] {
            assert_eq!(named(users).unwrap_err(), Refusal::parameter("user_ids"), "{users:?}");
        }
    }
}
