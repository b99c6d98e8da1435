//! Who is told: the members of a conversation, read once and remembered until they change.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hashbrown::HashMap;
use sluice_protocol::{IdProfile, UserId};

use crate::identity::WorkerIndex;
use crate::store::{ConversationRow, Read, Rows};

/// Members remembered, of all conversations together: some hundred MiB at most. Beyond it all are forgotten, and read again when needed.
const MEMBERS_REMEMBERED: usize = 2_000_000;

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

#[derive(Debug, Default)]
struct Known {
    /// By conversation: the version of its members, and who they are. A version is never used again, so what a transaction read that was undone
    /// is found by nobody.
    audiences: HashMap<i64, (i64, Arc<Audience>)>,
    /// Of all of them together.
    members: usize,
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
        if let Some((version, audience)) = self.lock().audiences.get(&conversation.id)
            && *version == conversation.members_version
        {
            return Ok(audience.clone());
        }
        let audience = Audience::of(read(rows, conversation.id)?);
        let mut known = self.lock();
        if known.members + audience.users.len() > MEMBERS_REMEMBERED {
            *known = Known::default();
        }
        let before = known
            .audiences
            .insert(conversation.id, (conversation.members_version, audience.clone()));
        known.members -= before.map_or(0, |(_, before)| before.users.len());
        known.members += audience.users.len();
        Ok(audience)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
