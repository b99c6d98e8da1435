//! The least that any server could do: the rows of each message, in the same tables, synced before the next are begun.
//!
//! It asks nothing: not whether a message was there before, nor whether its sender may.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message as _;
use rusqlite::{Connection, params};
use sluice_protocol::{ConversationMessage, ConversationType, MessageType, UserInfo};

use crate::bench_error::BenchError;
use crate::receiver::user_id;
use crate::stamp::{STAMP_BYTES, Stamp};

/// The tables of conversations, as the gateway makes them.
const TABLES: &str = include_str!("../../../../gateway/src/store/migrations/0005_conversations.sql");

/// What the gateway's store writes to a file it keeps.
const INSERT_MESSAGE: &str =
    "INSERT INTO messages (conversation, sequence, message_id, sent_at_ms, sender_id, kind, counts, recalled, event)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const MOVE_LAST: &str =
    "UPDATE conversations SET last_sequence = ?2, last_message_id = ?3, last_message_at_ms = ?4 WHERE id = ?1";
const INSERT_SENT: &str =
    "INSERT INTO sent_messages (app, sender_id, client_message_id, digest, sequence, message_id, sent_at_ms, notice)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (app, sender_id, client_message_id) DO UPDATE SET digest = excluded.digest,
        sequence = excluded.sequence, message_id = excluded.message_id, sent_at_ms = excluded.sent_at_ms,
        notice = excluded.notice";
const INSERT_CONVERSATION: &str = "INSERT INTO conversations (id, app, kind, name_key, name, creator_id, notice, attributes, members_digest,
        member_count, members_version, created_at_ms, updated_at_ms, expires_at_ms, muted, last_sequence, last_message_id,
        last_message_at_ms)
    VALUES (?1, ?2, ?3, ?4, '', ?5, '', '', NULL, ?6, ?1, ?7, ?7, NULL, 0, ?8, ?9, ?10)";
const INSERT_MEMBER: &str =
    "INSERT INTO conversation_members (conversation, user_id, app, role, joined_at_ms, first_sequence,
        delivered_sequence, read_sequence, muted_until_ms)
    VALUES (?1, ?2, ?3, 3, ?4, 1, ?5, ?5, NULL)";

/// Messages in a transaction: the gateway's store takes as many, if as many wait.
const GROUP: usize = 256;

/// Messages after which the log is copied into the database, as the gateway's store does.
const COPIED_AFTER: usize = 256;

/// Of the first row; ids of the gateway have as many digits.
pub(super) const FIRST_ID: i64 = 1 << 60;

const APP: &str = "bench";

/// See the module.
pub(super) struct Bare {
    conn: Connection,
    conversations: usize,
    size: usize,
    content: Bytes,
    began_ms: i64,
    sent: usize,
    uncopied: usize,
}

impl Bare {
    /// A file of its own in `folder`, with the same conversations.
    pub(super) fn open(
        folder: &Path,
        conversations: usize,
        size: usize,
        payload_bytes: usize,
    ) -> Result<Self, BenchError> {
        let mut bare = Self {
            conn: Connection::open(folder.join("bare.db")).map_err(failed)?,
            conversations,
            size,
            content: Bytes::from("x".repeat(payload_bytes)),
            began_ms: unix_ms(),
            sent: 0,
            uncopied: 0,
        };
        bare.fill().map_err(failed)?;
        Ok(bare)
    }

    fn fill(&mut self) -> rusqlite::Result<()> {
        // As the gateway's store has it.
        self.conn.pragma_update(None, "journal_mode", "wal")?;
        self.conn.pragma_update(None, "synchronous", "full")?;
        self.conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        self.conn.set_prepared_statement_cache_capacity(64);
        self.conn.execute_batch(TABLES)?;
        let fill = self.conn.transaction()?;
        for number in 0..self.conversations {
            let conversation = Conversation {
                id: FIRST_ID + number as i64,
                kind: kind_of(self.size),
                key: format!("conversation-{number}"),
                members: (number * self.size..(number + 1) * self.size).map(user_id).collect(),
                made_at_ms: self.began_ms,
                messages: 0,
            };
            conversation.insert(&fill)?;
        }
        fill.commit()
    }

    /// Inserts for `time` and answers how many messages each second.
    pub(super) fn insert_for(&mut self, time: Duration) -> Result<f64, BenchError> {
        let (began, before) = (Instant::now(), self.sent);
        while began.elapsed() < time {
            self.insert_group().map_err(failed)?;
        }
        Ok((self.sent - before) as f64 / began.elapsed().as_secs_f64())
    }

