//! Following the conversations of a user: asking what was missed, telling each message once and in order, and saying what has been delivered.
//! Knows no clock and no socket.
//!
//! ```text
//! connected, or too much came ──▶ Wanted ── pages ──▶ Current ── a number is missing ──▶ history until it is there
//! ```
//!
//! What was handed over counts as delivered when the app has taken it from [`Events`](crate::Events): what waits there when a program dies
//! comes again.

mod position;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessages, HistoryDirection, QueryConversations, QueryMessages, SyncConversations, limits, reply,
};
use tokio::time::Instant;

use self::position::{Filled, Position};
use crate::connection::Answer;
use crate::conversation::{Conversation, ConversationId, ConversationMessage, ConversationsSynced, messages_page};
use crate::error::ClientError;
use crate::event::Event;
use crate::sync::{KnownConversation, OwnMessage, SyncOptions, SyncPage};

/// Messages of one page of history: a tenth of what may be asked for, so that the app's calls do not wait long behind it.
const FILL_MESSAGES: u32 = 100;

/// What the messages of all conversations take that wait for one before them.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A conversation is acknowledged at most once in this time.
const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// Between two acknowledgements of whatever conversations: they count among the commands that a session may give.
const ACK_SPACING: Duration = Duration::from_millis(200);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a number may be missing before history is asked: the answer to a message of this client may come behind what others said after it.
const MISSING_GRACE: Duration = Duration::from_millis(250);

/// Messages of this client that are remembered for conversations of which it has heard nothing else. One that is forgotten is told like those of others,
/// if a page has it.
const OWN_MAX: usize = 1024;

/// Conversations on one page of the list.
const LIST_CONVERSATIONS: u32 = 100;

/// The wait after a refusal that names none.
const PAUSE: Duration = Duration::from_secs(1);

/// How far the app has taken each conversation from its queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken(Arc<Mutex<HashMap<ConversationId, (u64, u64)>>>);

impl Taken {
    /// The app takes an event.
    pub(crate) fn on_event(&self, event: &Event) {
        let (conversation, sequence, message_id) = match event {
            Event::ConversationMessage(message) if message.sequence > 0 => {
                (&message.conversation, message.sequence, message.message_id)
            }
            Event::ConversationGap(gap) => (&gap.conversation, gap.last_sequence, 0),
            _ => return,
        };
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (newest, newest_id) = taken.entry(conversation.clone()).or_default();
        *newest = sequence;
        *newest_id = (*newest_id).max(message_id);
    }

    fn sequence(&self, conversation: &ConversationId) -> u64 {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(conversation).map_or(0, |(sequence, _)| *sequence)
    }

    /// How far the app has got.
    pub(crate) fn known(&self) -> Vec<KnownConversation> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = taken
            .iter()
            .map(|(conversation, (sequence, message_id))| KnownConversation {
                conversation: conversation.clone(),
                sequence: *sequence,
                message_id: *message_id,
            });
        known.collect()
    }
}

/// The conversations of a client.
#[derive(Debug)]
pub(crate) struct Following {
    own_user_id: String,
    newest: u32,
    stage: Stage,
    positions: HashMap<ConversationId, Position>,
    /// Conversations in which something is missing, and when history is asked for it.
    lacking: VecDeque<(ConversationId, Instant)>,
    /// Messages of this client in conversations without a position, the newest last. They make none, since what others said before them may still come.
    own: VecDeque<OwnMessage>,
    /// Conversations of which the server has still to say how far they are: those that the first page was not asked for by name, and did not list.
    uncompared: HashSet<ConversationId>,
    /// How many of the list have been looked at for them.
    listed: u32,
    ahead_bytes: usize,
    /// The page that was asked for: one at a time, since the server reads no further before it is told.
    page: Option<Asked>,
    /// No page is asked for before.
    not_before: Option<Instant>,
    acks: Acks,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// What was missed is to be asked for, from this page on.
    Wanted {
        cursor: String,
    },
    Current,
    /// The server has none.
    Off,
}

#[derive(Debug)]
struct Asked {
    request_id: u32,
    page: Page,
    deadline: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    Sync { cursor: String },
    List,
    Fill(ConversationId),
}

#[derive(Debug, Default)]
struct Acks {
    taken: Taken,
    /// Conversations of which something was handed over that the server does not know to be delivered, and when each may be acknowledged.
    due: HashMap<ConversationId, Instant>,
    under_way: HashMap<u32, (ConversationId, u64)>,
    not_before: Option<Instant>,
}

