//! The embedded store: what must outlive the gateway, in one SQLite file of the data folder. Start with [`Store::open`].
//!
//! Who has something to keep submits [`Change`]s and goes on; one thread writes them in groups, and whoever submitted is told
//! after the commit is synced to disk. What is kept is read once, at the start: later the parts of the gateway have it in
//! memory, and the store only follows them.
//!
//! It knows no module of the gateway but itself, and no rule: that a gag may last a month at most, say, or that a room has
//! a hundred attributes, is decided before something comes here.

mod apply;
mod change;
mod error;
mod expiry;
mod figures;
mod file;
mod load;
mod log;
mod migrations;
mod names;
mod owed;
#[cfg(test)]
pub(crate) mod power_cut;
mod queue;
mod readers;
mod rows;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

pub(crate) use change::{AppList, AttributeRecord, Change, Entry, Kept, KeptRoom, RoomList, RoomRecord, RoomRules};
pub(crate) use error::StoreError;
pub(crate) use expiry::REPEATS_KEPT_MS;
use expiry::Retention;
pub(crate) use figures::{Figures, Health};
use log::copier::Copier;
use queue::{Job, QUEUED_CHANGES_MAX, Submission, Work};
pub(crate) use readers::Length;
use readers::{Questions, Readers};
pub(crate) use rows::{
    CombinedRow, ConversationRow, ConversationsQuery, Direction, MemberRow, MessageRow, MessagesQuery, Read, Rows,
    RowsMut, SentRow, Since, UNREAD_LOOKED_AT, UserList,
};
use writer::{Shared, Writer};

/// Changes that the disk has refused and that are still to be written when whoever asks for more is turned away: 16 MiB with ids of the
/// usual length, and attributes once more. A disk is not full for so long unless nobody looks.
const OWED_CHANGES_MAX: usize = 65_536;

/// Who asks for something to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// An app's server.
    Server,
    /// A client. All of them together fill half of what may wait, so that servers can still ask.
    Member,
}

/// A handle to the store. When the last one is dropped, what waits is written and the file is closed.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    path: PathBuf,
    questions: Questions,
    greatest_id: i64,
    /// Ends last of the store's threads. Taken by the drop alone.
    writer: Option<JoinHandle<()>>,
    readers: Vec<ThreadId>,
}

impl Store {
    /// Opens the file in `folder`, making both if need be, and reads what is kept. Entries whose end has come at `now_unix_ms`
    /// are left out and deleted.
    ///
    /// # Errors
    /// When another gateway has the folder, the file is from a newer version, not ours or damaged, or the system refuses.
    pub(crate) fn open(folder: &Path, now_unix_ms: i64) -> Result<(Self, Kept), StoreError> {
        Self::start(file::open(folder)?, log::Limits::USUAL, now_unix_ms)
    }

