//! Conversations: lasting membership, messages that are kept, and who has seen what.
//!
//! All rules about them run within a transaction of the store: they read rows, decide, and change rows. So what is decided is decided once and in
//! one order, and an answer that says "done" is given when it is on disk. A command that only asks runs on a thread that only reads.
//!
//! ```text
//! worker or server API ──ask──▶ store's queue ──▶ rules, in a transaction ──▶ commit and sync ──▶ `then`: the answer, and whom to tell
//! ```
//!
//! A rule refuses before it changes its first row: what it has changed would be kept with the refusal.

mod audience;
mod blacklist;
mod combined;
mod command;
mod create;
mod groups;
mod history;
mod inside;
mod key;
mod look;
mod members;
mod notices;
mod outcome;
mod positions;
mod publish;
mod recall;
mod send;
mod server;
mod sync;

use std::sync::{Arc, Mutex, PoisonError};

use sluice_protocol::IdProfile;

use crate::clock::Now;
use crate::config::{App, AppConversations};
use crate::identity::{AppIndex, User, WorkerIndex};
use crate::message_id::MessageIds;
use crate::policy::{AppPolicy, Policies};
use crate::refusal::Refusal;
use crate::store::{Asker, Length, Read, Rows, RowsMut, Store, StoreError};

pub(crate) use audience::Audience;
use audience::Audiences;
pub(crate) use command::Command;
pub(crate) use create::new_id;
pub(crate) use outcome::{No, Outcome, Push, Ruled, Tell};
pub(crate) use publish::{Publish, Published};
pub(crate) use recall::TakeBack;
pub(crate) use server::{Found, Order, Place};
use sync::Cursors;

/// Steps that one command takes, each of which may find that another has to follow: an ack looks and moves, and begins anew where another device of
/// its user gets further at that moment, which it does not do all the time.
const STEPS_MAX: usize = 6;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Actor {
    User(Arc<User>),
    /// The app's server, which may do everything.
    Server,
}

/// What somebody asks.
#[derive(Debug)]
pub(crate) struct Asked {
    pub app: AppIndex,
    pub by: Actor,
    pub command: Command,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Conversations {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    apps: Box<[OfApp]>,
    policies: Arc<Policies>,
    /// Of messages and conversations: those of a worker that does not exist.
    ids: Mutex<MessageIds>,
    audiences: Audiences,
    cursors: Cursors,
}

#[derive(Debug)]
struct OfApp {
    key: String,
    profile: IdProfile,
    settings: AppConversations,
}

/// What a rule knows beside the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// What rows know the app by.
    pub app_key: &'a str,
    /// Which user ids there can be.
    pub profile: IdProfile,
    pub settings: &'a AppConversations,
    pub policy: &'a AppPolicy,
    pub now: Now,
    ids: &'a Mutex<MessageIds>,
    audiences: &'a Audiences,
    cursors: &'a Cursors,
}

impl Context<'_> {
    /// An id that no message and no conversation has: greater than all before.
    pub(crate) fn next_id(&self) -> i64 {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        i64::try_from(ids.next(self.now.unix_ms))
            .expect("42 bits of time are enough until 2163, and leave the highest bit alone")
    }
}

impl Conversations {
    /// `worker` numbers the ids; no worker may have it.
    pub(crate) fn new(store: Store, apps: &[App], policies: Arc<Policies>, worker: WorkerIndex) -> Self {
        let of_app = |app: &App| OfApp {
            key: app.key.clone(),
            profile: app.id_profile,
            settings: app.conversations.clone(),
        };
        let ids = MessageIds::new(worker).after(store.greatest_id().unsigned_abs());
        Self {
            inner: Arc::new(Inner {
                store,
                apps: apps.iter().map(of_app).collect(),
                policies,
                ids: Mutex::new(ids),
                audiences: Audiences::default(),
                cursors: Cursors::new(),
            }),
        }
    }

    /// Has a command carried out. `then` gets the outcome, once what it changed is on disk, on a thread of the store: it must be quick. If too much is
    /// waiting it gets a refusal, at once.
    pub(crate) fn ask(&self, asked: Asked, then: impl FnOnce(Result<Outcome, Refusal>) + Send + 'static) {
        self.step(asked, STEPS_MAX, then);
    }

    /// `left`: how many may follow.
    fn step(&self, asked: Asked, left: usize, then: impl FnOnce(Result<Outcome, Refusal>) + Send + 'static) {
        let inner = self.inner.clone();
        let (conversations, app, by) = (self.clone(), asked.app, asked.by.clone());
        let told = move |kept: Result<Result<Outcome, Refusal>, StoreError>| {
            let outcome = kept.map_err(|error| outcome::refusal(&error)).flatten();
            match outcome {
                Ok(Outcome { next: Some(_), .. }) if left == 0 => then(Err(outcome::refusal(&StoreError::Busy))),
                Ok(Outcome {
                    next: Some(command), ..
                }) => conversations.step(Asked { app, by, command }, left - 1, then),
                outcome => then(outcome),
            }
        };
        if asked.command.changes_rows() {
            let asker = match &asked.by {
                Actor::User(_) => Asker::Member,
                Actor::Server => Asker::Server,
            };
            let weight = asked.command.weight();
            let job = move |rows: &dyn RowsMut| inner.change(rows, &asked, Now::read());
            self.inner.store.transact(asker, weight, job, told);
        } else {
            let length = match asked.command.asks_for_page() {
                true => Length::Long,
                false => Length::Short,
            };
            let job = move |rows: &dyn Rows| inner.look_up(rows, &asked, Now::read());
            self.inner.store.read(length, job, told);
        }
    }
}

impl Conversations {
    /// Calls `then` behind everything that is told of what was kept before, with whether that is certain. If too much is waiting it is not, and `then` is
    /// called at once.
    pub(crate) fn settle(&self, then: impl FnOnce(bool) + Send + 'static) {
        let store = &self.inner.store;
        if store.admit(Asker::Member).is_err() {
            return then(false);
        }
        // What was decided before is before it in the store's queue, whatever becomes of it.
        store.submit(Vec::new(), |_| then(true));
    }
}

impl Inner {
    fn change(&self, rows: &dyn RowsMut, asked: &Asked, now: Now) -> Read<Result<Outcome, Refusal>> {
        self.ruled(asked.app, now, |context| command::change(rows, context, asked))
    }

    fn look_up(&self, rows: &dyn Rows, asked: &Asked, now: Now) -> Read<Result<Outcome, Refusal>> {
        self.ruled(asked.app, now, |context| command::look_up(rows, context, asked))
    }

    fn ruled(
        &self,
        app: AppIndex,
        now: Now,
        rule: impl FnOnce(Context<'_>) -> Ruled<Outcome>,
    ) -> Read<Result<Outcome, Refusal>> {
        let of_app = &self.apps[usize::from(app.0)];
        let policy = self.policies.of(app);
        let context = Context {
            app_key: &of_app.key,
            profile: of_app.profile,
            settings: &of_app.settings,
            policy: &policy,
            now,
            ids: &self.ids,
            audiences: &self.audiences,
            cursors: &self.cursors,
        };
        match rule(context) {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(No::Refused(refusal)) => Ok(Err(refusal)),
            Err(No::Store(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
