//! The least that any server could do: the rows of each message, in the same tables, synced before the next are begun.
//!
//! It asks nothing: not whether a message was there before, nor whether its sender may. With an [`Audience`] it also sends each message to the other members
//! of its conversation, and an answer to its sender, as every server that delivers must.

mod audience;

pub(super) use audience::Audience;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message as _;
use rusqlite::{Connection, params};
use sluice_codec::encode;
use sluice_protocol::{
    ConversationMessage, ConversationType, Frame, MessageType, Reply, SendMessageResult, UserInfo, frame::Body, reply,
};

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

/// Messages in a transaction of the gateway at most, and of this before it is known how many the gateway has.
pub(super) const GROUP_MAX: usize = 256;

/// What the gateway's writer keeps in memory, KiB.
const CACHE_KIB: i64 = 64 * 1024;

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
}

impl Bare {
    /// A file of this name in `folder`, with the same conversations as the gateway's.
    pub(super) fn open(
        file: &Path,
        conversations: usize,
        size: usize,
        payload_bytes: usize,
    ) -> Result<Self, BenchError> {
        let mut bare = Self {
            conn: Connection::open(file).map_err(failed)?,
            conversations,
            size,
            content: Bytes::from("x".repeat(payload_bytes)),
            began_ms: unix_ms(),
            sent: 0,
        };
        bare.fill().map_err(failed)?;
        Ok(bare)
    }

    fn fill(&mut self) -> rusqlite::Result<()> {
        // As the gateway's store has it, but that the log is copied by SQLite's own rule: with the commit after which it has a thousand pages.
        self.conn.pragma_update(None, "journal_mode", "wal")?;
        self.conn.pragma_update(None, "synchronous", "full")?;
        self.conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
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

    /// Inserts for `time`, `group` messages in each transaction, and answers how many messages each second.
    pub(super) fn insert_for(
        &mut self,
        time: Duration,
        group: usize,
        mut audience: Option<&mut Audience>,
    ) -> Result<f64, BenchError> {
        let (began, before) = (Instant::now(), self.sent);
        while began.elapsed() < time {
            let first = self.sent;
            let events = self.insert_group(group).map_err(failed)?;
            if let Some(audience) = &mut audience {
                self.deliver(first, events, audience)?;
            }
        }
        Ok((self.sent - before) as f64 / began.elapsed().as_secs_f64())
    }

    /// Answers what members get of the messages.
    fn insert_group(&mut self, group: usize) -> rusqlite::Result<Vec<ConversationMessage>> {
        let numbers = self.sent..self.sent + group;
        self.sent = numbers.end;
        let mut events = Vec::with_capacity(group);
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        for number in numbers {
            let message = self.message(number);
            events.push(message.insert(&self.conn, &self.content)?);
            self.conn.prepare_cached(MOVE_LAST)?.execute(params![
                message.conversation,
                message.sequence,
                message.id,
                message.at_ms
            ])?;
        }
        self.conn.execute_batch("COMMIT")?;
        Ok(events)
    }

    fn deliver(
        &self,
        first: usize,
        events: Vec<ConversationMessage>,
        audience: &mut Audience,
    ) -> Result<(), BenchError> {
        for (number, event) in (first..).zip(events) {
            let result = SendMessageResult {
                client_message_id: event.client_message_id.clone(),
                message_id: event.message_id,
                sequence: event.sequence,
                server_time_ms: event.server_time_ms,
                ..SendMessageResult::default()
            };
            let answer = Reply {
                result: Some(reply::Result::SendMessage(result)),
                ..Reply::default()
            };
            let frame = |request_id, body| {
                encode(&Frame {
                    request_id,
                    body: Some(body),
                })
            };
            let (conversation, place) = self.places(number);
            let own = frame(number as u32 + 1, Body::Reply(answer));
            audience.tell(conversation, place, &own, &frame(0, Body::ConversationMessage(event)));
        }
        audience.deliver()
    }

    /// The conversation of a message, and the place of its sender in it.
    fn places(&self, number: usize) -> (usize, usize) {
        (number % self.conversations, number / self.conversations % self.size)
    }

    fn message(&self, number: usize) -> Message {
        let (conversation, place) = self.places(number);
        Message {
            conversation: FIRST_ID + conversation as i64,
            kind: kind_of(self.size),
            sequence: (number / self.conversations) as i64 + 1,
            id: FIRST_ID + number as i64,
            at_ms: self.began_ms + number as i64,
            sender: user_id(conversation * self.size + place),
            target: format!("conversation-{conversation}"),
            number: number as u64,
        }
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
    /// Itself, and that it was sent. Answers what members get of it.
    fn insert(&self, conn: &Connection, content: &Bytes) -> rusqlite::Result<ConversationMessage> {
        let event = self.insert_alone(conn, content)?;
        conn.prepare_cached(INSERT_SENT)?.execute(params![
            APP,
            self.sender,
            event.client_message_id,
            self.id.wrapping_mul(0x5851_f42d_4c95_7f2d),
            self.sequence,
            self.id,
            self.at_ms,
            0
        ])?;
        Ok(event)
    }

    /// What members get of it.
    fn event(&self, content: &Bytes) -> ConversationMessage {
        let stamp = Stamp {
            intended_ns: self.at_ms as u64,
            number: self.number,
        };
        ConversationMessage {
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
            client_message_id: stamp.content(STAMP_BYTES),
            ..ConversationMessage::default()
        }
    }

    /// As a message is once repeats of it are forgotten.
    pub(super) fn insert_alone(&self, conn: &Connection, content: &Bytes) -> rusqlite::Result<ConversationMessage> {
        let event = self.event(content);
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
        Ok(event)
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
