//! A list whose entries may end by themselves.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

use crate::clock::Now;
use crate::store::Entry;

/// Entries by name. Nothing watches them: one that has ended counts for nothing from that very millisecond, and is dropped
/// when the list is changed next.
#[derive(Debug, Clone)]
pub(crate) struct List<K> {
    entries: HashMap<K, Entry>,
}

/// A list has no place for what is to be put on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<K> Default for List<K> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> List<K> {
    /// The entry of `name`, unless it has ended.
    pub(crate) fn get<Q>(&self, name: &Q, now: Now) -> Option<&Entry>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.entries.get(name).filter(|entry| holds(entry, now))
    }

    /// Whether `name` is on it.
    pub(crate) fn contains<Q>(&self, name: &Q, now: Now) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get(name, now).is_some()
    }

    /// Puts entries on it, in the place of those with the same names. All of them or, if there would be more than `max`, none.
    pub(crate) fn enlist(&mut self, entries: &[(K, Entry)], now: Now, max: usize) -> Result<(), Full> {
        self.drop_ended(now);
        if self.entries.len() + self.count_new(entries) > max {
            return Err(Full);
        }
        self.entries.extend(entries.iter().cloned());
        Ok(())
    }

    /// How many entries more these would make. One that has ended and not been dropped has a place all the same.
    pub(crate) fn count_new(&self, entries: &[(K, Entry)]) -> usize {
        let names = entries.iter().map(|(name, _)| name);
        let mut new: Vec<&K> = names.filter(|name| !self.entries.contains_key(*name)).collect();
        new.sort_unstable();
        new.dedup();
        new.len()
    }

    /// Takes names off it, and returns those that were on it.
    pub(crate) fn strike(&mut self, names: &[K], now: Now) -> Vec<K> {
        self.drop_ended(now);
        let struck = names.iter().filter(|name| self.entries.remove(*name).is_some());
        struck.cloned().collect()
    }

    /// All that is on it: by the time it was put there, and then by name.
    pub(crate) fn listed(&self, now: Now) -> Vec<(K, Entry)> {
        let holding = self.entries.iter().filter(|(_, entry)| holds(entry, now));
        let mut listed: Vec<_> = holding.map(|(name, entry)| (name.clone(), entry.clone())).collect();
        listed.sort_unstable_by(|(a, a_entry), (b, b_entry)| (a_entry.since_ms, a).cmp(&(b_entry.since_ms, b)));
        listed
    }

    /// Puts back what was kept, whatever the limits were then.
    pub(crate) fn restore(&mut self, name: K, entry: Entry) {
        self.entries.insert(name, entry);
    }

    /// How many entries take memory, those that have ended since the last change counted.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the first of them ends, milliseconds since 1970-01-01 UTC.
    pub(crate) fn next_end_ms(&self) -> Option<i64> {
        self.entries.values().filter_map(|entry| entry.until_ms).min()
    }

    pub(crate) fn drop_ended(&mut self, now: Now) {
        self.entries.retain(|_, entry| holds(entry, now));
    }
}

/// Whether it has not ended.
fn holds(entry: &Entry, now: Now) -> bool {
    entry.until_ms.is_none_or(|until| now.unix_ms < until)
}

#[cfg(test)]
mod tests;
