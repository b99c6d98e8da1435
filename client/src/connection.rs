//! The task behind a connection: it alone reads and writes the link.
//!
//! It takes calls from a bounded queue, gives them request ids, writes them, matches replies to them, puts events into
//! the app's queue and keeps the heartbeat. It never drops an event: while the app's queue is full it does not read.
//! What it does not do is connect again.

mod datagram;
mod heartbeat;
mod outbox;
mod outstanding;
mod restoring;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, Frame, JoinExistChatRoom, Ping, Reply, limits, reply};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use self::heartbeat::{Beat, Heartbeat};
use self::outbox::Outbox;
use self::outstanding::Outstanding;
pub(crate) use self::outstanding::{Answer, tell};
use self::restoring::Restored;
pub(crate) use self::restoring::Restoring;
use crate::conversation::ConversationId;
use crate::error::ClientError;
use crate::event::{self, Closed, Event, RoomRejoined};
use crate::following::{Following, is_of_conversations};
use crate::places::{Entry, Novelty};
use crate::resume::Memory;
use crate::session::LOGIN_REQUEST_ID;
use crate::submission::{Submissions, Submitted};
use crate::transport::Link;

/// Read at once from the socket. Frames are mostly far smaller, and a larger one takes a few turns.
const READ_BYTES: usize = 8 * 1024;

/// How long a connection that is to end may take to write the rest and say goodbye.
pub(crate) const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// One command from the app.
#[derive(Debug)]
pub(crate) enum Call {
    /// A command with a reply.
    Request {
        body: Body,
        deadline: Instant,
        answer: oneshot::Sender<Answer>,
    },
    /// A command with request id 0.
    Unanswered { body: Body },
    /// A message to be sent until it is known what has become of it.
    Submit(Box<Submitted>),
}

/// How a connection begins.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) link: Link,
    pub(crate) frames: FrameBuffer,
    pub(crate) heartbeat_interval: Duration,
    /// What the app is to be told first.
    pub(crate) events: VecDeque<Event>,
    pub(crate) restoring: Restoring,
    pub(crate) submissions: Submissions,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) closed: Closed,
    pub(crate) link: Link,
    pub(crate) wish: Wish,
    /// Rooms that were still to be joined again.
    pub(crate) unrestored: Vec<String>,
    /// Messages that wait for the next connection.
    pub(crate) submissions: Submissions,
}

/// What the app wants to become of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    GoOn,
    /// It has logged out, or dropped the client.
    End,
}

/// Serves one connection until it ends. Every call it has taken is answered then.
pub(crate) async fn serve(
    beginning: Beginning,
    calls: &mut mpsc::Receiver<Call>,
    events: &mpsc::Sender<Event>,
    memory: &Arc<Mutex<Memory>>,
) -> End {
    let now = Instant::now();
    let mut connection = Connection {
        link: beginning.link,
        frames: beginning.frames,
        outbox: Outbox::new(),
        sending: Sending::Open,
        outstanding: Outstanding::new(LOGIN_REQUEST_ID),
        heartbeat: Heartbeat::new(beginning.heartbeat_interval, now),
        events: events.clone(),
        undelivered: beginning.events,
        ignored_datagrams: 0,
        memory: memory.clone(),
        restoring: beginning.restoring,
        submissions: beginning.submissions,
        sent_in: HashMap::new(),
        wish: Wish::GoOn,
    };
    if let Some(following) = &mut connection.memory().following {
        following.on_connected();
    }
    if !connection.undelivered.is_empty() {
        connection.heartbeat.on_reading_paused();
    }
    let closed = connection.serve(calls).await;
    connection.outstanding.fail_all(&closed.call_error());
    connection.submissions.on_lost(&closed.call_error());
    let ignored_datagrams = connection.ignored_datagrams;
    tracing::debug!(
        code = i32::from(closed.code),
        detail = closed.detail,
        ignored_datagrams,
        "connection ended"
    );
    End {
        closed,
        link: connection.link,
        wish: connection.wish,
        unrestored: connection.restoring.unfinished(),
        submissions: connection.submissions,
    }
}

#[derive(Debug)]
struct Connection {
    link: Link,
    frames: FrameBuffer,
    outbox: Outbox,
    sending: Sending,
    outstanding: Outstanding,
    heartbeat: Heartbeat,
    events: mpsc::Sender<Event>,
    /// Events the app's queue had no room for, oldest first. While there is one, nothing is read: it is one, and those that go with it.
    undelivered: VecDeque<Event>,
    /// Those that held something else than one room message.
    ignored_datagrams: u64,
    memory: Arc<Mutex<Memory>>,
    restoring: Restoring,
    submissions: Submissions,
    /// Requests that send a message in a conversation.
    sent_in: HashMap<u32, ConversationId>,
    wish: Wish,
}

