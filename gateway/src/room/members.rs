//! Who is inside: users, and the connections of each.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;
use sluice_protocol::UserId;

use crate::identity::{ConnectionRef, User, WorkerIndex};

/// The members of a room. A user counts once, with however many connections.
#[derive(Debug, Default)]
pub(super) struct Members {
    users: HashMap<ByUserId, Connections>,
    /// How many connections are inside from each worker.
    by_worker: Vec<u32>,
}

/// What became of a connection that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The user was not inside.
    NewUser,
    /// The user was inside with another connection.
    NewConnection,
    /// This very connection was inside.
    AlreadyInside,
}

/// What became of a connection that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// It was the user's last.
    LastOfUser,
    /// The user is still inside with another.
    OthersRemain,
    /// It was not inside.
    NotInside,
}

/// A session's record of a user, hashed and compared by the id alone: a pointer instead of a copy for each member.
#[derive(Debug)]
struct ByUserId(Arc<User>);

/// Nearly every user has one connection, which needs no allocation.
#[derive(Debug)]
enum Connections {
    One(ConnectionRef),
    #[expect(
        clippy::box_collection,
        reason = "with a vector, everybody would take as much room as those few"
    )]
    Many(Box<Vec<ConnectionRef>>),
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    pub(super) fn is_inside(&self, user: &User, connection: ConnectionRef) -> bool {
        self.users
            .get(&user.id)
            .is_some_and(|connections| connections.as_slice().contains(&connection))
    }

    /// The workers that have connections inside.
    pub(super) fn workers(&self) -> Vec<WorkerIndex> {
        (0..)
            .zip(&self.by_worker)
            .filter(|(_, connections)| **connections > 0)
            .map(|(index, _)| WorkerIndex(index))
            .collect()
    }

    pub(super) fn enter(&mut self, user: &Arc<User>, connection: ConnectionRef) -> Arrival {
        let arrival = self.insert(user, connection);
        if arrival != Arrival::AlreadyInside {
            let worker = connection.worker.get();
            if self.by_worker.len() <= worker {
                self.by_worker.resize(worker + 1, 0);
            }
            self.by_worker[worker] += 1;
        }
        arrival
    }

    pub(super) fn leave(&mut self, user: &User, connection: ConnectionRef) -> Departure {
        let departure = self.remove(user, connection);
        if departure != Departure::NotInside {
            self.by_worker[connection.worker.get()] -= 1;
        }
        departure
    }

    fn insert(&mut self, user: &Arc<User>, connection: ConnectionRef) -> Arrival {
        let Some(connections) = self.users.get_mut(&user.id) else {
            self.users.insert(ByUserId(user.clone()), Connections::One(connection));
            return Arrival::NewUser;
        };
        if connections.as_slice().contains(&connection) {
            return Arrival::AlreadyInside;
        }
        match connections {
            Connections::One(first) => *connections = Connections::Many(Box::new(vec![*first, connection])),
            Connections::Many(all) => all.push(connection),
        }
        Arrival::NewConnection
    }

    fn remove(&mut self, user: &User, connection: ConnectionRef) -> Departure {
        let Some(connections) = self.users.get_mut(&user.id) else {
            return Departure::NotInside;
        };
        let Some(index) = connections.as_slice().iter().position(|known| *known == connection) else {
            return Departure::NotInside;
        };
        match connections {
            Connections::Many(all) if all.len() > 1 => {
                all.swap_remove(index);
                Departure::OthersRemain
            }
            Connections::One(_) | Connections::Many(_) => {
                self.users.remove(&user.id);
                Departure::LastOfUser
            }
        }
    }
}

impl Connections {
    fn as_slice(&self) -> &[ConnectionRef] {
        match self {
            Self::One(connection) => std::slice::from_ref(connection),
            Self::Many(connections) => connections,
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
