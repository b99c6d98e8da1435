//! The rows of conversations in plain maps: what each method is to come to, written as simply as can be.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::store::rows::{
    CombinedRow, ConversationRow, ConversationsQuery, Direction, MemberRow, MessageRow, MessagesQuery, Read, Rows,
    RowsMut, SentRow, Since, UserList,
};

const GROUP: i32 = 2;

type Three = (String, String, String);

#[derive(Debug, Default)]
pub(super) struct Plain(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    conversations: BTreeMap<i64, ConversationRow>,
    /// By app and key.
    ended: BTreeMap<(String, String), i64>,
    members: BTreeMap<(i64, String), MemberRow>,
    messages: BTreeMap<(i64, i64), MessageRow>,
    sent: BTreeMap<Three, SentRow>,
    combined: BTreeMap<Three, CombinedRow>,
    parts: BTreeMap<(Three, i64), Vec<u8>>,
    /// App, name of the list, owner, user.
    listed: BTreeMap<(Three, String), i64>,
}

fn three(one: &str, two: &str, three: &str) -> Three {
    (one.to_owned(), two.to_owned(), three.to_owned())
}

fn list_key(app: &str, list: UserList, owner: &str) -> Three {
    three(app, &format!("{list:?}"), owner)
}

impl State {
    fn of_user(&self, app: &str, user: &str) -> Vec<(ConversationRow, MemberRow)> {
        let members = self
            .members
            .values()
            .filter(|member| member.app == app && member.user_id == user);
        let with_conversation = |member: &MemberRow| {
            let conversation = self.conversations.get(&member.conversation)?;
            Some((conversation.clone(), member.clone()))
        };
        members.filter_map(with_conversation).collect()
    }

    fn messages_of(&self, conversation: i64) -> impl DoubleEndedIterator<Item = &MessageRow> {
        let all = (conversation, i64::MIN)..=(conversation, i64::MAX);
        self.messages.range(all).map(|(_, message)| message)
    }

    /// Of a list, in order.
    fn on_list(&self, list: &Three) -> Vec<(String, i64)> {
        let entries = self.listed.iter().filter(|((key, _), _)| key == list);
        entries.map(|((_, user), since)| (user.clone(), *since)).collect()
    }
}

impl Rows for Plain {
    fn conversation(&self, app: &str, kind: i32, key: &str) -> Read<Option<ConversationRow>> {
        let state = self.0.borrow();
        let mut all = state.conversations.values();
        Ok(all
            .find(|row| row.app == app && row.kind == kind && row.key == key)
            .cloned())
    }

    fn conversation_of_members(&self, app: &str, digest: &str) -> Read<Option<ConversationRow>> {
        let state = self.0.borrow();
        // The oldest has the least id.
        let mut all = state.conversations.values();
        Ok(all
            .find(|row| row.app == app && row.members_digest.as_deref() == Some(digest))
            .cloned())
    }

    fn conversations(&self, query: &ConversationsQuery) -> Read<Vec<(ConversationRow, MemberRow)>> {
        let state = self.0.borrow();
        let mut found = state.of_user(&query.app, &query.user_id);
        found.retain(|(row, _)| {
            let has = |user: &String| state.members.contains_key(&(row.id, user.clone()));
            query.kind.is_none_or(|kind| row.kind == kind)
                && (query.with_temporary || row.expires_at_ms.is_none())
                && query.containing.iter().all(has)
                && row.name.contains(&query.name_contains)
                && query
                    .after_ms
                    .is_none_or(|after| row.updated_at_ms.max(row.last_message_at_ms) > after)
        });
        found.sort_by_key(|(row, _)| Reverse((row.created_at_ms.max(row.last_message_at_ms), row.id)));
        Ok(found.into_iter().skip(query.skip).take(query.limit).collect())
    }

    fn conversations_with_news(
        &self,
        app: &str,
        user_id: &str,
        limit: usize,
    ) -> Read<(Vec<(ConversationRow, MemberRow)>, usize)> {
        let mut found = self.0.borrow().of_user(app, user_id);
        found.retain(|(row, member)| {
            let seen = member.delivered_sequence.min(member.read_sequence);
            row.last_sequence > seen && row.last_sequence >= member.first_sequence
        });
        found.sort_by_key(|(row, _)| Reverse((row.last_message_at_ms, row.id)));
        let count = found.len();
        found.truncate(limit);
        Ok((found, count))
    }

    fn ended_group(&self, app: &str, key: &str) -> Read<i64> {
        let key = (app.to_owned(), key.to_owned());
        Ok(self.0.borrow().ended.get(&key).copied().unwrap_or(0))
    }

    fn member(&self, conversation: i64, user_id: &str) -> Read<Option<MemberRow>> {
        let state = self.0.borrow();
        Ok(state.members.get(&(conversation, user_id.to_owned())).cloned())
    }

