//! Random writes by several users, who come and go, against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const USERS: usize = 3;
/// Some more than the preset `room` allows.
const KEYS: usize = 24;
const VALUE_BYTES_MAX: usize = 1024;
const KEYS_MAX: usize = 20;
const TOTAL_BYTES_MAX: usize = 5120;

#[derive(Debug, Clone)]
enum Op {
    Set {
        user: usize,
        /// Keys with the lengths of their values.
        entries: Vec<(usize, usize)>,
        force: bool,
        take_over: bool,
        delete_on_leave: bool,
        if_version: Asked,
    },
    Delete {
        user: usize,
        keys: Vec<usize>,
        force: bool,
        if_version: Asked,
    },
    /// In if outside, out if inside.
    Move { user: usize },
}

/// Which version a command asks for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Any,
    /// The one of its first key.
    Right,
    Number(u64),
}

fn op() -> impl Strategy<Value = Op> {
    // The last user is the app's server, which writes for nobody.
    let user = || 0..=USERS;
    let asked = || {
        prop_oneof![
            6 => Just(Asked::Any),
            2 => Just(Asked::Right),
            1 => (1_u64..30).prop_map(Asked::Number),
        ]
    };
    let value = || prop_oneof![5 => 0_usize..20, 1 => 900_usize..1030];
    let entries = prop::collection::btree_map(0..KEYS, value(), 1..7);
    let keys = prop::collection::btree_set(0..KEYS, 1..7);
    let flag = || prop::bool::weighted(0.3);
    prop_oneof![
        6 => (user(), entries, flag(), flag(), flag(), asked()).prop_map(
            |(user, entries, force, take_over, delete_on_leave, if_version)| Op::Set {
                user,
                entries: entries.into_iter().collect(),
                force,
                take_over,
                delete_on_leave,
                if_version,
            }
        ),
        2 => (user(), keys, flag(), asked()).prop_map(|(user, keys, force, if_version)| Op::Delete {
            user,
            keys: keys.into_iter().collect(),
            force,
            if_version,
        }),
        2 => (0..USERS).prop_map(|user| Op::Move { user }),
    ]
}

fn key(number: usize) -> String {
    format!("key-{number}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    value: String,
    owner: String,
    version: u64,
    goes: bool,
}

/// The attributes as they should be, as somebody knows them who only reads events, and as the store has them.
#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<String, Attribute>,
    version: u64,
    followed: BTreeMap<String, RoomAttribute>,
    kept: BTreeMap<String, AttributeRecord>,
    kept_version: u64,
}

impl Model {
    fn bytes(&self) -> usize {
        self.entries
            .iter()
            .map(|(key, entry)| key.len() + entry.value.len())
            .sum()
    }

    fn may_write(&self, by: &str, key: &str, force: bool, if_version: Option<u64>) -> Result<(), i32> {
        match self.entries.get(key) {
            Some(entry) if entry.owner != by && !force => Err(23424),
            Some(entry) if if_version.is_some_and(|asked| asked != entry.version) => Err(23431),
            _ => Ok(()),
        }
    }

    fn may_set(&self, by: &str, key: &str, value: usize, force: bool, if_version: Option<u64>) -> Result<(), i32> {
        let before = self.entries.get(key);
        if value > VALUE_BYTES_MAX {
            return Err(33003);
        }
        self.may_write(by, key, force, if_version)?;
        if before.is_none() && if_version.is_some() {
            return Err(23431);
        }
        if before.is_none() && self.entries.len() == KEYS_MAX {
            return Err(23423);
        }
        let grown = match before {
            Some(entry) => value.saturating_sub(entry.value.len()),
            None => key.len() + value,
        };
        let shrunk = before.map_or(0, |entry| entry.value.len().saturating_sub(value));
        if grown > 0 && self.bytes() + grown - shrunk > TOTAL_BYTES_MAX {
            return Err(33003);
        }
        Ok(())
    }

