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
