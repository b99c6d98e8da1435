//! What an app's server has decided for all rooms and users of the app.
//!
//! A snapshot for each app that is swapped whole: whoever judges a message looks at one that does not change under it. Changes are made in one
//! place, [`Policies::change`], by the server API alone.

use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use hashbrown::{HashMap, HashSet};
use sluice_protocol::{RoomId, UserId};

use crate::config::App;
use crate::identity::AppIndex;
use crate::store::Entry;

/// All apps, by their index.
#[derive(Debug)]
pub(crate) struct Policies {
    apps: Box<[ArcSwap<AppPolicy>]>,
    /// Held while a snapshot is made from the one before.
    changing: Mutex<()>,
}

/// What holds in one app. Each part is shared by the snapshots in which it is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct AppPolicy {
    /// Object names that count as low: those of the configuration and those of the app's server.
    pub low_types: Arc<HashMap<String, Entry>>,
    /// Object names whose messages are never shed.
    pub allowed_types: Arc<HashMap<String, Entry>>,
    /// Users whose messages are never shed, by the configuration.
    pub protected_senders: Arc<HashSet<String>>,
    /// Who may not send in any room.
    pub gags: Arc<HashMap<UserId, Entry>>,
    /// Who may not log in.
    pub blocks: Arc<HashMap<UserId, Entry>>,
    /// Rooms that do not end by being idle.
    pub keep_alive: Arc<HashMap<RoomId, Entry>>,
}

impl Policies {
    /// What the configuration says of each app.
    pub(crate) fn new(apps: &[App]) -> Self {
        let of_config = |app: &App| AppPolicy {
            low_types: Arc::new(
                app.low_types
                    .iter()
                    .map(|name| (name.clone(), Entry::default()))
                    .collect(),
            ),
            protected_senders: Arc::new(app.protected_senders.iter().cloned().collect()),
            ..AppPolicy::default()
        };
        Self {
            apps: apps.iter().map(|app| ArcSwap::from_pointee(of_config(app))).collect(),
            changing: Mutex::new(()),
        }
    }

    /// What holds now.
    pub(crate) fn of(&self, app: AppIndex) -> Guard<Arc<AppPolicy>> {
        self.apps[usize::from(app.0)].load()
    }

    /// Makes a new snapshot from the one that holds.
    pub(crate) fn change<T>(&self, app: AppIndex, change: impl FnOnce(&mut AppPolicy) -> T) -> T {
        let _changing = self.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let snapshot = &self.apps[usize::from(app.0)];
        let mut next = AppPolicy::clone(&snapshot.load());
        let result = change(&mut next);
        snapshot.store(Arc::new(next));
        result
    }
}
