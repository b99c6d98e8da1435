//! What a hook is told, as JSON.

use bytes::Bytes;
use serde::Serialize;

use crate::identity::WorkerIndex;

/// Users named in one event. A message to a large group for more of them is several events.
const USERS_PER_EVENT: usize = 500;

/// A message that is to be pushed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Message<'a> {
    pub conversation_type: &'static str,
    pub target_id: &'a str,
    pub sender_id: &'a str,
    /// As text: it has more digits than a number of JSON is sure to keep.
    #[serde(serialize_with = "as_text")]
    pub message_id: i64,
    pub sequence: i64,
    pub sent_at_ms: i64,
    pub message_type: i32,
    pub object_name: &'a str,
    pub push_content: &'a str,
    pub push_data: &'a str,
    pub mentioned_user_ids: &'a [String],
    pub mention_all: bool,
}

#[derive(Serialize)]
struct Event<'a> {
    event: &'static str,
    /// The same however often it is told.
    id: &'a str,
    app: &'a str,
    user_ids: &'a [&'a str],
    #[serde(flatten)]
    message: &'a Message<'a>,
}

/// Events with their ids.
pub(super) fn encode<'a>(
    app: &str,
    home: WorkerIndex,
    message: &Message<'_>,
    users: impl Iterator<Item = &'a str>,
) -> Vec<(String, Bytes)> {
    let users: Vec<&str> = users.collect();
    let parts = users.chunks(USERS_PER_EVENT).enumerate();
    parts
        .map(|(part, user_ids)| {
            let id = format!("{}-{}-{part}", message.message_id, home.0);
            let event = Event {
                event: "push",
                id: &id,
                app,
                user_ids,
                message,
            };
            let body = serde_json::to_vec(&event).expect("text and numbers can be written down");
            (id, body.into())
        })
        .collect()
}

fn as_text<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_large_group_are_told_of_in_parts() {
        let message = Message {
            conversation_type: "group",
            target_id: "g1",
            sender_id: "alice",
            message_id: i64::MAX,
            sequence: 7,
            sent_at_ms: 1_800_000_000_000,
            message_type: 1,
            object_name: "",
            push_content: "Hello",
            push_data: "",
            mentioned_user_ids: &[],
            mention_all: true,
        };
        let users: Vec<String> = (0..=USERS_PER_EVENT).map(|number| format!("user{number}")).collect();
        let events = encode("shop", WorkerIndex(3), &message, users.iter().map(String::as_str));
        let ids: Vec<_> = events.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["9223372036854775807-3-0", "9223372036854775807-3-1"]);
        let last: serde_json::Value = serde_json::from_slice(&events[1].1).unwrap();
        assert_eq!(
            last,
            serde_json::json!({
                "event": "push", "id": "9223372036854775807-3-1", "app": "shop", "user_ids": ["user500"],
                "conversation_type": "group", "target_id": "g1", "sender_id": "alice", "message_id": "9223372036854775807",
                "sequence": 7, "sent_at_ms": 1_800_000_000_000_i64, "message_type": 1, "object_name": "",
                "push_content": "Hello", "push_data": "", "mentioned_user_ids": [], "mention_all": true,
            })
        );
        assert!(encode("shop", WorkerIndex(3), &message, std::iter::empty()).is_empty());
    }
}
