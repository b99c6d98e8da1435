//! A user with one device.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessages, ConversationMessage, ConversationType, ErrorCode, HistoryDirection, Login, MessageType, Ping,
    QueryMessages, Reply, SendMessage, SyncConversations, SyncPage, reply,
};
use sluice_tests::{Target, Transport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::book::{Book, Place, Said};
use super::line::Line;

/// Messages without an answer, beyond which nothing more is sent. With the pace, less than the rate of a session.
const PENDING_MAX: usize = 4;

/// Messages that a sync gives of each conversation, at most.
const NEWEST: usize = 100;

/// How long to wait before the next try to connect.
const RECONNECT_DELAY: Duration = Duration::from_millis(20);

/// How long a connection that says nothing is waited for while it must answer: then it is closed, as a client does.
const PATIENCE: Duration = Duration::from_secs(15);

/// The server hangs up on who is silent for longer than its heartbeat.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How often positions are told, and how many at once: together less than a session may.
const ACK_INTERVAL: Duration = Duration::from_millis(250);
const ACKS_AT_ONCE: usize = 4;

const LOGIN: u32 = 1;
const PING: u32 = 2;
/// Of syncs and of questions for history one is under way at a time.
const SYNC: u32 = 3;
const HISTORY: u32 = 4;
/// Positions count from here.
const FIRST_ACK: u32 = 1_000_000;
/// And messages from here.
const FIRST_MESSAGE: u32 = 2_000_000;

/// See the module.
pub(crate) struct Talker {
    user: String,
    target: Target,
    /// Where it connects, one after the other; the last stays.
    ways: VecDeque<SocketAddr>,
    book: Book,
    /// Which conversations it sends to, and how often it may.
    places: Vec<Place>,
    pace: Duration,
    /// Its messages without an answer, in order.
    pending: VecDeque<(u32, Place)>,
    sent: u32,
    progress: HashMap<Place, Progress>,
}

/// A talker at work. Dropped, it stops where it is.
#[derive(Debug)]
pub(crate) struct Talking {
    quiet: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// How far it has got in a conversation.
#[derive(Debug, Default)]
struct Progress {
    /// All up to here was given to the application.
    known: u64,
    known_id: u64,
    /// What came before its turn.
    ahead: BTreeMap<u64, Said>,
    /// Up to here the gateway was told on this connection, and up to here it has answered.
    telling: u64,
    told: u64,
}

/// What holds for one connection alone.
#[derive(Debug, Default)]
struct Connected {
    /// All that was missed is there, so that messages can be sent.
    synced: bool,
    /// Which of the messages without an answer were sent on it.
    sent: BTreeSet<u32>,
    /// What it said it knew when it asked what it had missed.
    known: HashMap<Place, u64>,
    /// What came as an event or in a page of a sync: each message once.
    seen: BTreeSet<(Place, u64)>,
    /// How many messages of a conversation the pages of the sync had.
    in_pages: HashMap<Place, usize>,
    /// Of which conversations positions were told, in order.
    acks: Vec<Place>,
    /// Conversations with more than a sync gives: the rest is history.
    left_out: Vec<Place>,
}

impl Talker {
    /// Who sends to all of these conversations in turn, a message each `pace`.
    pub(crate) fn new(target: &Target, user: &str, book: &Book, places: Vec<Place>, pace: Duration) -> Self {
        Self {
            user: user.to_owned(),
            target: target.clone(),
            ways: [target.address(Transport::Tcp)].into(),
            book: book.clone(),
            places,
            pace,
            pending: VecDeque::new(),
            sent: 0,
            progress: HashMap::new(),
        }
    }

    /// Has it connect there the first time.
    pub(crate) fn first_by(mut self, way: SocketAddr) -> Self {
        self.ways.push_front(way);
        self
    }

    /// Writes messages that will be sent.
    pub(crate) fn with_messages(mut self, count: usize) -> Self {
        for _ in 0..count {
            self.write_message();
        }
        self
    }

    /// Begins.
    pub(crate) fn start(self) -> Talking {
        let (quiet, is_quiet) = watch::channel(false);
        self.book.pending(&self.user, self.pending.len());
        Talking {
            quiet,
            task: tokio::spawn(self.talk(is_quiet)),
        }
    }

    async fn talk(mut self, is_quiet: watch::Receiver<bool>) {
        let mut lost: Option<Instant> = None;
        loop {
            let way = if self.ways.len() > 1 {
                self.ways.pop_front()
            } else {
                self.ways.front().copied()
            };
            // It ended, as connections do here. What matters is what comes after.
            let _ = self.connection(way.expect("one stays"), &is_quiet, &mut lost).await;
            lost.get_or_insert_with(Instant::now);
            self.book.lost(&self.user);
            sleep(RECONNECT_DELAY).await;
        }
    }

    /// One connection, from login to its end.
    async fn connection(
        &mut self,
        way: SocketAddr,
        is_quiet: &watch::Receiver<bool>,
        lost: &mut Option<Instant>,
    ) -> io::Result<()> {
        let mut line = timeout(PATIENCE, Line::open(way)).await??;
        let mut here = Connected {
            known: self.known(),
            ..Connected::default()
        };
        for progress in self.progress.values_mut() {
            progress.telling = progress.told;
        }
        let login = Login {
            device_id: self.user.clone(),
            ..self.target.login_command(&self.user)
        };
        line.send(LOGIN, Body::Login(login)).await?;
        line.send(SYNC, Body::SyncConversations(self.sync(&here.known, String::new())))
            .await?;
        let mut next_message = interval(self.pace);
        next_message.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_ack = interval(ACK_INTERVAL);
        let mut next_ping = interval(PING_INTERVAL);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = line.next() => {
                    heard = Instant::now();
                    let frame = frame?;
                    match frame.body {
                        Some(Body::Reply(answer)) => self.handle_reply(&mut line, &mut here, frame.request_id, answer).await?,
                        Some(Body::ConversationMessage(message)) => self.handle_message(&mut here, &message),
                        Some(Body::ConversationsLost(_)) => {
                            here = Connected {
                                known: self.known(),
                                sent: here.sent,
                                acks: here.acks,
                                ..Connected::default()
                            };
                            line.send(SYNC, Body::SyncConversations(self.sync(&here.known, String::new()))).await?;
                        }
                        // A login whose connection was cut can still be on its way in the gateway when the next has been taken,
                        // and then puts it off.
                        Some(Body::Close(close)) if close.code == ErrorCode::KICKED_BY_OTHER_DEVICE.number() => {}
                        Some(Body::Close(close)) => {
                            self.book.fault(format!("{} was turned away: {close:?}", self.user));
                        }
                        _ => {}
                    }
                    if here.synced {
                        if let Some(after) = lost.take() {
                            self.book.returned(&self.user, after.elapsed());
                        }
                        self.send_pending(&mut line, &mut here).await?;
                    }
                }
                _ = next_message.tick(), if here.synced && !*is_quiet.borrow() && self.pending.len() < PENDING_MAX => {
                    self.write_message();
                    self.send_pending(&mut line, &mut here).await?;
                }
                _ = next_ack.tick(), if here.synced => self.ack(&mut line, &mut here).await?,
                _ = next_ping.tick() => {
                    if heard.elapsed() > PATIENCE {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    line.send(PING, Body::Ping(Ping {})).await?;
                }
            }
        }
    }

    async fn handle_reply(
        &mut self,
        line: &mut Line,
        here: &mut Connected,
        request_id: u32,
        answer: Reply,
    ) -> io::Result<()> {
        if answer.code != 0 {
            self.book.fault(format!("{} got {answer:?} to {request_id}", self.user));
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        match answer.result {
            Some(reply::Result::SyncPage(page)) => {
                self.handle_page(here, &page);
                if page.next_cursor.is_empty() {
                    self.handle_end_of_sync(here);
                    self.ask_for_what_was_left_out(line, here).await?;
                } else {
                    line.send(SYNC, Body::SyncConversations(self.sync(&here.known, page.next_cursor)))
                        .await?;
                }
            }
            Some(reply::Result::SendMessage(result)) => {
                let number = request_id - FIRST_MESSAGE;
                let Some(at) = self.pending.iter().position(|(pending, _)| *pending == number) else {
                    self.book.fault(format!("{} got two answers for {number}", self.user));
                    return Ok(());
                };
                let (_, place) = self.pending.remove(at).expect("it was found there");
                let (sequence, message_id) = (result.sequence, result.message_id);
                self.book
                    .answered(&self.user, number, &place, sequence, message_id, result.duplicate);
                let said = Said {
                    sender: self.user.clone(),
                    number,
                    message_id,
                };
                self.put(&place, sequence, said);
                self.book.pending(&self.user, self.pending.len());
            }
            Some(reply::Result::AckMessages(result)) => {
                let place = &here.acks[(request_id - FIRST_ACK) as usize];
                self.book.told(&self.user, place, result.delivered_sequence);
                let progress = self.progress.entry(place.clone()).or_default();
                progress.told = result.delivered_sequence;
            }
            Some(reply::Result::Messages(messages)) => {
                for message in &messages.messages {
                    self.take(message);
                }
                here.left_out.pop();
                self.ask_for_what_was_left_out(line, here).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_page(&mut self, here: &mut Connected, page: &SyncPage) {
        for conversation in &page.conversations {
            let Some(info) = &conversation.info else { continue };
            let place = match info.r#type() {
                ConversationType::Peer => Place::pair(&self.user, &info.id),
                _ => Place::Group(info.id.clone()),
            };
            self.book.told(&self.user, &place, conversation.delivered_sequence);
        }
        for message in &page.messages {
            *here.in_pages.entry(self.place_of(message)).or_default() += 1;
            self.handle_message(here, message);
        }
    }

    /// A sync gives the newest of each conversation without a gap: what is missing is before them.
    fn handle_end_of_sync(&mut self, here: &mut Connected) {
        here.synced = true;
        let in_pages = std::mem::take(&mut here.in_pages);
        for (place, progress) in self.progress.iter().filter(|(_, progress)| !progress.ahead.is_empty()) {
            if in_pages.get(place).is_some_and(|count| *count >= NEWEST) {
                here.left_out.push(place.clone());
            } else {
                let (known, next) = (progress.known, progress.ahead.keys().next());
                let user = &self.user;
                self.book.fault(format!(
                    "a sync gave {user} message {next:?} of {place:?} after {known}"
                ));
            }
        }
    }

    /// A message that the server has sent by itself, or for a sync: each comes once on a connection, and none that was known.
    fn handle_message(&mut self, here: &mut Connected, message: &ConversationMessage) {
        let place = self.place_of(message);
        let was_known = here.known.get(&place).is_some_and(|known| message.sequence <= *known);
        if !here.seen.insert((place.clone(), message.sequence)) || was_known {
            let what = format!("{} was sent message {} of {place:?} twice", self.user, message.sequence);
            self.book.fault(what);
        }
        self.take(message);
    }

    fn take(&mut self, message: &ConversationMessage) {
        let place = self.place_of(message);
        let said = Said::of(message);
        if message.content != text_of(&said.sender, said.number) {
            self.book
                .fault(format!("message {} of {place:?} says something else", message.sequence));
        }
        self.put(&place, message.sequence, said);
    }

    fn place_of(&self, message: &ConversationMessage) -> Place {
        match message.conversation_type() {
            ConversationType::Peer => {
                let sender = message.sender.as_ref().map_or("", |sender| &sender.user_id);
                Place::pair(sender, &message.target_id)
            }
            _ => Place::Group(message.target_id.clone()),
        }
    }

    /// Gives it to the application once all before it is given.
    fn put(&mut self, place: &Place, sequence: u64, said: Said) {
        let progress = self.progress.entry(place.clone()).or_default();
        if sequence > progress.known {
            progress.ahead.insert(sequence, said);
        }
        while let Some(said) = progress.ahead.remove(&(progress.known + 1)) {
            progress.known += 1;
            progress.known_id = said.message_id;
            self.book.given(&self.user, place, progress.known, &said);
        }
    }

    fn sync(&self, known: &HashMap<Place, u64>, cursor: String) -> SyncConversations {
        let mut command = SyncConversations {
            newest: u32::try_from(NEWEST).expect("a few"),
            cursor,
            ..SyncConversations::default()
        };
        for (place, known) in known {
            let (kind, id) = place.named_by(&self.user);
            command.known_types.push(i32::from(kind).unsigned_abs());
            command.known_ids.push(id.to_owned());
            command.known_sequences.push(*known);
        }
        command
    }

    fn known(&self) -> HashMap<Place, u64> {
        let some = self.progress.iter().filter(|(_, progress)| progress.known > 0);
        some.map(|(place, progress)| (place.clone(), progress.known)).collect()
    }

    /// One conversation at a time.
    async fn ask_for_what_was_left_out(&self, line: &mut Line, here: &Connected) -> io::Result<()> {
        let Some(place) = here.left_out.last() else {
            return Ok(());
        };
        let (kind, id) = place.named_by(&self.user);
        let query = QueryMessages {
            r#type: kind.into(),
            id: id.to_owned(),
            limit: 1000,
            direction: HistoryDirection::Newer.into(),
            message_id: self.progress.get(place).map_or(0, |progress| progress.known_id),
            ..QueryMessages::default()
        };
        line.send(HISTORY, Body::QueryMessages(query)).await
    }

    fn write_message(&mut self) {
        let place = self.places[self.sent as usize % self.places.len()].clone();
        self.sent += 1;
        self.pending.push_back((self.sent, place));
        self.book.pending(&self.user, self.pending.len());
    }

    /// Sends what was not sent on this connection yet, be it that it was on another.
    async fn send_pending(&mut self, line: &mut Line, here: &mut Connected) -> io::Result<()> {
        for (number, place) in &self.pending {
            if !here.sent.insert(*number) {
                continue;
            }
            let (kind, id) = place.named_by(&self.user);
            let message = SendMessage {
                conversation_type: kind.into(),
                target_id: id.to_owned(),
                r#type: MessageType::Text.into(),
                client_message_id: number.to_string(),
                content: text_of(&self.user, *number).into(),
                ..SendMessage::default()
            };
            line.send(FIRST_MESSAGE + number, Body::SendMessage(message)).await?;
        }
        Ok(())
    }

    /// Tells how far it has got, where that is news.
    async fn ack(&mut self, line: &mut Line, here: &mut Connected) -> io::Result<()> {
        let news = self
            .progress
            .iter_mut()
            .filter(|(_, progress)| progress.known > progress.telling);
        for (place, progress) in news.take(ACKS_AT_ONCE) {
            progress.telling = progress.known;
            let (kind, id) = place.named_by(&self.user);
            let ack = AckMessages {
                r#type: kind.into(),
                id: id.to_owned(),
                delivered_sequence: progress.known,
                read_sequence: 0,
            };
            let request_id = FIRST_ACK + u32::try_from(here.acks.len()).expect("some hundred at most");
            here.acks.push(place.clone());
            line.send(request_id, Body::AckMessages(ack)).await?;
        }
        Ok(())
    }
}

impl Talking {
    /// Has it write no more messages. It goes on to send what it has written, and to receive.
    pub(crate) fn be_quiet(&self) {
        self.quiet.send_replace(true);
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn text_of(user: &str, number: u32) -> Vec<u8> {
    format!("{number} of {user}").into_bytes()
}