    fn insert_group(&mut self) -> rusqlite::Result<()> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        for number in self.sent..self.sent + GROUP {
            let round = number / self.conversations;
            let message = Message {
                conversation: FIRST_ID + (number % self.conversations) as i64,
                kind: kind_of(self.size),
                sequence: round as i64 + 1,
                id: FIRST_ID + number as i64,
                at_ms: self.began_ms + number as i64,
                sender: user_id(number % self.conversations * self.size + round % self.size),
                target: format!("conversation-{}", number % self.conversations),
                number: number as u64,
            };
            message.insert(&self.conn, &self.content)?;
            self.conn.prepare_cached(MOVE_LAST)?.execute(params![
                message.conversation,
                message.sequence,
                message.id,
                message.at_ms
            ])?;
        }
        self.conn.execute_batch("COMMIT")?;
        self.sent += GROUP;
        self.uncopied += GROUP;
        if self.uncopied >= COPIED_AFTER {
            self.uncopied = 0;
            self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        }
        Ok(())
    }
}

/// A conversation as rows have it.
pub(super) struct Conversation {
    pub(super) id: i64,
    pub(super) kind: ConversationType,
    pub(super) key: String,
    pub(super) members: Vec<String>,
    pub(super) made_at_ms: i64,
    /// Which all members have read.
    pub(super) messages: i64,
}

impl Conversation {
    pub(super) fn insert(&self, conn: &Connection) -> rusqlite::Result<()> {
        let creator = self.members.first().map_or("", String::as_str);
        let count = self.members.len() as i64;
        let last_at_ms = self.made_at_ms + self.messages;
        conn.prepare_cached(INSERT_CONVERSATION)?.execute(params![
            self.id,
            APP,
            i32::from(self.kind),
            self.key,
            creator,
            count,
            self.made_at_ms,
            self.messages,
            FIRST_ID + self.messages,
            last_at_ms
        ])?;
        for member in &self.members {
            conn.prepare_cached(INSERT_MEMBER)?.execute(params![
                self.id,
                member,
                APP,
                self.made_at_ms,
                self.messages
            ])?;
        }
        Ok(())
    }
}

/// A message as rows have it.
pub(super) struct Message {
    pub(super) conversation: i64,
    pub(super) kind: ConversationType,
    pub(super) sequence: i64,
    pub(super) id: i64,
    pub(super) at_ms: i64,
    pub(super) sender: String,
    pub(super) target: String,
    /// Names it among all.
    pub(super) number: u64,
}

impl Message {
    /// Itself, and that it was sent.
    fn insert(&self, conn: &Connection, content: &Bytes) -> rusqlite::Result<()> {
        let name = self.insert_alone(conn, content)?;
        conn.prepare_cached(INSERT_SENT)?.execute(params![
            APP,
            self.sender,
            name,
            self.id.wrapping_mul(0x5851_f42d_4c95_7f2d),
            self.sequence,
            self.id,
            self.at_ms,
            0
        ])?;
        Ok(())
    }

    /// As a message is once repeats of it are forgotten. Answers its client message id.
    pub(super) fn insert_alone(&self, conn: &Connection, content: &Bytes) -> rusqlite::Result<String> {
        let name = Stamp {
            intended_ns: self.at_ms as u64,
            number: self.number,
        };
        let name = name.content(STAMP_BYTES);
        let event = ConversationMessage {
            conversation_type: self.kind.into(),
            target_id: self.target.clone(),
            sequence: self.sequence as u64,
            message_id: self.id as u64,
            server_time_ms: self.at_ms,
            sender: Some(UserInfo {
                user_id: self.sender.clone(),
                ..UserInfo::default()
            }),
            r#type: MessageType::Text.into(),
            content: content.clone(),
            client_message_id: name.clone(),
            ..ConversationMessage::default()
        };
        conn.prepare_cached(INSERT_MESSAGE)?.execute(params![
            self.conversation,
            self.sequence,
            self.id,
            self.at_ms,
            self.sender,
            i32::from(MessageType::Text),
            true,
            false,
            event.encode_to_vec()
        ])?;
        Ok(name)
    }
}

fn kind_of(size: usize) -> ConversationType {
    match size {
        2 => ConversationType::Peer,
        _ => ConversationType::Group,
    }
}

/// A moment of which nothing is too old to be kept.
pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_millis() as i64
}

pub(super) fn failed(error: rusqlite::Error) -> BenchError {
    BenchError::peer("SQLite", error)
}
