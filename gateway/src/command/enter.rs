//! The ways into a room: CreateRoom, JoinRoom, EnterRoom, JoinChatRoom, JoinExistChatRoom, and CreateConversation of one that is transient.
//!
//! They differ in what they do about a room that exists or does not, the preset of one they make, and the history they want.

use std::time::Duration;

use sluice_protocol::{
    CreateConversation, CreateRoom, EnterRoom, ErrorCode, JoinChatRoom, JoinExistChatRoom, JoinRoom, RoomPreset, limits,
};

use crate::command::{attributes, room_key};
use crate::conversation;
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::{Create, Ends, Enter, NewRoom, Request};

pub(super) fn create_room(command: CreateRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    let new = NewRoom {
        ends: delay(command.destroy_delay_seconds)?,
        attributes: attributes::first(command.attribute_keys, command.attribute_values)?,
        ..new_room(command.room_name, command.policy, RoomPreset::Room)?
    };
    enter(room, Create::Always(new), 0, command.extra)
}

pub(super) fn join_room(command: JoinRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    enter(room_key(app, &command.room_id)?, Create::Never, 0, command.extra)
}

pub(super) fn enter_room(command: EnterRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    let new = NewRoom {
        ends: delay(command.destroy_delay_seconds)?,
        attributes: attributes::first(command.attribute_keys, command.attribute_values)?,
        ..new_room(command.room_name, command.policy, RoomPreset::Room)?
    };
    enter(room, Create::IfMissing(new), 0, command.extra)
}

pub(super) fn join_chat_room(command: JoinChatRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    let new = new_room(String::new(), command.policy, RoomPreset::Live)?;
    let history = history(command.message_count)?;
    enter(room, Create::IfMissing(new), history, command.extra)
}

pub(super) fn join_exist_chat_room(command: JoinExistChatRoom, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    enter(room, Create::Never, history(command.message_count)?, command.extra)
}

/// A conversation without members is a room.
pub(super) fn transient(command: CreateConversation, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let expected = CreateConversation {
        name: command.name.clone(),
        transient: true,
        ..CreateConversation::default()
    };
    if command != expected {
        return Err(Refusal::parameter("transient"));
    }
    if command.name.len() > limits::CONVERSATION_NAME_BYTES {
        return Err(Refusal::parameter("name"));
    }
    let room = room_key(app, &conversation::new_id()?)?;
    let new = new_room(command.name, String::new(), RoomPreset::Live)?;
    enter(room, Create::Always(new), 0, String::new())
}

pub(super) fn enter(
    room: RoomKey,
    create: Create,
    history: usize,
    extra: String,
) -> Result<(RoomKey, Request), Refusal> {
    if extra.len() > limits::JOIN_EXTRA_BYTES {
        return Err(Refusal::new(ErrorCode::JOIN_EXTRA_TOO_LONG));
    }
    let enter = Enter { create, history, extra };
    Ok((room, Request::Enter(enter)))
}

/// How a room is made whose policy is the preset unless another is named.
pub(super) fn new_room(name: String, policy: String, preset: RoomPreset) -> Result<NewRoom, Refusal> {
    if name.len() > limits::ROOM_NAME_BYTES {
        return Err(Refusal::parameter("room_name"));
    }
    if policy.len() > limits::POLICY_NAME_BYTES {
        return Err(Refusal::parameter("policy"));
    }
    let by_default = NewRoom::of_preset(preset, name);
    if policy.is_empty() {
        Ok(by_default)
    } else {
        Ok(NewRoom { policy, ..by_default })
    }
}

/// How a room ends that outlives its last member. Without a delay it is as the policy says.
fn delay(seconds: u32) -> Result<Option<Ends>, Refusal> {
    match seconds {
        0 => Ok(None),
        1..=limits::DESTROY_DELAY_SECONDS => Ok(Some(Ends::WhenEmpty {
            delay: Duration::from_secs(seconds.into()),
        })),
        _ => Err(Refusal::parameter("destroy_delay_seconds")),
    }
}

