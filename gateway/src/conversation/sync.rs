//! What a user missed, page by page, when a session begins.
//!
//! The first page says which conversations have something new and fixes how far all pages go: *stretches* of messages, each of one conversation. What is left
//! of them is the cursor. It is sealed for its user: it names conversations by their rows, whatever app they are of, and where an app has no history it is
//! all that there is to read.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hmac, rand};
use hashbrown::HashSet;
use prost::Message;
use sluice_protocol::{ConversationType, ErrorCode, OwnConversation, SyncConversations, SyncPage, limits, reply};

use crate::conversation::create::hexadecimal;
use crate::conversation::history::message_of;
use crate::conversation::inside::has_ended;
use crate::conversation::key::Key;
use crate::conversation::{Actor, Context, Outcome, Ruled, look};
use crate::identity::User;
use crate::refusal::Refusal;
use crate::store::{ConversationRow, Direction, MemberRow, MessagesQuery, Rows};

/// Messages read at once: a page may be full after a few, if they are large.
const ROWS_AT_ONCE: usize = 16;

/// A message takes so much beside itself in a page, at most.
const MESSAGE_OVERHEAD_BYTES: usize = 16;

/// Messages of a conversation that are still to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    conversation: i64,
    next: i64,
    last: i64,
    /// When the conversation ends; 0: it does not.
    end_ms: i64,
}

/// Makes cursors and knows those that it made.
#[derive(Debug)]
pub(super) struct Cursors(hmac::Key);

/// A conversation that may have something new.
#[derive(Debug)]
struct Candidate {
    conversation: ConversationRow,
    member: MemberRow,
    /// What the client has.
    after: i64,
    /// Whether its user has not got or read all of it.
    is_news: bool,
}

pub(super) fn page(rows: &dyn Rows, context: Context<'_>, by: &Actor, command: &SyncConversations) -> Ruled<Outcome> {
    let Actor::User(user) = by else {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    };
    if command.cursor.is_empty() {
        return first(rows, context, user, command);
    }
    let stretches = context.cursors.open(context, user, &command.cursor);
    let stretches = stretches.ok_or_else(|| Refusal::parameter("cursor"))?;
    let mut visible = Vec::new();
    for stretch in stretches {
        if stretch.end_ms != 0 && stretch.end_ms <= context.now.unix_ms {
            continue;
        }
        // Who was put out meanwhile sees no more of it, and who came back sees it from there.
        if let Some(member) = rows.member(stretch.conversation, user.id.as_str())? {
            let next = stretch.next.max(member.first_sequence);
            visible.push(Stretch { next, ..stretch });
        }
    }
    let page = fill(rows, context, user, visible, SyncPage::default())?;
    Ok(Outcome::answer(reply::Result::SyncPage(page)))
}

fn first(rows: &dyn Rows, context: Context<'_>, user: &User, command: &SyncConversations) -> Ruled<Outcome> {
    let known = known(rows, context, user, command)?;
    let known_ids: HashSet<i64> = known.iter().map(|known| known.conversation.id).collect();
    let reached = known
        .iter()
        .map(|known| (known.conversation.id, known.conversation.last_sequence));
    let mut reached: Vec<(i64, i64)> = reached.collect();

    let limit = limits::SYNCED_CONVERSATIONS + known.len();
    let (news, mut more) = rows.conversations_with_news(context.app_key, user.id.as_str(), limit)?;
    let mut listed = Vec::new();
    // Those that the client asks for by name come first: of them it counts on having all.
    for candidate in known {
        more -= usize::from(candidate.is_news).min(more);
        if candidate.conversation.last_sequence > candidate.after || look::unread(rows, &candidate.member)? > 0 {
            listed.push(candidate);
        }
    }
    for (conversation, member) in news {
        if known_ids.contains(&conversation.id) {
            continue;
        }
        if has_ended(&conversation, context) {
            more -= 1.min(more);
        } else if listed.len() < limits::SYNCED_CONVERSATIONS {
            more -= 1.min(more);
            reached.push((conversation.id, conversation.last_sequence));
            listed.push(Candidate {
                after: member.delivered_sequence,
                is_news: true,
                conversation,
                member,
            });
        }
    }
    listed.sort_unstable_by_key(|listed| {
        let conversation = &listed.conversation;
        std::cmp::Reverse((conversation.last_message_at_ms, conversation.id))
    });

    let newest = match command.newest {
        0 => limits::SYNC_NEWEST_DEFAULT,
        newest => newest.min(limits::SYNC_NEWEST_MAX),
    };
    let mut stretches = Vec::new();
    for candidate in &listed {
        stretches.extend(stretch(rows, candidate, i64::from(newest))?);
    }
    let conversations = listed
        .iter()
        .map(|listed| look::own(rows, &listed.conversation, &listed.member));
    let conversations = conversations.collect::<Result<Vec<OwnConversation>, _>>()?;
    let page = SyncPage {
        conversations,
        more_conversations: u32::try_from(more).unwrap_or(u32::MAX),
        ..SyncPage::default()
    };
    let page = fill(rows, context, user, stretches, page)?;
    Ok(Outcome {
        reached,
        ..Outcome::answer(reply::Result::SyncPage(page))
    })
}

