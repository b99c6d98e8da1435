//! What the operator has decided about rooms.

use hashbrown::HashSet;
use sluice_protocol::RoomPreset;

use crate::class::{Class, Sender, TypeLevel};
use crate::config::{self, App};
use crate::identity::User;
use crate::room::Outgoing;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rules {
    pub rooms: config::Rooms,
    /// By the app's index.
    apps: Vec<OfApp>,
}

#[derive(Debug)]
struct OfApp {
    low_types: HashSet<String>,
    protected_senders: HashSet<String>,
}

impl Rules {
    pub(crate) fn new(rooms: config::Rooms, apps: &[App]) -> Self {
        let of_app = |app: &App| OfApp {
            low_types: app.low_types.iter().cloned().collect(),
            protected_senders: app.protected_senders.iter().cloned().collect(),
        };
        Self {
            rooms,
            apps: apps.iter().map(of_app).collect(),
        }
    }

    /// The class of a message that `sender` sends to a room of this preset.
    pub(super) fn class(&self, sender: &User, message: &Outgoing, preset: RoomPreset) -> Class {
        let app = &self.apps[usize::from(sender.app.0)];
        let level = if app.low_types.contains(&message.object_name) {
            TypeLevel::Low
        } else {
            TypeLevel::High
        };
        let sender = if app.protected_senders.contains(sender.id.as_str()) {
            Sender::Protected
        } else {
            Sender::Ordinary
        };
        Class::of_message(message.kind, message.priority, preset, level, sender)
    }
}
