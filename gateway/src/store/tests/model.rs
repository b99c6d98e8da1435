//! Any changes, with restarts between them, against maps in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What should be kept, by app and room and the rest of each key.
#[derive(Default)]
pub(in crate::store) struct Model {
    rooms: BTreeMap<(String, String), KeptRoom>,
    users: BTreeMap<(String, String, RoomList, String), Entry>,
    attributes: BTreeMap<(String, String, String), AttributeRecord>,
    apps: BTreeMap<(String, AppList, String), Entry>,
}

impl Model {
    pub(in crate::store) fn apply(&mut self, change: Change) {
        match change {
            Change::PutRoom { app, room, record } => self.room(app, room).record = Some(record),
            Change::RemoveRoom { app, room } => {
                self.attributes.retain(|key, _| (&key.0, &key.1) != (&app, &room));
                let goes = |list: RoomList| list == RoomList::ServerMember;
                self.users
                    .retain(|key, _| (&key.0, &key.1) != (&app, &room) || !goes(key.2));
                self.room(app, room).record = None;
            }
            Change::PutRoomRules { app, room, rules } => self.room(app, room).rules = rules,
            Change::PutRoomUser {
                app,
                room,
                list,
                user,
                entry,
            } => drop(self.users.insert((app, room, list, user), entry)),
            Change::RemoveRoomUser { app, room, list, user } => drop(self.users.remove(&(app, room, list, user))),
            Change::PutAttribute {
                app,
                room,
                key,
                attribute,
            } => drop(self.attributes.insert((app, room, key), attribute)),
            Change::RemoveAttribute { app, room, key } => drop(self.attributes.remove(&(app, room, key))),
            Change::PutAppEntry { app, list, key, entry } => drop(self.apps.insert((app, list, key), entry)),
            Change::RemoveAppEntry { app, list, key } => drop(self.apps.remove(&(app, list, key))),
        }
    }

    fn room(&mut self, app: String, room: String) -> &mut KeptRoom {
        room_of(&mut self.rooms, app, room)
    }

    pub(in crate::store) fn kept(&mut self, now_ms: i64) -> Kept {
        let holds = |entry: &Entry| entry.until_ms.is_none_or(|until| until > now_ms);
        self.users.retain(|_, entry| holds(entry));
        self.apps.retain(|_, entry| holds(entry));
        let mut rooms = self.rooms.clone();
        for ((app, room, list, user), entry) in self.users.clone() {
            room_of(&mut rooms, app, room).users.push((list, user, entry));
        }
        for ((app, room, key), attribute) in self.attributes.clone() {
            room_of(&mut rooms, app, room).attributes.push((key, attribute));
        }
        let nothing = |room: &KeptRoom| {
            room.record.is_none()
                && room.rules == RoomRules::default()
                && room.users.is_empty()
                && room.attributes.is_empty()
        };
        let apps = self.apps.clone().into_iter();
        Kept {
            rooms: rooms.into_values().filter(|room| !nothing(room)).collect(),
            apps: apps.map(|((app, list, key), entry)| (app, list, key, entry)).collect(),
        }
    }
}

fn room_of(rooms: &mut BTreeMap<(String, String), KeptRoom>, app: String, room: String) -> &mut KeptRoom {
    rooms.entry((app.clone(), room.clone())).or_insert_with(|| KeptRoom {
        app,
        room,
        ..KeptRoom::default()
    })
}

/// Few keys, so that changes meet.
fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ä'\"%", ""]).prop_map(str::to_owned)
}

fn room_list() -> impl Strategy<Value = RoomList> {
    use RoomList::{Allow, Block, Gag, MuteException, ServerMember};
    prop::sample::select(vec![Gag, Block, Allow, MuteException, ServerMember])
}

fn app_list() -> impl Strategy<Value = AppList> {
    use AppList::{AllowedType, Gag, KeepAlive, LowType, UserBlock, Word};
    prop::sample::select(vec![Gag, UserBlock, LowType, AllowedType, KeepAlive, Word])
}

fn entry() -> impl Strategy<Value = Entry> {
    (prop::option::of(0_i64..20), any::<i64>(), key()).prop_map(|(until_ms, since_ms, text)| Entry {
        until_ms,
        since_ms,
        text,
    })
}

fn record() -> impl Strategy<Value = RoomRecord> {
    let number = 0..=i64::MAX as u64;
    (key(), key(), any::<i64>(), any::<[bool; 2]>(), key(), number).prop_map(|record| RoomRecord {
        name: record.0,
        policy: record.1,
        created_at_ms: record.2,
        by_server: record.3[0],
        ends: record.4,
        attributes_version: record.5,
        used: record.3[1],
    })
}

fn attribute() -> impl Strategy<Value = AttributeRecord> {
    let number = 0..=i64::MAX as u64;
    (key(), key(), number, any::<bool>(), any::<i64>()).prop_map(
        |(value, owner, version, goes_with_owner, set_at_ms)| AttributeRecord {
            value,
            owner,
            version,
            goes_with_owner,
            set_at_ms,
        },
    )
}

pub(in crate::store) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (key(), key(), record()).prop_map(|(app, room, record)| Change::PutRoom { app, room, record }),
        (key(), key()).prop_map(|(app, room)| Change::RemoveRoom { app, room }),
        (key(), key(), any::<(bool, bool)>()).prop_map(|(app, room, (muted, stopped))| Change::PutRoomRules {
            app,
            room,
            rules: RoomRules { muted, stopped },
        }),
        (key(), key(), room_list(), key(), entry()).prop_map(|(app, room, list, user, entry)| {
            Change::PutRoomUser {
                app,
                room,
                list,
                user,
                entry,
            }
        }),
        (key(), key(), room_list(), key()).prop_map(|(app, room, list, user)| Change::RemoveRoomUser {
            app,
            room,
            list,
            user
        }),
        (key(), key(), key(), attribute()).prop_map(|(app, room, key, attribute)| Change::PutAttribute {
            app,
            room,
            key,
            attribute,
        }),
        (key(), key(), key()).prop_map(|(app, room, key)| Change::RemoveAttribute { app, room, key }),
        (key(), app_list(), key(), entry()).prop_map(|(app, list, key, entry)| Change::PutAppEntry {
            app,
            list,
            key,
            entry,
        }),
        (key(), app_list(), key()).prop_map(|(app, list, key)| Change::RemoveAppEntry { app, list, key }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn after_any_changes_and_restarts_what_is_kept_is_what_maps_would_hold(
        lives in prop::collection::vec(prop::collection::vec(prop::collection::vec(change(), 0..8), 0..30), 1..5),
    ) {
        let folder = Folder::new();
        let mut model = Model::default();
        let mut now_ms = 0;
        for submissions in lives {
            let (store, kept) = Store::open(&folder.0, now_ms).expect("the store opens");
            prop_assert_eq!(kept, model.kept(now_ms));
            for changes in submissions {
                changes.iter().for_each(|change| model.apply(change.clone()));
                store.submit(changes, |outcome| assert_eq!(outcome, Ok(())));
            }
            drop(store);
            now_ms += 5;
        }
        let (_, kept) = Store::open(&folder.0, now_ms).expect("the store opens");
        prop_assert_eq!(kept, model.kept(now_ms));
    }
}
