//! Deleting entries whose end has come, a step at a time.

use rusqlite::Connection;

/// Rows deleted in one step: a few milliseconds, for which those who submit wait.
const STEP_ROWS: u16 = 1_000;

/// Each deletes some entries that end no later than the first parameter, as many as the second at most.
const STATEMENTS: [&str; 2] = [
    "DELETE FROM room_users WHERE (app, room, list, user_id) IN
         (SELECT app, room, list, user_id FROM room_users WHERE until_ms <= ?1 LIMIT ?2)",
    "DELETE FROM app_entries WHERE (app, list, name) IN
         (SELECT app, list, name FROM app_entries WHERE until_ms <= ?1 LIMIT ?2)",
];

/// A pass over all lists.
#[derive(Debug)]
pub(super) struct Expiry {
    now_unix_ms: i64,
    /// The statements that have not yet found everything.
    left: &'static [&'static str],
}

impl Expiry {
    pub(super) fn new(now_unix_ms: i64) -> Self {
        Self {
            now_unix_ms,
            left: &STATEMENTS,
        }
    }

    /// Deletes some rows and returns how many.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub(super) fn step(&mut self, conn: &Connection) -> rusqlite::Result<usize> {
        let Some((statement, others)) = self.left.split_first() else {
            return Ok(0);
        };
        let deleted = conn
            .prepare_cached(statement)?
            .execute([self.now_unix_ms, i64::from(STEP_ROWS)])?;
        if deleted < usize::from(STEP_ROWS) {
            self.left = others;
        }
        Ok(deleted)
    }

    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty()
    }
}
