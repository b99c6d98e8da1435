//! What changes rows.

use rusqlite::params;

use super::SqliteRows;
use crate::store::rows::{
    CombinedRow, ConversationRow, MemberRow, MessageRow, Read, RowsMut, SentRow, UserList, removed_key,
};

impl RowsMut for SqliteRows<'_> {
    fn insert_conversation(&self, row: &ConversationRow) -> Read<()> {
        self.gave(row.id.max(row.members_version).max(row.last_message_id));
        let statement =
            "INSERT INTO conversations (id, app, kind, name_key, name, creator_id, notice, attributes, members_digest,
                member_count, members_version, created_at_ms, updated_at_ms, expires_at_ms, muted, last_sequence,
                last_message_id, last_message_at_ms)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
        self.run(
            statement,
            params![
                row.id,
                row.app,
                row.kind,
                row.key,
                row.name,
                row.creator_id,
                row.notice,
                row.attributes,
                row.members_digest,
                row.member_count,
                row.members_version,
                row.created_at_ms,
                row.updated_at_ms,
                row.expires_at_ms,
                row.muted,
                row.last_sequence,
                row.last_message_id,
                row.last_message_at_ms
            ],
        )?;
        Ok(())
    }

    fn update_conversation(&self, row: &ConversationRow) -> Read<()> {
        self.gave(row.members_version);
        let statement =
            "UPDATE conversations SET name = ?2, creator_id = ?3, notice = ?4, attributes = ?5, members_digest = ?6,
                member_count = ?7, members_version = ?8, updated_at_ms = ?9, expires_at_ms = ?10, muted = ?11
            WHERE id = ?1";
        self.run(
            statement,
            params![
                row.id,
                row.name,
                row.creator_id,
                row.notice,
                row.attributes,
                row.members_digest,
                row.member_count,
                row.members_version,
                row.updated_at_ms,
                row.expires_at_ms,
                row.muted
            ],
        )?;
        Ok(())
    }

    fn remove_conversation(&self, id: i64) -> Read<()> {
        self.run("DELETE FROM conversation_members WHERE conversation = ?1", [id])?;
        let statement =
            "UPDATE conversations SET name_key = ?2, members_digest = NULL, member_count = 0, muted = FALSE,
                expires_at_ms = 0
            WHERE id = ?1";
        self.run(statement, params![id, removed_key(id)])?;
        Ok(())
    }

    fn put_ended_group(&self, app: &str, key: &str, last_sequence: i64) -> Read<()> {
        let statement = "INSERT INTO ended_groups (app, name_key, last_sequence) VALUES (?1, ?2, ?3)
            ON CONFLICT (app, name_key) DO UPDATE SET last_sequence = excluded.last_sequence";
        self.run(statement, params![app, key, last_sequence])?;
        Ok(())
    }

    fn put_member(&self, row: &MemberRow) -> Read<()> {
        let statement = "INSERT INTO conversation_members (conversation, user_id, app, role, joined_at_ms, first_sequence,
                delivered_sequence, read_sequence, muted_until_ms)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            ON CONFLICT (conversation, user_id) DO UPDATE SET role = excluded.role, joined_at_ms = excluded.joined_at_ms,
                first_sequence = excluded.first_sequence, delivered_sequence = excluded.delivered_sequence,
                read_sequence = excluded.read_sequence, muted_until_ms = excluded.muted_until_ms";
        self.run(
            statement,
            params![
                row.conversation,
                row.user_id,
                row.app,
                row.role,
                row.joined_at_ms,
                row.first_sequence,
                row.delivered_sequence,
                row.read_sequence,
                row.muted_until_ms
            ],
        )?;
        Ok(())
    }

    fn remove_member(&self, conversation: i64, user_id: &str) -> Read<bool> {
        let statement = "DELETE FROM conversation_members WHERE conversation = ?1 AND user_id = ?2";
        Ok(self.run(statement, params![conversation, user_id])? > 0)
    }

    fn insert_message(&self, row: &MessageRow) -> Read<()> {
        self.gave(row.message_id);
        let statement = "INSERT INTO messages (conversation, sequence, message_id, sent_at_ms, sender_id, kind, counts, recalled, event)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.run(
            statement,
            params![
                row.conversation,
                row.sequence,
                row.message_id,
                row.sent_at_ms,
                row.sender_id,
                row.kind,
                row.counts,
                row.recalled,
                row.event
            ],
        )?;
        Ok(())
    }

    fn update_message(&self, row: &MessageRow) -> Read<()> {
        let statement = "UPDATE messages SET recalled = ?3, event = ?4 WHERE conversation = ?1 AND sequence = ?2";
        self.run(
            statement,
            params![row.conversation, row.sequence, row.recalled, row.event],
        )?;
        Ok(())
    }

    fn move_last(&self, conversation: i64, sequence: i64, message_id: i64, at_ms: i64) -> Read<()> {
        self.gave(message_id);
        let statement = "UPDATE conversations SET last_sequence = ?2, last_message_id = ?3, last_message_at_ms = ?4
            WHERE id = ?1";
        self.run(statement, [conversation, sequence, message_id, at_ms])?;
        Ok(())
    }

    fn put_sent(&self, row: &SentRow) -> Read<()> {
        let statement = "INSERT INTO sent_messages (app, sender_id, client_message_id, digest, sequence, message_id, sent_at_ms, notice)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (app, sender_id, client_message_id) DO UPDATE SET digest = excluded.digest,
                sequence = excluded.sequence, message_id = excluded.message_id, sent_at_ms = excluded.sent_at_ms,
                notice = excluded.notice";
        self.run(
            statement,
            params![
                row.app,
                row.sender_id,
                row.client_message_id,
                row.digest,
                row.sequence,
                row.message_id,
                row.sent_at_ms,
                row.notice
            ],
        )?;
        Ok(())
    }

    fn put_combined(&self, row: &CombinedRow) -> Read<()> {
        let statement = "INSERT INTO combined_sets (app, user_id, combined_id, put_at_ms, sent_at_ms, parts, last_part, bytes, messages)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            ON CONFLICT (app, user_id, combined_id) DO UPDATE SET put_at_ms = excluded.put_at_ms,
                sent_at_ms = excluded.sent_at_ms, parts = excluded.parts, last_part = excluded.last_part,
                bytes = excluded.bytes, messages = excluded.messages";
        self.run(
            statement,
            params![
                row.app,
                row.user_id,
                row.combined_id,
                row.put_at_ms,
                row.sent_at_ms,
                row.parts,
                row.last_part,
                row.bytes,
                row.messages
            ],
        )?;
        Ok(())
    }

    fn put_part(&self, app: &str, user_id: &str, combined_id: &str, part: i64, content: &[u8]) -> Read<()> {
        let statement =
            "INSERT INTO combined_parts (app, user_id, combined_id, part, content) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (app, user_id, combined_id, part) DO UPDATE SET content = excluded.content";
        self.run(statement, params![app, user_id, combined_id, part, content])?;
        Ok(())
    }

    fn put_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str, since_ms: i64) -> Read<()> {
        let statement = "INSERT INTO user_lists (app, list, owner_id, user_id, since_ms) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (app, list, owner_id, user_id) DO NOTHING";
        self.run(statement, params![app, list.name(), owner_id, user_id, since_ms])?;
        Ok(())
    }

    fn remove_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<()> {
        let statement = "DELETE FROM user_lists WHERE app = ?1 AND list = ?2 AND owner_id = ?3 AND user_id = ?4";
        self.run(statement, [app, list.name(), owner_id, user_id])?;
        Ok(())
    }
}
