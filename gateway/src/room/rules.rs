//! What the operator has decided about rooms.

use std::sync::Arc;

use hashbrown::HashMap;
use sluice_protocol::RoomPreset;

use crate::config::{self, App, RoomPolicy, preset_name};
use crate::identity::AppIndex;
use crate::policy::Policies;
use crate::refusal::Refusal;
use crate::room::places::RoomPlaces;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rules {
    pub rooms: config::Rooms,
    /// What the servers of the apps have decided.
    pub policies: Arc<Policies>,
    /// How many rooms there may be, over all workers.
    pub(super) places: Arc<RoomPlaces>,
    apps: Vec<AppRules>,
}

/// What is decided about the rooms of one app.
#[derive(Debug)]
struct AppRules {
    /// What the store knows it by.
    key: String,
    policies: HashMap<String, Arc<RoomPolicy>>,
}

impl Rules {
    pub(crate) fn new(rooms: config::Rooms, apps: &[App], policies: Arc<Policies>, places: Arc<RoomPlaces>) -> Self {
        let presets = [RoomPreset::Room, RoomPreset::Live].map(|preset| Arc::new(rooms.preset(preset)));
        let of_app = |app: &App| {
            let own = app.policies.iter().map(|own| Arc::new(rooms.policy(own)));
            AppRules {
                key: app.key.clone(),
                // The presets last: an app that was made in code cannot change what they are.
                policies: own
                    .chain(presets.iter().cloned())
                    .map(|policy| (policy.name.clone(), policy))
                    .collect(),
            }
        };
        Self {
            apps: apps.iter().map(of_app).collect(),
            rooms,
            policies,
            places,
        }
    }

    /// The key of an app.
    pub(super) fn app_key(&self, app: AppIndex) -> &str {
        &self.app(app).key
    }

    /// A policy of an app by its name, of this family if one is demanded.
    ///
    /// # Errors
    /// 33003 when there is none.
    pub(super) fn policy(
        &self,
        app: AppIndex,
        name: &str,
        family: Option<RoomPreset>,
    ) -> Result<&Arc<RoomPolicy>, Refusal> {
        let policy = self.app(app).policies.get(name);
        policy
            .filter(|policy| family.is_none_or(|family| policy.family == family))
            .ok_or(Refusal::parameter("policy"))
    }

    /// A preset as a policy.
    pub(super) fn preset(&self, app: AppIndex, preset: RoomPreset) -> &Arc<RoomPolicy> {
        &self.app(app).policies[preset_name(preset)]
    }

    fn app(&self, app: AppIndex) -> &AppRules {
        &self.apps[usize::from(app.0)]
    }
}
