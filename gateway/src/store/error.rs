//! Why something is not kept, and what a failure of SQLite means for the store.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why the store cannot be opened, or changes are not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// The folder or a file cannot be made, opened or brought to the form of this version.
    #[error("{} cannot be opened: {why}", path.display())]
    Open { path: PathBuf, why: String },
    #[error("{} is in use: another gateway has this data folder", path.display())]
    InUse { path: PathBuf },
    #[error(
        "{} was written by a newer Sluice (format {found}, this one knows up to {known}): start that one, or go back to \
         a backup",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: usize },
    #[error("{} is an SQLite file, but not one of Sluice", path.display())]
    Foreign { path: PathBuf },
    #[error("{} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    /// Too many changes are waiting to be written.
    #[error("too many changes wait for the disk")]
    Busy,
    /// These changes cannot be kept, whatever the state of the disk.
    #[error("this cannot be kept: {0}")]
    Unfit(String),
    #[error("the disk is full: {0}")]
    Full(String),
    /// It cannot be written at the moment.
    #[error("the store cannot be written: {0}")]
    Unavailable(String),
    /// Nothing is kept any more until the gateway is started anew. Whether the changes that met the failure are there then
    /// cannot be known.
    #[error("the store has failed: {0}")]
    Failed(String),
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the end of a transaction: nothing was promised to be on disk.
    Change,
    /// A commit or a checkpoint: where files are written and synced.
    Sync,
}

impl StoreError {
    pub(super) fn open(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::Open {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    pub(super) fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    /// What a failure of SQLite at `stage` means.
    pub(super) fn of(stage: Stage, error: &rusqlite::Error) -> Self {
        let why = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return Self::Unfit(why);
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full(why),
            // Once a sync has failed, the system may have thrown away what it could not write, and the next sync succeeds all
            // the same. So there is no second try.
            ErrorCode::SystemIoFailure if stage == Stage::Sync || is_sync(failure.extended_code) => Self::Failed(why),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Failed(why),
            ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory => Self::Unavailable(why),
            _ => Self::Unfit(why),
        }
    }

    /// Whether it may be the fault of one submission of a group, or hit one harder than others: then each is tried by itself.
    /// What keeps all from being written would only make each of them wait for the same.
    pub(super) fn may_be_of_one(&self) -> bool {
        matches!(self, Self::Unfit(_) | Self::Full(_))
    }

    /// Why nothing can be written at the moment, if that is what it says.
    pub(super) fn read_only(&self) -> Option<&str> {
        match self {
            Self::Full(why) | Self::Unavailable(why) => Some(why),
            _ => None,
        }
    }
}

fn is_sync(extended_code: i32) -> bool {
    matches!(extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
}

#[cfg(test)]
mod tests;