    /// Takes in what everybody is told.
    fn follow(&mut self, published: &[Frame]) {
        for frame in published {
            if let Some(Body::RoomAttributesChanged(changed)) = &frame.body {
                self.version += 1;
                assert_eq!(changed.version, self.version, "versions go in single steps");
                assert!(!changed.set.is_empty() || !changed.deleted.is_empty());
                for attribute in &changed.set {
                    assert_eq!(attribute.version, self.version);
                    self.followed.insert(attribute.key.clone(), attribute.clone());
                }
                for key in &changed.deleted {
                    assert!(self.followed.remove(key).is_some(), "only what was there goes");
                }
            }
        }
    }

    fn keep(&mut self, kept: &[Change]) {
        for change in kept {
            match change {
                Change::PutAttribute { key, attribute, .. } => {
                    self.kept.insert(key.clone(), attribute.clone());
                }
                Change::RemoveAttribute { key, .. } => assert!(self.kept.remove(key).is_some()),
                Change::PutRoom { record, .. } => self.kept_version = record.attributes_version,
                other => panic!("{other:?}"),
            }
        }
    }
}

struct World {
    hall: Hall,
    host: Device,
    devices: Vec<Device>,
    inside: [bool; USERS],
    model: Model,
}

impl World {
    fn new() -> Self {
        let mut hall = Hall::new();
        let new = NewRoom {
            family: None,
            ..new_room("", RoomPreset::Room)
        };
        // The app's server makes it, so that it is kept.
        assert_eq!(hall.order(Order::Create(new)).0, Ok(Answer::Done));
        let [host] = hall.devices(["host"]);
        hall.join(&host).entered();
        let devices = (0..USERS).map(|user| hall.device(&format!("user{user}"), 0)).collect();
        Self {
            hall,
            host,
            devices,
            inside: [false; USERS],
            model: Model::default(),
        }
    }

    fn asked(&self, asked: Asked, first: &str) -> Option<u64> {
        match asked {
            Asked::Any => None,
            Asked::Right => Some(self.model.entries.get(first).map_or(1, |entry| entry.version)),
            Asked::Number(number) => Some(number),
        }
    }

    /// Has it written, and returns the codes of what was refused.
    fn write(&mut self, user: usize, write: Write, keys: usize) -> Vec<(String, i32)> {
        // The quota of the room is not what this is about.
        self.hall.wait(Duration::from_secs(1));
        let steps = self.model.version;
        let (version, outcome, refused) = if user == USERS {
            let (answer, outcome) = self.hall.order(Order::WriteAttributes { by: None, write });
            let Ok(Answer::AttributesWritten { version, refused }) = answer else {
                panic!("{answer:?}")
            };
            let codes = refused.into_iter().map(|(key, refusal)| (key, refusal.code.number()));
            (version, outcome, codes.collect::<Vec<_>>())
        } else {
            let outcome = self.hall.write(&self.devices[user].clone(), write);
            let (code, written) = outcome.written();
            assert_eq!(code, if written.refused.len() == keys { 23428 } else { 0 });
            let codes = written
                .refused
                .iter()
                .map(|refusal| (refusal.key.clone(), refusal.code));
            let (version, codes) = (written.version, codes.collect());
            (version, outcome, codes)
        };
        self.model.follow(&outcome.published);
        self.model.keep(&outcome.kept);
        let something = refused.len() < keys;
        assert_eq!(
            outcome.published.len(),
            usize::from(something),
            "one event if anything was done"
        );
        assert_eq!(version, if something { steps + 1 } else { 0 });
        refused
    }

