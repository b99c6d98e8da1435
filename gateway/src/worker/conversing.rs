//! Conversations on a worker: commands to their rules, and events to connections.
//!
//! ```text
//! connection's worker        store's threads              users' homes             connections' workers
//!        │── ask ────────────────▶│                             │                          │
//!        │◀─ Conversed, Synced ───│── Deliver, users by home ──▶│── Converse ─────────────▶│
//!        │                        │── Answer, to the sender's ─▶│── Conversed ────────────▶│
//!        │                        │── Settle ──────────────────▶│── Settled ──────────────▶│
//! ```
//!
//! The answer to a message goes the way that events go, by the sender's home: behind the messages that were kept before it. A client that has the number
//! of its own message has everything before it.
//!
//! A session gets events once it has asked what it missed ([`flow`]). It is then told everything in order: what was kept before the first page was read
//! is in the pages, and what happens meanwhile is held back until the last page has gone out. An event of something that is in a page may still be on its
//! way when the page is there, since it goes by the user's home. So when the first page has been read, a word goes the way that events go: behind all
//! of what was kept before.

mod flow;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sluice_protocol::{
    ConversationType, ConversationsLost, ErrorCode, MessageType, SendMessageResult, UserId, frame::Body, limits, reply,
};

use crate::conversation::{Actor, Asked, Command, Outcome, Push, Tell};
use crate::frames;
use crate::identity::{AppIndex, ConnectionKey, ConnectionRef, WorkerIndex};
use crate::metrics::Metric;
use crate::push;
use crate::refusal::Refusal;
use crate::room::RETRY_AFTER_MIN;
use crate::worker::connection::{Connection, Held, SENT_EVENT};
use crate::worker::mailbox::{Message, Outside};
use crate::worker::pump::label_of_kind;
use crate::worker::{Shared, Worker};

use flow::{Bounds, PageOf, Release, Taken};
pub(super) use flow::{Conversing, HeldBytes};

/// Connections that one value names at most, so that a large group does not hold up a worker.
const CONNECTIONS_PER_VALUE: usize = 256;

/// Of what may wait for the clients of a worker, the part that may be held back for those that are asking what they missed.
const HELD_PART: usize = 4;

/// An event of a conversation.
#[derive(Debug)]
pub(super) struct Happened {
    pub frame: Bytes,
    pub conversation: i64,
    /// 0 for what is no kept message.
    pub sequence: i64,
}

/// An event for users whose home is one worker.
#[derive(Debug)]
pub(super) struct Delivery {
    pub app: AppIndex,
    pub users: Arc<[UserId]>,
    pub event: Arc<Happened>,
    /// The one that caused it and has its answer.
    pub except: Option<ConnectionRef>,
    pub push: Option<Arc<Push>>,
}

/// The answer to a command.
#[derive(Debug)]
pub(super) struct Conversed {
    pub frame: Bytes,
    pub code: ErrorCode,
    asked: Instant,
    /// Of a message.
    kind: Option<MessageType>,
    is_repeat: bool,
    /// Of a message that was sent behind the last page of what was missed: what was held back until then comes before it.
    follows_pages: bool,
}

/// A page of what a session missed.
#[derive(Debug)]
pub(super) struct Page {
    pub frame: Bytes,
    code: ErrorCode,
    asked: Instant,
    sync: u32,
    which: PageOf,
    reached: Vec<(i64, i64)>,
    is_last: bool,
}

/// Whether all that was kept before has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Yes,
    /// The store had too much to do to say so.
    Unknown,
}

impl Outside {
    /// Tells users what happened, by way of their homes.
    pub(super) fn tell(&self, shared: &Shared, app: AppIndex, tell: Vec<Tell>, except: Option<ConnectionRef>) {
        for Tell {
            to,
            frame,
            conversation,
            sequence,
            push,
        } in tell
        {
            let event = Arc::new(Happened {
                frame,
                conversation,
                sequence,
            });
            for (home, users) in to.by_home(|user| shared.home((app, user))) {
                let delivery = Delivery {
                    app,
                    users: users.clone(),
                    event: event.clone(),
                    except,
                    push: push.clone(),
                };
                self.post_always(*home, Message::Deliver(Box::new(delivery)));
            }
        }
    }
}

