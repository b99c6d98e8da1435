//! Who is inside: users, and the places that each has by its connections.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;
use sluice_protocol::UserId;

use crate::identity::{ConnectionKey, ConnectionRef, User, WorkerIndex};
use crate::room::KeptFor;

/// The members of a room. A user counts once, with however many connections.
#[derive(Debug, Default)]
pub(super) struct Members {
    users: HashMap<ByUserId, Places>,
    /// How many connections are attached from each worker.
    by_worker: Vec<u32>,
    /// Users that the app's server put inside.
    by_server: usize,
    /// Those of them that have no connection here.
    by_server_alone: usize,
}

/// What became of a connection that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The user was not inside.
    NewUser,
    /// The user was inside with another connection, or by the app's server.
    NewConnection,
    /// This very connection was inside.
    AlreadyInside,
}

/// What became of a connection that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// It was the user's last.
    LastOfUser,
    /// The user is still inside with another, or by the app's server.
    OthersRemain,
    /// It was not inside.
    NotInside,
}

/// A session's record of a user, hashed and compared by the id alone: a pointer instead of a copy for each member.
#[derive(Debug)]
struct ByUserId(Arc<User>);

/// One connection's place. Twelve bytes of it name the connection; together with the time and the state it is as large as it was without.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: ConnectionKey,
    /// Seconds since 1970-01-01 UTC.
    joined: u32,
    worker: WorkerIndex,
    state: PlaceState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceState {
    Attached,
    /// The connection is lost.
    Detached(KeptFor),
}

/// Nearly every user has one connection, which needs no allocation.
#[derive(Debug)]
enum Places {
    One(Place),
    Other(Box<Several>),
}

/// Whoever has several connections, or was put inside by the app's server.
#[derive(Debug)]
struct Several {
    places: Vec<Place>,
    /// Of the user, whatever the connections: seconds since 1970-01-01 UTC.
    joined: u32,
    by_server: bool,
}

/// A member as a list shows it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub user: Arc<User>,
    /// Seconds since 1970-01-01 UTC.
    pub joined: u32,
}

impl Members {
    /// Users inside, those by the app's server counted.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// Users inside with a connection, or a place kept for one. A room is in use while there are any.
    pub(super) fn live(&self) -> usize {
        self.users.len() - self.by_server_alone
    }

    /// Users that the app's server put inside, with the second they joined.
    pub(super) fn by_server(&self) -> impl Iterator<Item = (&Arc<User>, u32)> {
        let by_server = |places: &Places| matches!(places, Places::Other(several) if several.by_server);
        // Most rooms have none, and need not be looked through.
        let users = if self.by_server == 0 { None } else { Some(&self.users) };
        users
            .into_iter()
            .flatten()
            .filter(move |(_, places)| by_server(places))
            .map(|(user, places)| (&user.0, places.joined()))
    }

    /// How many they are.
    pub(super) fn by_server_count(&self) -> usize {
        self.by_server
    }

    pub(super) fn is_inside(&self, user: &User, connection: ConnectionRef) -> bool {
        self.users
            .get(&user.id)
            .is_some_and(|places| places.as_slice().iter().any(|place| place.is(connection)))
    }

    pub(super) fn contains(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    /// The member of this id.
    pub(super) fn find(&self, user: &UserId) -> Option<Listed> {
        let (user, places) = self.users.get_key_value(user)?;
        Some(Listed {
            user: user.0.clone(),
            joined: places.joined(),
        })
    }

    /// All members, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<User>, u32)> {
        self.users.iter().map(|(user, places)| (&user.0, places.joined()))
    }

    /// The connections of a user that are attached.
    pub(super) fn connections_of(&self, user: &UserId) -> Vec<ConnectionRef> {
        let places = self.users.get(user).map_or(&[][..], Places::as_slice);
        let attached = places.iter().filter(|place| place.state == PlaceState::Attached);
        attached.map(Place::connection).collect()
    }

