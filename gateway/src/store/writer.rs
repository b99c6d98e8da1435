//! The one thread that writes: takes groups from the queue, commits each in one transaction, and answers after the sync.
//!
//! Between groups it sees that the write-ahead log is copied into the database, deletes what has passed, and finds out whether a disk that
//! was full has room again. Rules about what a failure means are in [`super::error`].

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::apply::apply;
use super::change::Change;
use super::error::{Stage, StoreError};
use super::expiry::{Expiry, Repeats, Retention};
use super::figures::{Counters, Health};
use super::log::copier::{self, Copier};
use super::log::{self, Log, Step};
use super::owed::Owed;
use super::queue::{GROUP_CHANGES_MAX, Next, Queue, Submission, Work};
use super::readers::Readers;
use super::rows::SqliteRows;
use crate::clock::Now;

/// How often what has passed is deleted.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);

/// How many of these passes there are for one that looks for old repeats, of which there may be very many.
const PASSES_PER_REPEATS: u32 = 24;

/// How soon a disk that can be written again is noticed when nobody asks for anything.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// What is written to find that out: several pages of the database, so that it does not fit into what happens to be free in
/// one.
const PROBE_BYTES: usize = 32 * 1024;

/// How soon it is seen that the log is copied, when nobody asks for anything.
const COPY_PATIENCE: Duration = Duration::from_millis(20);

/// How soon it is seen that the questions have come to their ends, when nobody asks for anything.
const HELD_PATIENCE: Duration = Duration::from_millis(2);

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

