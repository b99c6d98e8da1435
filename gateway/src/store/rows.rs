//! Rows of conversations: what rules read and write while they decide, within one transaction.
//!
//! [`Rows`] is what there is to read, [`RowsMut`] what there is to change besides. The rules know nothing else of the store, so that another
//! engine can take its place.

mod sqlite;

use super::error::StoreError;

pub(super) use sqlite::SqliteRows;
#[cfg(test)]
pub(super) use sqlite::USED;

/// What is read or refused.
pub(crate) type Read<T> = Result<T, StoreError>;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConversationRow {
    pub id: i64,
    pub app: String,
    /// As on the wire.
    pub kind: i32,
    /// What names it among those of its app and kind.
    pub key: String,
    pub name: String,
    /// Empty: the app's server.
    pub creator_id: String,
    pub notice: String,
    pub attributes: String,
    /// Of a discussion that can be found by its members.
    pub members_digest: Option<String>,
    pub member_count: i64,
    /// Another one with each change of the members, never one that was before.
    pub members_version: i64,
    pub created_at_ms: i64,
    pub updated_at_ms: i64,
    pub expires_at_ms: Option<i64>,
    pub muted: bool,
    /// Of the newest message; in a group that was made anew and has none, of the last one before; 0: there was none yet.
    pub last_sequence: i64,
    pub last_message_id: i64,
    pub last_message_at_ms: i64,
}

/// A user in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MemberRow {
    pub conversation: i64,
    pub user_id: String,
    pub app: String,
    /// As on the wire.
    pub role: i32,
    pub joined_at_ms: i64,
    /// Messages from this one on are for this member.
    pub first_sequence: i64,
    pub delivered_sequence: i64,
    pub read_sequence: i64,
    /// `None`: may send; [`i64::MAX`]: muted without end.
    pub muted_until_ms: Option<i64>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MessageRow {
    pub conversation: i64,
    pub sequence: i64,
    pub message_id: i64,
    pub sent_at_ms: i64,
    pub sender_id: String,
    /// As on the wire.
    pub kind: i32,
    /// As unread.
    pub counts: bool,
    pub recalled: bool,
    /// The `ConversationMessage` that members got, encoded.
    pub event: Vec<u8>,
}

/// That a message was taken, to recognise its repeats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SentRow {
    pub app: String,
    pub sender_id: String,
    pub client_message_id: String,
    pub digest: i64,
    /// 0: it was not kept.
    pub sequence: i64,
    pub message_id: i64,
    pub sent_at_ms: i64,
    pub notice: i32,
}

/// A set of parts that combined messages name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CombinedRow {
    pub app: String,
    pub user_id: String,
    pub combined_id: String,
    /// When its newest part was put.
    pub put_at_ms: i64,
    /// When a message last named it; 0: those that did were taken back.
    pub sent_at_ms: Option<i64>,
    pub parts: i64,
    /// The greatest number of a part.
    pub last_part: i64,
    /// What its parts count as.
    pub bytes: i64,
    /// Messages that name it.
    pub messages: i64,
}

/// Which end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Before `beyond`, or the newest.
    Older,
    /// After `beyond`, or the oldest.
    Newer,
}

/// A question for messages of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessagesQuery {
    pub conversation: i64,
    /// Not before this one.
    pub from_sequence: i64,
    /// Not this one and what is on its other side.
    pub beyond: Option<i64>,
    pub direction: Direction,
    /// Empty: all.
    pub kinds: Vec<i32>,
    pub limit: usize,
}

/// A question for the conversations of a user, the one with the newest message first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConversationsQuery {
    pub app: String,
    pub user_id: String,
    pub kind: Option<i32>,
    pub containing: Vec<String>,
    pub name_contains: String,
    /// Changed, or with a message, after this.
    pub after_ms: Option<i64>,
    pub with_temporary: bool,
    pub skip: usize,
    pub limit: usize,
}

/// Lists of users that a user, or a conversation, has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UserList {
    /// Whose messages a user does not want.
    Blacklist,
    /// Whose messages a user wants, where only those pass.
    Whitelist,
    /// Members of a group who are excepted from its mute, the owner of the list being the group.
    MuteException,
    /// Users who are not in a group, the owner of the list, and are muted there should they come: since when is until when.
    LeftMuted,
    /// Users to whom only those on their [`Self::Whitelist`] may write. The list has no owner.
    OnlyWanted,
    /// Ids of groups that are not there yet, but about whose members something is decided. The list has no owner.
    GroupAhead,
    /// Of those, the ones that are muted.
    MutedAhead,
}

/// Messages looked at to count those that are unread: a few milliseconds. Who has sent more than this, or got more that does not count, since he
/// read anything is told too few.
pub(crate) const UNREAD_LOOKED_AT: i64 = 10_000;

/// What names a conversation that is gone but for its messages: no id has a line break.
fn removed_key(id: i64) -> String {
    format!("\n{id}")
}