    fn members(&self, conversation: i64, after: &str, limit: usize) -> Read<Vec<MemberRow>> {
        let state = self.0.borrow();
        let of_it = state
            .members
            .values()
            .filter(|member| member.conversation == conversation && member.user_id.as_str() > after);
        Ok(of_it.take(limit).cloned().collect())
    }

    fn message(&self, conversation: i64, sequence: i64) -> Read<Option<MessageRow>> {
        Ok(self.0.borrow().messages.get(&(conversation, sequence)).cloned())
    }

    fn message_by_id(&self, conversation: i64, message_id: i64) -> Read<Option<MessageRow>> {
        let state = self.0.borrow();
        let mut all = state.messages_of(conversation);
        Ok(all.find(|message| message.message_id == message_id).cloned())
    }

    fn first_since(&self, conversation: i64, since: Since) -> Read<Option<i64>> {
        let state = self.0.borrow();
        let mut all = state.messages_of(conversation);
        let found = all.find(|message| match since {
            Since::TimeMs(ms) => message.sent_at_ms >= ms,
            Since::MessageId(id) => message.message_id >= id,
        });
        Ok(found.map(|message| message.sequence))
    }

    fn messages(&self, query: &MessagesQuery) -> Read<Vec<MessageRow>> {
        let state = self.0.borrow();
        let asked_for = state.messages_of(query.conversation).filter(|message| {
            let sequence = message.sequence;
            let on_this_side = query.beyond.is_none_or(|beyond| match query.direction {
                Direction::Older => sequence < beyond,
                Direction::Newer => sequence > beyond,
            });
            let is_wanted = query.kinds.is_empty() || query.kinds.contains(&message.kind);
            sequence >= query.from_sequence && on_this_side && is_wanted
        });
        let mut found: Vec<MessageRow> = asked_for.cloned().collect();
        match query.direction {
            Direction::Older => drop(found.drain(..found.len().saturating_sub(query.limit))),
            Direction::Newer => found.truncate(query.limit),
        }
        Ok(found)
    }

    fn count_unread(&self, conversation: i64, after: i64, but_of: &str, limit: usize) -> Read<usize> {
        let state = self.0.borrow();
        let unread = state.messages_of(conversation).filter(|message| {
            message.sequence > after && message.counts && !message.recalled && message.sender_id != but_of
        });
        Ok(unread.take(limit).count())
    }

    fn sent(&self, app: &str, sender_id: &str, client_message_id: &str) -> Read<Option<SentRow>> {
        let key = three(app, sender_id, client_message_id);
        Ok(self.0.borrow().sent.get(&key).cloned())
    }

    fn combined(&self, app: &str, user_id: &str, combined_id: &str) -> Read<Option<CombinedRow>> {
        let key = three(app, user_id, combined_id);
        Ok(self.0.borrow().combined.get(&key).cloned())
    }

    fn combined_bytes_not_sent(&self, app: &str, user_id: &str) -> Read<i64> {
        let state = self.0.borrow();
        let waiting = state
            .combined
            .values()
            .filter(|set| set.app == app && set.user_id == user_id && set.sent_at_ms.is_none());
        Ok(waiting.map(|set| set.bytes).sum())
    }

    fn parts(&self, app: &str, user_id: &str, combined_id: &str, from: i64, limit: usize) -> Read<Vec<Vec<u8>>> {
        let key = three(app, user_id, combined_id);
        let state = self.0.borrow();
        let of_it = state
            .parts
            .iter()
            .filter(|((set, part), _)| *set == key && *part >= from);
        Ok(of_it.take(limit).map(|(_, content)| content.clone()).collect())
    }

    fn part_bytes(&self, app: &str, user_id: &str, combined_id: &str, part: i64) -> Read<Option<i64>> {
        let key = (three(app, user_id, combined_id), part);
        let state = self.0.borrow();
        let bytes = state.parts.get(&key).map(Vec::len);
        Ok(bytes.map(|bytes| i64::try_from(bytes).expect("a small part")))
    }

    fn is_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<bool> {
        Ok(self.listed_since(app, list, owner_id, user_id)?.is_some())
    }

