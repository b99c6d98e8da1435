//! What the operator has decided about rooms.

use std::sync::Arc;

use crate::config::{self, App};
use crate::identity::AppIndex;
use crate::policy::Policies;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rules {
    pub rooms: config::Rooms,
    /// What the servers of the apps have decided.
    pub policies: Arc<Policies>,
    /// Keys of the apps, by their index: what the store knows them by.
    app_keys: Vec<String>,
}

impl Rules {
    pub(crate) fn new(rooms: config::Rooms, apps: &[App], policies: Arc<Policies>) -> Self {
        Self {
            rooms,
            policies,
            app_keys: apps.iter().map(|app| app.key.clone()).collect(),
        }
    }

    /// The key of an app.
    pub(super) fn app_key(&self, app: AppIndex) -> &str {
        &self.app_keys[usize::from(app.0)]
    }
}
