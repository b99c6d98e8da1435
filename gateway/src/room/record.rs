//! What is kept of a room, so that a restart does not end it: rooms of the app's server, and those that outlive their members.

use sluice_protocol::{RoomInfo, UserId};

use crate::clock::Now;
use crate::identity::{Caller, RoomKey};
use crate::refusal::Refusal;
use crate::room::attributes::Attributes;
use crate::room::{Effect, Ends, Room, Rules};
use crate::store::{Change, Entry, RoomList, RoomRecord};

/// Who makes a room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Maker<'a> {
    Member(&'a Caller),
    Server,
}

/// Whether a room is kept in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Keeping {
    /// The app's server made it.
    pub by_server: bool,
    pub kept: bool,
}

impl Room {
    /// Settles what follows from who has made the room: what a member makes and leaves is not worth a write to the disk. `keep` tells
    /// whether what members make is kept at all.
    pub(super) fn made_by(&mut self, maker: Maker<'_>, keep: bool) {
        let by_server = matches!(maker, Maker::Server);
        self.keeping = Keeping {
            by_server,
            kept: by_server || keep && !matches!(Ends::from(self.policy.ends), Ends::WhenEmpty { .. }),
        };
    }

    /// Whether what changes about the room is to be kept.
    pub(super) fn is_kept(&self) -> bool {
        self.keeping.kept
    }

    /// The room itself as it is to be kept, if it is.
    pub(super) fn record(&self, rules: &Rules) -> Option<Effect> {
        self.is_kept().then(|| {
            let ends_by_policy = self.ends == Ends::from(self.policy.ends);
            Effect::Keep(Change::PutRoom {
                app: rules.app_key(self.key.app).to_owned(),
                room: self.key.id.as_str().to_owned(),
                record: RoomRecord {
                    name: self.name.clone(),
                    policy: self.policy.name.clone(),
                    created_at_ms: self.created_at_ms,
                    by_server: self.keeping.by_server,
                    ends: if ends_by_policy {
                        String::new()
                    } else {
                        self.ends.to_text()
                    },
                    attributes_version: self.attributes_version(),
                    used: self.was_used(),
                },
            })
        })
    }

    /// That the room is no more.
    pub(super) fn record_of_end(&self, rules: &Rules) -> Option<Effect> {
        self.is_kept().then(|| {
            Effect::Keep(Change::RemoveRoom {
                app: rules.app_key(self.key.app).to_owned(),
                room: self.key.id.as_str().to_owned(),
            })
        })
    }

    /// That the app's server put a user inside.
    pub(super) fn record_of_member(&self, rules: &Rules, user: &UserId, entry: Entry) -> Option<Effect> {
        self.is_kept().then(|| {
            Effect::Keep(Change::PutRoomUser {
                app: rules.app_key(self.key.app).to_owned(),
                room: self.key.id.as_str().to_owned(),
                list: RoomList::ServerMember,
                user: user.as_str().to_owned(),
                entry,
            })
        })
    }

    /// From now on the room is kept, with all that belongs to it.
    pub(super) fn keep_from_now_on(&mut self, rules: &Rules, effects: &mut Vec<Effect>) {
        if self.is_kept() {
            return;
        }
        self.keeping.kept = true;
        let by_server = self.members.by_server();
        for (user, joined) in by_server.filter(|(user, _)| !self.staying.contains(&user.id)) {
            let entry = Entry {
                since_ms: i64::from(joined) * 1000,
                text: user.name.to_string(),
                ..Entry::default()
            };
            effects.extend(self.record_of_member(rules, &user.id, entry));
        }
        effects.extend(self.record_of_attributes(rules));
    }

    /// The attributes that a room is made with.
    pub(super) fn set_first_attributes(
        &mut self,
        owner: &UserId,
        entries: &[(String, String)],
        now: Now,
    ) -> Result<(), Refusal> {
        if entries.is_empty() {
            return Ok(());
        }
        let limits = self.policy.attributes;
        let limits = limits.ok_or(const { Refusal::new(sluice_protocol::ErrorCode::ATTRIBUTES_OFF) })?;
        let attributes = Attributes::first(
            owner,
            entries.to_vec(),
            &limits,
            self.place.attribute_bytes_max(),
            now.unix_ms,
        )?;
        self.place.set_attribute_bytes(attributes.memory());
        self.attributes = Some(Box::new(attributes));
        Ok(())
    }

    /// What members are told of the room itself.
    pub(super) fn info(&self) -> RoomInfo {
        let RoomKey { id, .. } = &self.key;
        RoomInfo {
            room_id: id.as_str().to_owned(),
            room_name: self.name.clone(),
            preset: self.policy.family.into(),
            created_at_ms: self.created_at_ms,
            policy: self.policy.name.clone(),
        }
    }
}
