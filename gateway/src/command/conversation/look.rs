//! Questions about conversations, their members and the list.

use sluice_protocol::{ConversationType, QueryConversationMembers, QueryConversations, limits};

use super::{any, longest};
use crate::refusal::Refusal;

pub(super) fn members(command: &QueryConversationMembers) -> Result<(), Refusal> {
    any(command.r#type, &command.id)?;
    if command.limit > limits::CONVERSATION_MEMBERS_PAGE {
        return Err(Refusal::parameter("limit"));
    }
    Ok(())
}

pub(super) fn list(command: &QueryConversations) -> Result<(), Refusal> {
    if command.limit > limits::CONVERSATIONS_PAGE_MAX {
        return Err(Refusal::parameter("limit"));
    }
    let kind = command.type_plus_one.checked_sub(1).map(i32::try_from);
    let of_none = |kind| matches!(ConversationType::try_from(kind), Ok(ConversationType::Room) | Err(_));
    if kind.is_some_and(|kind| kind.is_err() || kind.is_ok_and(of_none)) {
        return Err(Refusal::parameter("type_plus_one"));
    }
    if command.containing_user_ids.len() > limits::CONTAINING_USERS {
        return Err(Refusal::parameter("containing_user_ids"));
    }
    longest(&command.name_contains, limits::CONVERSATION_NAME_BYTES, "name_contains")?;
    if command.updated_after_ms < 0 {
        return Err(Refusal::parameter("updated_after_ms"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(change: impl FnOnce(&mut QueryConversations)) -> Result<(), Refusal> {
        let mut command = QueryConversations::default();
        change(&mut command);
        list(&command)
    }

    fn wrong(field: &'static str) -> Result<(), Refusal> {
        Err(Refusal::parameter(field))
    }

    #[test]
    fn a_page_of_the_list_has_at_most_a_thousand_conversations_of_a_type_that_is_no_room() {
        assert_eq!(listing(|_| ()), Ok(()));
        assert_eq!(listing(|it| it.limit = 1000), Ok(()));
        assert_eq!(listing(|it| it.limit = 1001), wrong("limit"));
        for kind in [1, 3, 4, 5] {
            assert_eq!(listing(|it| it.type_plus_one = kind), Ok(()), "{kind}");
        }
        for kind in [2, 6, u32::MAX] {
            assert_eq!(listing(|it| it.type_plus_one = kind), wrong("type_plus_one"), "{kind}");
        }
    }

    #[test]
    fn a_question_for_the_list_names_at_most_20_users_and_100_bytes() {
        let users = |count| vec!["a".to_owned(); count];
        assert_eq!(listing(|it| it.containing_user_ids = users(20)), Ok(()));
        assert_eq!(
            listing(|it| it.containing_user_ids = users(21)),
            wrong("containing_user_ids")
        );
        assert_eq!(listing(|it| it.name_contains = "a".repeat(100)), Ok(()));
        assert_eq!(listing(|it| it.name_contains = "a".repeat(101)), wrong("name_contains"));
        assert_eq!(listing(|it| it.updated_after_ms = -1), wrong("updated_after_ms"));
    }

    #[test]
    fn a_page_of_members_has_at_most_a_hundred() {
        let asking = |limit| {
            members(&QueryConversationMembers {
                r#type: ConversationType::Peer.into(),
                id: "bob".to_owned(),
                limit,
                cursor: String::new(),
            })
        };
        assert_eq!((asking(0), asking(100), asking(101)), (Ok(()), Ok(()), wrong("limit")));
    }
}
