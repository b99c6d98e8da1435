//! Who is who inside the gateway: apps, users, rooms and connections, each by its own type.
//!
//! The app is part of every key, so that no lookup can cross from one tenant to another.

use std::sync::Arc;

use sluice_protocol::{RoomId, UserId};

slotmap::new_key_type! {
    /// A connection on its worker. Carries a generation: the key of a closed connection finds nothing.
    pub(crate) struct ConnectionKey;
}

/// An app's place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AppIndex(pub u16);

/// A worker's number, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WorkerIndex(pub u16);

impl WorkerIndex {
    /// For indexing per-worker tables.
    pub(crate) fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// A user as logged in. Shared by everything that has to do with the session: room state holds a pointer, not a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub app: AppIndex,
    pub id: UserId,
    pub name: Box<str>,
}

/// The key of a user across apps. Hashed as the pair of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UserKey {
    pub app: AppIndex,
    pub id: UserId,
}

impl User {
    pub(crate) fn key(&self) -> UserKey {
        UserKey {
            app: self.app,
            id: self.id.clone(),
        }
    }
}

/// The key of a room across apps. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RoomKey {
    pub app: AppIndex,
    pub id: RoomId,
}

/// A connection, wherever it is. May outlive what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionRef {
    pub worker: WorkerIndex,
    pub key: ConnectionKey,
}

/// A user's session as a room sees it: who acts, and where the answer goes.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub user: Arc<User>,
    pub connection: ConnectionRef,
    /// 0 when no reply is wanted.
    pub request_id: u32,
}
