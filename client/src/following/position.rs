//! The messages of one conversation, each once and in order.
//!
//! ```text
//!   1 … handed │ missing │ ahead: came, but what is before it has not │ beyond
//! ```

use std::collections::BTreeMap;

use crate::conversation::{ConversationGap, ConversationId, ConversationMessage};
use crate::event::Event;
use crate::sync::OwnMessage;

/// Messages kept of one conversation while one before them is missing. Others are forgotten: history has them.
const AHEAD_MAX: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Position {
    /// All up to here have been handed over, or told to be missing.
    handed: u64,
    /// The message id of the newest that was handed over; 0: none was.
    handed_id: u64,
    /// The newest of those that the app hears of: its own messages have an answer instead.
    told: u64,
    /// The greatest message id that came.
    newest_id: u64,
    ahead: BTreeMap<u64, Ahead>,
    ahead_bytes: usize,
    /// The highest number that is known of.
    beyond: u64,
    /// What the server knows to be delivered.
    pub(super) acked: u64,
}

/// What came before its turn.
#[derive(Debug)]
enum Ahead {
    Message(Box<ConversationMessage>),
    /// A message of this client, of which the answer came: its message id.
    Own(u64),
}

impl Ahead {
    fn weight(&self) -> usize {
        match self {
            Self::Message(message) => message.weight(),
            Self::Own(_) => size_of::<Self>(),
        }
    }
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
    /// Of a conversation of which the app has all up to this message from before. Whether the server knows so, a page says.
    pub(super) fn known(sequence: u64, message_id: u64) -> Self {
        Self {
            told: sequence,
            ..Self::at(sequence, message_id)
        }
    }

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

    /// The newest message that the app takes from its queue.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    pub(super) fn handed_id(&self) -> u64 {
        self.handed_id
    }

    /// Messages of this client that wait for others before them.
    pub(super) fn own_ahead(&self, conversation: &ConversationId) -> impl Iterator<Item = OwnMessage> {
        self.ahead.iter().filter_map(move |(sequence, came)| match came {
            Ahead::Own(message_id) => Some(OwnMessage {
                conversation: conversation.clone(),
                sequence: *sequence,
                message_id: *message_id,
            }),
            Ahead::Message(_) => None,
        })
    }

    /// What the messages that wait here take.
    pub(super) fn ahead_bytes(&self) -> usize {
        self.ahead_bytes
    }

    /// A message came. What can be handed over now goes to `events`; with `bytes_left` for those that must wait.
    pub(super) fn take(&mut self, message: ConversationMessage, bytes_left: usize, events: &mut Vec<Event>) {
        self.look_at(message.sequence, message.message_id);
        self.put(message.sequence, Ahead::Message(Box::new(message)), bytes_left, events);
    }

    /// A message of this client was taken by the server. No event says so.
    pub(super) fn take_own(&mut self, sequence: u64, message_id: u64, bytes_left: usize, events: &mut Vec<Event>) {
        self.look_beyond(sequence, message_id);
        // A page may have had it before.
        drop(self.take_ahead(sequence));
        self.put(sequence, Ahead::Own(message_id), bytes_left, events);
    }

    fn put(&mut self, sequence: u64, came: Ahead, bytes_left: usize, events: &mut Vec<Event>) {
        if sequence <= self.handed || self.ahead.contains_key(&sequence) {
            return;
        }
        if sequence == self.handed + 1 {
            self.hand_over(sequence, came, events);
            self.drain(events);
        } else if self.ahead.len() < AHEAD_MAX && came.weight() <= bytes_left {
            self.ahead_bytes += came.weight();
            self.ahead.insert(sequence, came);
        }
    }

    /// What is before this message is not for this user, who left meanwhile and came back, say: it is not missing.
    pub(super) fn begin_at(&mut self, first: u64, events: &mut Vec<Event>) {
        if first > self.handed + 1 {
            self.handed = first - 1;
            let from_first = self.ahead.split_off(&first);
            let before = std::mem::replace(&mut self.ahead, from_first);
            self.ahead_bytes -= before.values().map(Ahead::weight).sum::<usize>();
            self.drain(events);
        }
    }

    /// A message is another now. One that still waits has its turn as it is now.
    pub(super) fn change_ahead(&mut self, sequence: u64, change: impl FnOnce(&mut ConversationMessage)) {
        if let Some(Ahead::Message(message)) = self.ahead.get_mut(&sequence) {
            self.ahead_bytes -= message.weight();
            change(message);
            self.ahead_bytes += message.weight();
        }
    }

    /// A page of history of what comes after the newest message that was handed over. Of what is not in it there is none.
    pub(super) fn fill(&mut self, page: Vec<ConversationMessage>, more: bool, events: &mut Vec<Event>) -> Filled {
        let mut filled = if more { Filled::Further } else { Filled::Nothing };
        for message in page {
            let sequence = message.sequence;
            self.look_beyond(sequence, message.message_id);
            if sequence <= self.handed {
                continue;
            }
            filled = Filled::Further;
            self.skip_to(sequence, &message.conversation, events);
            let came = match self.take_ahead(sequence) {
                Some(own @ Ahead::Own(_)) => own,
                _ => Ahead::Message(Box::new(message)),
            };
            self.hand_over(sequence, came, events);
        }
        self.drain(events);
        filled
    }

    /// What is missing will not come. Hands over the others.
    pub(super) fn give_up(&mut self, conversation: &ConversationId, events: &mut Vec<Event>) {
        while let Some((sequence, came)) = self.ahead.pop_first() {
            self.ahead_bytes -= came.weight();
            self.skip_to(sequence, conversation, events);
            self.hand_over(sequence, came, events);
        }
        self.skip_to(self.beyond + 1, conversation, events);
    }

    /// Notes that a message exists. A number that was handed over with an id that is newer than all is of another conversation with the same
    /// name: a group that was made again, say.
    fn look_at(&mut self, sequence: u64, message_id: u64) {
        if sequence <= self.handed && message_id > self.newest_id && self.newest_id > 0 {
            *self = Self {
                handed_id: self.handed_id,
                ..Self::default()
            };
        }
        self.newest_id = self.newest_id.max(message_id);
        self.beyond = self.beyond.max(sequence);
    }

    /// Notes that a message exists, where that says something new: an answer or a page may be of something old.
    pub(super) fn look_beyond(&mut self, sequence: u64, message_id: u64) {
        if sequence > self.handed {
            self.look_at(sequence, message_id);
        }
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
            self.told = sequence - 1;
        }
    }

    fn hand_over(&mut self, sequence: u64, came: Ahead, events: &mut Vec<Event>) {
        self.handed = sequence;
        match came {
            Ahead::Message(message) => {
                self.handed_id = message.message_id;
                self.told = sequence;
                events.push(Event::ConversationMessage(message));
            }
            Ahead::Own(message_id) => self.handed_id = message_id,
        }
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        while let Some(next) = self.ahead.first_entry() {
            if *next.key() > self.handed + 1 {
                break;
            }
            let (sequence, came) = next.remove_entry();
            self.ahead_bytes -= came.weight();
            if sequence > self.handed {
                self.hand_over(sequence, came, events);
            }
        }
    }

    fn take_ahead(&mut self, sequence: u64) -> Option<Ahead> {
        let came = self.ahead.remove(&sequence)?;
        self.ahead_bytes -= came.weight();
        Some(came)
    }
}
