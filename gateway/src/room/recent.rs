//! Client message ids of the newest messages of a room, so that a repeat gets the first answer.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::HashMap;
use sluice_protocol::{SendMessageResult, UserId};

use crate::room::Outgoing;

/// How many are remembered for each room. At 200 messages a second that is 80 seconds, longer than a client waits for an
/// answer (20 s) and then takes to connect anew; 1 MiB at the most.
const REMEMBERED_MAX: usize = 16_384;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    answers: HashMap<(UserId, String), Answer>,
    /// The keys, oldest first.
    order: VecDeque<(UserId, String)>,
    fingerprints: hashbrown::DefaultHashBuilder,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    fingerprint: u64,
    message_id: u64,
    sequence: u64,
    server_time_ms: i64,
}

/// What is known of a message that comes in.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Never,
    /// Answered before, with this.
    Before(SendMessageResult),
    /// The id was used for something else.
    ForOtherContent,
}

impl Recent {
    pub(super) fn look_up(&self, sender: &UserId, message: &Outgoing) -> Seen {
        if message.client_message_id.is_empty() {
            return Seen::Never;
        }
        match self.answers.get(&(sender.clone(), message.client_message_id.clone())) {
            None => Seen::Never,
            Some(answer) if answer.fingerprint != self.fingerprint(message) => Seen::ForOtherContent,
            Some(answer) => Seen::Before(SendMessageResult {
                client_message_id: message.client_message_id.clone(),
                message_id: answer.message_id,
                sequence: answer.sequence,
                server_time_ms: answer.server_time_ms,
                duplicate: true,
            }),
        }
    }

    pub(super) fn remember(&mut self, sender: &UserId, message: &Outgoing, result: &SendMessageResult) {
        if message.client_message_id.is_empty() {
            return;
        }
        if self.order.len() == REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        let key = (sender.clone(), message.client_message_id.clone());
        let answer = Answer {
            fingerprint: self.fingerprint(message),
            message_id: result.message_id,
            sequence: result.sequence,
            server_time_ms: result.server_time_ms,
        };
        self.order.push_back(key.clone());
        self.answers.insert(key, answer);
    }

    fn fingerprint(&self, message: &Outgoing) -> u64 {
        let kind: i32 = message.kind.into();
        self.fingerprints
            .hash_one((kind, &message.content, &message.object_name, &message.extended_data))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluice_protocol::{IdProfile, MessageType, Priority};

    use super::*;

    fn message(id: u64) -> Outgoing {
        Outgoing {
            kind: MessageType::Text,
            content: Bytes::from_static(b"hello"),
            object_name: String::new(),
            priority: Priority::Default,
            extended_data: String::new(),
            client_message_id: format!("m{id}"),
        }
    }

    fn answer(sequence: u64) -> SendMessageResult {
        SendMessageResult {
            client_message_id: format!("m{sequence}"),
            message_id: sequence + 1000,
            sequence,
            server_time_ms: 5,
            duplicate: false,
        }
    }

    #[test]
    fn the_newest_are_remembered_and_the_oldest_is_forgotten_first() {
        let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
        let mut recent = Recent::default();
        let all = REMEMBERED_MAX as u64 + 1;
        for id in 0..all {
            assert_eq!(recent.look_up(&alice, &message(id)), Seen::Never);
            recent.remember(&alice, &message(id), &answer(id));
        }
        assert_eq!(recent.look_up(&alice, &message(0)), Seen::Never);
        for id in [1, all - 1] {
            let expected = SendMessageResult {
                duplicate: true,
                ..answer(id)
            };
            assert_eq!(recent.look_up(&alice, &message(id)), Seen::Before(expected));
        }
        assert_eq!(
            (recent.answers.len(), recent.order.len()),
            (REMEMBERED_MAX, REMEMBERED_MAX)
        );
    }

    #[test]
    fn messages_without_an_id_are_not_remembered() {
        let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
        let mut recent = Recent::default();
        let nameless = Outgoing {
            client_message_id: String::new(),
            ..message(0)
        };
        recent.remember(&alice, &nameless, &answer(1));
        assert_eq!(recent.look_up(&alice, &nameless), Seen::Never);
        assert!(recent.answers.is_empty() && recent.order.is_empty());
    }

    /// Fields next to each other must not make the same fingerprint by moving a byte across.
    #[test]
    fn what_stands_in_one_field_is_not_taken_for_the_other() {
        let alice = UserId::parse("alice", IdProfile::Zim).unwrap();
        let mut recent = Recent::default();
        let custom = |object_name: &str, extended_data: &str| Outgoing {
            kind: MessageType::Custom,
            object_name: object_name.into(),
            extended_data: extended_data.into(),
            ..message(0)
        };
        recent.remember(&alice, &custom("ab", "c"), &answer(0));
        assert_eq!(recent.look_up(&alice, &custom("a", "bc")), Seen::ForOtherContent);
    }
}
