//! The rules of conversations with a made-up clock, in the real transactions of a store.

mod against_a_model;
mod blacklists;
mod combining;
mod creating;
mod groups;
mod looking;
mod members;
mod power_cut;
mod publishing;
mod reading;
mod recalling;
mod sending;
mod serving;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use prost::Message;
use sluice_protocol::{CreateConversation, CreateGroup, Frame, IdProfile, UserId, frame::Body, reply};

use super::*;

/// Conversations of one app, and of another that is there too, and the time it is there.
pub(super) struct Chats {
    conversations: Conversations,
    now: Cell<Now>,
    /// After the store: that is closed first.
    folder: Folder,
}

/// What a command that was not refused came to.
#[derive(Debug)]
pub(super) struct Answer {
    pub result: reply::Result,
    pub told: Vec<Told>,
    pub reached: Vec<(i64, i64)>,
    pub published: Vec<Published>,
    pub found: Found,
}

/// An event, and who gets it.
#[derive(Debug)]
pub(super) struct Told {
    /// In order.
    pub to: Vec<String>,
    pub event: Body,
    pub sequence: i64,
    pub push: Option<Arc<Push>>,
}

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Chats {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    /// Of an app with other settings than the default.
    pub(super) fn with(change: impl FnOnce(&mut App)) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sluice-conversations-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_800_000_000_000,
        };
        let mut app = app("app");
        change(&mut app);
        Self::open(Folder(folder), now, app)
    }

    fn open(folder: Folder, now: Now, app: App) -> Self {
        let (store, _) = Store::open(&folder.0, now.unix_ms).expect("the store opens");
        let apps = [app, App::new("other")];
        let policies = Arc::new(Policies::new(&apps));
        Self {
            conversations: Conversations::new(store, &apps, policies, WorkerIndex(9)),
            now: Cell::new(now),
            folder,
        }
    }

    /// The same after the gateway was stopped and started, with the settings of the default.
    pub(super) fn restarted(self) -> Self {
        self.restarted_with(|_| ())
    }

    /// And with others.
    pub(super) fn restarted_with(self, change: impl FnOnce(&mut App)) -> Self {
        let Self {
            conversations,
            now,
            folder,
        } = self;
        drop(conversations);
        let mut app = app("app");
        change(&mut app);
        Self::open(folder, now.get(), app)
    }

    /// The database.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.0.join("sluice.db")
    }

    pub(super) fn wait(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now.get().unix_ms
    }

    pub(super) fn ask(&self, user: &str, command: Command) -> Result<Answer, Refusal> {
        self.carry_out(Actor::User(named(user)), command)
    }

    pub(super) fn ask_as_server(&self, command: Command) -> Result<Answer, Refusal> {
        self.carry_out(Actor::Server, command)
    }

    /// As a user of the other app.
    pub(super) fn ask_elsewhere(&self, user: &str, command: Command) -> Result<Answer, Refusal> {
        self.carry_out_in(AppIndex(1), Actor::User(named(user)), command)
    }

    fn carry_out(&self, by: Actor, command: Command) -> Result<Answer, Refusal> {
        self.carry_out_in(AppIndex(0), by, command)
    }

    fn carry_out_in(&self, app: AppIndex, by: Actor, command: Command) -> Result<Answer, Refusal> {
        let mut command = command;
        let Outcome {
            result,
            tell,
            reached,
            published,
            found,
            next: _,
        } = loop {
            let asked = Asked {
                app,
                by: by.clone(),
                command,
            };
            let outcome = self.step(asked)?;
            match outcome.next {
                Some(next) => command = next,
                None => break outcome,
            }
        };
        Ok(Answer {
            result,
            told: tell.into_iter().map(told).collect(),
            reached,
            published,
            found,
        })
    }

    /// What one step of a command comes to.
    pub(super) fn step(&self, asked: Asked) -> Result<Outcome, Refusal> {
        // A job may outlive its answer, and must not keep the store open.
        let (inner, now) = (Arc::downgrade(&self.conversations.inner), self.now.get());
        let inner = move || inner.upgrade().expect("the test waits for the answer");
        if asked.command.changes_rows() {
            self.change(move |rows| inner().change(rows, &asked, now))
        } else {
            self.read(move |rows| inner().look_up(rows, &asked, now))
        }
    }

    /// What a job comes to that changes rows.
    pub(super) fn change<T: Send + 'static>(&self, job: impl FnMut(&dyn RowsMut) -> Read<T> + Send + 'static) -> T {
        let (tell, outcome) = mpsc::channel();
        let store = &self.conversations.inner.store;
        store.transact(Asker::Server, 1, job, move |kept| {
            tell.send(kept).expect("the test waits")
        });
        outcome.recv().expect("an answer").expect("it is kept")
    }

    /// What a job comes to that reads rows.
    pub(super) fn read<T: Send + 'static>(&self, job: impl FnOnce(&dyn Rows) -> Read<T> + Send + 'static) -> T {
        let (tell, outcome) = mpsc::channel();
        let store = &self.conversations.inner.store;
        store.read(Length::Long, job, move |found| {
            tell.send(found).expect("the test waits")
        });
        outcome.recv().expect("an answer").expect("it can be read")
    }

    /// The id of a new discussion.
    pub(super) fn discussion(&self, creator: &str, others: &[&str]) -> String {
        let command = CreateConversation {
            user_ids: texts(others),
            ..CreateConversation::default()
        };
        created(self.ask(creator, Command::Create(command)))
    }

    /// The id of a new group.
    pub(super) fn group(&self, owner: &str, others: &[&str]) -> String {
        let command = CreateGroup {
            user_ids: texts(others),
            ..CreateGroup::default()
        };
        created(self.ask(owner, Command::CreateGroup(command)))
    }
}