/// What becomes of a call.
#[derive(Debug)]
enum Sending {
    /// It is written.
    Open,
    /// It fails, as a write has failed before. What the server said before it closed its side can still be read, and
    /// may hold the reason; so only the end of reading is the end of the connection.
    Broken,
    /// There will be none, as nobody holds the client any more. What was queued is still written, until then.
    Ending { at_latest: Instant },
}

impl Connection {
    async fn serve(&mut self, calls: &mut mpsc::Receiver<Call>) -> Closed {
        let mut chunk = vec![0; READ_BYTES];
        loop {
            if let Err(end) = self.handle_frames() {
                return end;
            }
            let now = Instant::now();
            if matches!(self.sending, Sending::Ending { at_latest } if self.outbox.is_empty() || now >= at_latest) {
                return event::released();
            }
            self.outstanding.expire(now);
            self.restore(now);
            self.follow(now);
            self.send_submissions(now);
            if self.heartbeat.handle_timeout(now) == Beat::Ping && matches!(self.sending, Sending::Open) {
                let request_id = self.outstanding.next_id();
                self.outbox.push(&Frame {
                    request_id,
                    body: Some(Body::Ping(Ping {})),
                });
            }
            let takes_calls = !matches!(self.sending, Sending::Ending { .. })
                && self.restoring.is_done()
                && self.outstanding.has_room()
                && self.outbox.has_room();
            let deadline = self.next_deadline();

            tokio::select! {
                () = deliver(&self.events, &mut self.undelivered), if !self.undelivered.is_empty() => {
                    self.heartbeat.on_received(Instant::now());
                }
                read = self.link.reader.read(&mut chunk), if self.undelivered.is_empty() => {
                    if let Err(end) = self.handle_read(read, &chunk) {
                        return end;
                    }
                }
                datagram = self.link.datagrams.next(), if self.undelivered.is_empty() => self.handle_datagram(&datagram),
                written = self.outbox.write_some(&mut self.link.writer), if !self.outbox.is_empty() => {
                    if let Err(error) = written {
                        self.on_write_failed(&error);
                    }
                }
                call = calls.recv(), if takes_calls => match call {
                    Some(call) => self.handle_call(call),
                    None => {
                        self.wish = Wish::End;
                        self.sending = Sending::Ending { at_latest: Instant::now() + CLOSING_TIMEOUT };
                    }
                },
                () = sleep_until(deadline) => {
                    if self.heartbeat.is_server_silent(Instant::now())
                        && let Some(end) = self.handle_silence(&mut chunk).await
                    {
                        return end;
                    }
                }
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let mut deadline = self.heartbeat.next_deadline();
        let mut due = vec![self.outstanding.next_deadline(), self.restoring.next_deadline()];
        if self.may_ask() {
            due.push(self.submissions.next_deadline());
            due.push(self.memory().following.as_ref().and_then(Following::next_deadline));
        }
        for due in due.into_iter().flatten() {
            deadline = due.min(deadline);
        }
        if let Sending::Ending { at_latest } = self.sending {
            deadline = deadline.min(at_latest);
        }
        deadline
    }

    /// Joins the next rooms that were lost with an earlier connection, and gives up those for which the time is over.
    fn restore(&mut self, now: Instant) {
        while matches!(self.sending, Sending::Open)
            && let Some(room_id) = self.restoring.next(now)
        {
            let request_id = self.outstanding.next_id();
            let command = JoinExistChatRoom {
                room_id: room_id.clone(),
                // All that the room keeps: how much of it is new shows when it is there.
                message_count: i32::try_from(limits::ROOM_HISTORY_MESSAGES).expect("limits of the protocol are small"),
                extra: self.memory().places.extra(&room_id).to_owned(),
            };
            self.outbox.push(&Frame {
                request_id,
                body: Some(Body::JoinExistChatRoom(command)),
            });
            self.restoring.on_asked(request_id, room_id);
        }
        for room_id in self.restoring.expire(now) {
            self.on_room_lost(room_id, ClientError::timeout());
        }
    }

    /// Whether this client may ask something by itself.
    fn may_ask(&self) -> bool {
        matches!(self.sending, Sending::Open) && self.wish == Wish::GoOn && self.outbox.has_room()
    }

    /// Asks what was missed of conversations, and says what was delivered.
    fn follow(&mut self, now: Instant) {
        let memory = self.memory.clone();
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(following) = &mut memory.following else {
            return;
        };
        following.expire(now);
        while self.may_ask()
            && let Some((request_id, command)) = following.next(now, || self.outstanding.next_id())
        {
            self.outbox.push(&Frame {
                request_id,
                body: Some(command),
            });
        }
    }

    /// Sends messages that wait, and those again of which no answer came.
    fn send_submissions(&mut self, now: Instant) {
        self.submissions.expire(now);
        while self.may_ask()
            && let Some((request_id, command)) = self.submissions.next(now, || self.outstanding.next_id())
        {
            self.note_message(request_id, &command);
            self.outbox.push(&Frame {
                request_id,
                body: Some(command),
            });
        }
    }

    fn on_room_lost(&mut self, room_id: String, error: ClientError) {
        self.memory().places.forget(&room_id);
        self.deliver_or_keep(Event::RoomLost { room_id, error });
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_write_failed(&mut self, error: &io::Error) {
        tracing::debug!(%error, "write failed");
        self.outbox.clear();
        if matches!(self.sending, Sending::Open) {
            self.sending = Sending::Broken;
        }
    }

    fn handle_read(&mut self, read: io::Result<usize>, chunk: &[u8]) -> Result<(), Closed> {
        match read {
            Ok(0) => Err(self.link.closed_without_a_frame(None)),
            Ok(count) => {
                self.heartbeat.on_received(Instant::now());
                self.frames.push(&chunk[..count]);
                Ok(())
            }
            Err(error) => Err(self.link.closed_without_a_frame(Some(&error))),
        }
    }

    /// A datagram is worth nothing to anybody but the app: whatever is wrong with it, the connection goes on.
    fn handle_datagram(&mut self, datagram: &Bytes) {
        self.heartbeat.on_received(Instant::now());
        match datagram::open(datagram) {
            Some(event) => self.deliver_or_keep(event),
            None => self.ignored_datagrams += 1,
        }
    }

    /// A process that was stopped for a while finds its timers due before it has read what came meanwhile. So only a
    /// server that has nothing to read at the deadline is a silent one.
    async fn handle_silence(&mut self, chunk: &mut [u8]) -> Option<Closed> {
        tokio::select! {
            biased;
            read = self.link.reader.read(chunk) => self.handle_read(read, chunk).err(),
            () = std::future::ready(()) => Some(Closed::new(
                ErrorCode::PING_TIMEOUT,
                "",
                "nothing came from the server for 2.5 heartbeat intervals",
            )),
        }
    }

    /// Handles whole frames as long as the app has room for what comes of them.
    fn handle_frames(&mut self) -> Result<(), Closed> {
        while self.undelivered.is_empty() {
            let body = match self.frames.next_frame() {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(error) => return Err(Closed::new(error.code(), "", error.to_string())),
            };
            let frame = sluice_codec::open_server_frame(&body)
                .map_err(|error| Closed::new(error.code(), "", error.to_string()))?;
            match frame.body {
                Some(Body::Reply(reply)) => self.handle_reply(frame.request_id, reply),
                Some(Body::Close(close)) => return Err(Closed::by_server(close)),
                Some(body) => self.handle_event(body),
                None => tracing::debug!("an event this version does not know was skipped"),
            }
        }
        Ok(())
    }

    fn handle_reply(&mut self, request_id: u32, reply: Reply) {
        let answer = answer_of(reply);
        self.on_message_answered(request_id, &answer);
        let refusal = answer.as_ref().err().cloned();
        match self.restoring.on_answer(request_id, refusal, Instant::now()) {
            None => {
                if !self.is_own_answer(request_id, &answer) {
                    if let Ok(Some(result)) = &answer {
                        self.on_done(request_id, result);
                    }
                    self.outstanding.complete(request_id, answer);
                }
            }
            Some(Restored::Later) => {}
            Some(Restored::Lost(room_id, error)) => self.on_room_lost(room_id, error),
            Some(Restored::Inside(room_id)) => match answer {
                Ok(Some(reply::Result::RoomEntered(entered))) => self.on_room_rejoined(entered, &room_id),
                _ => self.on_room_lost(room_id, ClientError::unexpected_reply()),
            },
        }
    }

    /// Where a message goes that is sent. Its answer does not say.
    fn note_message(&mut self, request_id: u32, command: &Body) {
        if let Body::SendMessage(message) = command
            && let Some(conversation) = ConversationId::of_wire(message.conversation_type, &message.target_id)
        {
            self.sent_in.insert(request_id, conversation);
        }
    }

    /// The server has taken a message of this client in a conversation.
    fn on_message_answered(&mut self, request_id: u32, answer: &Answer) {
        let Some(conversation) = self.sent_in.remove(&request_id) else {
            return;
        };
        let Ok(Some(reply::Result::SendMessage(sent))) = answer else {
            return;
        };
        let now = Instant::now();
        let events = match &mut self.memory().following {
            Some(following) => following.on_sent(conversation, sent.sequence, sent.message_id, now),
            None => return,
        };
        events.into_iter().for_each(|event| self.deliver_or_keep(event));
    }

    /// Takes the answer to something that this client has asked by itself.
    fn is_own_answer(&mut self, request_id: u32, answer: &Answer) -> bool {
        let now = Instant::now();
        if self.submissions.on_answer(request_id, answer, now) {
            return true;
        }
        let following = self
            .memory()
            .following
            .as_mut()
            .map(|following| following.on_answer(request_id, answer, now));
        let Some(Some(events)) = following else {
            return false;
        };
        events.into_iter().for_each(|event| self.deliver_or_keep(event));
        true
    }

    /// Remembers what a command changed, whether anybody still waits for its answer or not.
    fn on_done(&mut self, request_id: u32, result: &reply::Result) {
        let entry = self.outstanding.take_entry(request_id);
        let mut memory = self.memory();
        match result {
            reply::Result::RenewToken(renewed) => memory.token = Some(renewed.token.clone()),
            _ => memory.places.on_done(result, entry),
        }
    }

    fn on_room_rejoined(&mut self, entered: sluice_protocol::RoomEntered, room_id: &str) {
        let messages_meanwhile = {
            let places = &mut self.memory().places;
            let extra = places.extra(room_id).to_owned();
            places.on_entered(&entered, extra)
        };
        self.deliver_or_keep(Event::RoomRejoined(RoomRejoined {
            entered: entered.into(),
            messages_meanwhile,
        }));
    }

    fn handle_event(&mut self, body: Body) {
        let mut memory = self.memory();
        if is_of_conversations(&body)
            && let Some(following) = &mut memory.following
        {
            let events = following.on_event(body, Instant::now());
            drop(memory);
            events.into_iter().for_each(|event| self.deliver_or_keep(event));
            return;
        }
        let novelty = memory.places.on_event(&body);
        let event = Event::from_body(body, &memory.session.user_id);
        drop(memory);
        if let Some(event) = event.filter(|_| novelty == Novelty::New) {
            self.deliver_or_keep(event);
        }
    }

    fn deliver_or_keep(&mut self, event: Event) {
        if !self.undelivered.is_empty() {
            self.undelivered.push_back(event);
            return;
        }
        match self.events.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(event)) => {
                self.undelivered.push_back(event);
                self.heartbeat.on_reading_paused();
            }
        }
    }

    fn handle_call(&mut self, call: Call) {
        match call {
            Call::Request { answer, .. } if matches!(self.sending, Sending::Broken) => {
                let error = ClientError::new(ErrorCode::SIGNAL_SEND_FAILED, "", "the command could not be written");
                tell(answer, Err(error));
            }
            Call::Request { answer, deadline, .. } if deadline <= Instant::now() => {
                tell(answer, Err(ClientError::timeout()));
            }
            Call::Request { body, deadline, answer } => {
                if matches!(body, Body::Logout(_)) {
                    self.wish = Wish::End;
                }
                let request_id = self.outstanding.insert(deadline, answer, Entry::of(&body));
                self.note_message(request_id, &body);
                self.outbox.push(&Frame {
                    request_id,
                    body: Some(body),
                });
            }
            // Where nothing can be written any more, it waits for the next connection.
            Call::Submit(submitted) => self.submissions.take(*submitted),
            Call::Unanswered { .. } if matches!(self.sending, Sending::Broken) => {}
            Call::Unanswered { body } => self.outbox.push(&Frame {
                request_id: 0,
                body: Some(body),
            }),
        }
    }
}

/// Waits for room in the app's queue. Without an app that wants events there is nothing to wait for.
pub(crate) async fn deliver(events: &mpsc::Sender<Event>, undelivered: &mut VecDeque<Event>) {
    let room = events.reserve().await;
    if let (Some(event), Ok(room)) = (undelivered.pop_front(), room) {
        room.send(event);
    }
}

fn answer_of(reply: Reply) -> Answer {
    if reply.code == 0 {
        Ok(reply.result)
    } else {
        Err(ClientError::of_reply(reply))
    }
}
