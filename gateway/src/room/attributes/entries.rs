//! The attributes themselves: what may be written by whom, and what has become of it.
//!
//! Knows no room and no member: owners are ids, and nobody's attributes have the empty one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_protocol::{ErrorCode, UserId};

use crate::config::AttributeLimits;
use crate::rate_limit::SlidingWindow;
use crate::refusal::Refusal;
use crate::room::attributes::Write;
use crate::store::AttributeRecord;

/// Attributes that all members of a room together write in one second, [long ones](Write::pieces) counted more than once: 50 KiB. Each
/// command is an event to everybody inside that may not be shed, so one quota for each session is not enough: a member may be 1 MiB behind
/// with what may not be shed, which is 20 s of this. As many as RongCloud takes of an app's server.
const PIECES_PER_SECOND: usize = 100;

/// What an attribute takes up beside key and value: the record, its place in the map, and an owner's id of some length. With it a room full
/// of empty attributes counts as well.
const ENTRY_BYTES: usize = 256;

/// All attributes of a room.
#[derive(Debug, Default)]
pub(in crate::room) struct Attributes {
    /// By key, which is the order in which they are told.
    entries: BTreeMap<String, AttributeRecord>,
    /// One more with each command that changed something.
    version: u64,
    /// Of all keys and values.
    bytes: usize,
    writes: SlidingWindow,
    /// All of them as a question is answered, once somebody has asked and until the next change: when a room fills, everybody asks.
    told: Option<Bytes>,
    /// See [`Self::bound`]. `None`: no bound.
    memory_max: Option<usize>,
}

/// What changed in one step.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// The version of this step.
    pub version: u64,
    /// Keys, each once, in no list twice.
    pub set: Vec<String>,
    pub deleted: Vec<String>,
}

/// What a write came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// `None`: everything was refused.
    pub changed: Option<Changed>,
    /// Keys that were refused, and why.
    pub refused: Vec<(String, Refusal)>,
}

/// On what terms existing attributes are written.
#[derive(Debug, Clone, Copy)]
struct Terms<'a> {
    /// Empty: nobody.
    by: &'a str,
    force: bool,
    if_version: Option<u64>,
}

impl Attributes {
    /// The first attributes of a room, which belong to whoever makes it. All or none.
    ///
    /// # Errors
    /// When they are too many, too long or of the wrong form.
    pub(in crate::room) fn first(
        owner: &UserId,
        entries: Vec<(String, String)>,
        limits: &AttributeLimits,
        memory_max: usize,
        now_ms: i64,
    ) -> Result<Self, Refusal> {
        if entries.len() > limits.keys {
            return Err(Refusal::new(ErrorCode::ATTRIBUTES_FULL));
        }
        let mut attributes = Self::default();
        attributes.bound(memory_max);
        let write = Write::Set {
            entries,
            force: false,
            take_over: false,
            delete_on_leave: false,
            if_version: None,
        };
        let Written { refused, .. } = attributes.write(owner.as_str(), write, limits, now_ms);
        match refused.into_iter().next() {
            Some((_, refusal)) => Err(refusal),
            None => Ok(attributes),
        }
    }

    /// As they were kept.
    pub(in crate::room) fn restored(entries: Vec<(String, AttributeRecord)>, version: u64) -> Self {
        Self {
            bytes: entries.iter().map(|(key, entry)| key.len() + entry.value.len()).sum(),
            entries: entries.into_iter().collect(),
            version,
            writes: SlidingWindow::default(),
            told: None,
            memory_max: None,
        }
    }

    /// What is written from now on may not make them take up more than this, as [`Self::memory`] counts it.
    pub(in crate::room) fn bound(&mut self, memory_max: usize) {
        self.memory_max = Some(memory_max);
    }

    /// About how many bytes they take up.
    pub(in crate::room) fn memory(&self) -> usize {
        self.bytes + self.entries.len() * ENTRY_BYTES
    }

    /// One more with each command that changed something, 0 when there never was one.
    pub(in crate::room) fn version(&self) -> u64 {
        self.version
    }