impl Answer {
    /// Who is told what, in a word each.
    pub(super) fn told(&self) -> Vec<(Vec<&str>, &'static str)> {
        let told = self.told.iter();
        told.map(|told| (told.to.iter().map(String::as_str).collect(), name(&told.event)))
            .collect()
    }
}

/// An app of the default, but that users may name their groups.
pub(super) fn app(key: &str) -> App {
    let mut app = App::new(key);
    app.conversations.users_name_groups = true;
    app
}

pub(super) fn named(user: &str) -> Arc<User> {
    Arc::new(User {
        app: AppIndex(0),
        id: UserId::parse(user, IdProfile::Wide).expect("a user id"),
        name: user.to_uppercase().into(),
    })
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn created(answer: Result<Answer, Refusal>) -> String {
    match answer.expect("it is made").result {
        reply::Result::ConversationCreated(created) => created.conversation.expect("it says which").id,
        other => panic!("{other:?}"),
    }
}

fn told(tell: Tell) -> Told {
    let frame = Frame::decode_length_delimited(tell.frame).expect("a frame");
    assert_eq!(frame.request_id, 0, "nobody asked for an event");
    let mut to: Vec<String> = tell.to.users.iter().map(|user| user.as_str().to_owned()).collect();
    to.sort_unstable();
    Told {
        to,
        event: frame.body.expect("an event"),
        sequence: tell.sequence,
        push: tell.push,
    }
}

fn name(event: &Body) -> &'static str {
    match event {
        Body::ConversationMessage(_) => "message",
        Body::MembersJoined(_) => "joined",
        Body::MembersLeft(_) => "left",
        Body::Invited(_) => "invited",
        Body::KickedFromConversation(_) => "kicked",
        Body::ConversationChanged(_) => "changed",
        Body::GroupDismissed(_) => "dismissed",
        Body::MessageRecalled(_) => "recalled",
        Body::MessageEdited(_) => "edited",
        Body::PositionMoved(_) => "moved",
        other => panic!("no event of conversations: {other:?}"),
    }
}
