//! What members ask about a room: how it is, and who is inside.
//!
//! Members are listed by the second they joined, and by their ids where that is the same. A page ends with a cursor that names its last
//! member: whoever has come since is before it, and whoever has gone since changes nothing about the others.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_protocol::{NamedMembers, RoomMember, RoomMembers, RoomStatus, UserId, limits, reply};

use crate::identity::{Caller, User};
use crate::room::members::{Listed, Members};
use crate::room::{Context, Effect, ListedFirst, Room};

/// What is asked.
#[derive(Debug)]
pub(crate) enum Query {
    Status,
    Members {
        limit: usize,
        cursor: Option<Cursor>,
    },
    Named(Vec<UserId>),
    /// All when there are none.
    Attributes(Vec<String>),
}

/// Where a page of members ended: with whoever had joined in this second and has this id. To clients it is a text without a meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    joined: u32,
    user: String,
}

/// Hexadecimal digits of the second that a cursor begins with.
const SECOND_DIGITS: usize = 8;

/// How old a list may be that is read from in place of a new one. To find the newest of a million members takes some milliseconds of the
/// worker's time, and anybody inside may ask.
const LIST_AGE_MAX: Duration = Duration::from_secs(1);

/// The first members of a large room in one of the two orders, kept for a moment.
#[derive(Debug)]
pub(super) struct List {
    made_at: Instant,
    members: Vec<Listed>,
}

/// The lists of a room.
#[derive(Debug, Default)]
pub(super) struct Lists {
    newest: Option<List>,
    oldest: Option<List>,
}

impl Cursor {
    /// The cursor behind a member.
    fn behind(member: &Listed) -> Self {
        Self {
            joined: member.joined,
            user: member.user.id.as_str().to_owned(),
        }
    }

    fn to_text(&self) -> String {
        format!("{:0SECOND_DIGITS$x}{}", self.joined, self.user)
    }

    /// What [`Self::to_text`] wrote, or what somebody else made up that looks like it.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let (second, user) = text.split_at_checked(SECOND_DIGITS)?;
        let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !digits(second) || !(1..=limits::USER_ID_BYTES).contains(&user.len()) {
            return None;
        }
        Some(Self {
            joined: u32::from_str_radix(second, 16).ok()?,
            user: user.to_owned(),
        })
    }
}

impl Room {
    pub(super) fn query(&mut self, context: Context<'_>, caller: &Caller, query: Query) -> Vec<Effect> {
        let result = match query {
            Query::Status => reply::Result::RoomStatus(self.status(context)),
            Query::Members { limit, cursor } => {
                reply::Result::RoomMembers(self.page(context.now.instant, limit, cursor.as_ref()))
            }
            Query::Named(users) => {
                let members = users.iter().filter_map(|user| self.members.find(user));
                reply::Result::NamedMembers(NamedMembers {
                    members: members.map(|member| room_member(&member)).collect(),
                })
            }
            Query::Attributes(keys) => return self.query_attributes(caller, &keys),
        };
        vec![Effect::reply(caller, result)]
    }

    fn status(&self, context: Context<'_>) -> RoomStatus {
        let rules = context.moderation.rules;
        RoomStatus {
            room: Some(self.info()),
            member_count: self.members.len() as u64,
            sequence: self.sequence,
            room_muted: rules.muted,
            distribution_stopped: rules.stopped,
            attributes_version: self.attributes_version(),
        }
    }

    fn page(&mut self, now: Instant, limit: usize, cursor: Option<&Cursor>) -> RoomMembers {
        let listed = self.listed(now, ListedFirst::Newest, limits::MEMBERS_LISTED);
        // Newest first: what is behind the cursor is smaller.
        let behind = |member: &&Listed| cursor.is_none_or(|cursor| Cursor::behind(member) < *cursor);
        let mut rest = listed.iter().filter(behind);
        let page: Vec<&Listed> = rest.by_ref().take(limit).collect();
        let next_cursor = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => Cursor::behind(last).to_text(),
            _ => String::new(),
        };
        RoomMembers {
            members: page.into_iter().map(room_member).collect(),
            next_cursor,
            member_count: self.members.len() as u64,
        }
    }

    /// The first members in an order, as many as there are and at most [`limits::MEMBERS_LISTED`]. In larger rooms, who came in the last
    /// second may be missing.
    pub(super) fn listed(&mut self, now: Instant, first: ListedFirst, limit: usize) -> Vec<Listed> {
        let limit = limit.min(limits::MEMBERS_LISTED);
        if self.members.len() <= limits::MEMBERS_LISTED {
            return select(&self.members, first, limit);
        }
        let list = match first {
            ListedFirst::Newest => &mut self.lists.newest,
            ListedFirst::Oldest => &mut self.lists.oldest,
        };
        let list = match list.take() {
            Some(list) if now.duration_since(list.made_at) < LIST_AGE_MAX => list,
            _ => List {
                made_at: now,
                members: select(&self.members, first, limits::MEMBERS_LISTED),
            },
        };
        // Who has gone since is not told, nor who has gone and come again, which is at another place.
        let still = |member: &&Listed| {
            let now = self.members.find(&member.user.id);
            now.is_some_and(|now| now.joined == member.joined)
        };
        let members = list.members.iter().filter(still).take(limit).cloned().collect();
        match first {
            ListedFirst::Newest => self.lists.newest = Some(list),
            ListedFirst::Oldest => self.lists.oldest = Some(list),
        }
        members
    }
}

/// The first `limit` members in an order. Looks at each member once, and keeps no more than it returns.
fn select(members: &Members, first: ListedFirst, limit: usize) -> Vec<Listed> {
    let mut heap: BinaryHeap<Placed> = BinaryHeap::with_capacity(limit + 1);
    for (user, joined) in members.iter() {
        let is_beyond =
            |last: &Placed| in_order(first, (joined, user), (last.member.joined, &last.member.user)).is_gt();
        if heap.len() == limit && heap.peek().is_none_or(is_beyond) {
            continue;
        }
        let member = Listed {
            user: Arc::clone(user),
            joined,
        };
        heap.push(Placed { first, member });
        if heap.len() > limit {
            heap.pop();
        }
    }
    heap.into_sorted_vec().into_iter().map(|placed| placed.member).collect()
}

fn in_order(first: ListedFirst, a: (u32, &Arc<User>), b: (u32, &Arc<User>)) -> Ordering {
    let by_age = (a.0, &a.1.id).cmp(&(b.0, &b.1.id));
    match first {
        ListedFirst::Oldest => by_age,
        ListedFirst::Newest => by_age.reverse(),
    }
}

/// A member at its place in an order.
struct Placed {
    first: ListedFirst,
    member: Listed,
}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.member, &other.member);
        in_order(self.first, (a.joined, &a.user), (b.joined, &b.user))
    }
}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Placed {}

fn room_member(member: &Listed) -> RoomMember {
    RoomMember {
        user_id: member.user.id.as_str().to_owned(),
        user_name: member.user.name.to_string(),
        joined_at_ms: i64::from(member.joined) * 1000,
    }
}