/// A part of a transaction.
enum Part<'a> {
    Changes(&'a [Change]),
    Submission(&'a mut Submission),
}

impl Part<'_> {
    /// How many changes it is counted as.
    fn count(&self) -> usize {
        match self {
            Self::Changes(changes) => changes.len(),
            Self::Submission(submission) => submission.count(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    /// Ended first: fields are dropped in this order. Only the last connection to be closed copies the log and deletes it, and those that only read cannot.
    readers: Readers,
    /// Whether they are to begin no question, because the log is long.
    holds_readers: bool,
    /// Ended next, for the same reason.
    copier: Copier,
    /// Closed before the lock is given up.
    conn: Connection,
    _lock: File,
    shared: Arc<Shared>,
    /// Why nothing is written any more.
    failed: Option<String>,
    /// While there is something, the health says that nothing can be written.
    owed: Owed,
    log: Log,
    /// The copier has come to an end, and that was not looked at yet for what is to be done next.
    just_copied: bool,
    expiry: Option<Expiry>,
    passes: u32,
    next_expiry: Instant,
    next_probe: Instant,
}

impl Writer {
    /// What has passed at `now_unix_ms` is deleted first.
    ///
    /// # Errors
    /// When SQLite does not tell how long its log is.
    pub(super) fn new(
        (mut conn, lock): (Connection, File),
        (readers, copier): (Readers, Copier),
        log_limits: log::Limits,
        shared: Arc<Shared>,
        now_unix_ms: i64,
    ) -> rusqlite::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            readers,
            holds_readers: false,
            copier,
            log: Log::of(&mut conn, log_limits)?,
            conn,
            _lock: lock,
            shared,
            failed: None,
            owed: Owed::default(),
            just_copied: false,
            expiry: Some(Expiry::new(now_unix_ms, Repeats::LeftAlone)),
            passes: 0,
            next_expiry: now + EXPIRY_INTERVAL,
            next_probe: now,
        })
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
                Next::Closed => {
                    // The last chance. If it is still refused, nobody was told that it is kept.
                    let _ = self.pay();
                    // After a copy that failed the file must not be closed as if all were well.
                    self.copier.wait();
                    self.look_at_copier();
                    break;
                }
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
        if self.holds_readers {
            return HELD_PATIENCE;
        }
        if !self.copier.is_idle() {
            return COPY_PATIENCE;
        }
        let next = match self.shared.counters.health() {
            Health::ReadOnly { .. } => self.next_expiry.min(self.next_probe),
            Health::Ok | Health::Failed { .. } => self.next_expiry,
        };
        next.saturating_duration_since(Instant::now())
    }

    /// Commits what is owed and then these, and tells everybody.
    fn commit_group(&mut self, mut group: Vec<Submission>) {
        self.look_at_copier();
        let outcomes = match self.pay() {
            Ok(()) => self.commit_together(&mut group),
            // Something else may still fit.
            Err(error) if error.may_be_of_one() => self.commit_each(&mut group),
            Err(error) => self.refuse_all(&group, &error),
        };
        self.note(&outcomes);
        for (submission, outcome) in group.into_iter().zip(outcomes) {
            submission.finish(outcome);
        }
    }

    /// All at once or, if that fails and may be the fault of one, each by itself. Nothing is owed when this begins.
    fn commit_together(&mut self, group: &mut [Submission]) -> Vec<Result<(), StoreError>> {
        let mut parts: Vec<Part<'_>> = group.iter_mut().map(Part::Submission).collect();
        match self.transaction(&mut parts) {
            Ok(()) => vec![Ok(()); group.len()],
            Err(error) if group.len() > 1 && error.may_be_of_one() => self.commit_each(group),
            Err(error) => self.refuse_all(group, &error),
        }
    }

    /// In their order, each with what is owed before it. One that changes nothing asks whether all is kept that came before.
    fn commit_each(&mut self, group: &mut [Submission]) -> Vec<Result<(), StoreError>> {
        group
            .iter_mut()
            .map(|submission| self.commit_alone(submission))
            .collect()
    }

    fn commit_alone(&mut self, submission: &mut Submission) -> Result<(), StoreError> {
        if let Work::Job { .. } = submission.work {
            return self.transaction(&mut [Part::Submission(submission)]);
        }
        let changes = self.owed.followed_by(submission.changes());
        let outcome = match self.owed.why() {
            Some(why) if changes.is_empty() => Err(why.clone()),
            _ => self.transaction(&mut [Part::Changes(&changes)]),
        };
        match &outcome {
            Ok(()) => self.owed.forget(&changes),
            Err(error) => self.owe(submission.changes(), error),
        }
        outcome
    }

    fn refuse_all(&mut self, group: &[Submission], error: &StoreError) -> Vec<Result<(), StoreError>> {
        for submission in group {
            self.owe(submission.changes(), error);
        }
        vec![Err(error.clone()); group.len()]
    }

    /// Changes were refused. They are owed if the disk may take them one day.
    fn owe(&mut self, changes: &[Change], error: &StoreError) {
        if error.read_only().is_some() {
            self.owed.add(changes, error);
        }
    }

    /// Writes what is owed. What was refused before and fits now shows that the disk takes it again.
    ///
    /// # Errors
    /// When the disk still does not take all of it.
    fn pay(&mut self) -> Result<(), StoreError> {
        let mut step = GROUP_CHANGES_MAX;
        let mut is_paid = false;
        while !self.owed.is_empty() {
            let changes = self.owed.first(step);
            match self.transaction(&mut [Part::Changes(&changes)]) {
                Ok(()) => {
                    self.owed.forget(&changes);
                    is_paid = true;
                }
                // One place of them; each by itself says which.
                Err(StoreError::Unfit(_)) if step > 1 => step = 1,
                Err(error @ StoreError::Unfit(_)) => {
                    tracing::error!(%error, ?changes, "what was refused before can never be kept");
                    self.owed.forget(&changes);
                }
                Err(error) => return Err(error),
            }
        }
        if is_paid {
            self.get_well();
        }
        Ok(())
    }

    /// Nothing is owed, and the disk has taken as much as shows that it can be written.
    fn get_well(&self) {
        self.shared.counters.set_owed(0);
        self.shared.counters.set_health(Health::Ok);
    }

    fn transaction(&mut self, parts: &mut [Part<'_>]) -> Result<(), StoreError> {
        if let Some(why) = &self.failed {
            return Err(StoreError::Failed(why.clone()));
        }
        let started = Instant::now();
        self.shared.counters.set_writing(true);
        let written = self.write(parts);
        self.shared.counters.set_writing(false);
        if let Err(error) = written {
            self.roll_back();
            return Err(self.told(error));
        }
        let changes = parts.iter().map(Part::count).sum();
        self.shared.counters.committed(changes, started.elapsed());
        Ok(())
    }

    fn write(&self, parts: &mut [Part<'_>]) -> Result<(), StoreError> {
        self.conn
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|error| StoreError::of(Stage::Change, &error))?;
        let rows = SqliteRows::new(&self.conn);
        for part in parts.iter_mut() {
            match part {
                Part::Changes(changes) => self.apply(changes)?,
                Part::Submission(submission) => match &mut submission.work {
                    Work::Changes(changes) => self.apply(changes)?,
                    // A job that panics fails alone: the others are tried again without it.
                    Work::Job { job, .. } => catch_unwind(AssertUnwindSafe(|| job(&rows)))
                        .unwrap_or_else(|_| Err(StoreError::Unfit("it panicked".to_owned())))?,
                },
            }
        }
        rows.keep_greatest_id()?;
        #[cfg(test)]
        if self.shared.answers_early.load(std::sync::atomic::Ordering::Relaxed) {
            for part in parts {
                if let Part::Submission(submission) = part {
                    submission.answer_early();
                }
            }
        }
        self.conn
            .execute_batch("COMMIT")
            .map_err(|error| StoreError::of(Stage::Sync, &error))
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let applied = changes.iter().try_for_each(|change| apply(&self.conn, change));
        applied.map_err(|error| StoreError::of(Stage::Change, &error))
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

    /// The error, from which conclusions are drawn for the health, and for whether anything is written any more.
    fn told(&mut self, error: StoreError) -> StoreError {
        if let StoreError::Failed(why) = &error {
            self.fail(why.clone());
        }
        if let Some(why) = error.read_only() {
            let why = why.to_owned();
            self.shared.counters.set_health(Health::ReadOnly { why });
            // What is refused now shows that there still is no room: what little a probe takes up may fit all the same.
            self.next_probe = Instant::now() + PROBE_INTERVAL;
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
        self.owed = Owed::default();
        self.shared.counters.set_owed(0);
        // Whoever only asks is answered still.
        self.let_readers_go_on();
    }

    /// Counts what became of them. That some could be written says nothing of the disk: what changes no row fits on a full one too.
    fn note(&self, outcomes: &[Result<(), StoreError>]) {
        let counters = &self.shared.counters;
        counters.failed(outcomes.iter().filter(|outcome| outcome.is_err()).count());
        counters.set_owed(self.owed.len());
    }

    /// A statement that is a transaction of its own, of the store's own making. `None` if it fails; the health tells.
    fn alone<T>(&mut self, statement: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        self.shared.counters.set_writing(true);
        let outcome = statement(&self.conn);
        self.shared.counters.set_writing(false);
        outcome
            .map_err(|error| self.told(StoreError::of(Stage::Sync, &error)))
            .ok()
    }

    /// Has the log copied into the database when it has become long, and does the rest itself so that it can begin anew.
    fn copy_log(&mut self) {
        self.log.look();
        if self.log.is_behind() && self.copier.is_busy() {
            self.shared.counters.log_waited();
            self.shared.counters.set_writing(true);
            self.copier.wait();
            self.shared.counters.set_writing(false);
        }
        self.look_at_copier();
        if self.failed.is_some() || !self.copier.is_idle() {
            return;
        }
        if self.holds_readers && self.readers.are_held() {
            self.copy_rest();
            // All is copied, unless somebody with a shell reads it: the next commit begins the log anew.
            return self.let_readers_go_on();
        }
        match self.log.next(std::mem::take(&mut self.just_copied)) {
            Step::Nothing => {}
            Step::Copy => {
                self.log.is_being_copied();
                self.copier.begin();
            }
            Step::CopyRest | Step::CopyRestUnread if self.holds_readers => {}
            Step::CopyRest => self.copy_rest(),
            Step::CopyRestUnread => {
                self.readers.hold();
                self.holds_readers = true;
            }
        }
    }

    /// Draws conclusions from what became of the copy that was under way, if it has come to its end.
    fn look_at_copier(&mut self) {
        match self.copier.outcome() {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(pages))) => {
                self.log.was_copied(pages);
                self.just_copied = true;
                self.shared.counters.log_copied();
            }
            // What is in the log is kept all the same. If the disk is full, say, it is copied later.
            Some(Err(error)) => {
                tracing::warn!(%error, "the log cannot be copied into the database");
                drop(self.told(error));
            }
        }
    }

    /// Copies what is left of the log, as far as nobody else still reads it.
    fn copy_rest(&mut self) {
        self.shared.counters.set_writing(true);
        let copied = copier::copy(&self.conn);
        self.shared.counters.set_writing(false);
        match copied {
            Ok(Some(pages)) => {
                self.log.was_copied_whole(pages);
                self.shared.counters.log_copied();
            }
            Ok(None) => self.log.was_not_copied(),
            Err(error) => {
                self.log.was_not_copied();
                drop(self.told(error));
            }
        }
    }

    fn let_readers_go_on(&mut self) {
        self.readers.go_on();
        self.holds_readers = false;
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
        self.shared.counters.set_writing(true);
        let step = expiry.step(&self.conn, &retention, &self.shared.counters);
        self.shared.counters.set_writing(false);
        match step {
            Ok(deleted) => {
                self.shared.counters.expired(deleted);
                self.expiry = (!expiry.is_over()).then_some(expiry);
            }
            // Tried again in an hour.
            Err(error) => drop(self.told(error)),
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
            self.next_probe = now + PROBE_INTERVAL;
            self.probe();
        }
    }

    /// Writes something that takes up space and deletes it: the space it took is then at hand for what is owed, and whoever comes next.
    fn probe(&mut self) {
        let written = self.alone(|conn| {
            conn.execute(
                "INSERT INTO probe (id, filler) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET filler = excluded.filler",
                [vec![0_u8; PROBE_BYTES]],
            )
        });
        if written.is_some() && self.alone(|conn| conn.execute("DELETE FROM probe", [])).is_some() && self.pay().is_ok()
        {
            self.get_well();
        }
    }
}

#[cfg(test)]
mod tests;