/// The conversations that the client names, those that its user is inside.
fn known(rows: &dyn Rows, context: Context<'_>, user: &User, command: &SyncConversations) -> Ruled<Vec<Candidate>> {
    let mut found: Vec<Candidate> = Vec::new();
    let named = command.known_types.iter().zip(&command.known_ids);
    for ((kind, id), sequence) in named.zip(&command.known_sequences) {
        let kind = i32::try_from(*kind).ok().map(ConversationType::try_from);
        let Some(Ok(kind)) = kind else {
            return Err(Refusal::parameter("known_types").into());
        };
        let key = Key::named_by(&user.id, kind, id).ok_or_else(|| Refusal::parameter("known_types"))?;
        let Some(conversation) = rows.conversation(context.app_key, kind.into(), &key.key)? else {
            continue;
        };
        let Some(member) = rows.member(conversation.id, user.id.as_str())? else {
            continue;
        };
        if has_ended(&conversation, context) || found.iter().any(|other| other.conversation.id == conversation.id) {
            continue;
        }
        let last = conversation.last_sequence;
        let seen = member.delivered_sequence.min(member.read_sequence);
        found.push(Candidate {
            after: i64::try_from(*sequence).unwrap_or(i64::MAX),
            is_news: last > seen && last >= member.first_sequence,
            conversation,
            member,
        });
    }
    Ok(found)
}

/// The newest messages that the client does not have, from the first that is still there.
fn stretch(rows: &dyn Rows, candidate: &Candidate, newest: i64) -> Ruled<Option<Stretch>> {
    let Candidate {
        conversation,
        member,
        after,
        ..
    } = candidate;
    let last = conversation.last_sequence;
    let first = (last - newest + 1)
        .max(after.saturating_add(1))
        .max(member.first_sequence);
    if first > last {
        return Ok(None);
    }
    let oldest = rows.messages(&query(conversation.id, first, 1))?;
    Ok(oldest.first().map(|oldest| Stretch {
        conversation: conversation.id,
        next: oldest.sequence,
        last,
        end_ms: conversation.expires_at_ms.unwrap_or(0),
    }))
}

/// Adds as many messages to a page as it takes, and a cursor for the others.
fn fill(
    rows: &dyn Rows,
    context: Context<'_>,
    user: &User,
    mut stretches: Vec<Stretch>,
    mut page: SyncPage,
) -> Ruled<SyncPage> {
    let mut bytes = page.encoded_len();
    let mut full = false;
    for stretch in &mut stretches {
        while stretch.next <= stretch.last && !full {
            let found = rows.messages(&query(stretch.conversation, stretch.next, ROWS_AT_ONCE))?;
            if found.is_empty() {
                // They were deleted meanwhile, because they were old.
                stretch.next = stretch.last + 1;
                break;
            }
            for row in found {
                if row.sequence > stretch.last {
                    stretch.next = row.sequence;
                    break;
                }
                bytes += row.event.len() + MESSAGE_OVERHEAD_BYTES;
                // The first goes out in any case.
                full = bytes > limits::PAGE_BYTES && !page.messages.is_empty();
                if full {
                    break;
                }
                stretch.next = row.sequence + 1;
                page.messages.extend(message_of(&row));
            }
        }
    }
    stretches.retain(|stretch| stretch.next <= stretch.last);
    let later: i64 = stretches.iter().map(Stretch::len).sum();
    for (left, message) in (later..).zip(page.messages.iter_mut().rev()) {
        message.history = true;
        message.left = u32::try_from(left).unwrap_or(u32::MAX);
    }
    page.next_cursor = context.cursors.seal(context, user, &stretches);
    Ok(page)
}

fn query(conversation: i64, from_sequence: i64, limit: usize) -> MessagesQuery {
    MessagesQuery {
        conversation,
        from_sequence,
        beyond: None,
        direction: Direction::Newer,
        kinds: Vec::new(),
        limit,
    }
}

impl Stretch {
    fn len(&self) -> i64 {
        self.last - self.next + 1
    }

    fn text(&self) -> String {
        let Self {
            conversation,
            next,
            last,
            end_ms,
        } = self;
        format!("{conversation}.{next}.{last}.{end_ms}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        Some(Self {
            conversation: numbers.next()??,
            next: numbers.next()??,
            last: numbers.next()??,
            end_ms: numbers.next()??,
        })
    }
}

impl Cursors {
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        Self(key.expect("a system that has no random numbers has no TLS either"))
    }

    /// Empty: nothing is left.
    fn seal(&self, context: Context<'_>, user: &User, stretches: &[Stretch]) -> String {
        if stretches.is_empty() {
            return String::new();
        }
        let texts: Vec<String> = stretches.iter().map(Stretch::text).collect();
        let text = texts.join(",");
        format!("{}:{text}", self.seal_of(context, user, &text))
    }

    /// `None`: this user was never given it since the gateway started.
    fn open(&self, context: Context<'_>, user: &User, cursor: &str) -> Option<Vec<Stretch>> {
        let (seal, text) = cursor.split_once(':')?;
        verify_slices_are_equal(seal.as_bytes(), self.seal_of(context, user, text).as_bytes()).ok()?;
        text.split(',').map(Stretch::parse).collect()
    }

    fn seal_of(&self, context: Context<'_>, user: &User, text: &str) -> String {
        let mut sealing = hmac::Context::with_key(&self.0);
        // No key of an app and no user id has a line break.
        for part in [context.app_key, "\n", user.id.as_str(), "\n", text] {
            sealing.update(part.as_bytes());
        }
        hexadecimal(sealing.sign().as_ref())
    }
}