/// What there is to read.
pub(crate) trait Rows {
    fn conversation(&self, app: &str, kind: i32, key: &str) -> Read<Option<ConversationRow>>;
    /// The oldest discussion with these members.
    fn conversation_of_members(&self, app: &str, digest: &str) -> Read<Option<ConversationRow>>;
    fn conversations(&self, query: &ConversationsQuery) -> Read<Vec<(ConversationRow, MemberRow)>>;
    /// Of all conversations of a user, those with a message after what the user has got, the newest first; and how many they are.
    fn conversations_with_news(
        &self,
        app: &str,
        user_id: &str,
        limit: usize,
    ) -> Read<(Vec<(ConversationRow, MemberRow)>, usize)>;
    /// How far the numbers went of the groups with this name that are gone; 0 if there was none.
    fn ended_group(&self, app: &str, key: &str) -> Read<i64>;
    fn member(&self, conversation: i64, user_id: &str) -> Read<Option<MemberRow>>;
    /// By user id, after this one.
    fn members(&self, conversation: i64, after: &str, limit: usize) -> Read<Vec<MemberRow>>;
    fn message(&self, conversation: i64, sequence: i64) -> Read<Option<MessageRow>>;
    /// Message ids grow with sequence numbers within a conversation.
    fn message_by_id(&self, conversation: i64, message_id: i64) -> Read<Option<MessageRow>>;
    /// The sequence number of the first message that was sent at this time or later, or has this id or a later one.
    fn first_since(&self, conversation: i64, since: Since) -> Read<Option<i64>>;
    /// By sequence number, rising, whichever the direction.
    fn messages(&self, query: &MessagesQuery) -> Read<Vec<MessageRow>>;
    /// Messages that count after this one, but those of one sender; at most so many, and of the next [`UNREAD_LOOKED_AT`] alone.
    fn count_unread(&self, conversation: i64, after: i64, but_of: &str, limit: usize) -> Read<usize>;
    fn sent(&self, app: &str, sender_id: &str, client_message_id: &str) -> Read<Option<SentRow>>;
    fn combined(&self, app: &str, user_id: &str, combined_id: &str) -> Read<Option<CombinedRow>>;
    /// What the sets of a user count as that no message has named yet.
    fn combined_bytes_not_sent(&self, app: &str, user_id: &str) -> Read<i64>;
    /// From this one on, in order.
    fn parts(&self, app: &str, user_id: &str, combined_id: &str, from: i64, limit: usize) -> Read<Vec<Vec<u8>>>;
    /// How long a part is, if it is there.
    fn part_bytes(&self, app: &str, user_id: &str, combined_id: &str, part: i64) -> Read<Option<i64>>;
    fn is_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<bool>;
    /// Since when, as it was put.
    fn listed_since(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<Option<i64>>;
    fn listed(&self, app: &str, list: UserList, owner_id: &str, after: &str, limit: usize) -> Read<Vec<String>>;
    fn listed_count(&self, app: &str, list: UserList, owner_id: &str) -> Read<usize>;
    /// With since when each is on it, by name; at most so many.
    fn listed_entries(&self, app: &str, list: UserList, owner_id: &str, limit: usize) -> Read<Vec<(String, i64)>>;
    /// What names the groups that are muted, after this one, in order.
    fn muted_groups(&self, app: &str, after: &str, limit: usize) -> Read<Vec<String>>;
}

/// See [`Rows::first_since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    TimeMs(i64),
    MessageId(i64),
}

/// What there is to change. Whoever changes a row by its key does nothing if there is none.
pub(crate) trait RowsMut: Rows {
    fn insert_conversation(&self, row: &ConversationRow) -> Read<()>;
    /// All but what names it.
    fn update_conversation(&self, row: &ConversationRow) -> Read<()>;
    /// Takes it from its members and gives its name free. Its messages, of which there may be millions, are deleted in the background, and then the row.
    fn remove_conversation(&self, id: i64) -> Read<()>;
    /// Remembers how far the numbers of a group went.
    fn put_ended_group(&self, app: &str, key: &str, last_sequence: i64) -> Read<()>;
    fn put_member(&self, row: &MemberRow) -> Read<()>;
    fn remove_member(&self, conversation: i64, user_id: &str) -> Read<bool>;
    fn insert_message(&self, row: &MessageRow) -> Read<()>;
    /// `recalled` and `event`.
    fn update_message(&self, row: &MessageRow) -> Read<()>;
    /// `sequence`, id and time of the newest message.
    fn move_last(&self, conversation: i64, sequence: i64, message_id: i64, at_ms: i64) -> Read<()>;
    /// The whole row, new or in the place of the one before.
    fn put_sent(&self, row: &SentRow) -> Read<()>;
    /// The whole row, new or in the place of the one before.
    fn put_combined(&self, row: &CombinedRow) -> Read<()>;
    fn put_part(&self, app: &str, user_id: &str, combined_id: &str, part: i64, content: &[u8]) -> Read<()>;
    fn put_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str, since_ms: i64) -> Read<()>;
    fn remove_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<()>;
}