/// How many messages a way into a chat room asks for.
pub(super) fn history(message_count: i32) -> Result<usize, Refusal> {
    match message_count {
        -1 => Ok(0),
        0 => Ok(limits::ROOM_HISTORY_MESSAGES_DEFAULT),
        count => usize::try_from(count)
            .ok()
            .filter(|count| *count <= limits::ROOM_HISTORY_MESSAGES)
            .ok_or(Refusal::parameter("message_count")),
    }
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{ErrorCode, LeaveRoom, frame::Body};

    use super::*;
    use crate::command::{self, Refused};

    fn ask(command: Body) -> Result<(RoomKey, Request), Refused> {
        command::handle(7, command, AppIndex(3))
    }

    fn asked(command: Body) -> Enter {
        match ask(command) {
            Ok((key, Request::Enter(enter))) => {
                assert_eq!(
                    (key.app, key.id.as_str()),
                    (AppIndex(3), "lobby"),
                    "a room of the user's own app"
                );
                enter
            }
            other => panic!("{other:?}"),
        }
    }

    fn refused(command: Body) -> String {
        match ask(command) {
            Err(Refused {
                refusal,
                answer: Some(_),
            }) => {
                assert_eq!(refusal.code, ErrorCode::INVALID_PARAMETER);
                refusal.detail.into_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    fn create_room(room_id: &str, room_name: &str) -> Body {
        Body::CreateRoom(CreateRoom {
            room_id: room_id.into(),
            room_name: room_name.into(),
            ..CreateRoom::default()
        })
    }

    fn enter_room(room_id: &str, room_name: &str) -> Body {
        Body::EnterRoom(EnterRoom {
            room_id: room_id.into(),
            room_name: room_name.into(),
            ..EnterRoom::default()
        })
    }

    fn join_room(room_id: &str) -> Body {
        Body::JoinRoom(JoinRoom {
            room_id: room_id.into(),
            ..JoinRoom::default()
        })
    }

    fn join_chat_room(room_id: &str, message_count: i32) -> Body {
        Body::JoinChatRoom(JoinChatRoom {
            room_id: room_id.into(),
            message_count,
            ..JoinChatRoom::default()
        })
    }

    fn join_exist_chat_room(room_id: &str, message_count: i32) -> Body {
        Body::JoinExistChatRoom(JoinExistChatRoom {
            room_id: room_id.into(),
            message_count,
            ..JoinExistChatRoom::default()
        })
    }

    #[test]
    fn the_five_ways_in_differ_in_what_they_create() {
        let created = asked(create_room("lobby", "Lobby"));
        assert!(matches!(created.create, Create::Always(new) if new.name == "Lobby" && new.policy == "room"));
        assert!(matches!(asked(join_room("lobby")).create, Create::Never));
        let entered = asked(enter_room("lobby", "Lobby"));
        assert!(matches!(entered.create, Create::IfMissing(new) if new.name == "Lobby" && new.policy == "room"));
        let joined = asked(join_chat_room("lobby", 0));
        assert!(matches!(joined.create, Create::IfMissing(new) if new.name.is_empty() && new.policy == "live"));
        assert!(matches!(asked(join_exist_chat_room("lobby", 0)).create, Create::Never));
    }

    #[test]
    fn history_comes_as_asked_for_and_only_with_the_ways_that_can_ask() {
        for (count, wanted) in [(-1, 0), (0, 10), (1, 1), (10, 10), (49, 49), (50, 50)] {
            assert_eq!(asked(join_chat_room("lobby", count)).history, wanted, "{count}");
            assert_eq!(asked(join_exist_chat_room("lobby", count)).history, wanted, "{count}");
        }
        for command in [create_room("lobby", ""), join_room("lobby"), enter_room("lobby", "")] {
            assert_eq!(asked(command).history, 0);
        }
    }

    #[test]
    fn other_numbers_of_messages_are_refused() {
        for count in [-2, 51, i32::MIN, i32::MAX] {
            assert_eq!(refused(join_chat_room("lobby", count)), "message_count", "{count}");
            assert_eq!(
                refused(join_exist_chat_room("lobby", count)),
                "message_count",
                "{count}"
            );
        }
    }

    #[test]
    fn names_of_rooms_have_a_limit_that_is_counted_in_bytes() {
        asked(create_room("lobby", &"ж".repeat(128)));
        for name in ["n".repeat(257), "ж".repeat(129)] {
            assert_eq!(refused(create_room("lobby", &name)), "room_name");
            assert_eq!(refused(enter_room("lobby", &name)), "room_name");
        }
    }

    #[test]
    fn ids_of_rooms_that_cannot_be_are_refused_by_every_command() {
        for id in ["", "a b", "a/b", "комната", "a\0", "\u{202e}", &"r".repeat(129)] {
            for command in [
                create_room(id, ""),
                join_room(id),
                enter_room(id, ""),
                join_chat_room(id, 0),
                join_exist_chat_room(id, 0),
                Body::LeaveRoom(LeaveRoom { room_id: id.into() }),
            ] {
                assert_eq!(refused(command), "room_id", "{id:?}");
            }
        }
    }

    #[test]
    fn a_policy_is_named_or_left_to_the_command() {
        let with = |policy: &str| {
            Body::EnterRoom(EnterRoom {
                room_id: "lobby".into(),
                policy: policy.into(),
                ..EnterRoom::default()
            })
        };
        let entered = asked(with("class"));
        assert!(
            matches!(&entered.create, Create::IfMissing(new) if new.policy == "class" && new.family == Some(RoomPreset::Room)),
            "{entered:?}"
        );
        assert_eq!(refused(with(&"p".repeat(65))), "policy");
    }

    #[test]
    fn a_room_may_outlive_its_last_member_by_three_hours_and_no_more() {
        let with = |destroy_delay_seconds| {
            Body::CreateRoom(CreateRoom {
                room_id: "lobby".into(),
                destroy_delay_seconds,
                ..CreateRoom::default()
            })
        };
        for (seconds, expected) in [(0, None), (1, Some(1)), (10_800, Some(10_800))] {
            let ends = expected.map(|seconds| Ends::WhenEmpty {
                delay: Duration::from_secs(seconds),
            });
            let created = asked(with(seconds));
            assert!(
                matches!(&created.create, Create::Always(new) if new.ends == ends),
                "{created:?}"
            );
        }
        for seconds in [10_801, u32::MAX] {
            assert_eq!(refused(with(seconds)), "destroy_delay_seconds");
        }
    }

    #[test]
    fn a_transient_conversation_is_a_live_room_with_an_id_of_its_own() {
        let with = |change: fn(&mut CreateConversation)| {
            let mut command = CreateConversation {
                name: "Launch".into(),
                transient: true,
                ..CreateConversation::default()
            };
            change(&mut command);
            Body::CreateConversation(command)
        };
        let made = |command: Body| match ask(command) {
            Ok((key, Request::Enter(Enter { create, .. }))) => (key, create),
            other => panic!("{other:?}"),
        };
        let (one, Create::Always(new)) = made(with(|_| ())) else {
            panic!("it is made")
        };
        assert_eq!((new.family, &*new.name), (Some(RoomPreset::Live), "Launch"));
        assert_ne!(one, made(with(|_| ())).0);
        for change in [
            (|command| command.unique = true) as fn(&mut CreateConversation),
            |command| command.temporary_seconds = 60,
            |command| command.user_ids = vec!["bob".into()],
            |command| command.attributes = "{}".into(),
        ] {
            assert_eq!(refused(with(change)), "transient");
        }
        assert_eq!(refused(with(|command| command.name = "n".repeat(101))), "name");
    }

    #[test]
    fn first_attributes_come_in_pairs() {
        let with = |keys: &[&str], values: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            Body::CreateRoom(CreateRoom {
                room_id: "lobby".into(),
                attribute_keys: owned(keys),
                attribute_values: owned(values),
                ..CreateRoom::default()
            })
        };
        let created = asked(with(&["a", "b"], &["1", "2"]));
        let expected = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
        assert!(
            matches!(&created.create, Create::Always(new) if new.attributes == expected),
            "{created:?}"
        );
        assert_eq!(refused(with(&["a"], &[])), "attribute_values");
        assert_eq!(refused(with(&["a", "a"], &["1", "2"])), "attribute_keys");
    }

    #[test]
    fn what_a_newcomer_brings_has_a_limit_that_is_counted_in_bytes() {
        let with = |extra: &str| {
            Body::JoinRoom(JoinRoom {
                room_id: "lobby".into(),
                extra: extra.into(),
            })
        };
        let longest = "\u{436}".repeat(128);
        assert_eq!(asked(with(&longest)).extra, longest);
        for extra in ["x".repeat(257), "\u{436}".repeat(129)] {
            match ask(with(&extra)) {
                Err(Refused { refusal, .. }) => assert_eq!(refusal, Refusal::new(ErrorCode::JOIN_EXTRA_TOO_LONG)),
                other => panic!("{other:?}"),
            }
        }
    }
}
