//! The one thread that writes: takes groups from the queue, commits each in one transaction, and answers after the sync.
//!
//! Between groups it copies the write-ahead log into the database, deletes what has passed, and finds out whether a disk that
//! was full has room again. Rules about what a failure means are in [`super::error`].

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::apply::apply;
use super::error::{Stage, StoreError};
use super::expiry::{Expiry, Repeats, Retention};
use super::figures::{Counters, Health};
use super::queue::{Next, Queue, Submission, Work};
use super::rows::SqliteRows;
use crate::clock::Now;

/// How often what has passed is deleted.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);

/// How many of these passes there are for one that looks for old repeats, of which there may be very many.
const PASSES_PER_REPEATS: u32 = 24;

/// How soon a disk that can be written again is noticed when nobody asks for anything.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Changes after which the log is copied into the database: some MiB, so that a start after a crash reads little and a copy
/// does not hold up the next group for long.
const CHECKPOINT_CHANGES: usize = 1_000;

/// What is written to find that out: several pages of the database, so that it does not fit into what happens to be free in
/// one.
const PROBE_BYTES: usize = 32 * 1024;

/// What the writer and the handles share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub queue: Queue,
    pub counters: Counters,
    /// How long messages are kept, once that is known, and whether it is news.
    pub retention: Mutex<(Arc<Retention>, bool)>,
    /// Whoever submitted is told before the commit: a fault, to see that tests find it.
    #[cfg(test)]
    pub answers_early: std::sync::atomic::AtomicBool,
}

#[derive(Debug)]
pub(super) struct Writer {
    /// Closed before the lock is given up: fields are dropped in this order.
    conn: Connection,
    _lock: File,
    shared: Arc<Shared>,
    /// Why nothing is written any more.
    failed: Option<String>,
    /// Changes since the log was copied.
    uncopied: usize,
    expiry: Option<Expiry>,
    passes: u32,
    next_expiry: Instant,
    next_probe: Instant,
}

