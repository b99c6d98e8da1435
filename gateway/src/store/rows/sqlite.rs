//! Rows in SQLite, in shapes that Postgres has too.

mod changes;

use std::cell::Cell;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row, params, params_from_iter};
use sluice_protocol::ConversationType;

use super::{
    CombinedRow, ConversationRow, ConversationsQuery, Direction, MemberRow, MessageRow, MessagesQuery, Read, Rows,
    SentRow, Since, UNREAD_LOOKED_AT, UserList,
};
use crate::store::error::{Stage, StoreError};

/// Columns as a row is read from them: literals, so that no statement is put together when it is used.
macro_rules! conversation {
    () => {
        "c.id, c.app, c.kind, c.name_key, c.name, c.creator_id, c.notice, c.attributes, c.members_digest, c.member_count, \
         c.members_version, c.created_at_ms, c.updated_at_ms, c.expires_at_ms, c.muted, c.last_sequence, \
         c.last_message_id, c.last_message_at_ms"
    };
}
const CONVERSATION_COLUMNS: usize = 18;

macro_rules! member {
    () => {
        "m.conversation, m.user_id, m.app, m.role, m.joined_at_ms, m.first_sequence, m.delivered_sequence, \
         m.read_sequence, m.muted_until_ms"
    };
}

macro_rules! message {
    () => {
        "conversation, sequence, message_id, sent_at_ms, sender_id, kind, counts, recalled, event"
    };
}

/// Conversations of a user with a message after what the user has got.
macro_rules! with_news {
    () => {
        " FROM conversation_members m JOIN conversations c ON c.id = m.conversation
          WHERE m.app = ?1 AND m.user_id = ?2
              AND c.last_sequence > min(m.delivered_sequence, m.read_sequence) AND c.last_sequence >= m.first_sequence"
    };
}

#[cfg(test)]
thread_local! {
    /// Statements that were used on this thread.
    pub(in crate::store) static USED: std::cell::RefCell<std::collections::BTreeSet<String>> = std::cell::RefCell::default();
}

/// See the module.
#[derive(Debug)]
pub(in crate::store) struct SqliteRows<'a> {
    conn: &'a Connection,
    /// Of all ids that were given by it.
    greatest_id: Cell<i64>,
}

impl<'a> SqliteRows<'a> {
    pub(in crate::store) fn new(conn: &'a Connection) -> Self {
        Self {
            conn,
            greatest_id: Cell::new(0),
        }
    }

    /// Remembers the greatest id that was given, once for all of a transaction: nobody has to look for it among all rows.
    pub(in crate::store) fn keep_greatest_id(&self) -> Read<()> {
        let id = self.greatest_id.get();
        if id > 0 {
            self.run("UPDATE greatest_ids SET value = ?1 WHERE id = 1 AND value < ?1", [id])?;
        }
        Ok(())
    }

    fn gave(&self, id: i64) {
        self.greatest_id.set(self.greatest_id.get().max(id));
    }