    /// Reads what is kept and starts the threads.
    fn start(opened: file::Opened, log_limits: log::Limits, now_unix_ms: i64) -> Result<(Self, Kept), StoreError> {
        let file::Opened { conn, lock, path } = opened;
        let kept = load::load(&conn, now_unix_ms).map_err(|error| StoreError::damaged(&path, &error))?;
        let greatest_id = load::greatest_id(&conn).map_err(|error| StoreError::damaged(&path, &error))?;
        let shared = Arc::<Shared>::default();
        let readers = Readers::start(&path)?;
        let (questions, threads) = (readers.questions(), readers.threads().collect());
        let copier = Copier::start(&path)?;
        let threads_beside = (readers, copier);
        let writer = Writer::new((conn, lock), threads_beside, log_limits, shared.clone(), now_unix_ms)
            .map_err(|error| StoreError::open(&path, &error))?;
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::open(&path, &error))?;
        let inner = Inner {
            shared,
            path,
            questions,
            greatest_id,
            writer: Some(thread),
            readers: threads,
        };
        Ok((Self { inner: Arc::new(inner) }, kept))
    }

    /// Whether so much is waiting that `asker` should ask for nothing more.
    pub(crate) fn is_behind(&self, asker: Asker) -> bool {
        let Shared { queue, counters, .. } = &*self.inner.shared;
        let share = match asker {
            Asker::Server => 1,
            Asker::Member => 2,
        };
        queue.changes() >= QUEUED_CHANGES_MAX / share || counters.owed() >= OWED_CHANGES_MAX / share
    }

    /// Whether `asker` may ask for something that will be submitted. To be asked before anything is changed in memory.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too much is waiting already.
    pub(crate) fn admit(&self, asker: Asker) -> Result<(), StoreError> {
        if self.is_behind(asker) {
            self.inner.shared.counters.busy();
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    /// Submits changes that belong together: they are kept in the order given, all or none, after what was submitted before.
    /// Never blocks. An empty submission changes nothing and is answered in its turn: after `Ok`, all is kept that was submitted
    /// before it and did not turn out to be [unfit](StoreError::Unfit).
    ///
    /// `done` is called exactly once, on the thread that writes, which does nothing else meanwhile, so it must be quick. After `Ok`
    /// the changes survive a power failure. After an error none of them is kept for now. They are owed then: tried again by
    /// themselves, and with whatever else is submitted about the same room or app. Not so after [`StoreError::Unfit`], where trying
    /// again is no use, and after [`StoreError::Failed`], where they may be there after the next start.
    pub(crate) fn submit(&self, changes: Vec<Change>, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.inner.shared.queue.push(Submission::new(changes, done));
    }

    /// Says how long the messages of apps are kept. Older ones are deleted, at once and from then on; those of other apps are kept for ever.
    pub(crate) fn keep_messages_for(&self, apps: impl IntoIterator<Item = (String, Duration)>) {
        let retention = Arc::new(Retention::new(apps));
        let mut known = self
            .inner
            .shared
            .retention
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = (retention, true);
        drop(known);
        // Has the writer look at it.
        self.submit(Vec::new(), |_| ());
    }

    /// Submits a job that reads rows, decides and changes rows, all in one transaction. `done` is called as by [`Self::submit`], with what the
    /// job came to once that is on disk; or at once, with [`StoreError::Busy`], where `asker` is turned away. A job that fails changes nothing; it may be called again after another of its group failed.
    /// `weight` is as how many changes it counts: 1 is about as many rows as a message takes.
    pub(crate) fn transact<T: Send + 'static>(
        &self,
        asker: Asker,
        weight: usize,
        mut job: impl FnMut(&dyn RowsMut) -> Read<T> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        if let Err(busy) = self.admit(asker) {
            return done(Err(busy));
        }
        let outcome = Arc::new(Mutex::new(None));
        let kept = outcome.clone();
        let job: Job = Box::new(move |rows| {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(job(rows)?);
            Ok(())
        });
        let work = Work::Job { job, weight };
        let submission = Submission::of(work, move |committed| {
            let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
            done(committed.map(|()| outcome.expect("a job that was committed has come to something")));
        });
        self.inner.shared.queue.push(submission);
    }

    /// Has a job read rows, all of one moment, on a thread that writes nothing. What was told to be kept before is there. `done` is called with what it
    /// came to on that thread or, with [`StoreError::Busy`], at once.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        length: Length,
        job: impl FnOnce(&dyn Rows) -> Read<T> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        // Between two owners, since whoever is refused gets the job back and not what is to be told.
        let done = Arc::new(Mutex::new(Some(done)));
        let tell = done.clone();
        let (shared, asked) = (self.inner.shared.clone(), Instant::now());
        let take = |done: &Mutex<Option<_>>| done.lock().unwrap_or_else(PoisonError::into_inner).take();
        let question = Box::new(move |rows: &dyn Rows| {
            // Whoever asked waits for an answer, whatever becomes of the question.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(rows)))
                .unwrap_or_else(|_| Err(StoreError::Unfit("a question panicked".to_owned())));
            if let Err(error) = &outcome {
                shared.counters.unreadable(error);
            }
            shared.counters.answered(asked.elapsed());
            if let Some(done) = take(&tell) {
                done(outcome);
            }
        });
        if self.inner.questions.push(length, question).is_err()
            && let Some(done) = take(&done)
        {
            self.inner.shared.counters.question_busy();
            done(Err(StoreError::Busy));
        }
    }

    /// The greatest id of conversations and their messages when the store was opened: new ones must be greater.
    pub(crate) fn greatest_id(&self) -> i64 {
        self.inner.greatest_id
    }

    /// Whether what is submitted is kept.
    pub(crate) fn health(&self) -> Health {
        self.inner.shared.counters.health()
    }

    /// Whether what was kept before was found damaged while it was read.
    pub(crate) fn is_damaged(&self) -> bool {
        self.inner.shared.counters.is_damaged()
    }

    /// How long what is being written has taken so far.
    pub(crate) fn writing_for(&self) -> Duration {
        self.inner.shared.counters.writing_for()
    }

    /// For metrics. Asks the system for the sizes of two files.
    pub(crate) fn figures(&self) -> Figures {
        let shared = &self.inner.shared;
        let log_bytes = file::log_bytes(&self.inner.path);
        Figures {
            queued: shared.queue.changes(),
            questions_queued: self.inner.questions.len(),
            file_bytes: file::bytes(&self.inner.path) + log_bytes,
            log_bytes,
            ..shared.counters.figures()
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.questions.close();
        self.shared.queue.close();
        let own = thread::current().id();
        if let Some(writer) = self.writer.take()
            // The last handle may have been in somebody's `done`: the writer cannot wait for itself, nor it and a thread that reads for each other.
            && writer.thread().id() != own
            && !self.readers.contains(&own)
            && writer.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests;
