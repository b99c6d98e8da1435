//! What is asked of messages: what was missed, and history.

use sluice_protocol::{ConversationType, MessageType, QueryMessages, SyncConversations, limits};

use super::any;
use crate::refusal::Refusal;

/// Longest cursor: four numbers for each conversation of a first page, and a seal.
const CURSOR_BYTES_MAX: usize = (limits::SYNCED_CONVERSATIONS + 1) * 80;

pub(super) fn sync(command: &SyncConversations) -> Result<(), Refusal> {
    if command.newest > limits::SYNC_NEWEST_MAX {
        return Err(Refusal::parameter("newest"));
    }
    if command.cursor.len() > CURSOR_BYTES_MAX {
        return Err(Refusal::parameter("cursor"));
    }
    let known = command.known_types.len();
    if known > limits::KNOWN_CONVERSATIONS || known != command.known_ids.len() || known != command.known_sequences.len()
    {
        return Err(Refusal::parameter("known_ids"));
    }
    let wrong = |id: &String| id.is_empty() || id.len() > limits::CONVERSATION_ID_BYTES;
    if command.known_ids.iter().any(wrong) {
        return Err(Refusal::parameter("known_ids"));
    }
    let is_known = |kind: &u32| {
        let kind = i32::try_from(*kind).ok().map(ConversationType::try_from);
        !matches!(kind, None | Some(Ok(ConversationType::Room) | Err(_)))
    };
    if !command.known_types.iter().all(is_known) {
        return Err(Refusal::parameter("known_types"));
    }
    Ok(())
}

pub(super) fn history(command: &QueryMessages) -> Result<(), Refusal> {
    any(command.r#type, &command.id)?;
    if command.limit > limits::HISTORY_PAGE_MAX {
        return Err(Refusal::parameter("limit"));
    }
    if sluice_protocol::HistoryDirection::try_from(command.direction).is_err() {
        return Err(Refusal::parameter("direction"));
    }
    if command.time_ms < 0 {
        return Err(Refusal::parameter("time_ms"));
    }
    let is_known = |kind: &u32| {
        let kind = i32::try_from(*kind).ok().map(MessageType::try_from);
        !matches!(kind, None | Some(Ok(MessageType::Unspecified) | Err(_)))
    };
    if command.message_types.len() > limits::HISTORY_TYPES || !command.message_types.iter().all(is_known) {
        return Err(Refusal::parameter("message_types"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{ErrorCode, HistoryDirection};

    use super::*;

    #[test]
    fn a_question_for_what_was_missed_has_its_limits() {
        let known = |count: usize, kind: u32, id: &str| SyncConversations {
            known_types: vec![kind; count],
            known_ids: vec![id.to_owned(); count],
            known_sequences: vec![1; count],
            ..SyncConversations::default()
        };
        let most = SyncConversations {
            newest: limits::SYNC_NEWEST_MAX,
            cursor: "c".repeat(CURSOR_BYTES_MAX),
            ..known(
                limits::KNOWN_CONVERSATIONS,
                3,
                &"x".repeat(limits::CONVERSATION_ID_BYTES),
            )
        };
        assert_eq!(sync(&most), Ok(()));
        assert_eq!(sync(&SyncConversations::default()), Ok(()));
        let good = || known(1, 0, "bob");
        let wrong = [
            (
                SyncConversations {
                    newest: limits::SYNC_NEWEST_MAX + 1,
                    ..good()
                },
                "newest",
            ),
            (
                SyncConversations {
                    cursor: "c".repeat(CURSOR_BYTES_MAX + 1),
                    ..good()
                },
                "cursor",
            ),
            (
                SyncConversations {
                    known_sequences: Vec::new(),
                    ..good()
                },
                "known_ids",
            ),
            (
                SyncConversations {
                    known_types: vec![0; 2],
                    ..good()
                },
                "known_ids",
            ),
            (known(limits::KNOWN_CONVERSATIONS + 1, 0, "bob"), "known_ids"),
            (known(1, 0, ""), "known_ids"),
            (known(1, 0, &"x".repeat(limits::CONVERSATION_ID_BYTES + 1)), "known_ids"),
            (known(1, 1, "room"), "known_types"),
            (known(1, 5, "x"), "known_types"),
            (known(1, u32::MAX, "x"), "known_types"),
        ];
        for (command, field) in wrong {
            assert_eq!(sync(&command), Err(Refusal::parameter(field)), "{command:?}");
        }
    }

    #[test]
    fn a_question_for_history_has_its_limits() {
        let good = || QueryMessages {
            r#type: ConversationType::Group.into(),
            id: "g1".into(),
            limit: limits::HISTORY_PAGE_MAX,
            direction: HistoryDirection::Newer.into(),
            message_types: vec![1; limits::HISTORY_TYPES],
            ..QueryMessages::default()
        };
        assert_eq!(history(&good()), Ok(()));
        let room = QueryMessages {
            r#type: ConversationType::Room.into(),
            ..good()
        };
        assert_eq!(history(&room), Err(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)));
        let wrong = [
            (
                QueryMessages {
                    id: String::new(),
                    ..good()
                },
                "id",
            ),
            (
                QueryMessages {
                    limit: limits::HISTORY_PAGE_MAX + 1,
                    ..good()
                },
                "limit",
            ),
            (QueryMessages { direction: 2, ..good() }, "direction"),
            (QueryMessages { time_ms: -1, ..good() }, "time_ms"),
            (
                QueryMessages {
                    message_types: vec![1; limits::HISTORY_TYPES + 1],
                    ..good()
                },
                "message_types",
            ),
            (
                QueryMessages {
                    message_types: vec![0],
                    ..good()
                },
                "message_types",
            ),
            (
                QueryMessages {
                    message_types: vec![99],
                    ..good()
                },
                "message_types",
            ),
        ];
        for (command, field) in wrong {
            assert_eq!(history(&command), Err(Refusal::parameter(field)), "{command:?}");
        }
    }
}
