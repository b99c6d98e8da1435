//! What every client asks at its start: the list of its conversations, and the newest page of one. Both should take the same however many messages there are.
//!
//! The table is filled behind the gateway's back, while it is not running: the same rows as from sending, in the order of the table.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use serde::Serialize;
use sluice_protocol::{ConversationType, QueryConversations, QueryMessages, frame::Body, reply};

use super::Stage;
use super::bare::{Conversation, FIRST_ID, Message, failed, unix_ms};
use super::people::{Heard, PATIENCE, People, command, refuse_refusals, silent};
use super::settings::Settings;
use crate::bench_error::{BenchError, Doing};
use crate::latencies::{Latencies, Percentiles};
use crate::monotonic::now_ns;
use crate::receiver::user_id;
use crate::schedule::{Dice, Pace};

/// Each user is in so many conversations with the users that follow in a ring, and in as many with those before.
pub(super) const MADE_BY_EACH: usize = 50;

/// A ring in which no two users meet twice.
pub(super) const CONVERSATIONS_MIN: usize = MADE_BY_EACH * (2 * MADE_BY_EACH + 2);

/// Users who ask.
const ASKING: usize = 100;

/// Messages on a page, and conversations in a list: what is answered to who names no limit.
const PAGE: usize = 20;
const LISTED: usize = 10;

/// Conversations filled in one transaction.
const FILLED_AT_ONCE: usize = 1_000;

/// How long two questions took over a table of this size.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Table {
    conversations: usize,
    pub(super) messages_each: usize,
    pub(super) file_bytes: u64,
    pub(super) list: Percentiles,
    pub(super) page: Percentiles,
}

pub(super) fn measure(stage: &Stage<'_>, folder: &Path, settings: &Settings) -> Result<Vec<Table>, BenchError> {
    let users = settings.conversations / MADE_BY_EACH;
    // It makes the file, and is gone at the end of the statement.
    drop(stage.start(folder, ASKING)?);
    let file = folder.join("data-1").join("sluice.db");
    let mut tables = Vec::new();
    let (began_ms, mut filled) = (unix_ms(), 0);
    for messages in &settings.messages {
        eprintln!(
            "{} conversations get {messages} messages each ...",
            settings.conversations
        );
        fill(&file, settings, began_ms, filled, *messages).map_err(failed)?;
        filled = *messages;
        let gateway = stage.start(folder, ASKING)?;
        let mut people = People::enter(gateway.tcp, ASKING)?;
        eprintln!(
            "{} questions/s for {} s ...",
            settings.questions_per_second, settings.seconds
        );
        let mut dice = Dice::new(*messages as u64);
        // Both once without being measured: the first questions find nothing in memory.
        ask(&mut people, settings, users, *messages, &mut dice, Question::List)?;
        let list = ask(&mut people, settings, users, *messages, &mut dice, Question::List)?;
        ask(&mut people, settings, users, *messages, &mut dice, Question::Page)?;
        let page = ask(&mut people, settings, users, *messages, &mut dice, Question::Page)?;
        tables.push(Table {
            conversations: settings.conversations,
            messages_each: *messages,
            file_bytes: std::fs::metadata(&file).doing("looking at the file")?.len(),
            list,
            page,
        });
    }
    Ok(tables)
}

#[derive(Clone, Copy)]
enum Question {
    List,
    Page,
}