impl Worker {
    /// Has the rules of conversations carry out a command.
    pub(super) fn converse(self: &Rc<Self>, connection: &Rc<Connection>, request_id: u32, command: Command) {
        let named = match &command {
            Command::Send(message) => Some(message.client_message_id.clone()),
            _ => None,
        };
        let refused = if !command.asks_only() && self.mailboxes.borrow().is_any_full() {
            Err(self.refuse_overload())
        } else {
            let may = self.may_converse(connection, &command);
            may.inspect_err(|refusal| self.count_refusal(refusal))
        };
        if let Err(refusal) = refused {
            if request_id != 0 {
                self.answer(connection, &refuse(request_id, &refusal, named));
            }
            return;
        }
        let from = self.connection_ref(connection.key);
        let (user, sync, follows_pages) = {
            let mut state = connection.state.borrow_mut();
            let Some(user) = state.session.online().map(|online| online.user.clone()) else {
                return;
            };
            state.in_flight += 1;
            if command.asks_for_page() {
                // Up to [`limits::PAGE_BYTES`]: the connection is not read meanwhile, so that there is one at a time.
                state.held = Held::ByQuestion;
            }
            let sync = match &command {
                Command::Sync(sync) if sync.cursor.is_empty() => {
                    Some((state.conversing.begin(&self.held_bytes), PageOf::First))
                }
                // What may be asked was looked at before.
                Command::Sync(_) => state.conversing.under_way().map(|sync| (sync, PageOf::Later)),
                _ => None,
            };
            (user, sync, state.conversing.has_all_pages())
        };
        let kind = match &command {
            Command::Send(message) => Some(message.r#type()),
            _ => None,
        };
        let (shared, outside, asked_at) = (self.shared.clone(), self.outside.clone(), Instant::now());
        let app = user.app;
        let home = self.home_of_user(&user);
        // Their answers say all that the event does. What comes of others is told to who did it as well.
        let except = matches!(command, Command::Send(_) | Command::Ack(_)).then_some(from);
        let asked = Asked {
            app,
            by: Actor::User(user),
            command,
        };
        self.shared.conversations.ask(asked, move |outcome| {
            let (result, tell, reached) = match outcome {
                Ok(Outcome {
                    result, tell, reached, ..
                }) => (Ok(result), tell, reached),
                Err(refusal) => (Err(refusal), Vec::new(), Vec::new()),
            };
            let is_last = matches!(&result, Ok(reply::Result::SyncPage(page)) if page.next_cursor.is_empty());
            let is_repeat = matches!(
                &result,
                Ok(reply::Result::SendMessage(SendMessageResult { duplicate: true, .. }))
            );
            let code = result
                .as_ref()
                .err()
                .map_or(ErrorCode::NO_ERROR, |refusal| refusal.code);
            let frame = match result {
                Ok(result) => frames::reply(request_id, result),
                Err(refusal) => refuse(request_id, &refusal, named),
            };
            let (connection, frame) = (from.key, Bytes::from(frame));
            if let Some((sync, which)) = sync {
                if which == PageOf::First && code == ErrorCode::NO_ERROR {
                    // Before the page: what the client sends when it has that is kept behind this.
                    let outside = outside.clone();
                    shared.conversations.settle(move |settled| {
                        let settle = Message::Settle {
                            connection: from,
                            sync,
                            settled: if settled { Settled::Yes } else { Settled::Unknown },
                        };
                        outside.post_always(home, settle);
                    });
                }
                let page = Page {
                    frame,
                    code,
                    asked: asked_at,
                    sync,
                    which,
                    reached,
                    is_last,
                };
                let page = Box::new(page);
                return outside.post_always(from.worker, Message::Synced { connection, page });
            }
            let answer = Box::new(Conversed {
                frame,
                code,
                asked: asked_at,
                kind,
                is_repeat,
                follows_pages,
            });
            if kind.is_some() {
                outside.tell(&shared, app, tell, except);
                let answer = Message::Answer {
                    connection: from,
                    answer,
                };
                outside.post_always(home, answer);
            } else {
                // What comes of a command follows its answer.
                outside.post_always(from.worker, Message::Conversed { connection, answer });
                outside.tell(&shared, app, tell, except);
            }
        });
    }

    /// Whether a session may ask this now.
    fn may_converse(&self, connection: &Connection, command: &Command) -> Result<(), Refusal> {
        let (now, rules) = (Instant::now(), &self.config().conversations);
        let mut state = connection.state.borrow_mut();
        let too_often = |wait: std::time::Duration| {
            Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "rate").retry_after(wait.max(RETRY_AFTER_MIN))
        };
        let quotas = state.conversing.quotas();
        match command {
            Command::Send(message) => {
                return quotas.take_message(now, message.r#type()).map_err(|wait| {
                    Refusal {
                        detail: format!("{}/s", limits::CONVERSATION_MESSAGES_PER_SECOND).into(),
                        ..Refusal::new(ErrorCode::SEND_TOO_FAST)
                    }
                    .retry_after(wait.max(RETRY_AFTER_MIN))
                });
            }
            command if command.asks_only() => quotas.take_query(now, rules.queries_per_second).map_err(too_often)?,
            _ => quotas.take_write(now, rules.writes_per_second).map_err(too_often)?,
        }
        match command {
            // Without the first page on this connection nothing is held back, and there would be gaps.
            Command::Sync(sync) if !sync.cursor.is_empty() && state.conversing.under_way().is_none() => {
                Err(Refusal::parameter("cursor"))
            }
            _ => Ok(()),
        }
    }

    /// All that was kept before a message has come here, so its events are before the answer on the way to the connection.
    pub(super) fn pass_on(&self, to: ConnectionRef, answer: Box<Conversed>) {
        let connection = to.key;
        self.post(to.worker, Message::Conversed { connection, answer });
    }

    /// The answer to a command.
    pub(super) fn conversed(self: &Rc<Self>, key: ConnectionKey, answer: &Conversed) {
        self.count_conversed(answer.code, answer.asked);
        match answer.kind {
            Some(_) if answer.is_repeat => self.metrics.add(Metric::MessagesDuplicate, 1),
            Some(kind) if answer.code == ErrorCode::NO_ERROR => {
                self.metrics
                    .add_labelled(Metric::ConversationMessages, label_of_kind(kind), 1);
            }
            _ => {}
        }
        if let Some(connection) = self.answered(key, false) {
            if answer.follows_pages {
                self.let_go_of_held(&connection);
            }
            self.answer(&connection, &answer.frame);
        }
    }

    fn count_conversed(&self, code: ErrorCode, asked: Instant) {
        if code != ErrorCode::NO_ERROR {
            self.metrics.add_code(code);
        }
        self.metrics
            .record(Metric::ConversationDuration, 0, asked.elapsed().as_secs_f64());
    }

    /// Gives an event to the connections of users whose home is here, and those who have none to the app's push hook.
    pub(super) fn deliver(&self, delivery: &Delivery) {
        let push = delivery.push.as_deref().filter(|push| is_wanted(push));
        let converse = |worker, connections| {
            let event = delivery.event.clone();
            self.post(worker, Message::Converse { connections, event });
        };
        let known = self.users.borrow();
        let mut by_worker = vec![Vec::new(); self.shared.workers.len()];
        let mut away = Vec::new();
        for user in &*delivery.users {
            let key = (delivery.app, user);
            let connections = known.connections(&key);
            if push.is_some() && connections.len() == 0 {
                away.push(user);
            }
            for to in connections.filter(|to| Some(*to) != delivery.except) {
                let keys = &mut by_worker[to.worker.get()];
                keys.push(to.key);
                if keys.len() == CONNECTIONS_PER_VALUE {
                    converse(to.worker, std::mem::take(keys));
                }
            }
        }
        for (worker, keys) in (0..).map(WorkerIndex).zip(by_worker) {
            if !keys.is_empty() {
                converse(worker, keys);
            }
        }
        if let Some(push) = push
            && !away.is_empty()
        {
            // Who wrote it knows.
            let away = away.into_iter().map(UserId::as_str);
            let away = away.filter(|user| **user != *push.sender_id);
            self.shared
                .pushes
                .offer(delivery.app, self.index, &announced(push), away);
        }
    }

    /// An event for connections.
    pub(super) fn converse_event(self: &Rc<Self>, keys: &[ConnectionKey], event: &Arc<Happened>) {
        let bounds = Bounds {
            own_bytes: self.queue_bytes_of_held(),
            all_bytes: self.config().connections.backlog_bytes / self.shared.workers.len() / HELD_PART,
        };
        for key in keys {
            self.contain(*key, || {
                if let Some(connection) = self.connection(*key) {
                    self.converse_event_of(&connection, event, bounds);
                }
            });
        }
    }

    fn converse_event_of(self: &Rc<Self>, connection: &Rc<Connection>, event: &Arc<Happened>, bounds: Bounds) {
        let taken = connection.state.borrow_mut().conversing.take(event, bounds);
        if taken == Taken::Sent {
            self.queue_event(connection, &event.frame);
            self.flush_later(connection);
        }
    }

    /// A page of what a session missed.
    pub(super) fn synced(self: &Rc<Self>, key: ConnectionKey, page: Page) {
        self.count_conversed(page.code, page.asked);
        let Some(connection) = self.answered(key, false) else {
            return;
        };
        self.answer(&connection, &page.frame);
        let mut state = connection.state.borrow_mut();
        match page.code {
            ErrorCode::NO_ERROR => state.conversing.handle_page(page.sync, page.reached, page.is_last),
            _ => state.conversing.handle_no_page(page.sync, page.which),
        }
    }

    /// All that was kept before a page was read has come here, so its events are before this on the way to the connection.
    pub(super) fn settle(&self, to: ConnectionRef, sync: u32, settled: Settled) {
        let connection = to.key;
        let message = Message::Settled {
            connection,
            sync,
            settled,
        };
        self.post(to.worker, message);
    }

    pub(super) fn settled(&self, key: ConnectionKey, sync: u32, settled: Settled) {
        let Some(connection) = self.connection(key) else { return };
        {
            let mut state = connection.state.borrow_mut();
            match settled {
                Settled::Yes => state.conversing.handle_settled(sync),
                Settled::Unknown => state.conversing.handle_unsettled(sync),
            }
        }
        self.flush_later(&connection);
    }

    /// Sends what was held back for a session, if it has all pages, and the client has read so much of them that it fits behind.
    pub(super) fn release_held(self: &Rc<Self>, connection: &Rc<Connection>) {
        if !connection.state.borrow().conversing.is_ready()
            || connection.outbox.borrow().private_bytes() > self.queue_bytes_of_held()
        {
            return;
        }
        self.let_go_of_held(connection);
        self.flush(connection);
    }

    /// Queues what was held back for a session, if it has all pages.
    fn let_go_of_held(self: &Rc<Self>, connection: &Rc<Connection>) {
        let release = connection.state.borrow_mut().conversing.release();
        match release {
            Release::Nothing => {}
            Release::Events(events) => {
                for event in events {
                    self.queue_event(connection, &event.frame);
                }
            }
            Release::Lost => {
                self.metrics.add(Metric::ConversationsLost, 1);
                let lost = frames::event(Body::ConversationsLost(ConversationsLost {}));
                self.queue_event(connection, &lost);
            }
        }
    }

    /// What may be held back for one session: half of its queue, the other half being for what it has still to read by then.
    fn queue_bytes_of_held(&self) -> usize {
        self.config().connections.private_queue_bytes / 2
    }

    /// Queues an event for one connection, which is flushed later. A client that does not even take those is closed as slow.
    fn queue_event(self: &Rc<Self>, connection: &Rc<Connection>, frame: &[u8]) {
        if connection.state.borrow().session.is_closing() {
            // Nothing comes behind the last frame.
            return;
        }
        let pushed = connection.outbox.borrow_mut().push(frame, &mut self.moved.borrow_mut());
        if pushed.is_err() {
            return self.close_slow(connection);
        }
        self.metrics.add_labelled(Metric::FramesSent, SENT_EVENT, 1);
    }
}

