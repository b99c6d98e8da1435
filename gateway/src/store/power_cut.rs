//! A power failure, for tests: what the store's files are when the power goes at a given moment.
//!
//! [`Recording`] is a layer between SQLite and the file system that writes down, in order, all that happens to the files of one
//! folder, and what its user notes in between ("this one was told that it is kept"). [`History`] then says what a disk may hold
//! when the power fails after any of these events: what was synced is there; what was not is there, is missing, or is there in
//! parts. A store that is opened on that must know all that was told before.
//!
//! It does not model a disk that lies about a sync, or one that loses what it once had.

mod history;
mod recording;

use std::path::Path;
use std::sync::atomic::Ordering;

pub(crate) use history::History;
pub(crate) use recording::Recording;

use super::{Store, StoreError, file, log};

/// A store that is not as safe as it must be: a check that does not notice proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    None,
    /// `synchronous = NORMAL`: the log is synced when it is copied into the database, and not before.
    SyncsSeldom,
    /// `synchronous = OFF`.
    NeverSyncs,
    /// Whoever submitted is told before the commit.
    AnswersEarly,
}

/// So short that the log is copied many times while a recording is made, and some of these times is waited for.
const LOG_LIMITS: log::Limits = log::Limits {
    step: 40,
    whole: 80,
    rest: 40,
    long: 120,
    behind: 40,
};

/// Opens the store in `folder`.
///
/// # Errors
/// As [`Store::open`].
pub(crate) fn open(folder: &Path, now_unix_ms: i64, weakness: Weakness) -> Result<Store, StoreError> {
    let opened = file::open(folder)?;
    let synchronous = match weakness {
        Weakness::None | Weakness::AnswersEarly => None,
        Weakness::SyncsSeldom => Some("normal"),
        Weakness::NeverSyncs => Some("off"),
    };
    if let Some(synchronous) = synchronous {
        let changed = opened.conn.pragma_update(None, "synchronous", synchronous);
        changed.expect("a setting of every connection");
    }
    let (store, _) = Store::start(opened, LOG_LIMITS, now_unix_ms)?;
    let early = weakness == Weakness::AnswersEarly;
    store.inner.shared.answers_early.store(early, Ordering::Relaxed);
    Ok(store)
}

/// Looks at every page of what is left, by SQLite alone.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    let report: rusqlite::Result<String> = rusqlite::Connection::open(folder.join(file::FILE))
        .and_then(|conn| conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)));
    match report {
        Ok(report) if report == "ok" => Ok(()),
        Ok(report) => Err(report),
        Err(error) => Err(error.to_string()),
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("as many as fit in memory");
        usize::try_from(self.number() % end).expect("less than a usize")
    }

    pub(crate) fn in_100(&mut self, cases: usize) -> bool {
        self.below(100) < cases
    }
}
