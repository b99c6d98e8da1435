//! Sessions whose connection is lost, and the places in rooms that are kept for them.
//!
//! Plain rules with the clock passed in. There is one time for all, so they end in the order they came, and a queue is all it
//! takes. Who resumes one is decided in [`crate::session::users`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::identity::{ConnectionRef, RoomKey, User, UserKey};
use crate::session::users::{ByKey, Known};

/// Sessions that one worker parks at once; beyond it the oldest leave early. As many as may be lost together when a quarter of a
/// million clients of one worker go out of reach: about 300 bytes each and 40 more for each room, some 100 MiB.
pub(crate) const PARKED_MAX: usize = 1 << 18;

/// See the module.
#[derive(Debug)]
pub(super) struct Parked {
    window: Duration,
    sessions_max: usize,
    /// In the order in which their time ends.
    queue: VecDeque<Slot>,
    /// The number of the first in the queue: they are numbered in the order they came.
    first: u64,
    /// The numbers of each user's, oldest first.
    by_user: HashMap<ByKey, Vec<u64>>,
    len: usize,
}

#[derive(Debug)]
struct Slot {
    until: Instant,
    /// `None`: it was taken out before its time.
    lost: Option<Box<Lost>>,
}

/// What a lost connection leaves.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub user: Arc<User>,
    /// The connection whose places these are.
    pub connection: ConnectionRef,
    /// What it was inside.
    pub rooms: Vec<RoomKey>,
    /// `None`: it cannot be resumed. It was displaced, and its places are kept only so that the other device may come in unseen.
    pub(super) session: Option<Known>,
}

impl Lost {
    /// What the home of the user is told when a connection is lost; it knows the session itself.
    pub(crate) fn new(user: Arc<User>, connection: ConnectionRef, rooms: Vec<RoomKey>) -> Self {
        Self {
            user,
            connection,
            rooms,
            session: None,
        }
    }
}

impl Parked {
    pub(super) fn new(window: Duration, sessions_max: usize) -> Self {
        Self {
            window,
            sessions_max,
            queue: VecDeque::new(),
            first: 0,
            by_user: HashMap::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps what a connection left. Returns the one that has to leave for it, where there are too many.
    pub(super) fn park(&mut self, now: Instant, lost: Box<Lost>) -> Option<Box<Lost>> {
        let oldest = if self.queue.len() >= self.sessions_max {
            self.pop()
        } else {
            None
        };
        let number = self.first + self.queue.len() as u64;
        let key = ByKey(lost.user.clone());
        self.by_user.entry(key).or_default().push(number);
        self.queue.push_back(Slot {
            until: now + self.window,
            lost: Some(lost),
        });
        self.len += 1;
        oldest
    }

    /// The sessions of a user that can be resumed, oldest first, by their numbers.
    pub(super) fn resumable(&self, user: &UserKey) -> Vec<(u64, Known)> {
        let numbers = self.by_user.get(user).map_or(&[][..], Vec::as_slice);
        let session = |number: &u64| Some((*number, self.slot(*number)?.lost.as_ref()?.session?));
        numbers.iter().filter_map(session).collect()
    }

    /// Takes one out.
    pub(super) fn take(&mut self, number: u64) -> Option<Box<Lost>> {
        let lost = self.slot_mut(number)?.lost.take()?;
        self.len -= 1;
        self.forget(&lost.user, number);
        while self.queue.front().is_some_and(|slot| slot.lost.is_none()) {
            self.pop();
        }
        Some(lost)
    }

    /// One cannot be resumed any more. Returns what it left.
    pub(super) fn displace(&mut self, number: u64) -> Option<Box<Lost>> {
        let lost = self.slot_mut(number)?.lost.as_mut()?;
        lost.session = None;
        Some(lost.clone())
    }

    /// Takes out all of a user, those that cannot be resumed too.
    #[expect(clippy::vec_box, reason = "they go on as they are, box and all")]
    pub(super) fn take_all(&mut self, user: &UserKey) -> Vec<Box<Lost>> {
        let numbers = self.by_user.get(user).cloned().unwrap_or_default();
        numbers.into_iter().filter_map(|number| self.take(number)).collect()
    }

    /// Takes out those whose time is over, until they are inside so many rooms together. The others wait for the next call.
    #[expect(clippy::vec_box, reason = "they go on as they are, box and all")]
    pub(super) fn expire(&mut self, now: Instant, rooms_max: usize) -> Vec<Box<Lost>> {
        let mut over = Vec::new();
        let mut rooms = 0;
        while rooms < rooms_max && self.queue.front().is_some_and(|slot| slot.until <= now) {
            let lost = self.pop();
            rooms += lost.as_ref().map_or(0, |lost| lost.rooms.len());
            over.extend(lost);
        }
        over
    }

    /// Takes out the first of the queue.
    fn pop(&mut self) -> Option<Box<Lost>> {
        let slot = self.queue.pop_front()?;
        let number = self.first;
        self.first += 1;
        let lost = slot.lost?;
        self.len -= 1;
        self.forget(&lost.user, number);
        Some(lost)
    }

    fn forget(&mut self, user: &User, number: u64) {
        let key = user.key();
        if let Some(numbers) = self.by_user.get_mut(&key) {
            numbers.retain(|known| *known != number);
            if numbers.is_empty() {
                self.by_user.remove(&key);
            }
        }
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get(place)
    }

    fn slot_mut(&mut self, number: u64) -> Option<&mut Slot> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(place)
    }
}

#[cfg(test)]
mod tests;
