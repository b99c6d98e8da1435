//! The thread that copies the write-ahead log into the database while the writer goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use crate::store::error::{Stage, StoreError};
use crate::store::file;

/// The thread. Dropped: it ends when what it is at is done.
#[derive(Debug)]
pub(in crate::store) struct Copier {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Asked,
    Copying,
    Copied(Result<(), StoreError>),
    Closed,
}

impl Copier {
    /// # Errors
    /// When the file cannot be opened once more, or a thread cannot be started.
    pub(in crate::store) fn start(path: &Path) -> Result<Self, StoreError> {
        let conn = file::connect_to_copy(path).map_err(|error| StoreError::open(path, &error))?;
        let desk = Arc::<Desk>::default();
        let own = desk.clone();
        let thread = thread::Builder::new()
            .name("store-copy".to_owned())
            .spawn(move || own.serve(&conn))
            .map_err(|error| StoreError::open(path, &error))?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    /// Has it copy the log. What it was at before must have been [taken](Self::outcome).
    pub(in crate::store) fn begin(&self) {
        *self.desk.lock() = State::Asked;
        self.desk.news.notify_all();
    }

    /// Whether it copies, or is about to.
    pub(in crate::store) fn is_busy(&self) -> bool {
        matches!(*self.desk.lock(), State::Asked | State::Copying)
    }

    /// Whether it was asked for nothing of which the outcome is still to be taken.
    pub(in crate::store) fn is_idle(&self) -> bool {
        matches!(*self.desk.lock(), State::Idle)
    }

    /// What became of what it was asked for, once.
    pub(in crate::store) fn outcome(&self) -> Option<Result<(), StoreError>> {
        let mut state = self.desk.lock();
        match std::mem::take(&mut *state) {
            State::Copied(outcome) => Some(outcome),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Waits until it is not busy.
    pub(in crate::store) fn wait(&self) {
        let busy = |state: &mut State| matches!(state, State::Asked | State::Copying);
        let news = &self.desk.news;
        drop(
            news.wait_while(self.desk.lock(), busy)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, conn: &Connection) {
        let waits = |state: &mut State| !matches!(state, State::Asked | State::Closed);
        loop {
            let state = self.news.wait_while(self.lock(), waits);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            if matches!(*state, State::Closed) {
                return;
            }
            *state = State::Copying;
            drop(state);
            // Somebody may wait for it, whatever becomes of it.
            let outcome = catch_unwind(AssertUnwindSafe(|| copy(conn)))
                .map_err(|_| StoreError::Unfit("the thread that copies the log panicked".to_owned()))
                .and_then(|copied| copied.map_err(|error| StoreError::of(Stage::Sync, &error)));
            let mut state = self.lock();
            if matches!(*state, State::Closed) {
                return;
            }
            *state = State::Copied(outcome);
            drop(state);
            self.news.notify_all();
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        *self.desk.lock() = State::Closed;
        self.desk.news.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that copies the store's log panicked");
        }
    }
}

/// Copies what nobody holds back. Whoever copies at the same time, from a shell, is left to do it.
pub(in crate::store) fn copy(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