impl Following {
    pub(crate) fn new(options: &SyncOptions, own_user_id: &str, now: Instant) -> Self {
        let known = || options.known.iter();
        let positions = known().map(|known| {
            let position = Position::known(known.sequence, known.message_id);
            (known.conversation.clone(), position)
        });
        let taken = known().map(|known| (known.conversation.clone(), (known.sequence, known.message_id)));
        let acks = Acks {
            taken: Taken(Arc::new(Mutex::new(taken.collect()))),
            ..Acks::default()
        };
        let mut following = Self {
            own_user_id: own_user_id.to_owned(),
            newest: options.newest,
            stage: Stage::Wanted { cursor: String::new() },
            positions: positions.collect(),
            lacking: VecDeque::new(),
            own: VecDeque::new(),
            uncompared: HashSet::new(),
            listed: 0,
            ahead_bytes: 0,
            page: None,
            not_before: None,
            acks,
        };
        let own = options.own.iter().cloned();
        own.for_each(|own| following.take_own(own, now, &mut Vec::new()));
        following
    }

    /// Where the app notes what it has taken.
    pub(crate) fn taken(&self) -> Taken {
        self.acks.taken.clone()
    }

    /// What was handed over.
    pub(crate) fn known(&self) -> Vec<KnownConversation> {
        let known = self.positions.iter().map(|(conversation, position)| KnownConversation {
            conversation: conversation.clone(),
            sequence: position.handed(),
            message_id: position.handed_id(),
        });
        known.collect()
    }

    /// Messages of this client behind what was handed over.
    pub(crate) fn own(&self) -> Vec<OwnMessage> {
        let waiting = self
            .positions
            .iter()
            .flat_map(|(conversation, position)| position.own_ahead(conversation));
        self.own.iter().cloned().chain(waiting).collect()
    }

    /// There is a new connection: of those before no answer comes any more, and its server tells nothing unless asked.
    pub(crate) fn on_connected(&mut self) {
        self.page = None;
        self.not_before = None;
        self.acks.under_way.clear();
        self.acks.not_before = None;
        self.begin();
    }

    fn begin(&mut self) {
        self.stage = Stage::Wanted { cursor: String::new() };
        if matches!(
            &self.page,
            Some(Asked {
                page: Page::Sync { .. },
                ..
            })
        ) {
            self.page = None;
        }
    }

    /// The next command, if it is time for one. `request_id` is what it will have.
    pub(crate) fn next(&mut self, now: Instant, request_id: impl FnOnce() -> u32) -> Option<(u32, Body)> {
        if let Some(page) = self.next_page(now) {
            let (request_id, command) = (request_id(), self.question(&page));
            self.page = Some(Asked {
                request_id,
                page,
                deadline: now + ANSWER_TIMEOUT,
            });
            return Some((request_id, command));
        }
        let (conversation, sequence) = self.next_ack(now)?;
        let request_id = request_id();
        let command = Body::AckMessages(AckMessages {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            delivered_sequence: sequence,
            read_sequence: 0,
        });
        self.acks.not_before = Some(now + ACK_SPACING);
        self.acks.due.insert(conversation.clone(), now + ACK_INTERVAL);
        self.acks.under_way.insert(request_id, (conversation, sequence));
        Some((request_id, command))
    }

    fn next_page(&mut self, now: Instant) -> Option<Page> {
        self.not_before.take_if(|at| *at <= now);
        if self.page.is_some() || self.not_before.is_some() {
            return None;
        }
        match &self.stage {
            Stage::Wanted { cursor } => Some(Page::Sync { cursor: cursor.clone() }),
            Stage::Current if !self.uncompared.is_empty() => Some(Page::List),
            Stage::Current => {
                let mut due = self.lacking.iter().filter(|(_, at)| *at <= now);
                due.next().map(|(conversation, _)| Page::Fill(conversation.clone()))
            }
            Stage::Off => None,
        }
    }

    fn question(&mut self, page: &Page) -> Body {
        match page {
            Page::Sync { cursor } => {
                let mut command = SyncConversations {
                    newest: self.newest,
                    cursor: cursor.clone(),
                    ..SyncConversations::default()
                };
                if cursor.is_empty() {
                    // The newest matter most. The list says of the others how far they are.
                    let mut known: Vec<_> = self.positions.iter().collect();
                    known.sort_unstable_by_key(|(_, position)| std::cmp::Reverse(position.handed_id()));
                    let others = known.split_off(known.len().min(limits::KNOWN_CONVERSATIONS));
                    for (conversation, position) in known {
                        command.known_types.push(conversation.wire_type() as u32);
                        command.known_ids.push(conversation.id.clone());
                        command.known_sequences.push(position.handed());
                    }
                    self.uncompared = others.into_iter().map(|(other, _)| other.clone()).collect();
                    self.listed = 0;
                }
                Body::SyncConversations(command)
            }
            Page::List => Body::QueryConversations(QueryConversations {
                limit: LIST_CONVERSATIONS,
                skip: self.listed,
                ..QueryConversations::default()
            }),
            Page::Fill(conversation) => Body::QueryMessages(QueryMessages {
                r#type: conversation.wire_type().into(),
                id: conversation.id.clone(),
                limit: FILL_MESSAGES,
                direction: HistoryDirection::Newer.into(),
                message_id: self.positions.get(conversation).map_or(0, Position::handed_id),
                ..QueryMessages::default()
            }),
        }
    }

