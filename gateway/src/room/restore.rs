//! Rooms that were there before the start.
//!
//! Nobody is inside but whom the app's server put there, and messages begin at 1 again: numbers and history are not kept. Times that end
//! a room by what happens in it begin anew.

use std::sync::Arc;
use std::time::Duration;

use sluice_protocol::{RoomPreset, UserId};

use crate::clock::Now;
use crate::identity::{RoomKey, User};
use crate::policy::Name;
use crate::room::attributes::Attributes;
use crate::room::ending::Presence;
use crate::room::record::Keeping;
use crate::room::{Effect, Ends, Room, Rooms};
use crate::store::{AttributeRecord, Change, Entry, KeptRoom, RoomList, RoomRecord};

/// How long after a start those who were inside may take to come back, before a room counts as empty: as long as our clients wait from one
/// try to the next at most.
const COME_BACK_TIME: Duration = Duration::from_secs(300);

impl Rooms {
    /// Puts back what was kept of the rooms whose home this is, before anybody is served.
    /// Returns what does not hold any more, to be kept.
    pub(crate) fn restore(&mut self, kept: Vec<(RoomKey, KeptRoom)>, now: Now) -> Vec<Change> {
        let mut effects = Vec::new();
        for (key, kept) in kept {
            let (members, listed) = kept
                .users
                .into_iter()
                .partition(|(list, ..)| *list == RoomList::ServerMember);
            self.moderation.restore(&key, kept.rules, listed);
            if let Some(record) = kept.record {
                self.restore_room(&key, record, members, kept.attributes, now);
                self.in_room(now, &key, |room, context, _| {
                    room.delete_attributes_of_absentees(context.rules, &mut effects);
                });
            }
        }
        let changes = effects.into_iter().filter_map(|effect| match effect {
            Effect::Keep(change) => Some(change),
            // Nobody is there yet who could be told.
            _ => None,
        });
        changes.collect()
    }

    fn restore_room(
        &mut self,
        key: &RoomKey,
        record: RoomRecord,
        members: Vec<(RoomList, String, Entry)>,
        attributes: Vec<(String, AttributeRecord)>,
        now: Now,
    ) {
        let policy = match self.rules.policy(key.app, &record.policy, None) {
            Ok(policy) => policy,
            Err(_) => {
                let (room, policy) = (key.id.as_str(), &record.policy);
                tracing::warn!(
                    room,
                    policy,
                    "the app has no such policy any more: the room goes on as \"live\""
                );
                self.rules.preset(key.app, RoomPreset::Live)
            }
        };
        let place = self.rules.places.take_again(key.app);
        let mut room = Room::new(key.clone(), record.name, policy.clone(), place, now);
        room.created_at_ms = record.created_at_ms;
        if record.used {
            room.presence = Presence::EmptySince(now.instant + COME_BACK_TIME);
        }
        room.keeping = Keeping {
            by_server: record.by_server,
            kept: true,
        };
        if !record.ends.is_empty() {
            match Ends::of_text(&record.ends) {
                Some(ends) => room.ends = ends,
                None => tracing::warn!(
                    room = key.id.as_str(),
                    ends = record.ends,
                    "how the room ends cannot be read: it ends as its policy says"
                ),
            }
        }
        if record.attributes_version > 0 || !attributes.is_empty() {
            let attributes = Attributes::restored(attributes, record.attributes_version);
            room.place.set_attribute_bytes(attributes.memory());
            room.attributes = Some(Box::new(attributes));
        }
        for (_, user, entry) in members {
            let Some(id) = UserId::from_kept(&user) else {
                tracing::warn!(user, "what was kept is no user id any more and is left out");
                continue;
            };
            let user = User {
                app: key.app,
                id,
                name: entry.text.into(),
            };
            let joined = u32::try_from(entry.since_ms / 1000).unwrap_or(0);
            room.members.join_by_server(&Arc::new(user), joined);
        }
        room.place.set_server_members(room.members.by_server_count());
        self.insert(room);
        self.watch(now, key);
    }
}