    /// The workers that have connections inside.
    pub(super) fn workers(&self) -> Vec<WorkerIndex> {
        (0..)
            .zip(&self.by_worker)
            .filter(|(_, connections)| **connections > 0)
            .map(|(index, _)| WorkerIndex(index))
            .collect()
    }

    /// `connection` comes in. `now` is in seconds since 1970-01-01 UTC.
    pub(super) fn enter(&mut self, user: &Arc<User>, connection: ConnectionRef, now: u32) -> Arrival {
        let place = Place::attached(connection, now);
        let arrival = match self.users.get_mut(&user.id) {
            None => {
                self.users.insert(ByUserId(user.clone()), Places::One(place));
                Arrival::NewUser
            }
            Some(places) if places.as_slice().iter().any(|place| place.is(connection)) => Arrival::AlreadyInside,
            Some(places) => {
                if places.as_slice().is_empty() {
                    self.by_server_alone -= 1;
                }
                places.several().places.push(place);
                Arrival::NewConnection
            }
        };
        if arrival != Arrival::AlreadyInside {
            self.attached(connection.worker);
        }
        arrival
    }

    /// A connection goes, or the place that was kept for it.
    pub(super) fn leave(&mut self, user: &User, connection: ConnectionRef) -> Departure {
        let Some(places) = self.users.get_mut(&user.id) else {
            return Departure::NotInside;
        };
        let Some(index) = places.as_slice().iter().position(|place| place.is(connection)) else {
            return Departure::NotInside;
        };
        let state = places.as_slice()[index].state;
        let departure = match places {
            Places::Other(several) if several.places.len() > 1 || several.by_server => {
                several.places.swap_remove(index);
                if several.places.is_empty() {
                    self.by_server_alone += 1;
                }
                Departure::OthersRemain
            }
            Places::One(_) | Places::Other(_) => {
                self.users.remove(&user.id);
                Departure::LastOfUser
            }
        };
        if state == PlaceState::Attached {
            self.detached(connection.worker);
        }
        departure
    }

    /// A connection is lost; its place is kept, if it has one.
    pub(super) fn detach(&mut self, user: &User, connection: ConnectionRef, kept_for: KeptFor) {
        let Some(place) = self.place_mut(user, connection) else {
            return;
        };
        let before = place.state;
        // Who cannot be resumed never can be again, in whatever order that is told.
        if before != PlaceState::Detached(KeptFor::User) {
            place.state = PlaceState::Detached(kept_for);
        }
        if before == PlaceState::Attached {
            self.detached(connection.worker);
        }
    }

    /// A user goes on purpose: the places that no session will take again are given up, if there are no others.
    pub(super) fn give_up_kept(&mut self, user: &UserId) -> Departure {
        let Some(places) = self.users.get_mut(user) else {
            return Departure::NotInside;
        };
        let is_kept = |place: &Place| place.state == PlaceState::Detached(KeptFor::User);
        if places.as_slice().is_empty() || !places.as_slice().iter().all(is_kept) {
            return Departure::OthersRemain;
        }
        match places {
            Places::Other(several) if several.by_server => {
                several.places.clear();
                self.by_server_alone += 1;
                Departure::OthersRemain
            }
            Places::One(_) | Places::Other(_) => {
                self.users.remove(user);
                Departure::LastOfUser
            }
        }
    }

    /// `new` takes the place of `old`. Returns whether there was one.
    pub(super) fn resume(&mut self, user: &User, old: ConnectionRef, new: ConnectionRef) -> bool {
        let Some(place) = self.place_mut(user, old) else {
            return false;
        };
        let before = place.state;
        *place = Place::attached(new, place.joined);
        if before == PlaceState::Attached {
            // Word that the old one is lost is still on its way.
            self.detached(old.worker);
        }
        self.attached(new.worker);
        true
    }