    fn next_ack(&mut self, now: Instant) -> Option<(ConversationId, u64)> {
        if self.stage != Stage::Current || self.acks.not_before.is_some_and(|at| at > now) {
            return None;
        }
        let under_way: HashSet<&ConversationId> = self.acks.under_way.values().map(|(id, _)| id).collect();
        let mut longest_due = None;
        for (conversation, due) in &mut self.acks.due {
            if *due > now || under_way.contains(conversation) {
                continue;
            }
            let Some(position) = self.positions.get(conversation) else {
                continue;
            };
            let taken = self.acks.taken.sequence(conversation).min(position.told());
            if taken <= position.acked {
                // The app has still to take it.
                *due = now + ACK_INTERVAL;
            } else if longest_due.as_ref().is_none_or(|(at, _, _)| *due < *at) {
                longest_due = Some((*due, conversation.clone(), taken));
            }
        }
        longest_due.map(|(_, conversation, taken)| (conversation, taken))
    }

    /// An answer: `None` if it is for somebody else. What the app is to be told.
    pub(crate) fn on_answer(&mut self, request_id: u32, answer: &Answer, now: Instant) -> Option<Vec<Event>> {
        if let Some((conversation, sequence)) = self.acks.under_way.remove(&request_id) {
            self.on_acked(conversation, sequence, answer, now);
            return Some(Vec::new());
        }
        let asked = self.page.take_if(|asked| asked.request_id == request_id)?;
        let mut events = Vec::new();
        match (asked.page, answer) {
            (Page::Sync { cursor }, Ok(Some(reply::Result::SyncPage(page)))) => {
                self.on_sync_page(page.clone(), cursor.is_empty(), now, &mut events);
            }
            (Page::List, Ok(Some(reply::Result::Conversations(page)))) => {
                self.on_listed(page.clone(), now, &mut events);
            }
            (Page::Fill(conversation), Ok(Some(reply::Result::Messages(page)))) => {
                let page = messages_page(page.clone(), &self.own_user_id);
                self.on_filled(&conversation, page.messages, page.more, now, &mut events);
            }
            (page, Ok(_)) => self.on_refused(page, ClientError::unexpected_reply(), now, &mut events),
            (page, Err(error)) => self.on_refused(page, error.clone(), now, &mut events),
        }
        Some(events)
    }

