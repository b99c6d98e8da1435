//! How the store is: for readiness and for metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
    /// Changes in them.
    pub changes: u64,
    /// Submissions that were written and failed.
    pub failures: u64,
    /// Askers turned away because too much was waiting.
    pub busy: u64,
    /// Rows deleted because their time was over.
    pub expired: u64,
    /// Changes that wait now.
    pub queued: usize,
    /// Changes that were refused and are still to be written.
    pub owed: usize,
    /// Database and write-ahead log.
    pub file_bytes: u64,
}

/// Counted by the writer, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    commit_nanos: AtomicU64,
    changes: AtomicU64,
    failures: AtomicU64,
    busy: AtomicU64,
    expired: AtomicU64,
    owed: AtomicUsize,
    health: Mutex<Health>,
}

impl Counters {
    pub(super) fn committed(&self, changes: usize, time: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes as u64, Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.commit_nanos.fetch_add(nanos, Ordering::Relaxed);
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
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps it, and says so in the log if it is news. What has failed stays so.
    pub(super) fn set_health(&self, new: Health) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
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

    pub(super) fn figures(&self, queued: usize, file_bytes: u64) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            commits: read(&self.commits),
            commit_time: Duration::from_nanos(read(&self.commit_nanos)),
            changes: read(&self.changes),
            failures: read(&self.failures),
            busy: read(&self.busy),
            expired: read(&self.expired),
            queued,
            owed: self.owed(),
            file_bytes,
        }
    }
}