    /// Takes the places that a command of a member needs.
    ///
    /// # Errors
    /// When the second has not as many: how long until they are free.
    pub(super) fn take_rate(&mut self, now: Instant, write: &Write) -> Result<(), Duration> {
        self.writes.take_several(now, write.pieces(), PIECES_PER_SECOND)
    }

    /// Those of these keys that exist, by key and each once; all when there are none.
    pub(in crate::room) fn select(&self, keys: &[String]) -> Vec<(&String, &AttributeRecord)> {
        let wanted = |key: &String| keys.is_empty() || keys.contains(key);
        self.entries.iter().filter(|(key, _)| wanted(key)).collect()
    }

    /// All of them as a question is answered, encoded at most once for each version.
    pub(super) fn told(&mut self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        match &self.told {
            Some(told) => told.clone(),
            None => {
                let told = encode(self);
                self.told = Some(told.clone());
                told
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&AttributeRecord> {
        self.entries.get(key)
    }

    /// Writes what may be written. Each key is judged for itself, in the order given.
    pub(super) fn write(&mut self, by: &str, write: Write, limits: &AttributeLimits, now_ms: i64) -> Written {
        let version = self.version + 1;
        let mut changed = Changed {
            version,
            set: Vec::new(),
            deleted: Vec::new(),
        };
        let mut refused = Vec::new();
        match write {
            Write::Set {
                entries,
                force,
                take_over,
                delete_on_leave,
                if_version,
            } => {
                let terms = Terms { by, force, if_version };
                for (key, value) in entries {
                    if let Err(refusal) = self.may_set(&key, &value, terms, limits) {
                        refused.push((key, refusal));
                        continue;
                    }
                    let owner = match self.remove(&key) {
                        Some(before) if !take_over => before.owner,
                        _ => by.to_owned(),
                    };
                    self.bytes += key.len() + value.len();
                    let entry = AttributeRecord {
                        value,
                        owner,
                        version,
                        goes_with_owner: delete_on_leave,
                        set_at_ms: now_ms,
                    };
                    if !changed.set.contains(&key) {
                        changed.set.push(key.clone());
                    }
                    self.entries.insert(key, entry);
                }
            }
            Write::Delete {
                keys,
                force,
                if_version,
            } => {
                let terms = Terms { by, force, if_version };
                for key in keys {
                    match self.may_delete(&key, terms) {
                        Ok(()) => {
                            self.remove(&key);
                            changed.deleted.push(key);
                        }
                        Err(refusal) => refused.push((key, refusal)),
                    }
                }
            }
        }
        Written {
            changed: self.step(changed),
            refused,
        }
    }

    /// Deletes what goes with its owner, where that is one of those who are gone.
    pub(super) fn delete_with_owners(&mut self, is_gone: impl Fn(&str) -> bool) -> Option<Changed> {
        let goes = |entry: &AttributeRecord| entry.goes_with_owner && is_gone(&entry.owner);
        let entries = self.entries.iter().filter(|(_, entry)| goes(entry));
        let deleted: Vec<String> = entries.map(|(key, _)| key.clone()).collect();
        for key in &deleted {
            self.remove(key);
        }
        self.step(Changed {
            version: self.version + 1,
            set: Vec::new(),
            deleted,
        })
    }

    /// Deletes all.
    pub(super) fn clear(&mut self) -> Option<Changed> {
        let entries = std::mem::take(&mut self.entries);
        self.bytes = 0;
        self.step(Changed {
            version: self.version + 1,
            set: Vec::new(),
            deleted: entries.into_keys().collect(),
        })
    }

    /// One step of the version, if anything changed.
    fn step(&mut self, changed: Changed) -> Option<Changed> {
        let something = !changed.set.is_empty() || !changed.deleted.is_empty();
        something.then(|| {
            self.version = changed.version;
            self.told = None;
            changed
        })
    }

    fn remove(&mut self, key: &str) -> Option<AttributeRecord> {
        let entry = self.entries.remove(key)?;
        self.bytes -= key.len() + entry.value.len();
        Some(entry)
    }

    fn may_set(&self, key: &str, value: &str, terms: Terms<'_>, limits: &AttributeLimits) -> Result<(), Refusal> {
        if !is_key(key, limits) {
            return Err(Refusal::parameter("key"));
        }
        // A NUL ends a text in too many places where an attribute may go.
        if value.len() > limits.value_bytes || value.contains('\0') {
            return Err(Refusal::parameter("value"));
        }
        let (before, entries_more) = match self.entries.get(key) {
            Some(entry) => {
                terms.allow(entry)?;
                (key.len() + entry.value.len(), 0)
            }
            None if terms.if_version.is_some() => return Err(Refusal::new(ErrorCode::ATTRIBUTE_CONFLICT)),
            None if self.entries.len() >= limits.keys => return Err(Refusal::new(ErrorCode::ATTRIBUTES_FULL)),
            None => (0, 1),
        };
        let after = key.len() + value.len();
        // What shrinks is taken even when the limit was lowered since.
        let grows_beyond = |max| after > before && self.bytes - before + after > max;
        if limits.total_bytes.is_some_and(grows_beyond) {
            return Err(Refusal::parameter("total"));
        }
        let memory = self.memory() + entries_more * ENTRY_BYTES - before + after;
        if after > before && self.memory_max.is_some_and(|max| memory > max) {
            return Err(Refusal::with_detail(ErrorCode::ATTRIBUTES_FULL, "app"));
        }
        Ok(())
    }

    fn may_delete(&self, key: &str, terms: Terms<'_>) -> Result<(), Refusal> {
        let entry = self.entries.get(key);
        terms.allow(entry.ok_or(const { Refusal::new(ErrorCode::ATTRIBUTE_MISSING) })?)
    }

    /// Counted anew, for tests of the sum that is kept.
    #[cfg(test)]
    pub(in crate::room) fn bytes_counted_and_kept(&self) -> (usize, usize) {
        let bytes = |(key, entry): (&String, &AttributeRecord)| key.len() + entry.value.len();
        (self.entries.iter().map(bytes).sum(), self.bytes)
    }
}

impl Terms<'_> {
    /// Ownership first: whoever may not write a key at all is not to try again with another version.
    fn allow(self, entry: &AttributeRecord) -> Result<(), Refusal> {
        if !self.force && entry.owner != self.by {
            return Err(Refusal::new(ErrorCode::ATTRIBUTE_NOT_YOURS));
        }
        if self.if_version.is_some_and(|version| version != entry.version) {
            return Err(Refusal::new(ErrorCode::ATTRIBUTE_CONFLICT));
        }
        Ok(())
    }
}

/// Letters, digits and four signs, as at RongCloud.
fn is_key(key: &str, limits: &AttributeLimits) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"+=-_".contains(&byte);
    (1..=limits.key_bytes).contains(&key.len()) && key.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_encoded_once_for_each_version() {
        let limits = AttributeLimits {
            keys: 10,
            key_bytes: 10,
            value_bytes: 10,
            total_bytes: None,
        };
        let set = |force| Write::Set {
            entries: vec![("a".to_owned(), "1".to_owned())],
            force,
            take_over: false,
            delete_on_leave: false,
            if_version: None,
        };
        let mut attributes = Attributes::default();
        let mut encoded = Vec::new();
        let mut ask = |attributes: &mut Attributes| {
            let told = attributes.told(|attributes| {
                encoded.push(attributes.version());
                Bytes::copy_from_slice(&attributes.version().to_le_bytes())
            });
            assert_eq!(told[..], attributes.version().to_le_bytes());
        };
        for _ in 0..3 {
            ask(&mut attributes);
        }
        for by in ["alice", "alice", "bob"] {
            attributes.write(by, set(false), &limits, 0);
            ask(&mut attributes);
            ask(&mut attributes);
        }
        attributes.clear();
        ask(&mut attributes);
        assert_eq!(encoded, [0, 1, 2, 3], "what was refused has changed nothing");
    }
}
