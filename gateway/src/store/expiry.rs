//! Deleting what has passed, a step at a time: entries whose end has come, messages that are old, and what belongs to them.
//!
//! Each step is a transaction of some milliseconds, between those of others. Messages have no index on their time, which each would have to be entered in: they
//! grow older with their sequence numbers, so it is enough to look at the oldest of each conversation. Sequence numbers and positions stay as they are, and
//! conversations too, however long nobody wrote there: only temporary ones end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::error::{self, StoreError};
use super::figures::Counters;

/// Rows deleted or looked at in one step: a few milliseconds, for which those who submit wait.
const STEP_ROWS: u16 = 1_000;

/// Messages deleted in one step, of however many conversations. Each may have eight pages or so to be freed.
const STEP_MESSAGES: usize = 200;

/// Conversations looked at in one step: a row of each, and of those that are old their oldest message.
const STEP_CONVERSATIONS: u16 = 500;

/// Conversations that are passed over in one pass because the disk cannot read them. With more it is not a few sectors that are bad.
const UNREADABLE_MAX: usize = 100;

/// How long repeats of a message are recognised.
pub(crate) const REPEATS_KEPT_MS: i64 = 7 * DAY_MS;

/// How long parts are kept that no message has named yet.
const PARTS_KEPT_MS: i64 = DAY_MS;

/// How far a clock may have been set back, so that a conversation seems older than those before it.
const CLOCK_STEP_MS: i64 = DAY_MS;

const DAY_MS: i64 = 86_400_000;

/// Each deletes some entries that end no later than the first parameter, as many as the second at most.
const STATEMENTS: [&str; 2] = [
    "DELETE FROM room_users WHERE (app, room, list, user_id) IN
         (SELECT app, room, list, user_id FROM room_users WHERE until_ms <= ?1 LIMIT ?2)",
    "DELETE FROM app_entries WHERE (app, list, name) IN
         (SELECT app, list, name FROM app_entries WHERE until_ms <= ?1 LIMIT ?2)",
];

/// Whose turn it is. What is looked for is not asked of SQLite, which would look on and on for what is not there.
const NEXT_CONVERSATIONS: &str = "SELECT id, app, created_at_ms FROM conversations WHERE id > ?1 ORDER BY id LIMIT ?2";

const ENDED_CONVERSATIONS: &str =
    "SELECT id FROM conversations WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2";

const OLDEST_MESSAGES: &str =
    "SELECT sequence, sent_at_ms FROM messages WHERE conversation = ?1 ORDER BY sequence LIMIT ?2";

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
    /// Conversations that are passed over, since the disk cannot read them.
    unreadable: BTreeSet<i64>,
}

