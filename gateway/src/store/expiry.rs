//! Deleting what has passed, a step at a time: entries whose end has come, messages that are old, and what belongs to them.
//!
//! Each step is a transaction of some milliseconds, between those of others. Messages have no index on their time, which each would have to be entered in: they
//! grow older with their sequence numbers, so it is enough to look at the oldest of each conversation. Sequence numbers and positions stay as they are, and
//! conversations too, however long nobody wrote there: only temporary ones end.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

/// Rows deleted or looked at in one step: a few milliseconds, for which those who submit wait.
const STEP_ROWS: u16 = 1_000;

/// Messages deleted in one step. Each may have eight pages or so to be freed.
const STEP_MESSAGES: u16 = 200;

/// Conversations looked at in one step.
const STEP_CONVERSATIONS: u16 = 500;

/// How long repeats of a message are recognised.
pub(crate) const REPEATS_KEPT_MS: i64 = 7 * DAY_MS;

/// How long parts are kept that no message has named yet.
const PARTS_KEPT_MS: i64 = DAY_MS;

const DAY_MS: i64 = 86_400_000;

/// Each deletes some entries that end no later than the first parameter, as many as the second at most.
const STATEMENTS: [&str; 2] = [
    "DELETE FROM room_users WHERE (app, room, list, user_id) IN
         (SELECT app, room, list, user_id FROM room_users WHERE until_ms <= ?1 LIMIT ?2)",
    "DELETE FROM app_entries WHERE (app, list, name) IN
         (SELECT app, list, name FROM app_entries WHERE until_ms <= ?1 LIMIT ?2)",
];

/// How long messages are kept, milliseconds, by app. Those of other apps are kept for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Retention(BTreeMap<String, i64>);

impl Retention {
    pub(super) fn new(apps: impl IntoIterator<Item = (String, Duration)>) -> Self {
        let ms = |kept: Duration| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Self(apps.into_iter().map(|(app, kept)| (app, ms(kept))).collect())
    }

    /// The shortest of all.
    fn shortest(&self) -> Option<i64> {
        self.0.values().min().copied()
    }
}

/// Whether a pass looks for old repeats too, which takes a walk over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    Walked,
    LeftAlone,
}

/// A pass over everything.
#[derive(Debug)]
pub(super) struct Expiry {
    now_unix_ms: i64,
    repeats: Repeats,
    stage: Stage,
}

/// What a pass is at.
#[derive(Debug)]
enum Stage {
    /// The statements that have not yet found everything.
    Entries(&'static [&'static str]),
    /// Mutes of users who are not inside.
    Mutes,
    /// Temporary conversations that are over.
    Ended,
    /// Messages of the conversations after this one.
    Messages {
        after: i64,
    },
    /// Parts of combined messages, of sets after this one.
    Sets {
        after: RowKey,
    },
    /// Repeats after this one.
    Repeats {
        after: RowKey,
    },
    Over,
}

/// What names a row within its table: an app and two ids.
type RowKey = (String, String, String);

impl Expiry {
    pub(super) fn new(now_unix_ms: i64, repeats: Repeats) -> Self {
        Self {
            now_unix_ms,
            repeats,
            stage: Stage::Entries(&STATEMENTS),
        }
    }

    /// Deletes some rows and returns how many.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub(super) fn step(&mut self, conn: &Connection, retention: &Retention) -> rusqlite::Result<usize> {
        let transaction = conn.unchecked_transaction()?;
        let (deleted, next) = self.delete(&transaction, retention)?;
        transaction.commit()?;
        if let Some(next) = next {
            self.stage = next;
        }
        Ok(deleted)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// How many rows it deleted, and what comes next unless there is more of the same.
    fn delete(&self, conn: &Connection, retention: &Retention) -> rusqlite::Result<(usize, Option<Stage>)> {
        match &self.stage {
            Stage::Entries(left) => self.entries(conn, left),
            Stage::Mutes => self.mutes(conn),
            Stage::Ended => self.ended(conn),
            Stage::Messages { after } => self.messages(conn, retention, *after),
            Stage::Sets { after } => self.sets(conn, retention, after),
            Stage::Repeats { after } => self.repeats(conn, after),
            Stage::Over => Ok((0, None)),
        }
    }

