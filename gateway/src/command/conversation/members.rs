//! Who is inside: made, added, removed.

use sluice_protocol::{AddMembers, CreateConversation, CreateGroup, RemoveMembers, limits};

use super::{groups, longest, shared, user_count};
use crate::refusal::Refusal;

pub(super) fn create(command: &CreateConversation) -> Result<(), Refusal> {
    groups::texts(Some(&command.name), Some(&command.attributes), None)?;
    user_count(&command.user_ids, 0..=limits::CONVERSATION_USERS_PER_COMMAND)?;
    let seconds = command.temporary_seconds;
    // What ends by itself is no conversation to come back to.
    if seconds != 0 && (command.unique || !limits::TEMPORARY_SECONDS.contains(&seconds)) {
        return Err(Refusal::parameter("temporary_seconds"));
    }
    Ok(())
}

pub(super) fn create_group(command: &CreateGroup) -> Result<(), Refusal> {
    longest(&command.id, limits::GROUP_ID_BYTES, "id")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !command.id.bytes().all(allowed) {
        return Err(Refusal::parameter("id"));
    }
    groups::texts(Some(&command.name), Some(&command.attributes), Some(&command.notice))?;
    user_count(&command.user_ids, 0..=limits::CONVERSATION_USERS_PER_COMMAND)
}

pub(super) fn add(command: &AddMembers) -> Result<(), Refusal> {
    shared(command.r#type, &command.id)?;
    user_count(&command.user_ids, 1..=limits::CONVERSATION_USERS_PER_COMMAND)
}

pub(super) fn remove(command: &RemoveMembers) -> Result<(), Refusal> {
    shared(command.r#type, &command.id)?;
    user_count(&command.user_ids, 1..=limits::CONVERSATION_USERS_PER_COMMAND)
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{ConversationType, ErrorCode};

    use super::*;

    fn users(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("user{number}")).collect()
    }

    fn wrong(field: &'static str) -> Result<(), Refusal> {
        Err(Refusal::parameter(field))
    }

    #[test]
    fn a_new_discussion_names_at_most_a_hundred_users_and_lasts_or_ends_within_a_week() {
        let new = |change: fn(&mut CreateConversation)| {
            let mut command = CreateConversation::default();
            change(&mut command);
            create(&command)
        };
        assert_eq!(new(|_| ()), Ok(()));
        assert_eq!(new(|it| it.user_ids = users(100)), Ok(()));
        assert_eq!(new(|it| it.user_ids = users(101)), wrong("user_ids"));
        assert_eq!(new(|it| it.name = "é".repeat(50)), Ok(()), "bytes are counted");
        assert_eq!(new(|it| it.name = "é".repeat(51)), wrong("name"));
        assert_eq!(new(|it| it.attributes = "a".repeat(4096)), Ok(()));
        assert_eq!(new(|it| it.attributes = "a".repeat(4097)), wrong("attributes"));
        for seconds in [60, 604_800] {
            let command = CreateConversation {
                temporary_seconds: seconds,
                ..CreateConversation::default()
            };
            assert_eq!(create(&command), Ok(()), "{seconds}");
            let unique = CreateConversation {
                unique: true,
                ..command
            };
            assert_eq!(
                create(&unique),
                wrong("temporary_seconds"),
                "what ends is not found again"
            );
        }
        assert_eq!(new(|it| it.temporary_seconds = 59), wrong("temporary_seconds"));
        assert_eq!(new(|it| it.temporary_seconds = 604_801), wrong("temporary_seconds"));
    }

    #[test]
    fn the_id_of_a_group_is_64_letters_digits_hyphens_and_underlines_at_most_or_left_to_the_server() {
        let with_id = |id: &str| {
            create_group(&CreateGroup {
                id: id.to_owned(),
                ..CreateGroup::default()
            })
        };
        for id in ["", "a", "Team_7-b", &"x".repeat(64)] {
            assert_eq!(with_id(id), Ok(()), "{id}");
        }
        for id in [&*"x".repeat(65), "a b", "a:b", "é", "a\n", "_tmp:0"] {
            assert_eq!(with_id(id), wrong("id"), "{id}");
        }
        let notice = |bytes| {
            create_group(&CreateGroup {
                notice: "n".repeat(bytes),
                ..CreateGroup::default()
            })
        };
        assert_eq!((notice(300), notice(301)), (Ok(()), wrong("notice")));
    }

    #[test]
    fn one_to_a_hundred_users_are_added_or_removed_at_once_where_users_come_and_go() {
        for (count, expected) in [
            (0, wrong("user_ids")),
            (1, Ok(())),
            (100, Ok(())),
            (101, wrong("user_ids")),
        ] {
            let (kind, id, user_ids) = (ConversationType::Group.into(), "g".to_owned(), users(count));
            let adding = AddMembers {
                r#type: kind,
                id: id.clone(),
                user_ids: user_ids.clone(),
            };
            assert_eq!(add(&adding), expected, "{count}");
            assert_eq!(
                remove(&RemoveMembers {
                    r#type: kind,
                    id,
                    user_ids
                }),
                expected,
                "{count}"
            );
        }
        let in_type = |kind: i32, id: &str| {
            add(&AddMembers {
                r#type: kind,
                id: id.to_owned(),
                user_ids: users(1),
            })
        };
        let never = Err(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED));
        for kind in [ConversationType::Peer, ConversationType::Room, ConversationType::System] {
            assert_eq!(in_type(kind.into(), "a"), never, "{kind:?}");
        }
        assert_eq!(in_type(99, "a"), never);
        let discussion = ConversationType::Discussion.into();
        assert_eq!(in_type(discussion, ""), wrong("id"));
        assert_eq!(in_type(discussion, &"a".repeat(256)), Ok(()));
        assert_eq!(in_type(discussion, &"a".repeat(257)), wrong("id"));
    }
}
