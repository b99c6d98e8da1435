//! Threads that only read, each with its own connection: a long question keeps no message from being written.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use rusqlite::Connection;

use super::error::StoreError;
use super::file;
use super::rows::{Rows, SqliteRows};

/// Questions of either length that wait, at most: whoever asks beyond that is told to come back. Together the long ones take a second or so.
const WAITING_MAX: usize = 4096;

/// Short questions that go before a long one that waits.
const PASSED_BY_MAX: usize = 16;

/// How many there are: as many as write, and one more, so that two long questions do not hold up all short ones.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce(&dyn Rows) + Send>;

/// How long a question takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// It reads some rows.
    Short,
    /// It reads a page: with many of them before it, as after a restart, a short one would wait for what takes a hundred times as long as itself.
    Long,
}

/// The threads. Dropped: what waits is answered, then they end.
#[derive(Debug, Default)]
pub(super) struct Readers {
    questions: Questions,
    threads: Vec<JoinHandle<()>>,
}

/// What waits for them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Questions {
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    short: VecDeque<Job>,
    long: VecDeque<Job>,
    /// Short ones that went before the first of the long ones.
    passed_by: usize,
    /// Threads that are at a question.
    busy: usize,
    /// None begins another.
    held: bool,
    closed: bool,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Readers {
    /// # Errors
    /// When the file cannot be opened once more, or a thread cannot be started.
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let mut readers = Self::default();
        for _ in 0..THREADS {
            let conn = file::connect_to_read(path).map_err(|error| StoreError::open(path, &error))?;
            let waiting = readers.questions.waiting.clone();
            let thread = thread::Builder::new()
                .name("store-read".to_owned())
                .spawn(move || serve(&conn, &waiting))
                .map_err(|error| StoreError::open(path, &error))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    pub(super) fn questions(&self) -> Questions {
        self.questions.clone()
    }

    /// Has no question begin until [`Self::go_on`]: those that are under way come to their ends.
    pub(super) fn hold(&self) {
        self.questions.waiting.lock().held = true;
    }

    pub(super) fn go_on(&self) {
        self.questions.waiting.lock().held = false;
        self.questions.waiting.news.notify_all();
    }

    /// Whether no question begins, and none is under way.
    pub(super) fn are_held(&self) -> bool {
        let state = self.questions.waiting.lock();
        state.held && state.busy == 0
    }

    pub(super) fn threads(&self) -> impl Iterator<Item = ThreadId> {
        self.threads.iter().map(|thread| thread.thread().id())
    }
}

impl Questions {
    /// # Errors
    /// When too much is waiting: the job.
    pub(super) fn push(&self, length: Length, job: Job) -> Result<(), Job> {
        let mut state = self.waiting.lock();
        let jobs = match length {
            Length::Short => &mut state.short,
            Length::Long => &mut state.long,
        };
        if jobs.len() >= WAITING_MAX {
            return Err(job);
        }
        jobs.push_back(job);
        drop(state);
        self.waiting.news.notify_one();
        Ok(())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        let state = self.waiting.lock();
        state.short.len() + state.long.len()
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.waiting.news.notify_all();
    }
}

impl State {
    /// The question whose turn it is.
    fn take(&mut self) -> Option<Job> {
        if !self.short.is_empty() && (self.long.is_empty() || self.passed_by < PASSED_BY_MAX) {
            self.passed_by += usize::from(!self.long.is_empty());
            return self.short.pop_front();
        }
        self.passed_by = 0;
        self.long.pop_front()
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: nothing is there, and nothing will come.
    fn next(&self) -> Option<Job> {
        let idle = |state: &mut State| (state.short.is_empty() && state.long.is_empty() || state.held) && !state.closed;
        let mut state = self
            .news
            .wait_while(self.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        let job = state.take()?;
        state.busy += 1;
        Some(job)
    }

    fn is_done(&self) {
        self.lock().busy -= 1;
    }
}

fn serve(conn: &Connection, waiting: &Waiting) {
    while let Some(job) = waiting.next() {
        // All that one question reads is of one moment.
        let began = conn.execute_batch("BEGIN").is_ok();
        if catch_unwind(AssertUnwindSafe(|| job(&SqliteRows::new(conn)))).is_err() {
            tracing::error!("a question to the store panicked");
        }
        if began {
            end(conn);
        }
        waiting.is_done();
    }
}

/// Ends the transaction, whatever it takes: a thread that stayed in it would answer from that moment for ever, and keep the log from being emptied.
fn end(conn: &Connection) {
    let Err(error) = conn.execute_batch("COMMIT") else {
        return;
    };
    tracing::error!(%error, "a question to the store does not end as it should");
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a question to the store does not end");
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.questions.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that reads the store panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn short_questions_go_before_long_ones_and_not_for_ever() {
        let conn = Connection::open_in_memory().expect("SQLite");
        let questions = Questions::default();
        let (tell, told) = mpsc::channel();
        let ask = |length, number: usize| {
            let tell = tell.clone();
            let job: Job = Box::new(move |_| tell.send((length, number)).expect("the test waits"));
            assert!(questions.push(length, job).is_ok());
        };
        for number in 0..3 {
            ask(Length::Long, number);
        }
        for number in 0..2 * PASSED_BY_MAX + 1 {
            ask(Length::Short, number);
        }
        questions.close();
        serve(&conn, &questions.waiting);
        let order: Vec<_> = told.try_iter().collect();
        let short = |numbers: std::ops::Range<usize>| numbers.map(|number| (Length::Short, number));
        let expected: Vec<_> = short(0..PASSED_BY_MAX)
            .chain([(Length::Long, 0)])
            .chain(short(PASSED_BY_MAX..2 * PASSED_BY_MAX))
            .chain([(Length::Long, 1)])
            .chain(short(2 * PASSED_BY_MAX..2 * PASSED_BY_MAX + 1))
            .chain([(Length::Long, 2)])
            .collect();
        assert_eq!(order, expected);
        assert_eq!(questions.len(), 0);
    }

    #[test]
    fn so_many_pages_wait_that_no_more_may_and_a_short_question_may() {
        let questions = Questions::default();
        for _ in 0..WAITING_MAX {
            assert!(questions.push(Length::Long, Box::new(|_| ())).is_ok());
        }
        assert!(questions.push(Length::Long, Box::new(|_| ())).is_err());
        assert!(questions.push(Length::Short, Box::new(|_| ())).is_ok());
        assert_eq!(questions.len(), WAITING_MAX + 1);
    }

    #[test]
    fn a_question_ends_also_where_its_transaction_cannot_be_committed() {
        let conn = Connection::open_in_memory().expect("SQLite");
        conn.execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE one (id INTEGER PRIMARY KEY);
             CREATE TABLE other (one REFERENCES one DEFERRABLE INITIALLY DEFERRED);
             BEGIN;
             INSERT INTO other VALUES (1);",
        )
        .expect("begun");
        end(&conn);
        assert!(conn.is_autocommit());
    }
}