/// Makes the conversations if there are none, and adds the messages after number `from` up to number `to`.
fn fill(file: &Path, settings: &Settings, began_ms: i64, from: usize, to: usize) -> rusqlite::Result<()> {
    let users = settings.conversations / MADE_BY_EACH;
    let content = Bytes::from("x".repeat(settings.payload_bytes));
    let mut conn = Connection::open(file)?;
    // What a cut would lose here is made again by the next run.
    conn.pragma_update(None, "synchronous", "off")?;
    conn.set_prepared_statement_cache_capacity(64);
    for first in (0..settings.conversations).step_by(FILLED_AT_ONCE) {
        let part = conn.transaction()?;
        for number in first..(first + FILLED_AT_ONCE).min(settings.conversations) {
            let (one, other) = pair(number, users);
            let id = FIRST_ID + number as i64;
            if from == 0 {
                let mut names = [user_id(one), user_id(other)];
                names.sort_unstable();
                let conversation = Conversation {
                    id,
                    kind: ConversationType::Peer,
                    key: names.join("\n"),
                    members: names.to_vec(),
                    made_at_ms: began_ms,
                    messages: to as i64,
                };
                conversation.insert(&part)?;
            } else {
                part.prepare_cached("UPDATE conversations SET last_sequence = ?2, last_message_id = ?3, last_message_at_ms = ?4 WHERE id = ?1")?
                    .execute([id, to as i64, FIRST_ID + to as i64, began_ms + to as i64])?;
                part.prepare_cached("UPDATE conversation_members SET delivered_sequence = ?2, read_sequence = ?2 WHERE conversation = ?1")?
                    .execute([id, to as i64])?;
            }
            for sequence in from + 1..=to {
                let (sender, target) = if sequence % 2 == 0 { (one, other) } else { (other, one) };
                let message = Message {
                    conversation: id,
                    kind: ConversationType::Peer,
                    sequence: sequence as i64,
                    id: FIRST_ID + sequence as i64,
                    at_ms: began_ms + sequence as i64,
                    sender: user_id(sender),
                    target: user_id(target),
                    number: sequence as u64,
                };
                message.insert_alone(&part, &content)?;
            }
        }
        part.commit()?;
    }
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Who is in a conversation.
fn pair(conversation: usize, users: usize) -> (usize, usize) {
    let one = conversation / MADE_BY_EACH;
    (one, (one + 1 + conversation % MADE_BY_EACH) % users)
}

/// Asks at intended times, of users and conversations by chance, and checks what is answered.
fn ask(
    people: &mut People,
    settings: &Settings,
    users: usize,
    messages: usize,
    dice: &mut Dice,
    question: Question,
) -> Result<Percentiles, BenchError> {
    let pace = Pace {
        start_ns: now_ns(),
        per_second: settings.questions_per_second,
    };
    let count = pace.count_in(Duration::from_secs(settings.seconds));
    let (mut asked, mut answered) = (0, 0);
    let mut latencies = Latencies::new();
    let deadline_ns = pace.intended_ns(count) + PATIENCE.as_nanos() as u64;
    while answered < count {
        while asked < count && pace.intended_ns(asked) <= now_ns() {
            let user = (dice.next_unit() * ASKING as f64) as usize;
            let body = match question {
                Question::List => Body::QueryConversations(QueryConversations::default()),
                Question::Page => {
                    // One of those that the user made.
                    let (_, other) = pair(
                        user * MADE_BY_EACH + (dice.next_unit() * MADE_BY_EACH as f64) as usize,
                        users,
                    );
                    Body::QueryMessages(QueryMessages {
                        r#type: ConversationType::Peer.into(),
                        id: user_id(other),
                        ..QueryMessages::default()
                    })
                }
            };
            // Request ids begin with 1.
            people.say(user, &command(asked as u32 + 1, body))?;
            asked += 1;
        }
        let until_ns = if asked < count {
            pace.intended_ns(asked)
        } else {
            deadline_ns
        };
        people.listen(until_ns, &mut |_, heard| {
            let Heard::Answer(request_id, reply) = heard else {
                return Ok(());
            };
            latencies.record(now_ns().saturating_sub(pace.intended_ns(u64::from(request_id) - 1)));
            answered += 1;
            refuse_refusals(&reply)?;
            let (found, expected) = match &reply.result {
                Some(reply::Result::Conversations(list)) => (list.conversations.len(), LISTED),
                Some(reply::Result::Messages(page)) => (page.messages.len(), PAGE.min(messages)),
                _ => (0, 1),
            };
            if found != expected {
                let what = format!("answered with {found} and not {expected}");
                return Err(BenchError::peer("the gateway", what));
            }
            Ok(())
        })?;
        if now_ns() > deadline_ns {
            return Err(silent());
        }
    }
    Ok(latencies.percentiles())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_users_have_two_conversations_and_each_has_a_hundred() {
        let users = CONVERSATIONS_MIN / MADE_BY_EACH;
        let mut pairs = HashSet::new();
        let mut of_user = vec![0; users];
        for conversation in 0..CONVERSATIONS_MIN {
            let (one, other) = pair(conversation, users);
            assert!(pairs.insert((one.min(other), one.max(other))));
            of_user[one] += 1;
            of_user[other] += 1;
        }
        assert!(of_user.iter().all(|count| *count == 2 * MADE_BY_EACH));
    }
}