    fn entries(&self, conn: &Connection, left: &'static [&'static str]) -> rusqlite::Result<(usize, Option<Stage>)> {
        let Some((statement, others)) = left.split_first() else {
            return Ok((0, Some(Stage::Mutes)));
        };
        let deleted = conn
            .prepare_cached(statement)?
            .execute([self.now_unix_ms, i64::from(STEP_ROWS)])?;
        let is_all = deleted < usize::from(STEP_ROWS);
        Ok((deleted, is_all.then_some(Stage::Entries(others))))
    }

    /// Mutes of users who are not inside, whose end has come, and that something is decided about a group which is not there, where that was all.
    fn mutes(&self, conn: &Connection) -> rusqlite::Result<(usize, Option<Stage>)> {
        let over = "SELECT app, owner_id, user_id FROM user_lists WHERE list = 'left_muted' AND since_ms <= ?1
            ORDER BY since_ms LIMIT ?2";
        let mute = "DELETE FROM user_lists WHERE app = ?1 AND list = 'left_muted' AND owner_id = ?2 AND user_id = ?3";
        let ahead = "DELETE FROM user_lists WHERE app = ?1 AND list = 'group_ahead' AND owner_id = '' AND user_id = ?2
            AND NOT EXISTS (SELECT 1 FROM user_lists
                WHERE app = ?1 AND list IN ('left_muted', 'mute_exception') AND owner_id = ?2)
            AND NOT EXISTS (SELECT 1 FROM user_lists
                WHERE app = ?1 AND list = 'muted_ahead' AND owner_id = '' AND user_id = ?2)";
        let mut statement = conn.prepare_cached(over)?;
        let found = statement.query_map([self.now_unix_ms, i64::from(STEP_ROWS / 2)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let found = found.collect::<rusqlite::Result<Vec<RowKey>>>()?;
        let mut deleted = 0;
        for (app, group, user) in &found {
            deleted += conn.prepare_cached(mute)?.execute([app, group, user])?;
            deleted += conn.prepare_cached(ahead)?.execute([app, group])?;
        }
        let is_all = found.len() < usize::from(STEP_ROWS / 2);
        Ok((deleted, is_all.then_some(Stage::Ended)))
    }

    /// One conversation that is over: its messages, then itself. Nobody writes there any more.
    fn ended(&self, conn: &Connection) -> rusqlite::Result<(usize, Option<Stage>)> {
        let found = conn
            .prepare_cached("SELECT id FROM conversations WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT 1")?
            .query_row([self.now_unix_ms], |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(id) = found else {
            return Ok((0, Some(Stage::Messages { after: i64::MIN })));
        };
        let mut deleted = delete_oldest(conn, id, i64::MAX)?;
        if deleted < usize::from(STEP_MESSAGES) {
            deleted += conn
                .prepare_cached("DELETE FROM conversation_members WHERE conversation = ?1")?
                .execute([id])?;
            deleted += conn
                .prepare_cached("DELETE FROM conversations WHERE id = ?1")?
                .execute([id])?;
        }
        Ok((deleted, None))
    }

    fn messages(
        &self,
        conn: &Connection,
        retention: &Retention,
        after: i64,
    ) -> rusqlite::Result<(usize, Option<Stage>)> {
        let Some(shortest) = retention.shortest() else {
            return Ok((0, Some(Stage::sets())));
        };
        // A conversation that is younger has no message that is older.
        let statement = "SELECT id, app FROM conversations WHERE id > ?1 AND last_sequence > 0 AND created_at_ms < ?2
            ORDER BY id LIMIT ?3";
        let mut statement = conn.prepare_cached(statement)?;
        let row = params![after, self.now_unix_ms.saturating_sub(shortest), STEP_CONVERSATIONS];
        let found = statement.query_map(row, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let is_last = found.len() < usize::from(STEP_CONVERSATIONS);
        let mut visited = after;
        for (id, app) in found {
            if let Some(kept) = retention.0.get(&app) {
                let deleted = delete_oldest(conn, id, self.now_unix_ms.saturating_sub(*kept))?;
                if deleted > 0 {
                    // There may be more in it: it is looked at again.
                    return Ok((deleted, Some(Stage::Messages { after: visited })));
                }
            }
            visited = id;
        }
        let next = if is_last {
            Stage::sets()
        } else {
            Stage::Messages { after: visited }
        };
        Ok((0, Some(next)))
    }

    /// Sets of parts: those that no message named in time, and those whose messages are gone. A set goes with all of its parts at once: with some of them
    /// it would be taken for what it is not.
    fn sets(
        &self,
        conn: &Connection,
        retention: &Retention,
        after: &RowKey,
    ) -> rusqlite::Result<(usize, Option<Stage>)> {
        let statement = "SELECT app, user_id, combined_id, put_at_ms, sent_at_ms FROM combined_sets
            WHERE (app, user_id, combined_id) > (?1, ?2, ?3) ORDER BY app, user_id, combined_id LIMIT ?4";
        let mut statement = conn.prepare_cached(statement)?;
        let mut rows = statement.query(params![after.0, after.1, after.2, STEP_ROWS])?;
        let mut looked_at = 0;
        let mut last = after.clone();
        while let Some(row) = rows.next()? {
            looked_at += 1;
            last = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (put_at_ms, sent_at_ms): (i64, Option<i64>) = (row.get(3)?, row.get(4)?);
            let is_old = match (sent_at_ms, retention.0.get(&last.0)) {
                (None, _) => put_at_ms <= self.now_unix_ms.saturating_sub(PARTS_KEPT_MS),
                // Taken back.
                (Some(0), _) => true,
                (Some(sent_at_ms), Some(kept)) => sent_at_ms < self.now_unix_ms.saturating_sub(*kept),
                (Some(_), None) => false,
            };
            if is_old {
                drop(rows);
                let deleted = delete_set(conn, &last)?;
                return Ok((deleted, Some(Stage::Sets { after: last })));
            }
        }
        let next = match self.repeats {
            _ if looked_at == STEP_ROWS => Stage::Sets { after: last },
            Repeats::Walked => Stage::Repeats {
                after: RowKey::default(),
            },
            Repeats::LeftAlone => Stage::Over,
        };
        Ok((0, Some(next)))
    }

    fn repeats(&self, conn: &Connection, after: &RowKey) -> rusqlite::Result<(usize, Option<Stage>)> {
        let statement = "SELECT app, sender_id, client_message_id FROM sent_messages
            WHERE (app, sender_id, client_message_id) > (?1, ?2, ?3)
            ORDER BY app, sender_id, client_message_id LIMIT 1 OFFSET ?4";
        let last = conn
            .prepare_cached(statement)?
            .query_row(params![after.0, after.1, after.2, STEP_ROWS - 1], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let before_ms = self.now_unix_ms.saturating_sub(REPEATS_KEPT_MS);
        let Some(last): Option<RowKey> = last else {
            let statement = "DELETE FROM sent_messages
                WHERE (app, sender_id, client_message_id) > (?1, ?2, ?3) AND sent_at_ms < ?4";
            let row = params![after.0, after.1, after.2, before_ms];
            return Ok((conn.prepare_cached(statement)?.execute(row)?, Some(Stage::Over)));
        };
        let statement = "DELETE FROM sent_messages WHERE (app, sender_id, client_message_id) > (?1, ?2, ?3)
            AND (app, sender_id, client_message_id) <= (?4, ?5, ?6) AND sent_at_ms < ?7";
        let row = params![after.0, after.1, after.2, last.0, last.1, last.2, before_ms];
        let deleted = conn.prepare_cached(statement)?.execute(row)?;
        Ok((deleted, Some(Stage::Repeats { after: last })))
    }
}

impl Stage {
    fn sets() -> Self {
        Self::Sets {
            after: RowKey::default(),
        }
    }
}

/// Deletes the oldest messages of a conversation, those before this time, as many as a step takes.
fn delete_oldest(conn: &Connection, conversation: i64, before_ms: i64) -> rusqlite::Result<usize> {
    let statement = "DELETE FROM messages WHERE conversation = ?1 AND sequence IN
        (SELECT sequence FROM
            (SELECT sequence, sent_at_ms FROM messages WHERE conversation = ?1 ORDER BY sequence LIMIT ?3)
         WHERE sent_at_ms < ?2)";
    let row = params![conversation, before_ms, STEP_MESSAGES];
    conn.prepare_cached(statement)?.execute(row)
}

fn delete_set(conn: &Connection, (app, user, id): &RowKey) -> rusqlite::Result<usize> {
    let of = |table: &str| format!("DELETE FROM {table} WHERE app = ?1 AND user_id = ?2 AND combined_id = ?3");
    let parts = conn
        .prepare_cached(&of("combined_parts"))?
        .execute(params![app, user, id])?;
    let sets = conn
        .prepare_cached(&of("combined_sets"))?
        .execute(params![app, user, id])?;
    Ok(parts + sets)
}

#[cfg(test)]
mod tests;
