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

/// How many pages of the log are in the database, from its beginning. `None`: somebody else copies, with a shell, and is left to do it.
pub(in crate::store) type Copied = Result<Option<usize>, StoreError>;

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Asked,
    Copying,
    Copied(Copied),
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
    pub(in crate::store) fn outcome(&self) -> Option<Copied> {
        let mut state = self.desk.lock();
        match std::mem::take(&mut *state) {
            State::Copied(outcome) => Some(outcome),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Is at it, and copies nothing: until the test says what it has come to.
    #[cfg(test)]
    pub(in crate::store) fn pretend_to_copy(&self) -> impl FnOnce(Copied) + Send + use<> {
        *self.desk.lock() = State::Copying;
        let desk = self.desk.clone();
        move |outcome| {
            *desk.lock() = State::Copied(outcome);
            desk.news.notify_all();
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
                .unwrap_or_else(|_| Err(StoreError::Failed("the thread that copies the log panicked".to_owned())));
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

/// Copies what nobody holds back.
pub(in crate::store) fn copy(conn: &Connection) -> Copied {
    let copied = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (is_busy, copied) = (row.get::<_, bool>(0)?, row.get::<_, i64>(2)?);
        Ok((!is_busy).then(|| usize::try_from(copied).unwrap_or(0)))
    });
    copied.map_err(|error| StoreError::of(Stage::Sync, &error))
}
