//! What the disk has refused and is still to be written.
//!
//! Whoever submitted it was told that it is not kept, and has it in memory all the same. So it is written when the disk takes it again,
//! or what is on disk would differ for ever from what holds: a gag that was taken back would be there again after a restart.
//!
//! Only the last change of each row counts, so this never is more than there are rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::change::{AppList, Change, RoomList};
use super::error::StoreError;

/// Changes by what they are about.
#[derive(Debug, Default)]
pub(super) struct Owed {
    places: HashMap<Place, BTreeMap<Row, Change>>,
    changes: usize,
    /// Why it was refused, the last time.
    why: Option<StoreError>,
}

/// An app, and one of its rooms or what holds in all.
type Place = (String, Option<String>);

/// What of a place a change is about. In this order they are written: only the first touches rows of others, and what is owed of those
/// came after it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Removal,
    Room,
    Rules,
    User(RoomList, String),
    Attribute(String),
    OfApp(AppList, String),
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many changes.
    pub(super) fn len(&self) -> usize {
        self.changes
    }

    /// Why there is something.
    pub(super) fn why(&self) -> Option<&StoreError> {
        self.why.as_ref()
    }

    /// Changes were refused. They come after all that is owed already.
    pub(super) fn add(&mut self, changes: &[Change], why: &StoreError) {
        if changes.is_empty() {
            return;
        }
        changes.iter().for_each(|change| self.add_one(change));
        self.why = Some(why.clone());
    }

    /// These changes behind what is owed of their places: what has to be written for them to hold.
    pub(super) fn followed_by(&self, changes: &[Change]) -> Vec<Change> {
        let mut with = Self::default();
        for place in changes.iter().map(place_of).collect::<BTreeSet<_>>() {
            let owed = self.places.get(&place).into_iter().flat_map(BTreeMap::values);
            owed.for_each(|change| with.add_one(change));
        }
        changes.iter().for_each(|change| with.add_one(change));
        with.first(usize::MAX)
    }

    /// What to write next: all of the first places that come to so many changes together, one at least.
    pub(super) fn first(&self, changes: usize) -> Vec<Change> {
        let mut first = Vec::new();
        for rows in self.places.values() {
            first.extend(rows.values().cloned());
            if first.len() >= changes {
                break;
            }
        }
        first
    }

    /// Nothing is owed any more of the places of these changes.
    pub(super) fn forget(&mut self, changes: &[Change]) {
        for change in changes {
            if let Some(rows) = self.places.remove(&place_of(change)) {
                self.changes -= rows.len();
            }
        }
        if self.is_empty() {
            self.why = None;
        }
    }

    fn add_one(&mut self, change: &Change) {
        let rows = self.places.entry(place_of(change)).or_default();
        self.changes -= rows.len();
        let row = row_of(change);
        if row == Row::Removal {
            rows.retain(|row, _| match row {
                Row::Rules | Row::OfApp(..) => true,
                Row::User(list, _) => *list != RoomList::ServerMember,
                Row::Removal | Row::Room | Row::Attribute(_) => false,
            });
        }
        rows.insert(row, change.clone());
        self.changes += rows.len();
    }
}

fn place_of(change: &Change) -> Place {
    match change {
        Change::PutRoom { app, room, .. }
        | Change::RemoveRoom { app, room }
        | Change::PutRoomRules { app, room, .. }
        | Change::PutRoomUser { app, room, .. }
        | Change::RemoveRoomUser { app, room, .. }
        | Change::PutAttribute { app, room, .. }
        | Change::RemoveAttribute { app, room, .. } => (app.clone(), Some(room.clone())),
        Change::PutAppEntry { app, .. } | Change::RemoveAppEntry { app, .. } => (app.clone(), None),
    }
}

fn row_of(change: &Change) -> Row {
    match change {
        Change::RemoveRoom { .. } => Row::Removal,
        Change::PutRoom { .. } => Row::Room,
        Change::PutRoomRules { .. } => Row::Rules,
        Change::PutRoomUser { list, user, .. } | Change::RemoveRoomUser { list, user, .. } => {
            Row::User(*list, user.clone())
        }
        Change::PutAttribute { key, .. } | Change::RemoveAttribute { key, .. } => Row::Attribute(key.clone()),
        Change::PutAppEntry { list, key, .. } | Change::RemoveAppEntry { list, key, .. } => {
            Row::OfApp(*list, key.clone())
        }
    }
}
