//! Conversations on a worker: commands to their rules, and events to connections.
//!
//! ```text
//! connection's worker        store's threads              users' homes             connections' workers
//!        │── ask ────────────────▶│                             │                          │
//!        │◀─ Reply, or Synced ────│── Deliver, users by home ──▶│── Converse ─────────────▶│
//! ```
//!
//! A session gets events once it has asked what it missed ([`Conversing`]). It is then told everything in order: what was kept before the page was read
//! is in the page, and what happens meanwhile is held back until the last page has gone out.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use sluice_protocol::{ConversationsLost, ErrorCode, UserId, frame::Body};

use crate::conversation::{Actor, Asked, Command, Outcome, Push, Tell};
use crate::frames;
use crate::identity::{AppIndex, ConnectionKey, ConnectionRef, UserKey};
use crate::worker::connection::Connection;
use crate::worker::mailbox::{Message, Outside};
use crate::worker::{Shared, Worker};

/// Events held back for a session that is asking what it missed. Beyond it they are dropped, and it is told to ask again.
const HELD_MAX: usize = 1024;

/// Whether a session gets events of conversations.
#[derive(Debug, Default)]
pub(super) enum Conversing {
    /// It has not asked for them.
    #[default]
    Off,
    /// It is asking what it missed; until it has all of it, events wait.
    Held(Box<Held>),
    On,
}

/// What waits for a session.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: Vec<Arc<Happened>>,
    /// How far each conversation goes in the pages.
    reached: HashMap<i64, i64>,
}

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

/// A page of what a session missed.
#[derive(Debug)]
pub(super) struct Page {
    pub frame: Bytes,
    pub code: ErrorCode,
    pub reached: Vec<(i64, i64)>,
    /// Nothing follows, so events may flow.
    pub last: bool,
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
        let (user, from) = {
            let mut state = connection.state.borrow_mut();
            let Some(online) = state.session.online() else { return };
            let user = online.user.clone();
            state.in_flight += 1;
            if let Command::Sync(sync) = &command
                && sync.cursor.is_empty()
            {
                state.conversing = Conversing::Held(Box::default());
            }
            (user, self.connection_ref(connection.key))
        };
        let (shared, outside) = (self.shared.clone(), self.outside.clone());
        let app = user.app;
        let is_sync = matches!(command, Command::Sync(_));
        let named = match &command {
            Command::Send(message) => Some(message.client_message_id.clone()),
            _ => None,
        };
        let asked = Asked {
            app,
            by: Actor::User(user),
            command,
        };
        self.shared.conversations.ask(asked, move |outcome| {
            let (code, frame, reached, last, tell) = match outcome {
                Ok(Outcome { result, tell, reached }) => {
                    let last = matches!(&result, sluice_protocol::reply::Result::SyncPage(page) if page.next_cursor.is_empty());
                    (ErrorCode::NO_ERROR, frames::reply(request_id, result), reached, last, tell)
                }
                Err(refusal) => {
                    let frame = match named {
                        Some(id) => frames::refuse_message(request_id, &refusal, id),
                        None => frames::refuse(request_id, &refusal),
                    };
                    (refusal.code, frame, Vec::new(), false, Vec::new())
                }
            };
            let (connection, frame) = (from.key, Bytes::from(frame));
            let answer = if is_sync {
                let page = Box::new(Page { frame, code, reached, last });
                Message::Synced { connection, page }
            } else {
                Message::Reply { connection, frame: Some(frame), code }
            };
            outside.post_always(from.worker, answer);
            outside.tell(&shared, app, tell, Some(from));
        });
    }

    /// Gives an event to the connections of users whose home is here.
    pub(super) fn deliver(&self, delivery: &Delivery) {
        for user in &*delivery.users {
            let key = UserKey {
                app: delivery.app,
                id: user.clone(),
            };
            for to in self.users.borrow().connections(&key) {
                if Some(to) != delivery.except {
                    let events = vec![delivery.event.clone()];
                    self.post(
                        to.worker,
                        Message::Converse {
                            connection: to.key,
                            events,
                        },
                    );
                }
            }
        }
    }

    /// Events for a connection, in order.
    pub(super) fn converse_events(self: &Rc<Self>, key: ConnectionKey, events: Vec<Arc<Happened>>) {
        let Some(connection) = self.connection(key) else { return };
        for event in events {
            let held = {
                let mut state = connection.state.borrow_mut();
                match &mut state.conversing {
                    Conversing::Off => return,
                    Conversing::On => false,
                    Conversing::Held(held) => {
                        held.events.push(event.clone());
                        true
                    }
                }
            };
            if !held {
                self.push_event(&connection, &event.frame);
            }
        }
    }

    /// A page of what a session missed. After the last one come the events that were held back.
    pub(super) fn synced(self: &Rc<Self>, key: ConnectionKey, page: Page) {
        let Some(connection) = self.answered(key, false) else {
            return;
        };
        if page.code != ErrorCode::NO_ERROR {
            self.metrics.add_code(page.code);
        }
        self.answer(&connection, &page.frame);
        let held = {
            let mut state = connection.state.borrow_mut();
            let Conversing::Held(held) = &mut state.conversing else {
                return;
            };
            held.reached.extend(page.reached);
            if held.events.len() > HELD_MAX {
                state.conversing = Conversing::Off;
                None
            } else if page.last {
                let Conversing::Held(held) = std::mem::replace(&mut state.conversing, Conversing::On) else {
                    return;
                };
                Some(held)
            } else {
                return;
            }
        };
        match held {
            None => self.push_event(
                &connection,
                &frames::event(Body::ConversationsLost(ConversationsLost {})),
            ),
            Some(held) => {
                for event in held.events {
                    let known = held.reached.get(&event.conversation).copied().unwrap_or(0);
                    if event.sequence == 0 || event.sequence > known {
                        self.push_event(&connection, &event.frame);
                    }
                }
            }
        }
    }
}