    fn listed_since(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<Option<i64>> {
        let key = (list_key(app, list, owner_id), user_id.to_owned());
        Ok(self.0.borrow().listed.get(&key).copied())
    }

    fn listed(&self, app: &str, list: UserList, owner_id: &str, after: &str, limit: usize) -> Read<Vec<String>> {
        let all = self.0.borrow().on_list(&list_key(app, list, owner_id));
        let users = all.into_iter().map(|(user, _)| user);
        Ok(users.filter(|user| user.as_str() > after).take(limit).collect())
    }

    fn listed_count(&self, app: &str, list: UserList, owner_id: &str) -> Read<usize> {
        Ok(self.0.borrow().on_list(&list_key(app, list, owner_id)).len())
    }

    fn listed_entries(&self, app: &str, list: UserList, owner_id: &str, limit: usize) -> Read<Vec<(String, i64)>> {
        let mut all = self.0.borrow().on_list(&list_key(app, list, owner_id));
        all.truncate(limit);
        Ok(all)
    }

    fn muted_groups(&self, app: &str, after: &str, limit: usize) -> Read<Vec<String>> {
        let state = self.0.borrow();
        let muted = state
            .conversations
            .values()
            .filter(|row| row.app == app && row.kind == GROUP && row.muted && row.key.as_str() > after);
        let mut keys: Vec<String> = muted.map(|row| row.key.clone()).collect();
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }
}

impl RowsMut for Plain {
    fn insert_conversation(&self, row: &ConversationRow) -> Read<()> {
        self.0.borrow_mut().conversations.insert(row.id, row.clone());
        Ok(())
    }

    fn update_conversation(&self, row: &ConversationRow) -> Read<()> {
        if let Some(before) = self.0.borrow_mut().conversations.get_mut(&row.id) {
            *before = ConversationRow {
                app: before.app.clone(),
                kind: before.kind,
                key: before.key.clone(),
                created_at_ms: before.created_at_ms,
                last_sequence: before.last_sequence,
                last_message_id: before.last_message_id,
                last_message_at_ms: before.last_message_at_ms,
                ..row.clone()
            };
        }
        Ok(())
    }

    fn remove_conversation(&self, id: i64) -> Read<()> {
        let mut state = self.0.borrow_mut();
        state.members.retain(|(conversation, _), _| *conversation != id);
        if let Some(row) = state.conversations.get_mut(&id) {
            *row = ConversationRow {
                key: format!("\n{id}"),
                members_digest: None,
                member_count: 0,
                muted: false,
                expires_at_ms: Some(0),
                ..row.clone()
            };
        }
        Ok(())
    }

    fn put_ended_group(&self, app: &str, key: &str, last_sequence: i64) -> Read<()> {
        let key = (app.to_owned(), key.to_owned());
        self.0.borrow_mut().ended.insert(key, last_sequence);
        Ok(())
    }

    fn put_member(&self, row: &MemberRow) -> Read<()> {
        let key = (row.conversation, row.user_id.clone());
        self.0.borrow_mut().members.insert(key, row.clone());
        Ok(())
    }

    fn remove_member(&self, conversation: i64, user_id: &str) -> Read<bool> {
        let key = (conversation, user_id.to_owned());
        Ok(self.0.borrow_mut().members.remove(&key).is_some())
    }

    fn insert_message(&self, row: &MessageRow) -> Read<()> {
        let key = (row.conversation, row.sequence);
        self.0.borrow_mut().messages.insert(key, row.clone());
        Ok(())
    }

    fn update_message(&self, row: &MessageRow) -> Read<()> {
        let key = (row.conversation, row.sequence);
        if let Some(before) = self.0.borrow_mut().messages.get_mut(&key) {
            before.recalled = row.recalled;
            before.event.clone_from(&row.event);
        }
        Ok(())
    }

    fn move_last(&self, conversation: i64, sequence: i64, message_id: i64, at_ms: i64) -> Read<()> {
        if let Some(row) = self.0.borrow_mut().conversations.get_mut(&conversation) {
            row.last_sequence = sequence;
            row.last_message_id = message_id;
            row.last_message_at_ms = at_ms;
        }
        Ok(())
    }

    fn put_sent(&self, row: &SentRow) -> Read<()> {
        let key = three(&row.app, &row.sender_id, &row.client_message_id);
        self.0.borrow_mut().sent.insert(key, row.clone());
        Ok(())
    }

    fn put_combined(&self, row: &CombinedRow) -> Read<()> {
        let key = three(&row.app, &row.user_id, &row.combined_id);
        self.0.borrow_mut().combined.insert(key, row.clone());
        Ok(())
    }

    fn put_part(&self, app: &str, user_id: &str, combined_id: &str, part: i64, content: &[u8]) -> Read<()> {
        let key = (three(app, user_id, combined_id), part);
        self.0.borrow_mut().parts.insert(key, content.to_owned());
        Ok(())
    }

    fn put_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str, since_ms: i64) -> Read<()> {
        let key = (list_key(app, list, owner_id), user_id.to_owned());
        // Who is on it stays on it since then.
        self.0.borrow_mut().listed.entry(key).or_insert(since_ms);
        Ok(())
    }

    fn remove_listed(&self, app: &str, list: UserList, owner_id: &str, user_id: &str) -> Read<()> {
        let key = (list_key(app, list, owner_id), user_id.to_owned());
        self.0.borrow_mut().listed.remove(&key);
        Ok(())
    }
}
