//! Who is told: the members of a conversation, read once and remembered until they change.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::IntoIter;
use sluice_protocol::{IdProfile, UserId};

use crate::identity::WorkerIndex;
use crate::store::{ConversationRow, Read, Rows};

/// Members remembered, of all conversations together, each conversation counted as [`ENTRY_WEIGHT`] more: some hundred MiB at most. Half of it is for those
/// asked for lately, half for those before. What neither had is read again when needed.
const MEMBERS_REMEMBERED: usize = 2_000_000;

/// What an entry takes beside its members, in members.
const ENTRY_WEIGHT: usize = 4;

/// Conversations forgotten for each that is remembered anew.
const FREED_AT_ONCE: usize = 64;

/// Members read at once.
const PAGE: usize = 1000;

/// Users by the worker that is their home.
type Homes = Box<[(WorkerIndex, Arc<[UserId]>)]>;

/// Users to be told something.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub users: Arc<[UserId]>,
    /// The same by the worker that is their home, once somebody has sorted them.
    by_home: OnceLock<Homes>,
}

/// The members of conversations that had messages lately.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    known: Mutex<Known>,
}

/// Two generations of half of what may be remembered: what was asked for lately, and what before. When the new one is full the old one is forgotten, so
/// that what is in use stays.
#[derive(Debug, Default)]
struct Known {
    new: Generation,
    old: Generation,
    /// Freed by and by: all at once takes long, and commits wait meanwhile.
    forgotten: IntoIter<i64, (i64, Arc<Audience>)>,
}

#[derive(Debug, Default)]
struct Generation {
    /// By conversation: the version of its members, and who they are. A version is never used again, so what a transaction read that was undone
    /// is found by nobody.
    audiences: HashMap<i64, (i64, Arc<Audience>)>,
    /// Of all of them together.
    weight: usize,
}

impl Audience {
    pub(crate) fn of(users: impl IntoIterator<Item = UserId>) -> Arc<Self> {
        Arc::new(Self {
            users: users.into_iter().collect(),
            by_home: OnceLock::new(),
        })
    }

    /// The same users by home.
    pub(crate) fn by_home(&self, home: impl Fn(&UserId) -> WorkerIndex) -> &[(WorkerIndex, Arc<[UserId]>)] {
        self.by_home.get_or_init(|| {
            let mut sorted: Vec<(WorkerIndex, Vec<UserId>)> = Vec::new();
            for user in &*self.users {
                let home = home(user);
                match sorted.iter_mut().find(|(worker, _)| *worker == home) {
                    Some((_, users)) => users.push(user.clone()),
                    None => sorted.push((home, vec![user.clone()])),
                }
            }
            sorted
                .into_iter()
                .map(|(worker, users)| (worker, users.into()))
                .collect()
        })
    }
}

impl Audiences {
    /// All members of a conversation, as the transaction sees it.
    pub(super) fn of(&self, rows: &dyn Rows, conversation: &ConversationRow) -> Read<Arc<Audience>> {
        let (id, version) = (conversation.id, conversation.members_version);
        if let Some(audience) = self.lock().find(id, version, MEMBERS_REMEMBERED) {
            return Ok(audience);
        }
        let audience = Audience::of(read(rows, id)?);
        self.lock().enter(id, version, audience.clone(), MEMBERS_REMEMBERED);
        Ok(audience)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&mut self, id: i64, version: i64, weight_max: usize) -> Option<Arc<Audience>> {
        if let Some((known, audience)) = self.new.audiences.get(&id) {
            return (*known == version).then(|| audience.clone());
        }
        let (known, audience) = self.old.remove(id)?;
        (known == version).then(|| {
            self.enter(id, version, audience.clone(), weight_max);
            audience
        })
    }

    /// Remembers an audience. One without users is that of a conversation that has ended, for which nobody asks again.
    fn enter(&mut self, id: i64, version: i64, audience: Arc<Audience>, weight_max: usize) {
        self.new.remove(id);
        self.old.remove(id);
        if audience.users.is_empty() {
            return;
        }
        let weight = weight_of(&audience);
        if self.new.weight + weight > weight_max / 2 {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.new));
            self.forgotten = old.audiences.into_iter();
        }
        self.forgotten.by_ref().take(FREED_AT_ONCE).for_each(drop);
        self.new.weight += weight;
        self.new.audiences.insert(id, (version, audience));
    }
}

impl Generation {
    fn remove(&mut self, id: i64) -> Option<(i64, Arc<Audience>)> {
        let (version, audience) = self.audiences.remove(&id)?;
        self.weight -= weight_of(&audience);
        Some((version, audience))
    }
}

fn weight_of(audience: &Audience) -> usize {
    audience.users.len() + ENTRY_WEIGHT
}

fn read(rows: &dyn Rows, conversation: i64) -> Read<Vec<UserId>> {
    let mut users = Vec::new();
    let mut after = String::new();
    loop {
        let page = rows.members(conversation, &after, PAGE)?;
        users.extend(page.iter().filter_map(|member| user(&member.user_id)));
        match page.last() {
            Some(last) if page.len() == PAGE => after.clone_from(&last.user_id),
            _ => return Ok(users),
        }
    }
}

/// A user as a row names it: its id was checked when it was written.
pub(super) fn user(id: &str) -> Option<UserId> {
    UserId::parse(id, IdProfile::Wide).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(members: usize) -> Arc<Audience> {
        Audience::of((0..members).filter_map(|number| user(&format!("user{number}"))))
    }

    #[test]
    fn conversations_that_nobody_is_inside_any_more_take_no_room() {
        let mut known = Known::default();
        for id in 0..10_000 {
            known.enter(id, 1, audience(1), 100_000);
            known.enter(id, 2, audience(0), 100_000);
        }
        assert!(known.new.audiences.is_empty() && known.old.audiences.is_empty());
        assert_eq!((known.new.weight, known.old.weight), (0, 0));
    }

    #[test]
    fn what_is_asked_for_stays_while_what_is_not_goes() {
        let weight = 10 + ENTRY_WEIGHT;
        let mut known = Known::default();
        known.enter(0, 1, audience(10), 100 * weight);
        for id in 1..1000 {
            known.enter(id, 1, audience(10), 100 * weight);
            let both = [&known.new, &known.old];
            assert!(both.iter().all(|generation| generation.weight <= 50 * weight));
            for generation in both {
                assert_eq!(generation.weight, generation.audiences.len() * weight);
            }
            assert!(
                known.find(0, 1, 100 * weight).is_some(),
                "it is asked for again and again"
            );
        }
        assert!(known.find(1, 1, 100 * weight).is_none());
        assert!(known.find(999, 1, 100 * weight).is_some());
        assert_eq!(known.forgotten.len(), 0, "it is freed by and by");
    }

    #[test]
    fn members_of_another_version_are_not_found() {
        let mut known = Known::default();
        known.enter(1, 1, audience(2), 100);
        assert!(known.find(1, 2, 100).is_none());
        known.enter(1, 2, audience(3), 100);
        let found = known.find(1, 2, 100).expect("it was entered");
        assert_eq!(found.users.len(), 3);
        assert_eq!(known.new.weight, 3 + ENTRY_WEIGHT);
    }
}