impl Writer {
    /// What has passed at `now_unix_ms` is deleted first.
    pub(super) fn new(conn: Connection, lock: File, shared: Arc<Shared>, now_unix_ms: i64) -> Self {
        let now = Instant::now();
        Self {
            conn,
            _lock: lock,
            shared,
            failed: None,
            uncopied: 0,
            expiry: Some(Expiry::new(now_unix_ms, Repeats::LeftAlone)),
            passes: 0,
            next_expiry: now + EXPIRY_INTERVAL,
            next_probe: now,
        }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            self.fail("the writer panicked".to_owned());
        }
    }

    fn serve(&mut self) {
        loop {
            match self.shared.queue.next(self.patience()) {
                Next::Group(group) => self.commit_group(group),
                Next::Nothing => {}
                Next::Closed => break,
            }
            if self.failed.is_none() {
                self.copy_log();
                self.expire();
                self.probe_when_due();
            }
        }
    }

    /// How long there is nothing to do if nothing is submitted.
    fn patience(&self) -> Duration {
        if self.failed.is_some() {
            return EXPIRY_INTERVAL;
        }
        if self.expiry.is_some() {
            return Duration::ZERO;
        }
        let next = match self.shared.counters.health() {
            Health::ReadOnly { .. } => self.next_expiry.min(self.next_probe),
            Health::Ok | Health::Failed { .. } => self.next_expiry,
        };
        next.saturating_duration_since(Instant::now())
    }

    /// Commits them all at once or, if that fails and may be the fault of one, each by itself; then tells everybody.
    fn commit_group(&mut self, mut group: Vec<Submission>) {
        let outcomes = match self.transaction(&mut group) {
            Err(error) if group.len() > 1 && error.may_be_of_one() => {
                let alone = |submission| self.transaction(slice::from_mut(submission));
                group.iter_mut().map(alone).collect()
            }
            outcome => vec![outcome; group.len()],
        };
        self.note(&outcomes);
        for (submission, outcome) in group.into_iter().zip(outcomes) {
            submission.finish(outcome);
        }
    }

    fn transaction(&mut self, submissions: &mut [Submission]) -> Result<(), StoreError> {
        if let Some(why) = &self.failed {
            return Err(StoreError::Failed(why.clone()));
        }
        let started = Instant::now();
        if let Err(error) = self.write(submissions) {
            self.roll_back();
            return Err(self.told(error));
        }
        let changes = submissions.iter().map(Submission::changes).sum();
        self.shared.counters.committed(changes, started.elapsed());
        self.uncopied += changes;
        Ok(())
    }

    fn write(&self, submissions: &mut [Submission]) -> Result<(), StoreError> {
        let change = |error: rusqlite::Error| StoreError::of(Stage::Change, &error);
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(change)?;
        for submission in submissions.iter_mut() {
            match &mut submission.work {
                Work::Changes(changes) => {
                    for each in changes {
                        apply(&self.conn, each).map_err(change)?;
                    }
                }
                Work::Job(job) => {
                    // A job that panics fails alone: the others are tried again without it.
                    catch_unwind(AssertUnwindSafe(|| job(&SqliteRows(&self.conn))))
                        .unwrap_or_else(|_| Err(StoreError::Unfit("it panicked".to_owned())))?;
                }
            }
        }
        #[cfg(test)]
        if self.shared.answers_early.load(std::sync::atomic::Ordering::Relaxed) {
            submissions.iter_mut().for_each(Submission::answer_early);
        }
        self.conn
            .execute_batch("COMMIT")
            .map_err(|error| StoreError::of(Stage::Sync, &error))
    }

    /// SQLite ends the transaction by itself after some failures and leaves it open after others.
    fn roll_back(&mut self) {
        if self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = self.conn.execute_batch("ROLLBACK")
            && !self.conn.is_autocommit()
        {
            self.fail(format!("a transaction cannot be rolled back: {error}"));
        }
    }

    /// The error, after which nothing is written any more if it is one of that kind.
    fn told(&mut self, error: StoreError) -> StoreError {
        if let StoreError::Failed(why) = &error {
            self.fail(why.clone());
        }
        error
    }

    fn fail(&mut self, why: String) {
        // Closing would copy the log into the database and sync once more, which could make something lasting of what a failed
        // sync has left in memory. The next start reads the log from disk and believes its checksums only.
        if let Err(error) = self
            .conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "the failed store cannot be kept from copying its log when it is closed");
        }
        self.shared.counters.set_health(Health::Failed { why: why.clone() });
        self.failed.get_or_insert(why);
    }

    /// Counts what became of them and draws conclusions for the health.
    fn note(&self, outcomes: &[Result<(), StoreError>]) {
        let counters = &self.shared.counters;
        counters.failed(outcomes.iter().filter(|outcome| outcome.is_err()).count());
        let read_only = outcomes.iter().find_map(|outcome| outcome.as_ref().err()?.read_only());
        if let Some(why) = read_only {
            counters.set_health(Health::ReadOnly { why: why.to_owned() });
        } else if outcomes.iter().any(Result::is_ok) {
            counters.set_health(Health::Ok);
        }
    }

    /// A statement that is a transaction of its own, of the store's own making. `None` if it fails; the health tells.
    fn alone(&mut self, statement: impl FnOnce(&Connection) -> rusqlite::Result<usize>) -> Option<usize> {
        let outcome = statement(&self.conn).map_err(|error| self.told(StoreError::of(Stage::Sync, &error)));
        if let Err(error) = &outcome
            && let Some(why) = error.read_only()
        {
            self.shared
                .counters
                .set_health(Health::ReadOnly { why: why.to_owned() });
        }
        outcome.ok()
    }

    /// Copies the log into the database if it has become long, as far as nobody else still reads it.
    fn copy_log(&mut self) {
        if self.uncopied < CHECKPOINT_CHANGES {
            return;
        }
        // Also if it fails on a full disk: nothing is lost, and the next thousand changes come here again.
        self.uncopied = 0;
        self.alone(|conn| conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(0)));
    }

    /// Deletes a step of what has passed, so that whoever submits in the meantime does not wait for all of it.
    fn expire(&mut self) {
        let now = Instant::now();
        let (retention, is_news) = self.retention();
        if is_news || (self.expiry.is_none() && now >= self.next_expiry) {
            let repeats = match self.passes % PASSES_PER_REPEATS {
                0 => Repeats::Walked,
                _ => Repeats::LeftAlone,
            };
            self.passes += 1;
            self.expiry = Some(Expiry::new(Now::read().unix_ms, repeats));
        }
        let Some(mut expiry) = self.expiry.take() else {
            return;
        };
        self.next_expiry = now + EXPIRY_INTERVAL;
        // What fails is tried again in an hour.
        if let Some(deleted) = self.alone(|conn| expiry.step(conn, &retention)) {
            self.uncopied += deleted;
            self.shared.counters.expired(deleted);
            self.expiry = (!expiry.is_over()).then_some(expiry);
        }
    }

    /// How long messages are kept, and whether that was said since this was last asked.
    fn retention(&self) -> (Arc<Retention>, bool) {
        let mut retention = self.shared.retention.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = std::mem::take(&mut retention.1);
        (retention.0.clone(), is_news)
    }

    fn probe_when_due(&mut self) {
        let now = Instant::now();
        if now >= self.next_probe && matches!(self.shared.counters.health(), Health::ReadOnly { .. }) {
            self.probe();
            self.next_probe = now + PROBE_INTERVAL;
        }
    }

    /// Writes something that takes up space and deletes it: the space it took is then at hand for whoever comes next.
    fn probe(&mut self) {
        let written = self.alone(|conn| {
            conn.execute(
                "INSERT INTO probe (id, filler) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET filler = excluded.filler",
                [vec![0_u8; PROBE_BYTES]],
            )
        });
        if written.is_some() && self.alone(|conn| conn.execute("DELETE FROM probe", [])).is_some() {
            self.shared.counters.set_health(Health::Ok);
        }
    }
}

#[cfg(test)]
mod tests;