/// Why a step came to nothing.
struct Stopped {
    error: rusqlite::Error,
    /// The conversation it was at.
    conversation: Option<i64>,
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self {
            error,
            conversation: None,
        }
    }
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
            unreadable: BTreeSet::new(),
        }
    }

    /// Deletes some rows and returns how many. A conversation that cannot be read is passed over from then on.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub(super) fn step(
        &mut self,
        conn: &Connection,
        retention: &Retention,
        counters: &Counters,
    ) -> Result<usize, StoreError> {
        let of = |stage| move |error: rusqlite::Error| StoreError::of(stage, &error);
        let transaction = conn.unchecked_transaction().map_err(of(error::Stage::Change))?;
        let (deleted, next) = match self.delete(&transaction, retention) {
            Ok(done) => done,
            Err(stopped) => {
                drop(transaction);
                let is_of_disk = stopped.error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
                let error = StoreError::of(error::Stage::Change, &stopped.error);
                return match stopped.conversation {
                    Some(conversation)
                        if is_of_disk && error.read_only().is_some() && self.unreadable.len() < UNREADABLE_MAX =>
                    {
                        counters.unreadable(&error);
                        self.unreadable.insert(conversation);
                        // The same again without it.
                        Ok(0)
                    }
                    _ => Err(error),
                };
            }
        };
        transaction.commit().map_err(of(error::Stage::Sync))?;
        if let Some(next) = next {
            self.stage = next;
        }
        Ok(deleted)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// How many rows it deleted, and what comes next unless there is more of the same.
    fn delete(&self, conn: &Connection, retention: &Retention) -> Result<(usize, Option<Stage>), Stopped> {
        match &self.stage {
            Stage::Entries(left) => Ok(self.entries(conn, left)?),
            Stage::Mutes => Ok(self.mutes(conn)?),
            Stage::Ended => self.ended(conn),
            Stage::Messages { after } => self.messages(conn, retention, *after),
            Stage::Sets { after } => Ok(self.sets(conn, retention, after)?),
            Stage::Repeats { after } => Ok(self.repeats(conn, after)?),
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

    /// Conversations that are over: their messages, then themselves. Nobody writes there any more.
    fn ended(&self, conn: &Connection) -> Result<(usize, Option<Stage>), Stopped> {
        let mut statement = conn.prepare_cached(ENDED_CONVERSATIONS)?;
        let mut rows = statement.query(params![
            self.now_unix_ms,
            i64::try_from(STEP_MESSAGES).unwrap_or(i64::MAX)
        ])?;
        let (mut ended, mut looked_at) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            looked_at += 1;
            ended.push(row.get::<_, i64>(0)?);
        }
        drop(rows);
        ended.retain(|id| !self.unreadable.contains(id));
        let mut deleted = 0;
        for id in ended {
            deleted += delete_ended(conn, id, STEP_MESSAGES - deleted).map_err(Stopped::at(id))?;
            if deleted >= STEP_MESSAGES {
                return Ok((deleted, None));
            }
        }
        // Those that are passed over stay in front.
        let is_all = looked_at < STEP_MESSAGES || deleted == 0;
        Ok((deleted, is_all.then_some(Stage::Messages { after: i64::MIN })))
    }

    fn messages(
        &self,
        conn: &Connection,
        retention: &Retention,
        after: i64,
    ) -> Result<(usize, Option<Stage>), Stopped> {
        let Some(shortest) = retention.shortest() else {
            return Ok((0, Some(Stage::sets())));
        };
        let young_from_ms = self.now_unix_ms.saturating_sub(shortest).saturating_add(CLOCK_STEP_MS);
        let mut statement = conn.prepare_cached(NEXT_CONVERSATIONS)?;
        let mut rows = statement.query(params![after, STEP_CONVERSATIONS])?;
        let (mut deleted, mut looked_at, mut visited) = (0, 0, after);
        while let Some(row) = rows.next()? {
            let (id, created_at_ms): (i64, i64) = (row.get(0)?, row.get(2)?);
            // Ids rise with time: those behind it are younger still, and a conversation has no message that is older than itself.
            if created_at_ms >= young_from_ms {
                return Ok((deleted, Some(Stage::sets())));
            }
            let app = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            if let Some(kept) = retention.0.get(app)
                && !self.unreadable.contains(&id)
            {
                let before_ms = self.now_unix_ms.saturating_sub(*kept);
                deleted += delete_oldest(conn, id, before_ms, STEP_MESSAGES - deleted).map_err(Stopped::at(id))?;
                if deleted == STEP_MESSAGES {
                    // There may be more in it: it is looked at again.
                    return Ok((deleted, Some(Stage::Messages { after: visited })));
                }
            }
            (looked_at, visited) = (looked_at + 1, id);
        }
        let next = match looked_at {
            STEP_CONVERSATIONS => Stage::Messages { after: visited },
            _ => Stage::sets(),
        };
        Ok((deleted, Some(next)))
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
        let (mut looked_at, mut last, mut old) = (0, after.clone(), Vec::new());
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
                old.push(last.clone());
            }
        }
        drop(rows);
        let mut deleted = 0;
        for set in old {
            deleted += delete_set(conn, &set)?;
            if deleted >= STEP_MESSAGES {
                return Ok((deleted, Some(Stage::Sets { after: set })));
            }
        }
        let next = match self.repeats {
            _ if looked_at == STEP_ROWS => Stage::Sets { after: last },
            Repeats::Walked => Stage::Repeats {
                after: RowKey::default(),
            },
            Repeats::LeftAlone => Stage::Over,
        };
        Ok((deleted, Some(next)))
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

impl Stopped {
    fn at(conversation: i64) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| Self {
            error,
            conversation: Some(conversation),
        }
    }
}

/// Deletes messages of a conversation that is over, so many at most, and if there are no more the rest of it.
fn delete_ended(conn: &Connection, id: i64, most: usize) -> rusqlite::Result<usize> {
    let mut deleted = delete_oldest(conn, id, i64::MAX, most)?;
    if deleted < most {
        deleted += conn
            .prepare_cached("DELETE FROM conversation_members WHERE conversation = ?1")?
            .execute([id])?;
        deleted += conn
            .prepare_cached("DELETE FROM conversations WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(deleted)
}

/// Deletes the oldest messages of a conversation, those before this time, so many at most. One row more than those is read.
fn delete_oldest(conn: &Connection, conversation: i64, before_ms: i64, most: usize) -> rusqlite::Result<usize> {
    let mut statement = conn.prepare_cached(OLDEST_MESSAGES)?;
    let mut rows = statement.query(params![conversation, i64::try_from(most).unwrap_or(i64::MAX)])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        // Times do not fall within a conversation.
        if row.get::<_, i64>(1)? >= before_ms {
            break;
        }
        last = Some(row.get::<_, i64>(0)?);
    }
    drop(rows);
    let Some(last) = last else {
        return Ok(0);
    };
    conn.prepare_cached("DELETE FROM messages WHERE conversation = ?1 AND sequence <= ?2")?
        .execute([conversation, last])
}

fn delete_set(conn: &Connection, (app, user, id): &RowKey) -> rusqlite::Result<usize> {
    let row = params![app, user, id];
    let parts = "DELETE FROM combined_parts WHERE app = ?1 AND user_id = ?2 AND combined_id = ?3";
    let parts = conn.prepare_cached(parts)?.execute(row)?;
    let sets = "DELETE FROM combined_sets WHERE app = ?1 AND user_id = ?2 AND combined_id = ?3";
    Ok(parts + conn.prepare_cached(sets)?.execute(row)?)
}

#[cfg(test)]
mod tests;
