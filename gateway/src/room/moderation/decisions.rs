//! What was decided about the rooms of one home.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use sluice_protocol::{ErrorCode, RoomId, UserId};

use crate::clock::Now;
use crate::identity::{AppIndex, RoomKey};
use crate::policy::{Full, Name};
use crate::refusal::Refusal;
use crate::room::moderation::{Moderation, limit};
use crate::store::{Change, Entry, RoomList, RoomRules};

/// Users on all lists of an app's rooms at one home, and the rooms themselves, whether they exist or not: 200 MiB. Lists of rooms that
/// never were would otherwise add up without a bound.
const LISTED_MAX: usize = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(in crate::room) struct Decisions {
    rooms: HashMap<RoomKey, Moderation>,
    /// Holds where nothing was decided.
    none: Moderation,
    /// What the decisions of each app weigh.
    weights: HashMap<AppIndex, usize>,
    /// Rooms that are muted.
    muted: HashMap<AppIndex, BTreeSet<RoomId>>,
    weight_max: usize,
}

impl Default for Decisions {
    fn default() -> Self {
        Self::bounded(LISTED_MAX)
    }
}

impl Decisions {
    fn bounded(weight_max: usize) -> Self {
        Self {
            rooms: HashMap::new(),
            none: Moderation::default(),
            weights: HashMap::new(),
            muted: HashMap::new(),
            weight_max,
        }
    }

    /// What holds for a room.
    pub(in crate::room) fn of(&self, key: &RoomKey) -> &Moderation {
        self.rooms.get(key).unwrap_or(&self.none)
    }

    /// The first so many of an app's rooms that are muted, by their ids.
    pub(in crate::room) fn muted(&self, app: AppIndex, limit: usize) -> Vec<RoomId> {
        let muted = self.muted.get(&app).into_iter().flatten();
        muted.take(limit).cloned().collect()
    }

    /// Puts users on a list, all or none.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(super) fn enlist(
        &mut self,
        key: &RoomKey,
        list: RoomList,
        entries: &[(UserId, Entry)],
        now: Now,
    ) -> Result<(), Refusal> {
        self.make_room(key, entries.len(), now)?;
        let (max, refusal) = limit(list);
        self.change(key, |moderation| {
            let list = moderation.list_mut(list).ok_or_else(|| not_here(list))?;
            list.enlist(entries, now, max).map_err(|Full| refusal)
        })
    }

    /// Takes users off a list, and returns those that were on it.
    ///
    /// # Errors
    /// When the list is none of these.
    pub(super) fn strike(
        &mut self,
        key: &RoomKey,
        list: RoomList,
        users: &[UserId],
        now: Now,
    ) -> Result<Vec<UserId>, Refusal> {
        self.change(key, |moderation| {
            let list = moderation.list_mut(list).ok_or_else(|| not_here(list))?;
            Ok(list.strike(users, now))
        })
    }

    /// All who are on a list.
    ///
    /// # Errors
    /// When the list is none of these.
    pub(super) fn listed(&self, key: &RoomKey, list: RoomList, now: Now) -> Result<Vec<(UserId, Entry)>, Refusal> {
        let list = self.of(key).list(list).ok_or_else(|| not_here(list))?;
        Ok(list.listed(now))
    }

    /// Changes what holds for all of a room, and returns what held before.
    ///
    /// # Errors
    /// When the app has decided too much already.
    pub(super) fn change_rules(
        &mut self,
        key: &RoomKey,
        now: Now,
        change: impl FnOnce(&mut RoomRules),
    ) -> Result<RoomRules, Refusal> {
        self.make_room(key, 1, now)?;
        Ok(self.change(key, |moderation| {
            let before = moderation.rules;
            change(&mut moderation.rules);
            before
        }))
    }

    /// The app's server has destroyed the room: what was decided without an end goes with it. Returns what the store has to keep, where it
    /// knows the app as `app`.
    pub(in crate::room) fn end_with_room(&mut self, key: &RoomKey, app: &str, now: Now) -> Vec<Change> {
        if !self.rooms.contains_key(key) {
            return Vec::new();
        }
        let room = key.id.as_str();
        let mut changes = Vec::new();
        self.change(key, |moderation| {
            for list in [RoomList::Allow, RoomList::MuteException] {
                let users = moderation.list_mut(list).map(std::mem::take).unwrap_or_default();
                changes.extend(users.listed(now).into_iter().map(|(user, _)| Change::RemoveRoomUser {
                    app: app.to_owned(),
                    room: room.to_owned(),
                    list,
                    user: user.as_str().to_owned(),
                }));
            }
            if std::mem::take(&mut moderation.rules) != RoomRules::default() {
                changes.push(Change::PutRoomRules {
                    app: app.to_owned(),
                    room: room.to_owned(),
                    rules: RoomRules::default(),
                });
            }
        });
        changes
    }

    /// Puts back what was kept of a room, before anybody is served.
    pub(in crate::room) fn restore(&mut self, key: &RoomKey, rules: RoomRules, users: Vec<(RoomList, String, Entry)>) {
        self.change(key, |moderation| {
            moderation.rules = rules;
            for (list, user, entry) in users {
                let Some(list) = moderation.list_mut(list) else {
                    continue;
                };
                match UserId::from_kept(&user) {
                    Some(user) => list.restore(user, entry),
                    None => tracing::warn!(user, "what was kept is no user id any more and is left out"),
                }
            }
        });
    }

    /// Changes what holds for a room, and forgets it if that is nothing.
    fn change<T>(&mut self, key: &RoomKey, change: impl FnOnce(&mut Moderation) -> T) -> T {
        let mut before = 0;
        if let Some(moderation) = self.rooms.get(key) {
            before = moderation.weight();
        }
        let moderation = self.rooms.entry_ref(key).or_default();
        let result = change(moderation);
        let mut after = moderation.weight();
        let muted = moderation.rules.muted;
        if moderation.is_default() {
            self.rooms.remove(key);
            after = 0;
        }
        let weight = self.weights.entry(key.app).or_default();
        *weight = *weight + after - before;
        if muted {
            self.muted.entry(key.app).or_default().insert(key.id.clone());
        } else if let Some(rooms) = self.muted.get_mut(&key.app) {
            rooms.remove(&key.id);
        }
        result
    }

    /// Sees that an app may decide so much more, first by forgetting what has ended.
    fn make_room(&mut self, key: &RoomKey, more: usize, now: Now) -> Result<(), Refusal> {
        // The room counts as well.
        let more = more + 1;
        let weight = |this: &Self| this.weights.get(&key.app).copied().unwrap_or(0);
        if weight(self) + more > self.weight_max {
            self.drop_ended(key.app, now);
        }
        if weight(self) + more > self.weight_max {
            return Err(Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list_full"));
        }
        Ok(())
    }

    /// Whether nothing is left but what has ended.
    #[cfg(test)]
    pub(in crate::room) fn is_empty(&mut self, now: Now) -> bool {
        self.drop_ended(AppIndex(0), now);
        self.rooms.is_empty() && self.weights.values().all(|weight| *weight == 0)
    }

    fn drop_ended(&mut self, app: AppIndex, now: Now) {
        let mut weight = 0;
        self.rooms.retain(|key, moderation| {
            if key.app != app {
                return true;
            }
            moderation.drop_ended(now);
            if moderation.is_default() {
                return false;
            }
            weight += moderation.weight();
            true
        });
        self.weights.insert(app, weight);
    }
}

fn not_here(_list: RoomList) -> Refusal {
    Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list")
}

#[cfg(test)]
mod tests;
