//! How the store is: for readiness and for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::StoreError;

/// How often the log says that something cannot be read, while that goes on.
const UNREADABLE_TOLD_EVERY: Duration = Duration::from_secs(60);

/// Whether what is submitted is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Health {
    #[default]
    Ok,
    /// Not at the moment. It tries by itself and gets well when there is room on the disk again.
    ReadOnly { why: String },
    /// Not until the gateway is started anew.
    Failed { why: String },
}

/// What the store has done since it was opened, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Figures {
    /// Transactions that were committed: groups, and submissions of a group that failed as a whole.
    pub commits: u64,
    /// From the beginning of these transactions to the end of their syncs, in all.
    pub commit_time: Duration,
    /// How long what the writer is at has taken so far: a transaction or a copy of the log.
    pub writing_for: Duration,
    /// Changes in them.
    pub changes: u64,
    /// Copies of the log into the database, as far as it went and nobody read it.
    pub log_copies: u64,
    /// How often the writer waited for one.
    pub log_waits: u64,
    /// Submissions that were written and failed.
    pub failures: u64,
    /// Askers turned away because too much was waiting.
    pub busy: u64,
    /// Questions that were answered.
    pub questions: u64,
    /// From when they were asked to their answers, in all.
    pub question_time: Duration,
    /// Questions turned away because too many were waiting.
    pub questions_busy: u64,
    /// Questions, and looks at what is old, that met what cannot be read.
    pub unreadable: u64,
    /// Questions that wait now.
    pub questions_queued: usize,
    /// Rows deleted because their time was over.
    pub expired: u64,
    /// Changes that wait now.
    pub queued: usize,
    /// Changes that were refused and are still to be written.
    pub owed: usize,
    /// Database and write-ahead log.
    pub file_bytes: u64,
    /// The write-ahead log alone.
    pub log_bytes: u64,
}

/// Counted by the store's threads, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    commit_nanos: AtomicU64,
    changes: AtomicU64,
    log_copies: AtomicU64,
    log_waits: AtomicU64,
    failures: AtomicU64,
    busy: AtomicU64,
    expired: AtomicU64,
    owed: AtomicUsize,
    questions: AtomicU64,
    question_nanos: AtomicU64,
    questions_busy: AtomicU64,
    unreadable: AtomicU64,
    damaged: AtomicBool,
    /// When the log last said that something cannot be read.
    unreadable_told: Mutex<Option<Instant>>,
    /// When the writer began what it is at.
    writing_since: Mutex<Option<Instant>>,
    health: Mutex<Health>,
}

impl Counters {
    pub(super) fn committed(&self, changes: usize, time: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes as u64, Ordering::Relaxed);
        self.commit_nanos.fetch_add(nanos(time), Ordering::Relaxed);
    }

    pub(super) fn log_copied(&self) {
        self.log_copies.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn log_waited(&self) {
        self.log_waits.fetch_add(1, Ordering::Relaxed);
    }

    /// The writer begins something that may take as long as the disk does, or has come to its end.
    pub(super) fn set_writing(&self, is_writing: bool) {
        *unpoisoned(&self.writing_since) = is_writing.then(Instant::now);
    }

    pub(super) fn writing_for(&self) -> Duration {
        let since = *unpoisoned(&self.writing_since);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn answered(&self, time: Duration) {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.question_nanos.fetch_add(nanos(time), Ordering::Relaxed);
    }

    pub(super) fn question_busy(&self) {
        self.questions_busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Something that was kept cannot be read. Counted and, from time to time, said in the log.
    pub(super) fn unreadable(&self, error: &StoreError) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        if matches!(error, StoreError::Failed(_)) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        let mut told = unpoisoned(&self.unreadable_told);
        if told.is_none_or(|last| last.elapsed() >= UNREADABLE_TOLD_EVERY) {
            tracing::error!(%error, "something that was kept cannot be read");
            *told = Some(Instant::now());
        }
    }

    /// Whether the file was found damaged while it was read.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self, submissions: usize) {
        self.failures.fetch_add(submissions as u64, Ordering::Relaxed);
    }

    pub(super) fn busy(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn expired(&self, rows: usize) {
        self.expired.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn owed(&self) -> usize {
        self.owed.load(Ordering::Relaxed)
    }

    pub(super) fn set_owed(&self, changes: usize) {
        self.owed.store(changes, Ordering::Relaxed);
    }

    pub(super) fn health(&self) -> Health {
        unpoisoned(&self.health).clone()
    }

    /// Keeps it, and says so in the log if it is news. What has failed stays so.
    pub(super) fn set_health(&self, new: Health) {
        let mut health = unpoisoned(&self.health);
        let known = std::mem::discriminant(&*health) == std::mem::discriminant(&new);
        if known || matches!(*health, Health::Failed { .. }) {
            return;
        }
        match &new {
            Health::Ok => tracing::info!("the store can be written again"),
            Health::ReadOnly { why } => tracing::warn!(%why, "the store cannot be written"),
            Health::Failed { why } => {
                tracing::error!(%why, "the store has failed and keeps nothing more until a restart")
            }
        }
        *health = new;
    }

    /// What they know; what waits and how long files are is for others to say.
    pub(super) fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            commits: read(&self.commits),
            commit_time: Duration::from_nanos(read(&self.commit_nanos)),
            changes: read(&self.changes),
            log_copies: read(&self.log_copies),
            log_waits: read(&self.log_waits),
            failures: read(&self.failures),
            busy: read(&self.busy),
            expired: read(&self.expired),
            owed: self.owed(),
            writing_for: self.writing_for(),
            questions: read(&self.questions),
            question_time: Duration::from_nanos(read(&self.question_nanos)),
            questions_busy: read(&self.questions_busy),
            unreadable: read(&self.unreadable),
            ..Figures::default()
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// No lock is held where something can panic half way.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
