//! The form of the file, brought forward by number. Forward only: a file from a newer version is refused, never guessed at.
//!
//! A migration that was released is never changed: files exist that it has made. A new one is a new file at the end.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::error::StoreError;

/// The first makes version 1, and so on.
pub(super) const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/0001_rooms_and_lists.sql"),
    include_str!("migrations/0002_what_passes_and_a_probe.sql"),
    include_str!("migrations/0003_when_attributes_were_set.sql"),
    include_str!("migrations/0004_rooms_that_were_used.sql"),
    include_str!("migrations/0005_conversations.sql"),
];

/// The version of the file, 0 of an empty one. Changes nothing, so that a file which is not ours stays as it is.
///
/// # Errors
/// When it is newer than `known` versions, not of Sluice or damaged.
pub(super) fn check_version(conn: &Connection, path: &Path, known: usize) -> Result<usize, StoreError> {
    let version = read_version(conn).map_err(|error| StoreError::damaged(path, &error))?;
    let Some(version) = version else {
        return Err(StoreError::Foreign { path: path.to_owned() });
    };
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(StoreError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        }),
    }
}

/// `None`: there are tables, but none that says a version.
fn read_version(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Some(0));
    }
    let named = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'";
    if conn.query_row(named, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let version = "SELECT version FROM schema_version WHERE id = 1";
    conn.query_row(version, [], |row| row.get(0)).map(Some)
}

/// Applies what is missing after `from`, each step whole or not at all.
///
/// # Errors
/// When a step fails: the file is then at the version before it.
pub(super) fn migrate(conn: &mut Connection, from: usize, migrations: &[&str]) -> rusqlite::Result<()> {
    for (number, migration) in (1_i64..).zip(migrations).skip(from) {
        let step = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(migration)?;
        step.execute(
            "INSERT INTO schema_version (id, version) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version",
            [number],
        )?;
        step.commit()?;
        tracing::info!(version = number, "store migrated");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