    fn set(&mut self, op: Op) {
        let Op::Set {
            user,
            entries,
            force,
            take_over,
            delete_on_leave,
            if_version,
        } = op
        else {
            panic!("{op:?}")
        };
        let by = self.name_of(user);
        let if_version = self.asked(if_version, &key(entries[0].0));
        let entries: Vec<(String, String)> = entries.iter().map(|(k, bytes)| (key(*k), "v".repeat(*bytes))).collect();
        let write = Write::Set {
            entries: entries.clone(),
            force,
            take_over,
            delete_on_leave,
            if_version,
        };
        let version = self.model.version + 1;
        let mut expected = Vec::new();
        for (key, value) in &entries {
            match self.model.may_set(&by, key, value.len(), force, if_version) {
                Err(code) => expected.push((key.clone(), code)),
                Ok(()) => {
                    let before = self.model.entries.get(key).filter(|_| !take_over);
                    let entry = Attribute {
                        value: value.clone(),
                        owner: before.map_or(by.clone(), |entry| entry.owner.clone()),
                        version,
                        goes: delete_on_leave,
                    };
                    self.model.entries.insert(key.clone(), entry);
                }
            }
        }
        assert_eq!(self.write(user, write, entries.len()), expected);
    }

    fn delete(&mut self, user: usize, keys: &[usize], force: bool, if_version: Asked) {
        let by = self.name_of(user);
        let keys: Vec<String> = keys.iter().map(|number| key(*number)).collect();
        let if_version = self.asked(if_version, &keys[0]);
        let write = Write::Delete {
            keys: keys.clone(),
            force,
            if_version,
        };
        let mut expected = Vec::new();
        for key in &keys {
            let allowed = match self.model.entries.contains_key(key) {
                true => self.model.may_write(&by, key, force, if_version),
                false => Err(23427),
            };
            match allowed {
                Err(code) => expected.push((key.clone(), code)),
                Ok(()) => drop(self.model.entries.remove(key)),
            }
        }
        assert_eq!(self.write(user, write, keys.len()), expected);
    }

    fn come_or_go(&mut self, user: usize) {
        let device = self.devices[user].clone();
        if !self.inside[user] {
            self.inside[user] = true;
            let version = self.hall.enter(&device).entered().attributes_version;
            assert_eq!(version, self.model.version);
            return;
        }
        self.inside[user] = false;
        let left = self.hall.leave(&device);
        let owner = self.name_of(user);
        self.model
            .entries
            .retain(|_, entry| !(entry.goes && entry.owner == owner));
        self.model.follow(&left.published);
        self.model.keep(&left.kept);
    }

    fn name_of(&self, user: usize) -> String {
        let device = self.devices.get(user);
        device
            .map(|device| device.user.id.as_str().to_owned())
            .unwrap_or_default()
    }

    fn check(&mut self) {
        let known: Vec<RoomAttribute> = self.model.followed.values().cloned().collect();
        let host = self.host.clone();
        let told = self.hall.attributes(&host, &[]);
        assert_eq!(told.version, self.model.version);
        assert_eq!(told.attributes, known, "whoever follows the events knows all");
        let entry = |(key, entry): (&String, &Attribute)| attribute(key, &entry.value, &entry.owner, entry.version);
        let expected: Vec<RoomAttribute> = self.model.entries.iter().map(entry).collect();
        assert_eq!(known, expected);
        let kept: Vec<(String, AttributeRecord)> = self.model.kept.clone().into_iter().collect();
        assert_eq!(
            (kept, self.model.kept_version),
            (self.hall.records(), self.model.version)
        );
        let room = self.hall.rooms.rooms.get(&lobby()).expect("the host is inside");
        if let Some(attributes) = &room.attributes {
            let (counted, kept) = attributes.bytes_counted_and_kept();
            assert_eq!((counted, kept), (self.model.bytes(), counted));
            let memory = counted + 256 * self.model.entries.len();
            assert_eq!(room.place.attribute_bytes(), memory, "what the app may not have again");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn attributes_behave_like_a_map_that_events_rebuild(ops in prop::collection::vec(op(), 1..100)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Set { user, .. } | Op::Delete { user, .. } if user < USERS && !world.inside[user] => {
                    world.come_or_go(user);
                }
                _ => {}
            }
            match op {
                Op::Set { .. } => world.set(op),
                Op::Delete { user, keys, force, if_version } => world.delete(user, &keys, force, if_version),
                Op::Move { user } => world.come_or_go(user),
            }
            world.check();
        }
    }
}
