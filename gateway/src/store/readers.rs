//! Threads that only read, each with its own connection: a long question keeps no message from being written.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::error::StoreError;
use super::file;
use super::rows::{Rows, SqliteRows};

/// Questions that wait, at most: whoever asks beyond that is told to come back. Together they take a second or so.
const WAITING_MAX: usize = 4096;

/// How many there are: as many as write, and one more, so that two long questions do not hold up all short ones.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce(&dyn Rows) + Send>;

/// See the module. Dropped: what waits is answered, then the threads end.
#[derive(Debug)]
pub(super) struct Readers {
    waiting: Arc<Waiting>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Waiting {
    state: Mutex<(VecDeque<Job>, bool)>,
    news: Condvar,
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
        let mut readers = Self {
            waiting: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..THREADS {
            let conn = file::connect_to_read(path).map_err(|error| StoreError::open(path, &error))?;
            let waiting = readers.waiting.clone();
            let thread = thread::Builder::new()
                .name("store-read".to_owned())
                .spawn(move || serve(&conn, &waiting))
                .map_err(|error| StoreError::open(path, &error))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// # Errors
    /// When too much is waiting: the job.
    pub(super) fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = self.waiting.lock();
        if state.0.len() >= WAITING_MAX {
            return Err(job);
        }
        state.0.push_back(job);
        drop(state);
        self.waiting.news.notify_one();
        Ok(())
    }
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, (VecDeque<Job>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: nothing is there, and nothing will come.
    fn next(&self) -> Option<Job> {
        let state = self.lock();
        let idle = |state: &mut (VecDeque<Job>, bool)| state.0.is_empty() && !state.1;
        let mut state = self
            .news
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.0.pop_front()
    }
}

fn serve(conn: &Connection, waiting: &Waiting) {
    while let Some(job) = waiting.next() {
        // All that one question reads is of one moment.
        let began = conn.execute_batch("BEGIN").is_ok();
        if catch_unwind(AssertUnwindSafe(|| job(&SqliteRows(conn)))).is_err() {
            tracing::error!("a question to the store panicked");
        }
        if began && let Err(error) = conn.execute_batch("COMMIT") {
            tracing::error!(%error, "a question to the store does not end");
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.waiting.lock().1 = true;
        self.waiting.news.notify_all();
        for thread in self.threads.drain(..) {
            // The last handle may have been in a job: a thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread that reads the store panicked");
            }
        }
    }
}
