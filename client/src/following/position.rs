//! The messages of one conversation, each once and in order.
//!
//! ```text
//!   1 … handed │ missing │ ahead: came, but what is before it has not │ beyond
//! ```

use std::collections::BTreeMap;

use crate::conversation::{ConversationGap, ConversationId, ConversationMessage};
use crate::event::Event;

/// Messages kept of one conversation while one before them is missing. Others are forgotten: history has them.
const AHEAD_MAX: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Position {
    /// All up to here have been handed over, or told to be missing.
    handed: u64,
    /// The message id of the newest that was handed over; 0: none was.
    handed_id: u64,
    /// The greatest message id that came.
    newest_id: u64,
    ahead: BTreeMap<u64, ConversationMessage>,
    ahead_bytes: usize,
    /// The highest number that is known of.
    beyond: u64,
    /// What the server knows to be delivered.
    pub(super) acked: u64,
}

/// What history says behind what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// Something new, or there is more to ask for.
    Further,
    /// There is nothing more.
    Nothing,
}

impl Position {
    /// Of a conversation of which this client has all up to this message.
    pub(super) fn at(sequence: u64, message_id: u64) -> Self {
        Self {
            handed: sequence,
            handed_id: message_id,
            newest_id: message_id,
            beyond: sequence,
            // If it is not, the next acknowledgement says so too.
            acked: sequence,
            ..Self::default()
        }
    }

    /// Whether a message is known to exist and missing.
    pub(super) fn is_lacking(&self) -> bool {
        self.beyond > self.handed
    }

    pub(super) fn handed(&self) -> u64 {
        self.handed
    }

    pub(super) fn handed_id(&self) -> u64 {
        self.handed_id
    }

    /// What the messages that wait here take.
    pub(super) fn ahead_bytes(&self) -> usize {
        self.ahead_bytes
    }

    /// A message came. What can be handed over now goes to `events`; with `bytes_left` for those that must wait.
    pub(super) fn take(&mut self, message: ConversationMessage, bytes_left: usize, events: &mut Vec<Event>) {
        self.look_at(&message);
        let sequence = message.sequence;
        if sequence <= self.handed || self.ahead.contains_key(&sequence) {
            return;
        }
        if sequence == self.handed + 1 {
            self.hand_over(message, events);
            self.drain(events);
        } else if self.ahead.len() < AHEAD_MAX && message.weight() <= bytes_left {
            self.ahead_bytes += message.weight();
            self.ahead.insert(sequence, message);
        }
    }

    /// A page of history of what comes after the newest message that was handed over. Of what is not in it there is none.
    pub(super) fn fill(&mut self, page: Vec<ConversationMessage>, more: bool, events: &mut Vec<Event>) -> Filled {
        let mut filled = if more { Filled::Further } else { Filled::Nothing };
        for message in page {
            self.look_at(&message);
            if message.sequence <= self.handed {
                continue;
            }
            filled = Filled::Further;
            self.skip_to(message.sequence, &message.conversation, events);
            self.forget_ahead(message.sequence);
            self.hand_over(message, events);
        }
        self.drain(events);
        filled
    }

    /// What is missing will not come. Hands over the others.
    pub(super) fn give_up(&mut self, conversation: &ConversationId, events: &mut Vec<Event>) {
        while let Some((sequence, message)) = self.ahead.pop_first() {
            self.ahead_bytes -= message.weight();
            self.skip_to(sequence, conversation, events);
            self.hand_over(message, events);
        }
        self.skip_to(self.beyond + 1, conversation, events);
    }

    /// Notes that a message exists. A number that was handed over with an id that is newer than all is of another conversation with the same
    /// name: a group that was made again, say.
    fn look_at(&mut self, message: &ConversationMessage) {
        if message.sequence <= self.handed && message.message_id > self.newest_id && self.newest_id > 0 {
            *self = Self {
                handed_id: self.handed_id,
                ..Self::default()
            };
        }
        self.newest_id = self.newest_id.max(message.message_id);
        self.beyond = self.beyond.max(message.sequence);
    }

    /// Tells that all before `sequence` that has not been handed over is missing.
    fn skip_to(&mut self, sequence: u64, conversation: &ConversationId, events: &mut Vec<Event>) {
        if sequence > self.handed + 1 {
            events.push(Event::ConversationGap(ConversationGap {
                conversation: conversation.clone(),
                first_sequence: self.handed + 1,
                last_sequence: sequence - 1,
            }));
            self.handed = sequence - 1;
        }
    }

    fn hand_over(&mut self, message: ConversationMessage, events: &mut Vec<Event>) {
        self.handed = message.sequence;
        self.handed_id = message.message_id;
        events.push(Event::ConversationMessage(Box::new(message)));
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        while let Some(next) = self.ahead.first_entry() {
            if *next.key() > self.handed + 1 {
                break;
            }
            let message = next.remove();
            self.ahead_bytes -= message.weight();
            if message.sequence > self.handed {
                self.hand_over(message, events);
            }
        }
    }

    fn forget_ahead(&mut self, sequence: u64) {
        if let Some(message) = self.ahead.remove(&sequence) {
            self.ahead_bytes -= message.weight();
        }
    }
}