    /// The app's server puts a user inside.
    pub(super) fn join_by_server(&mut self, user: &Arc<User>, now: u32) -> Arrival {
        match self.users.get_mut(&user.id) {
            None => {
                let several = Several {
                    places: Vec::new(),
                    joined: now,
                    by_server: true,
                };
                self.users
                    .insert(ByUserId(user.clone()), Places::Other(Box::new(several)));
                self.by_server += 1;
                self.by_server_alone += 1;
                Arrival::NewUser
            }
            Some(places) => {
                let several = places.several();
                if several.by_server {
                    Arrival::AlreadyInside
                } else {
                    several.by_server = true;
                    self.by_server += 1;
                    Arrival::NewConnection
                }
            }
        }
    }

    /// The app's server no longer keeps a user inside. Returns the user if there is no connection that does.
    pub(super) fn release(&mut self, user: &UserId) -> Option<Arc<User>> {
        let Some(Places::Other(several)) = self.users.get_mut(user) else {
            return None;
        };
        if !std::mem::take(&mut several.by_server) {
            return None;
        }
        self.by_server -= 1;
        if !several.places.is_empty() {
            return None;
        }
        self.by_server_alone -= 1;
        self.users.remove_entry(user).map(|(user, _)| user.0)
    }

    /// Takes a user out, with all connections. Returns those that were attached, or `None` if it was not inside.
    pub(super) fn remove(&mut self, user: &UserId) -> Option<(Arc<User>, Vec<ConnectionRef>)> {
        let (user, places) = self.users.remove_entry(user)?;
        if matches!(&places, Places::Other(several) if several.by_server) {
            self.by_server -= 1;
        }
        if places.as_slice().is_empty() {
            self.by_server_alone -= 1;
        }
        let attached = places
            .as_slice()
            .iter()
            .filter(|place| place.state == PlaceState::Attached);
        let attached: Vec<ConnectionRef> = attached.map(Place::connection).collect();
        for connection in &attached {
            self.detached(connection.worker);
        }
        Some((user.0, attached))
    }

    /// Whether the app's server put the user inside.
    pub(super) fn is_by_server(&self, user: &UserId) -> bool {
        let places = self.users.get(user);
        matches!(places, Some(Places::Other(several)) if several.by_server)
    }

    fn place_mut(&mut self, user: &User, connection: ConnectionRef) -> Option<&mut Place> {
        let places = self.users.get_mut(&user.id)?;
        places.as_mut_slice().iter_mut().find(|place| place.is(connection))
    }

    fn attached(&mut self, worker: WorkerIndex) {
        let worker = worker.get();
        if self.by_worker.len() <= worker {
            self.by_worker.resize(worker + 1, 0);
        }
        self.by_worker[worker] += 1;
    }

    fn detached(&mut self, worker: WorkerIndex) {
        self.by_worker[worker.get()] -= 1;
    }
}

impl Place {
    fn attached(connection: ConnectionRef, joined: u32) -> Self {
        Self {
            key: connection.key,
            joined,
            worker: connection.worker,
            state: PlaceState::Attached,
        }
    }

    fn connection(&self) -> ConnectionRef {
        ConnectionRef {
            worker: self.worker,
            key: self.key,
        }
    }

    fn is(&self, connection: ConnectionRef) -> bool {
        self.connection() == connection
    }
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Other(several) => &several.places,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Place] {
        match self {
            Self::One(place) => std::slice::from_mut(place),
            Self::Other(several) => &mut several.places,
        }
    }

    fn joined(&self) -> u32 {
        match self {
            Self::One(place) => place.joined,
            Self::Other(several) => several.joined,
        }
    }

    /// Makes room for more than one plain place.
    fn several(&mut self) -> &mut Several {
        if let Self::One(place) = *self {
            *self = Self::Other(Box::new(Several {
                places: vec![place],
                joined: place.joined,
                by_server: false,
            }));
        }
        match self {
            Self::Other(several) => several,
            Self::One(_) => unreachable!("just changed"),
        }
    }
}

impl Borrow<UserId> for ByUserId {
    fn borrow(&self) -> &UserId {
        &self.0.id
    }
}

impl Hash for ByUserId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ByUserId {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ByUserId {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room of a million has a million of them.
    #[test]
    fn a_member_takes_no_more_than_its_connection() {
        assert_eq!(size_of::<Places>(), 16);
    }
}
