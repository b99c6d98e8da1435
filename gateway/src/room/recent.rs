//! Client message ids of the newest messages of a room, so that a repeat gets the first answer.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;
use sluice_protocol::{MessageType, SendMessageResult, UserId};

use crate::room::Outgoing;

/// How many are remembered for each room. At 200 messages a second that is 80 seconds, longer than a client waits for an
/// answer (20 s) and then takes to connect anew; 2 MiB at the most.
const REMEMBERED_MAX: usize = 16_384;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    answers: HashMap<Name, Answer>,
    /// The names, oldest first.
    order: VecDeque<Name>,
    /// Two secret keys, of 64 bits of a name each.
    hashers: [RandomState; 2],
}

/// Who sent and what the message is called, hashed: small, and nobody can make two that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name(u64, u64);

#[derive(Debug, Clone, Copy)]
struct Answer {
    fingerprint: u64,
    message_id: u64,
    sequence: u64,
    server_time_ms: i64,
    distributed: bool,
    notice: i32,
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
        let Some(name) = self.name(sender, message) else {
            return Seen::Never;
        };
        match self.answers.get(&name) {
            None => Seen::Never,
            Some(answer) if answer.fingerprint != self.fingerprint(message) => Seen::ForOtherContent,
            Some(answer) => Seen::Before(SendMessageResult {
                client_message_id: message.client_message_id.clone(),
                message_id: answer.message_id,
                sequence: answer.sequence,
                server_time_ms: answer.server_time_ms,
                duplicate: true,
                distributed: answer.distributed,
                notice: answer.notice,
            }),
        }
    }

    pub(super) fn remember(&mut self, sender: &UserId, message: &Outgoing, result: &SendMessageResult) {
        let Some(name) = self.name(sender, message) else { return };
        if self.order.len() == REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        let answer = Answer {
            fingerprint: self.fingerprint(message),
            message_id: result.message_id,
            sequence: result.sequence,
            server_time_ms: result.server_time_ms,
            distributed: result.distributed,
            notice: result.notice,
        };
        self.order.push_back(name);
        self.answers.insert(name, answer);
    }

    /// Barrage has no name: it is promised to nobody, and without a rate limit would push out everybody else's.
    fn name(&self, sender: &UserId, message: &Outgoing) -> Option<Name> {
        if message.client_message_id.is_empty() || message.kind == MessageType::Barrage {
            return None;
        }
        let [first, second] = &self.hashers;
        let name = (sender, &message.client_message_id);
        Some(Name(first.hash_one(name), second.hash_one(name)))
    }

    fn fingerprint(&self, message: &Outgoing) -> u64 {
        let kind: i32 = message.kind.into();
        self.hashers[0].hash_one((kind, &message.content, &message.object_name, &message.extended_data))
    }
}

#[cfg(test)]
mod tests;
