//! What was decided about the rooms of one home.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

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

/// How long an app that has decided as much as it may waits until it is looked again whether something has ended. To go through a million
/// entries takes the worker some tens of milliseconds, which all apps would wait.
const LOOKED_THROUGH_INTERVAL: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(in crate::room) struct Decisions {
    /// By their index.
    apps: Vec<OfApp>,
    /// Holds where nothing was decided.
    none: Moderation,
    weight_max: usize,
}

/// What one app has decided.
#[derive(Debug, Default)]
struct OfApp {
    rooms: HashMap<RoomId, Moderation>,
    /// What all of it weighs.
    weight: usize,
    /// Rooms that are muted.
    muted: BTreeSet<RoomId>,
    /// No entry ends before this time, milliseconds since 1970-01-01 UTC. `None`: none ends.
    next_end_ms: Option<i64>,
    /// When it was last gone through for what has ended.
    looked_through: Option<Instant>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self::bounded(LISTED_MAX)
    }
}

impl Decisions {
    fn bounded(weight_max: usize) -> Self {
        Self {
            apps: Vec::new(),
            none: Moderation::default(),
            weight_max,
        }
    }

    /// What holds for a room.
    pub(in crate::room) fn of(&self, key: &RoomKey) -> &Moderation {
        self.of_app(key.app)
            .and_then(|app| app.rooms.get(&key.id))
            .unwrap_or(&self.none)
    }

    /// The first so many of an app's rooms that are muted, by their ids.
    pub(in crate::room) fn muted(&self, app: AppIndex, limit: usize) -> Vec<RoomId> {
        let muted = self.of_app(app).into_iter().flat_map(|app| &app.muted);
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
        let more = |app: &OfApp| {
            let known = app.rooms.get(&key.id).and_then(|moderation| moderation.list(list));
            let new = known.map_or(entries.len(), |list| list.count_new(entries));
            new + app.weight_of_new(&key.id)
        };
        self.make_room(key.app, more, now)?;
        let (max, refusal) = limit(list);
        self.change(key, |moderation| {
            let list = moderation.list_mut(list).ok_or_else(|| not_here(list))?;
            list.enlist(entries, now, max).map_err(|Full| refusal)
        })?;
        let ends = entries.iter().filter_map(|(_, entry)| entry.until_ms);
        self.of_app_mut(key.app).note_ends(ends);
        Ok(())
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
        let before = self.of(key).rules;
        let mut after = before;
        change(&mut after);
        // What is taken back needs no room, and makes some.
        if after != RoomRules::default() {
            self.make_room(key.app, |app| app.weight_of_new(&key.id), now)?;
        }
        self.change(key, |moderation| moderation.rules = after);
        Ok(before)
    }

    /// The app's server has destroyed the room: what was decided without an end goes with it. Returns what the store has to keep, where it
    /// knows the app as `app`.
    pub(in crate::room) fn end_with_room(&mut self, key: &RoomKey, app: &str, now: Now) -> Vec<Change> {
        if self.of_app(key.app).is_none_or(|app| !app.rooms.contains_key(&key.id)) {
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
        let ends: Vec<i64> = users.iter().filter_map(|(_, _, entry)| entry.until_ms).collect();
        self.of_app_mut(key.app).note_ends(ends);
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
        let app = self.of_app_mut(key.app);
        let before = app.rooms.get(&key.id).map_or(0, Moderation::weight);
        let moderation = app.rooms.entry(key.id.clone()).or_default();
        let result = change(moderation);
        let mut after = moderation.weight();
        let muted = moderation.rules.muted;
        if moderation.is_default() {
            app.rooms.remove(&key.id);
            after = 0;
        }
        app.weight = app.weight + after - before;
        if muted {
            app.muted.insert(key.id.clone());
        } else {
            app.muted.remove(&key.id);
        }
        result
    }

    /// Sees that an app may decide so much more, first by forgetting what has ended.
    fn make_room(&mut self, app: AppIndex, more: impl Fn(&OfApp) -> usize, now: Now) -> Result<(), Refusal> {
        let weight_max = self.weight_max;
        let app = self.of_app_mut(app);
        let is_over = |app: &OfApp| {
            let more = more(app);
            // A list that was restored may be over the bound; what weighs nothing has room all the same.
            more > 0 && app.weight + more > weight_max
        };
        if is_over(app) {
            app.look_through(now);
        }
        if is_over(app) {
            return Err(Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list_full"));
        }
        Ok(())
    }

    fn of_app(&self, app: AppIndex) -> Option<&OfApp> {
        self.apps.get(usize::from(app.0))
    }

    fn of_app_mut(&mut self, app: AppIndex) -> &mut OfApp {
        let place = usize::from(app.0);
        if self.apps.len() <= place {
            self.apps.resize_with(place + 1, OfApp::default);
        }
        &mut self.apps[place]
    }

    /// Whether nothing is left but what has ended.
    #[cfg(test)]
    pub(in crate::room) fn is_empty(&mut self, now: Now) -> bool {
        self.apps.iter_mut().all(|app| {
            app.drop_ended(now);
            app.rooms.is_empty() && app.weight == 0
        })
    }
}

impl OfApp {
    /// What a room weighs by itself, if nothing was decided about it before.
    fn weight_of_new(&self, room: &RoomId) -> usize {
        usize::from(!self.rooms.contains_key(room))
    }

    fn note_ends(&mut self, ends: impl IntoIterator<Item = i64>) {
        self.next_end_ms = self.next_end_ms.into_iter().chain(ends).min();
    }

    /// Forgets what has ended, unless that cannot be anything, or was done just now.
    fn look_through(&mut self, now: Now) {
        let has_ended = self.next_end_ms.is_some_and(|end| end <= now.unix_ms);
        let is_due = |last| now.instant.saturating_duration_since(last) >= LOOKED_THROUGH_INTERVAL;
        if has_ended && self.looked_through.is_none_or(is_due) {
            self.looked_through = Some(now.instant);
            self.drop_ended(now);
        }
    }

    fn drop_ended(&mut self, now: Now) {
        let mut weight = 0;
        let mut next_end_ms = None;
        self.rooms.retain(|_, moderation| {
            moderation.drop_ended(now);
            if moderation.is_default() {
                return false;
            }
            weight += moderation.weight();
            next_end_ms = next_end_ms.into_iter().chain(moderation.next_end_ms()).min();
            true
        });
        self.weight = weight;
        self.next_end_ms = next_end_ms;
    }
}

fn not_here(_list: RoomList) -> Refusal {
    Refusal::with_detail(ErrorCode::CHATROOM_PARAMETER, "list")
}

#[cfg(test)]
mod tests;