    /// Asks again for what was not answered in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.page.take_if(|asked| asked.deadline <= now).is_some() && matches!(self.stage, Stage::Wanted { .. }) {
            self.begin();
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let page = match &self.page {
            Some(asked) => Some(asked.deadline),
            None => {
                let lacking = self.lacking.iter().map(|(_, at)| *at).min();
                let lacking = lacking.filter(|_| self.stage == Stage::Current);
                lacking.max(self.not_before)
            }
        };
        let under_way = |conversation: &ConversationId| self.acks.under_way.values().any(|(id, _)| id == conversation);
        let due = self
            .acks
            .due
            .iter()
            .filter(|(conversation, _)| !under_way(conversation));
        let ack = due.map(|(_, at)| *at).min().filter(|_| self.stage == Stage::Current);
        let ack = ack.map(|at| self.acks.not_before.map_or(at, |not_before| not_before.max(at)));
        page.into_iter().chain(ack).min()
    }

    fn on_refused(&mut self, page: Page, error: ClientError, now: Instant, events: &mut Vec<Event>) {
        let is_for_a_while = error.is_for_a_while();
        if is_for_a_while {
            self.not_before = Some(now + error.retry_after.unwrap_or(PAUSE));
        }
        match page {
            Page::Sync { .. } if is_for_a_while => {}
            // From the beginning: what a cursor goes on from may be gone.
            Page::Sync { cursor } if !cursor.is_empty() => self.begin(),
            Page::Sync { .. } => {
                self.stage = Stage::Off;
                events.push(Event::ConversationsUnavailable { error });
            }
            Page::List | Page::Fill(_) if is_for_a_while => {}
            // What is missing shows when the next message comes.
            Page::List => self.uncompared.clear(),
            Page::Fill(conversation) => {
                tracing::debug!(%error, "what is missing of a conversation cannot be had");
                self.change(&conversation, now, events, |position, _, events| {
                    position.give_up(&conversation, events);
                });
            }
        }
    }

    fn on_sync_page(&mut self, page: sluice_protocol::SyncPage, is_first: bool, now: Instant, events: &mut Vec<Event>) {
        let page = SyncPage::of_wire(page, &self.own_user_id);
        let mut follows = Vec::new();
        for conversation in &page.conversations {
            self.compare(conversation, now, &mut follows);
        }
        if is_first {
            events.push(Event::ConversationsSynced(ConversationsSynced {
                conversations: page.conversations,
                more_conversations: page.more_conversations,
            }));
        }
        events.append(&mut follows);
        for message in page.messages {
            self.on_message(message, now, events);
        }
        self.stage = match page.next_cursor {
            Some(cursor) => Stage::Wanted { cursor },
            None => Stage::Current,
        };
    }

    fn on_listed(&mut self, page: sluice_protocol::Conversations, now: Instant, events: &mut Vec<Event>) {
        self.listed += u32::try_from(page.conversations.len()).unwrap_or(u32::MAX);
        if !page.more || page.conversations.is_empty() {
            self.uncompared.clear();
        }
        for conversation in page.conversations.into_iter().filter_map(Conversation::of_wire) {
            self.compare(&conversation, now, events);
        }
    }

    /// The server says how far a conversation is, and how far this user has got in it: on whichever device, so what is new there need not be here.
    fn compare(&mut self, conversation: &Conversation, now: Instant, events: &mut Vec<Event>) {
        let info = &conversation.info;
        self.uncompared.remove(&info.conversation);
        self.change(&info.conversation, now, events, |position, _, events| {
            position.acked = conversation.position.delivered_sequence;
            position.begin_at(conversation.first_sequence, events);
            position.look_beyond(info.last_sequence, info.last_message_id);
        });
    }

    /// The server has taken a message of this client, of which no event tells it. What the app is to be told now.
    pub(crate) fn on_sent(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        message_id: u64,
        now: Instant,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        if sequence > 0 {
            let own = OwnMessage {
                conversation,
                sequence,
                message_id,
            };
            self.take_own(own, now, &mut events);
        }
        events
    }

    fn take_own(&mut self, own: OwnMessage, now: Instant, events: &mut Vec<Event>) {
        if self.positions.contains_key(&own.conversation) {
            self.change(&own.conversation, now, events, |position, bytes_left, events| {
                position.take_own(own.sequence, own.message_id, bytes_left, events);
            });
        } else {
            if self.own.len() == OWN_MAX {
                self.own.pop_front();
            }
            self.own.push_back(own);
        }
    }

    fn on_filled(
        &mut self,
        conversation: &ConversationId,
        page: Vec<ConversationMessage>,
        more: bool,
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        self.change(conversation, now, events, |position, _, events| {
            if position.fill(page, more, events) == Filled::Nothing && position.is_lacking() {
                position.give_up(conversation, events);
            }
        });
        // The next one has its turn.
        if let Some(front) = self.lacking.pop_front() {
            self.lacking.push_back(front);
        }
    }

    /// An event came. What the app is to be told.
    pub(crate) fn on_event(&mut self, body: Body, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        match Event::from_body(body, &self.own_user_id) {
            Some(Event::ConversationMessage(message)) => self.on_message(*message, now, &mut events),
            Some(Event::ConversationsLost) => self.begin(),
            Some(event) => {
                match &event {
                    Event::ConversationMessageEdited(edited) => {
                        self.change_ahead(&edited.conversation, edited.sequence, |message| {
                            message.clone_from(edited);
                        });
                    }
                    Event::ConversationMessageRecalled(recalled) => {
                        self.change_ahead(&recalled.conversation, recalled.sequence, |message| {
                            message.take_back(recalled);
                        });
                    }
                    Event::PositionMoved(moved) if moved.user_id == self.own_user_id => {
                        self.on_delivered(&moved.conversation, moved.delivered_sequence);
                    }
                    // Whoever comes in again begins with the messages from then on.
                    Event::ConversationKickedOut(out) => self.forget(&out.conversation),
                    Event::GroupDismissed(group) => self.forget(&group.conversation),
                    Event::ConversationMembersLeft(left) if left.user_ids.contains(&self.own_user_id) => {
                        self.forget(&left.conversation);
                    }
                    _ => {}
                }
                events.push(event);
            }
            None => {}
        }
        events
    }

    fn on_message(&mut self, message: ConversationMessage, now: Instant, events: &mut Vec<Event>) {
        if message.sequence == 0 {
            events.push(Event::ConversationMessage(Box::new(message)));
            return;
        }
        let conversation = message.conversation.clone();
        let own = self.begin_position(&conversation, message.sequence - 1);
        self.change(&conversation, now, events, |position, bytes_left, events| {
            for own in own {
                position.take_own(own.sequence, own.message_id, bytes_left, events);
            }
            position.take(message, bytes_left, events);
        });
    }

    /// Makes the position of a conversation that has none: what is older is for the app to ask for. Answers this client's own messages behind it.
    fn begin_position(&mut self, conversation: &ConversationId, before: u64) -> VecDeque<OwnMessage> {
        if self.positions.contains_key(conversation) {
            return VecDeque::new();
        }
        self.positions.insert(conversation.clone(), Position::at(before, 0));
        let own = std::mem::take(&mut self.own).into_iter();
        let (mut own, others): (VecDeque<_>, _) = own.partition(|own| own.conversation == *conversation);
        self.own = others;
        own.retain(|own| own.sequence > before);
        own
    }

    /// Changes a position, and looks what has become of it.
    fn change(
        &mut self,
        conversation: &ConversationId,
        now: Instant,
        events: &mut Vec<Event>,
        change: impl FnOnce(&mut Position, usize, &mut Vec<Event>),
    ) {
        let Some(position) = self.positions.get_mut(conversation) else {
            self.lacking.retain(|(other, _)| other != conversation);
            return;
        };
        let bytes = position.ahead_bytes();
        change(position, AHEAD_BYTES_MAX.saturating_sub(self.ahead_bytes), events);
        self.ahead_bytes = self.ahead_bytes - bytes + position.ahead_bytes();
        let was_lacking = self.lacking.iter().any(|(other, _)| other == conversation);
        match (position.is_lacking(), was_lacking) {
            (true, false) => self.lacking.push_back((conversation.clone(), now + MISSING_GRACE)),
            (false, true) => self.lacking.retain(|(other, _)| other != conversation),
            _ => {}
        }
        if position.told() > position.acked {
            self.acks.due.entry(conversation.clone()).or_insert(now);
        } else {
            self.acks.due.remove(conversation);
        }
    }

    /// A message was changed that may be waiting here.
    fn change_ahead(
        &mut self,
        conversation: &ConversationId,
        sequence: u64,
        change: impl FnOnce(&mut ConversationMessage),
    ) {
        if let Some(position) = self.positions.get_mut(conversation) {
            self.ahead_bytes -= position.ahead_bytes();
            position.change_ahead(sequence, change);
            self.ahead_bytes += position.ahead_bytes();
        }
    }

    fn forget(&mut self, conversation: &ConversationId) {
        if let Some(position) = self.positions.remove(conversation) {
            self.ahead_bytes -= position.ahead_bytes();
        }
        self.own.retain(|own| own.conversation != *conversation);
        self.uncompared.remove(conversation);
        self.lacking.retain(|(other, _)| other != conversation);
        self.acks.due.remove(conversation);
    }

    fn on_acked(&mut self, conversation: ConversationId, sequence: u64, answer: &Answer, now: Instant) {
        match answer {
            Ok(Some(reply::Result::AckMessages(position))) => {
                self.on_delivered(&conversation, sequence.max(position.delivered_sequence));
            }
            Err(error) if error.is_for_a_while() => {
                self.acks.not_before = Some(now + error.retry_after.unwrap_or(PAUSE));
            }
            // Of a conversation that this user is not in, nothing is to be acknowledged.
            Ok(_) | Err(_) => {
                self.acks.due.remove(&conversation);
            }
        }
    }

    fn on_delivered(&mut self, conversation: &ConversationId, sequence: u64) {
        let Some(position) = self.positions.get_mut(conversation) else {
            return;
        };
        position.acked = position.acked.max(sequence);
        if position.acked >= position.told() {
            self.acks.due.remove(conversation);
        }
    }
}

/// Whether an event is for who follows conversations.
pub(crate) fn is_of_conversations(body: &Body) -> bool {
    matches!(
        body,
        Body::ConversationMessage(_)
            | Body::MembersJoined(_)
            | Body::MembersLeft(_)
            | Body::Invited(_)
            | Body::KickedFromConversation(_)
            | Body::ConversationChanged(_)
            | Body::GroupDismissed(_)
            | Body::MessageRecalled(_)
            | Body::MessageEdited(_)
            | Body::PositionMoved(_)
            | Body::ConversationsLost(_)
    )
}
