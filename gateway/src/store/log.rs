//! The write-ahead log: how long it is, and when it is copied into the database.
//!
//! ```text
//! commits ──step──▶ the copier copies ──step──▶ … ──whole, and little left──▶ the writer copies that ──▶ the next commit begins the log anew
//!                                                        └─ somebody reads it: it goes on, and beyond `long` questions wait for a moment
//!                                                        └─ beyond `max` the writer waits for the copier
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
    /// With how much of it left the writer does that: commits wait meanwhile.
    pub rest: usize,
    /// Where the writer does it however much is left, and how long the log may be while questions use it. It begins anew when all of it is copied and nobody
    /// reads it, and with two threads that go from one question to the next somebody always does. So they are held for a moment then.
    pub long: usize,
    /// Where the writer waits for the copier: changes come faster than the disk copies.
    pub max: usize,
}

impl Limits {
    /// 1, 16, 1, 32 and 48 MiB.
    pub(super) const USUAL: Self = Self {
        step: 256,
        whole: 4_096,
        rest: 256,
        long: 8_192,
        max: 12_288,
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
    /// Up to where it was copied, or tried to be.
    tried: usize,
    /// From here on it is copied to its end.
    whole_from: usize,
    /// Whether it was, once.
    was_whole: bool,
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
            whole_from: limits.whole,
            was_whole: false,
        })
    }

    /// Looks how long it is.
    pub(super) fn look(&mut self) {
        let pages = self.told.load(Ordering::Relaxed);
        if pages < self.pages {
            self.tried = 0;
            self.whole_from = self.limits.whole;
            self.was_whole = false;
        }
        self.pages = pages;
    }

    /// What is to be done now that nobody copies. `just_copied`: the copier has.
    pub(super) fn next(&self, just_copied: bool) -> Step {
        let new = self.pages.saturating_sub(self.tried);
        let is_nearly_whole = just_copied && (new <= self.limits.rest || self.pages >= self.limits.long);
        if is_nearly_whole && self.pages >= self.whole_from {
            return match self.was_whole {
                true => Step::CopyRestUnread,
                false => Step::CopyRest,
            };
        }
        match new >= self.limits.step {
            true => Step::Copy,
            false => Step::Nothing,
        }
    }

    /// It is copied up to where it goes now, or that is tried.
    pub(super) fn is_being_copied(&mut self) {
        self.tried = self.pages;
    }

    /// It was copied to its end, as far as nobody held it back. If it does not begin anew now, somebody reads it.
    pub(super) fn was_copied(&mut self) {
        self.tried = self.pages;
        self.whole_from = match self.was_whole {
            // Somebody with a shell, for whom nobody waits.
            true => self.pages + self.limits.long,
            false => self.pages.max(self.limits.long),
        };
        self.was_whole = true;
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.pages > self.limits.max
    }

    #[cfg(test)]
    pub(super) fn pages(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
