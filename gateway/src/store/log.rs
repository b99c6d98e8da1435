//! The write-ahead log: how long it is, and when it is copied into the database.
//!
//! ```text
//! commits ──step──▶ the copier copies ──step──▶ … ──whole, and little left──▶ the writer copies that ──▶ the next commit begins the log anew
//!                                                        └─ somebody reads it: it goes on, and beyond `long` questions wait for a moment
//!          └─ where `behind` comes during one copy the writer waits for it
//! ```

pub(super) mod copier;

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// Lengths of the log at which something happens, in pages of 4 KiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// After so many more it is copied, as far as it goes then. The disk is busy with that for some milliseconds, and commits wait behind it: with more at a
    /// time pages that are written again and again would be copied once for many times, and commits would wait longer.
    pub step: usize,
    /// From here on it is copied to its end, so that it begins anew.
    pub whole: usize,
    /// With how much of it left the writer does that. Commits wait meanwhile, and for what copies before have written and the disk does not have yet: SQLite
    /// syncs the database only with a copy that reaches the end of the log.
    pub rest: usize,
    /// Where the writer does it however much is left, and how long the log may be while questions use it. It begins anew when all of it is copied and nobody
    /// reads it, and with two threads that go from one question to the next somebody always does. So they are held for a moment then.
    pub long: usize,
    /// The writer waits for the copier when so much has come since that began: the disk copies more slowly than changes come.
    pub behind: usize,
}

impl Limits {
    /// 1, 16, 1, 32 and 16 MiB.
    pub(super) const USUAL: Self = Self {
        step: 256,
        whole: 4_096,
        rest: 256,
        long: 8_192,
        behind: 4_096,
    };
}

/// What is to be done about the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// The copier is to copy it as far as it goes.
    Copy,
    /// The writer is to copy what is left.
    CopyRest,
    /// No question is to begin, and when none is under way the writer is to copy what is left.
    CopyRestUnread,
}

/// The log since it last began anew.
#[derive(Debug)]
pub(super) struct Log {
    limits: Limits,
    /// Its pages after the last commit, as SQLite told.
    told: Arc<AtomicUsize>,
    pages: usize,
    /// Up to where it was tried to copy it.
    tried: usize,
    /// Up to where it is copied.
    copied: usize,
    /// From here on it is copied to its end.
    whole_from: usize,
    /// Whether it was, once.
    was_whole: bool,
    /// Whether it has begun anew since the copier began.
    is_another: bool,
}

impl Log {
    /// Of what `conn` commits from now on.
    pub(super) fn of(conn: &mut Connection, limits: Limits) -> rusqlite::Result<Self> {
        let told = Arc::<AtomicUsize>::default();
        let tell = told.clone();
        conn.wal_hook(Some(move |_: &mut Wal, pages: c_int| {
            tell.store(usize::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            limits,
            told,
            pages: 0,
            tried: 0,
            copied: 0,
            whole_from: limits.whole,
            was_whole: false,
            is_another: false,
        })
    }

    /// Looks how long it is.
    pub(super) fn look(&mut self) {
        let pages = self.told.load(Ordering::Relaxed);
        if pages < self.pages {
            (self.tried, self.copied) = (0, 0);
            self.whole_from = self.limits.whole;
            self.was_whole = false;
            self.is_another = true;
        }
        self.pages = pages;
    }

    /// What is to be done now that nobody copies. `just_copied`: the copier has.
    pub(super) fn next(&self, just_copied: bool) -> Step {
        let left = self.pages.saturating_sub(self.copied);
        let is_nearly_whole = left <= self.limits.rest || self.pages >= self.limits.long;
        if just_copied && is_nearly_whole && self.pages >= self.whole_from {
            return match self.was_whole {
                true => Step::CopyRestUnread,
                false => Step::CopyRest,
            };
        }
        match self.pages.saturating_sub(self.tried) >= self.limits.step {
            true => Step::Copy,
            false => Step::Nothing,
        }
    }

    /// The copier begins.
    pub(super) fn is_being_copied(&mut self) {
        self.tried = self.pages;
        self.is_another = false;
    }

    /// The copier has copied it up to there.
    pub(super) fn was_copied(&mut self, pages: usize) {
        if !self.is_another {
            self.copied = pages;
        }
    }

    /// The writer has copied it up to there, as far as nobody held it back. If it does not begin anew now, somebody reads it.
    pub(super) fn was_copied_whole(&mut self, pages: usize) {
        (self.tried, self.copied) = (self.pages, pages);
        self.whole_from = match self.was_whole {
            // Somebody with a shell, for whom nobody waits.
            true => self.pages + self.limits.whole,
            false => self.pages.max(self.limits.long),
        };
        self.was_whole = true;
    }

    /// The writer could not copy it. It is tried again a step later.
    pub(super) fn was_not_copied(&mut self) {
        self.tried = self.pages;
    }

    /// Whether too much has come since the copier began.
    pub(super) fn is_behind(&self) -> bool {
        self.pages.saturating_sub(self.tried) > self.limits.behind
    }

    #[cfg(test)]
    pub(super) fn pages(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
