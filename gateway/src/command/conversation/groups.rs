//! What a conversation says of itself, and the roles and mutes of a group.

use sluice_protocol::{MuteGroupMembers, SetGroupManagers, UpdateConversation, limits};

use super::{id, longest, shared, user_count};
use crate::refusal::Refusal;

pub(super) fn update(command: &UpdateConversation) -> Result<(), Refusal> {
    shared(command.r#type, &command.id)?;
    texts(
        command.name.as_deref(),
        command.attributes.as_deref(),
        command.notice.as_deref(),
    )
}

pub(super) fn set_managers(command: &SetGroupManagers) -> Result<(), Refusal> {
    id(&command.id)?;
    user_count(&command.user_ids, 1..=limits::FEW_USERS_PER_COMMAND)
}

pub(super) fn mute(command: &MuteGroupMembers) -> Result<(), Refusal> {
    id(&command.id)?;
    user_count(&command.user_ids, 0..=limits::FEW_USERS_PER_COMMAND)?;
    // A time is for users, and for a mute.
    let timeless = command.user_ids.is_empty() || !command.muted;
    if command.seconds > limits::GROUP_MUTE_SECONDS || timeless && command.seconds != 0 {
        return Err(Refusal::parameter("seconds"));
    }
    Ok(())
}

/// What a conversation says of itself, as far as it is given.
pub(super) fn texts(name: Option<&str>, attributes: Option<&str>, notice: Option<&str>) -> Result<(), Refusal> {
    longest(name.unwrap_or(""), limits::CONVERSATION_NAME_BYTES, "name")?;
    longest(
        attributes.unwrap_or(""),
        limits::CONVERSATION_ATTRIBUTES_BYTES,
        "attributes",
    )?;
    longest(notice.unwrap_or(""), limits::GROUP_NOTICE_BYTES, "notice")
}

#[cfg(test)]
mod tests {
    use sluice_protocol::ConversationType;

    use super::*;

    fn users(count: usize) -> Vec<String> {
        vec!["user".to_owned(); count]
    }

    fn wrong(field: &'static str) -> Result<(), Refusal> {
        Err(Refusal::parameter(field))
    }

    #[test]
    fn what_a_conversation_says_of_itself_has_a_length() {
        let with = |name: usize, attributes: usize, notice: usize| {
            update(&UpdateConversation {
                r#type: ConversationType::Group.into(),
                id: "g".to_owned(),
                name: Some("a".repeat(name)),
                attributes: Some("a".repeat(attributes)),
                notice: Some("a".repeat(notice)),
            })
        };
        assert_eq!(with(0, 0, 0), Ok(()));
        assert_eq!(with(100, 4096, 300), Ok(()));
        assert_eq!(with(101, 0, 0), wrong("name"));
        assert_eq!(with(0, 4097, 0), wrong("attributes"));
        assert_eq!(with(0, 0, 301), wrong("notice"));
    }

    #[test]
    fn at_most_20_managers_are_named_at_once() {
        let naming = |count| {
            set_managers(&SetGroupManagers {
                id: "g".to_owned(),
                user_ids: users(count),
                manager: true,
            })
        };
        assert_eq!((naming(0), naming(1)), (wrong("user_ids"), Ok(())));
        assert_eq!((naming(20), naming(21)), (Ok(()), wrong("user_ids")));
    }

    #[test]
    fn users_are_muted_for_at_most_30_days_or_without_end_and_a_group_without_end() {
        let muting = |count: usize, muted: bool, seconds: u32| {
            mute(&MuteGroupMembers {
                id: "g".to_owned(),
                user_ids: users(count),
                muted,
                seconds,
            })
        };
        assert_eq!(muting(20, true, 0), Ok(()));
        assert_eq!(muting(21, true, 0), wrong("user_ids"));
        assert_eq!(muting(1, true, 2_592_000), Ok(()));
        assert_eq!(muting(1, true, 2_592_001), wrong("seconds"));
        assert_eq!(muting(1, false, 1), wrong("seconds"));
        assert_eq!(muting(0, true, 0), Ok(()));
        assert_eq!(muting(0, true, 1), wrong("seconds"));
    }
}