/// Whether a message is pushed. An app's own type is a message for people only where it says what a push shows.
fn is_wanted(push: &Push) -> bool {
    push.kind != i32::from(MessageType::Custom) || !push.push_content.is_empty() || !push.push_data.is_empty()
}

fn announced(push: &Push) -> push::Message<'_> {
    push::Message {
        conversation_type: match ConversationType::try_from(push.conversation_type) {
            Ok(ConversationType::Peer) => "peer",
            Ok(ConversationType::Room) | Err(_) => "room",
            Ok(ConversationType::Group) => "group",
            Ok(ConversationType::Discussion) => "discussion",
            Ok(ConversationType::System) => "system",
        },
        target_id: &push.target_id,
        sender_id: &push.sender_id,
        message_id: push.message_id,
        sequence: push.sequence,
        sent_at_ms: push.sent_at_ms,
        message_type: push.kind,
        object_name: &push.object_name,
        push_content: &push.push_content,
        push_data: &push.push_data,
        mentioned_user_ids: &push.mentioned,
        mention_all: push.mention_all,
    }
}

/// The refusal of a message names the message.
fn refuse(request_id: u32, refusal: &Refusal, client_message_id: Option<String>) -> Vec<u8> {
    match client_message_id {
        Some(id) => frames::refuse_message(request_id, refusal, id),
        None => frames::refuse(request_id, refusal),
    }
}