    fn prepare(&self, statement: &str) -> rusqlite::Result<CachedStatement<'a>> {
        #[cfg(test)]
        USED.with_borrow_mut(|used| used.insert(statement.to_owned()));
        self.conn.prepare_cached(statement)
    }

    fn one<T>(
        &self,
        statement: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Read<Option<T>> {
        let found = self.prepare(statement);
        let found = found.and_then(|mut statement| statement.query_row(parameters, read).optional());
        found.map_err(|error| StoreError::of(Stage::Change, &error))
    }

    fn many<T>(
        &self,
        statement: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Read<Vec<T>> {
        let found = self.prepare(statement);
        let found = found.and_then(|mut statement| statement.query_map(parameters, read)?.collect());
        found.map_err(|error| StoreError::of(Stage::Change, &error))
    }

    /// How many rows it changed.
    fn run(&self, statement: &str, parameters: impl Params) -> Read<usize> {
        let done = self.prepare(statement);
        let done = done.and_then(|mut statement| statement.execute(parameters));
        done.map_err(|error| StoreError::of(Stage::Change, &error))
    }
}

impl Rows for SqliteRows<'_> {
    fn conversation(&self, app: &str, kind: i32, key: &str) -> Read<Option<ConversationRow>> {
        let statement = concat!(
            "SELECT ",
            conversation!(),
            " FROM conversations c WHERE app = ?1 AND kind = ?2 AND name_key = ?3"
        );
        self.one(statement, params![app, kind, key], conversation)
    }

    fn conversation_of_members(&self, app: &str, digest: &str) -> Read<Option<ConversationRow>> {
        let statement = concat!(
            "SELECT ",
            conversation!(),
            " FROM conversations c WHERE app = ?1 AND members_digest = ?2 ORDER BY id LIMIT 1"
        );
        self.one(statement, [app, digest], conversation)
    }

    fn conversations(&self, query: &ConversationsQuery) -> Read<Vec<(ConversationRow, MemberRow)>> {
        let statement = concat!(
            "SELECT ",
            conversation!(),
            ", ",
            member!(),
            " FROM conversation_members m JOIN conversations c ON c.id = m.conversation WHERE m.app = ? AND m.user_id = ?"
        );
        let mut statement = statement.to_owned();
        let mut values: Vec<Value> = vec![query.app.clone().into(), query.user_id.clone().into()];
        let mut and = |condition: &str, value: Option<Value>| {
            statement.push_str(" AND ");
            statement.push_str(condition);
            values.extend(value);
        };
        if let Some(kind) = query.kind {
            and("c.kind = ?", Some(i64::from(kind).into()));
        }
        if !query.with_temporary {
            and("c.expires_at_ms IS NULL", None);
        }
        for user in &query.containing {
            and(
                "EXISTS (SELECT 1 FROM conversation_members o WHERE o.conversation = c.id AND o.user_id = ?)",
                Some(user.clone().into()),
            );
        }
        if !query.name_contains.is_empty() {
            and("instr(c.name, ?) > 0", Some(query.name_contains.clone().into()));
        }
        if let Some(after_ms) = query.after_ms {
            and("max(c.updated_at_ms, c.last_message_at_ms) > ?", Some(after_ms.into()));
        }
        statement.push_str(" ORDER BY max(c.created_at_ms, c.last_message_at_ms) DESC, c.id DESC LIMIT ? OFFSET ?");
        values.push(signed(query.limit).into());
        values.push(signed(query.skip).into());
        self.many(&statement, params_from_iter(values), |row| {
            Ok((conversation(row)?, member(row, CONVERSATION_COLUMNS)?))
        })
    }

    fn conversations_with_news(
        &self,
        app: &str,
        user_id: &str,
        limit: usize,
    ) -> Read<(Vec<(ConversationRow, MemberRow)>, usize)> {
        let page = concat!(
            "SELECT ",
            conversation!(),
            ", ",
            member!(),
            with_news!(),
            " ORDER BY c.last_message_at_ms DESC, c.id DESC LIMIT ?3"
        );
        let found = self.many(page, params![app, user_id, signed(limit)], |row| {
            Ok((conversation(row)?, member(row, CONVERSATION_COLUMNS)?))
        })?;
        if found.len() < limit {
            let all = found.len();
            return Ok((found, all));
        }
        let all = concat!("SELECT count(*)", with_news!());
        let all = self.one(all, params![app, user_id], |row| row.get::<_, i64>(0))?;
        Ok((found, unsigned(all.unwrap_or(0))))
    }

    fn ended_group(&self, app: &str, key: &str) -> Read<i64> {
        let statement = "SELECT last_sequence FROM ended_groups WHERE app = ?1 AND name_key = ?2";
        let last = self.one(statement, [app, key], |row| row.get(0))?;
        Ok(last.unwrap_or(0))
    }

    fn member(&self, conversation: i64, user_id: &str) -> Read<Option<MemberRow>> {
        let statement = concat!(
            "SELECT ",
            member!(),
            " FROM conversation_members m WHERE conversation = ?1 AND user_id = ?2"
        );
        self.one(statement, params![conversation, user_id], |row| member(row, 0))
    }

    fn members(&self, conversation: i64, after: &str, limit: usize) -> Read<Vec<MemberRow>> {
        let statement = concat!(
            "SELECT ",
            member!(),
            " FROM conversation_members m WHERE conversation = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3"
        );
        self.many(statement, params![conversation, after, signed(limit)], |row| {
            member(row, 0)
        })
    }

    fn message(&self, conversation: i64, sequence: i64) -> Read<Option<MessageRow>> {
        let statement = concat!(
            "SELECT ",
            message!(),
            " FROM messages WHERE conversation = ?1 AND sequence = ?2"
        );
        self.one(statement, [conversation, sequence], message)
    }

    fn message_by_id(&self, conversation: i64, message_id: i64) -> Read<Option<MessageRow>> {
        let Some(sequence) = self.first_since(conversation, Since::MessageId(message_id))? else {
            return Ok(None);
        };
        let found = self.message(conversation, sequence)?;
        Ok(found.filter(|found| found.message_id == message_id))
    }

    /// Both ids and times rise with the sequence numbers, so halving finds it, without an index that each message would have to
    /// be entered in.
    fn first_since(&self, conversation: i64, since: Since) -> Read<Option<i64>> {
        let first = "SELECT sequence FROM messages WHERE conversation = ?1 ORDER BY sequence LIMIT 1";
        let last = "SELECT sequence FROM messages WHERE conversation = ?1 ORDER BY sequence DESC LIMIT 1";
        let at = "SELECT sequence, message_id, sent_at_ms FROM messages
            WHERE conversation = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT 1";
        let first = self.one(first, [conversation], |row| row.get::<_, i64>(0))?;
        let last = self.one(last, [conversation], |row| row.get::<_, i64>(0))?;
        let (Some(mut low), Some(last)) = (first, last) else {
            return Ok(None);
        };
        let mut high = last + 1;
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.one(at, [conversation, middle], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })?;
            let Some((sequence, message_id, sent_at_ms)) = found else {
                high = middle;
                continue;
            };
            let reached = match since {
                Since::MessageId(id) => message_id >= id,
                Since::TimeMs(ms) => sent_at_ms >= ms,
            };
            if reached {
                high = middle;
            } else {
                low = sequence + 1;
            }
        }
        let found = self.one(at, [conversation, low], |row| row.get(0))?;
        Ok(found)
    }

    fn messages(&self, query: &MessagesQuery) -> Read<Vec<MessageRow>> {
        let statement = concat!(
            "SELECT ",
            message!(),
            " FROM messages WHERE conversation = ? AND sequence >= ?"
        );
        let mut statement = statement.to_owned();
        let mut values: Vec<Value> = vec![query.conversation.into(), query.from_sequence.into()];
        if let Some(beyond) = query.beyond {
            statement.push_str(match query.direction {
                Direction::Older => " AND sequence < ?",
                Direction::Newer => " AND sequence > ?",
            });
            values.push(beyond.into());
        }
        if !query.kinds.is_empty() {
            let places = vec!["?"; query.kinds.len()].join(", ");
            statement.push_str(&format!(" AND kind IN ({places})"));
            values.extend(query.kinds.iter().map(|kind| Value::from(i64::from(*kind))));
        }
        statement.push_str(match query.direction {
            Direction::Older => " ORDER BY sequence DESC LIMIT ?",
            Direction::Newer => " ORDER BY sequence LIMIT ?",
        });
        values.push(signed(query.limit).into());
        let mut found = self.many(&statement, params_from_iter(values), message)?;
        if query.direction == Direction::Older {
            found.reverse();
        }
        Ok(found)
    }

    fn count_unread(&self, conversation: i64, after: i64, but_of: &str, limit: usize) -> Read<usize> {
        let statement = "SELECT count(*) FROM (SELECT 1 FROM messages
            WHERE conversation = ?1 AND sequence > ?2 AND sequence <= ?5
                AND counts AND NOT recalled AND sender_id <> ?3 LIMIT ?4)";
        let last = after.saturating_add(UNREAD_LOOKED_AT);
        let row = params![conversation, after, but_of, signed(limit), last];
        let count = self.one(statement, row, |row| row.get::<_, i64>(0))?;
        Ok(unsigned(count.unwrap_or(0)))
    }

    fn sent(&self, app: &str, sender_id: &str, client_message_id: &str) -> Read<Option<SentRow>> {
        let statement = "SELECT app, sender_id, client_message_id, digest, sequence, message_id, sent_at_ms, notice
            FROM sent_messages WHERE app = ?1 AND sender_id = ?2 AND client_message_id = ?3";
        self.one(statement, [app, sender_id, client_message_id], |row| {
            Ok(SentRow {
                app: row.get(0)?,
                sender_id: row.get(1)?,
                client_message_id: row.get(2)?,
                digest: row.get(3)?,
                sequence: row.get(4)?,
                message_id: row.get(5)?,
                sent_at_ms: row.get(6)?,
                notice: row.get(7)?,
            })
        })
    }

    fn combined(&self, app: &str, user_id: &str, combined_id: &str) -> Read<Option<CombinedRow>> {
        let statement =
            "SELECT app, user_id, combined_id, put_at_ms, sent_at_ms, parts, last_part, bytes, messages FROM combined_sets
            WHERE app = ?1 AND user_id = ?2 AND combined_id = ?3";
        self.one(statement, [app, user_id, combined_id], |row| {
            Ok(CombinedRow {
                app: row.get(0)?,
                user_id: row.get(1)?,
                combined_id: row.get(2)?,
                put_at_ms: row.get(3)?,
                sent_at_ms: row.get(4)?,
                parts: row.get(5)?,
                last_part: row.get(6)?,
                bytes: row.get(7)?,
                messages: row.get(8)?,
            })
        })
    }

    fn combined_bytes_not_sent(&self, app: &str, user_id: &str) -> Read<i64> {
        let statement =
            "SELECT coalesce(sum(bytes), 0) FROM combined_sets WHERE app = ?1 AND user_id = ?2 AND sent_at_ms IS NULL";
        let bytes = self.one(statement, [app, user_id], |row| row.get(0))?;
        Ok(bytes.unwrap_or(0))
    }

    fn parts(&self, app: &str, user_id: &str, combined_id: &str, from: i64, limit: usize) -> Read<Vec<Vec<u8>>> {
        let statement = "SELECT content FROM combined_parts
            WHERE app = ?1 AND user_id = ?2 AND combined_id = ?3 AND part >= ?4 ORDER BY part LIMIT ?5";
        let row = params![app, user_id, combined_id, from, signed(limit)];
        self.many(statement, row, |row| row.get(0))
    }

    fn part_bytes(&self, app: &str, user_id: &str, combined_id: &str, part: i64) -> Read<Option<i64>> {
        let statement = "SELECT length(content) FROM combined_parts
            WHERE app = ?1 AND user_id = ?2 AND combined_id = ?3 AND part = ?4";
        self.one(statement, params![app, user_id, combined_id, part], |row| row.get(0))
    }

    fn is_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<bool> {
        let statement = "SELECT 1 FROM user_lists WHERE app = ?1 AND list = ?2 AND owner_id = ?3 AND user_id = ?4";
        let found = self.one(statement, [app, list.name(), owner_id, user_id], |_| Ok(()))?;
        Ok(found.is_some())
    }

    fn listed_since(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<Option<i64>> {
        let statement =
            "SELECT since_ms FROM user_lists WHERE app = ?1 AND list = ?2 AND owner_id = ?3 AND user_id = ?4";
        self.one(statement, [app, list.name(), owner_id, user_id], |row| row.get(0))
    }

    fn listed(&self, app: &str, list: UserList, owner_id: &str, after: &str, limit: usize) -> Read<Vec<String>> {
        let statement = "SELECT user_id FROM user_lists
            WHERE app = ?1 AND list = ?2 AND owner_id = ?3 AND user_id > ?4 ORDER BY user_id LIMIT ?5";
        let row = params![app, list.name(), owner_id, after, signed(limit)];
        self.many(statement, row, |row| row.get(0))
    }

    fn listed_count(&self, app: &str, list: UserList, owner_id: &str) -> Read<usize> {
        let statement = "SELECT count(*) FROM user_lists WHERE app = ?1 AND list = ?2 AND owner_id = ?3";
        let count = self.one(statement, [app, list.name(), owner_id], |row| row.get::<_, i64>(0))?;
        Ok(unsigned(count.unwrap_or(0)))
    }

    fn listed_entries(&self, app: &str, list: UserList, owner_id: &str, limit: usize) -> Read<Vec<(String, i64)>> {
        let statement = "SELECT user_id, since_ms FROM user_lists
            WHERE app = ?1 AND list = ?2 AND owner_id = ?3 ORDER BY user_id LIMIT ?4";
        let row = params![app, list.name(), owner_id, signed(limit)];
        self.many(statement, row, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn muted_groups(&self, app: &str, after: &str, limit: usize) -> Read<Vec<String>> {
        let statement = "SELECT name_key FROM conversations
            WHERE app = ?1 AND kind = ?2 AND muted AND name_key > ?3 ORDER BY name_key LIMIT ?4";
        let kind = i32::from(ConversationType::Group);
        self.many(statement, params![app, kind, after, signed(limit)], |row| row.get(0))
    }
}

impl UserList {
    fn name(self) -> &'static str {
        match self {
            Self::Blacklist => "blacklist",
            Self::Whitelist => "whitelist",
            Self::MuteException => "mute_exception",
            Self::LeftMuted => "left_muted",
            Self::OnlyWanted => "only_wanted",
            Self::GroupAhead => "group_ahead",
            Self::MutedAhead => "muted_ahead",
        }
    }
}

fn conversation(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    Ok(ConversationRow {
        id: row.get(0)?,
        app: row.get(1)?,
        kind: row.get(2)?,
        key: row.get(3)?,
        name: row.get(4)?,
        creator_id: row.get(5)?,
        notice: row.get(6)?,
        attributes: row.get(7)?,
        members_digest: row.get(8)?,
        member_count: row.get(9)?,
        members_version: row.get(10)?,
        created_at_ms: row.get(11)?,
        updated_at_ms: row.get(12)?,
        expires_at_ms: row.get(13)?,
        muted: row.get(14)?,
        last_sequence: row.get(15)?,
        last_message_id: row.get(16)?,
        last_message_at_ms: row.get(17)?,
    })
}

/// From the columns that begin at `from`.
fn member(row: &Row<'_>, from: usize) -> rusqlite::Result<MemberRow> {
    Ok(MemberRow {
        conversation: row.get(from)?,
        user_id: row.get(from + 1)?,
        app: row.get(from + 2)?,
        role: row.get(from + 3)?,
        joined_at_ms: row.get(from + 4)?,
        first_sequence: row.get(from + 5)?,
        delivered_sequence: row.get(from + 6)?,
        read_sequence: row.get(from + 7)?,
        muted_until_ms: row.get(from + 8)?,
    })
}

fn message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        conversation: row.get(0)?,
        sequence: row.get(1)?,
        message_id: row.get(2)?,
        sent_at_ms: row.get(3)?,
        sender_id: row.get(4)?,
        kind: row.get(5)?,
        counts: row.get(6)?,
        recalled: row.get(7)?,
        event: row.get(8)?,
    })
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
