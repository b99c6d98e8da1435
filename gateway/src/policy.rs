//! What an app's server has decided for all rooms and users of the app.
//!
//! A snapshot for each app that is swapped whole: whoever judges a message looks at one that does not change under it. Changes are made in one
//! place, [`Policies`], by the server API alone: not by a worker, since a long list takes some milliseconds to copy, and one of words a
//! tenth of a second to make ready.

mod list;
mod lists;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use hashbrown::{HashMap, HashSet};
use sluice_protocol::{RoomId, UserId};

use crate::class::TypeLevel;
use crate::clock::Now;
use crate::config::App;
use crate::identity::AppIndex;
use crate::store::{AppList, Change, Entry};
use crate::words::{Words, WordsError};

pub(crate) use list::{Full, List};
pub(crate) use lists::{
    ALLOWED_TYPES, BLOCKS, GAGS, GROUP_GAGS, KEEP_ALIVE, LOW_TYPES, ListOf, Name, PEER_GAGS, WORD_LIST,
};

/// All apps, by their index.
#[derive(Debug)]
pub(crate) struct Policies {
    apps: Box<[OfApp]>,
    /// Held while a snapshot is made from the one before, and while what it changes is given to the store: the store gets changes
    /// of one list in the order in which they were made.
    changing: Mutex<()>,
}

#[derive(Debug)]
struct OfApp {
    /// What the store knows the app by.
    key: String,
    keep_alive_max: usize,
    snapshot: ArcSwap<AppPolicy>,
}

/// What holds in one app. Each part is shared by the snapshots in which it is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct AppPolicy {
    /// Object names that count as low by the configuration.
    configured_low_types: Arc<HashSet<String>>,
    /// Those that count as low by the app's server.
    low_types: Arc<List<String>>,
    /// Object names whose messages are never shed, low or not.
    allowed_types: Arc<List<String>>,
    /// Users whose messages are never shed, by the configuration.
    protected_senders: Arc<HashSet<String>>,
    /// Who may not send in any room.
    pub gags: Arc<List<UserId>>,
    /// Who may not send in any group.
    pub group_gags: Arc<List<UserId>>,
    /// Who may not send to any user.
    pub peer_gags: Arc<List<UserId>>,
    /// Who may not log in.
    pub blocks: Arc<List<UserId>>,
    /// Rooms that do not end by being idle.
    pub keep_alive: Arc<List<RoomId>>,
    /// Words that no text may have, and words that are replaced by the text of their entry. An empty one replaces nothing: it forbids.
    word_list: Arc<List<String>>,
    /// Those words, ready to look for.
    pub words: Arc<Words>,
}

/// Why a list of an app cannot be changed so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error("there is room for {max} on this list")]
    Full { max: usize },
    #[error("{name:?} is set by the configuration, which alone can change it")]
    Configured { name: String },
    #[error(transparent)]
    Words(#[from] WordsError),
}

impl AppPolicy {
    /// Whether a user's messages are never shed, by the configuration.
    pub(crate) fn protects(&self, user: &UserId) -> bool {
        self.protected_senders.contains(user.as_str())
    }

    /// The level of a type, by its object name.
    pub(crate) fn level_of(&self, object_name: &str, now: Now) -> TypeLevel {
        if self.allowed_types.contains(object_name, now) {
            TypeLevel::Allowed
        } else if self.configured_low_types.contains(object_name) || self.low_types.contains(object_name, now) {
            TypeLevel::Low
        } else {
            TypeLevel::High
        }
    }
}

impl Policies {
    /// What the configuration says of each app.
    pub(crate) fn new(apps: &[App]) -> Self {
        let of_config = |app: &App| OfApp {
            key: app.key.clone(),
            keep_alive_max: app.keep_alive_max,
            snapshot: ArcSwap::from_pointee(AppPolicy {
                configured_low_types: Arc::new(app.low_types.iter().cloned().collect()),
                protected_senders: Arc::new(app.protected_senders.iter().cloned().collect()),
                ..AppPolicy::default()
            }),
        };
        Self {
            apps: apps.iter().map(of_config).collect(),
            changing: Mutex::new(()),
        }
    }

    /// What holds now.
    pub(crate) fn of(&self, app: AppIndex) -> Guard<Arc<AppPolicy>> {
        self.app(app).snapshot.load()
    }

    /// Puts entries on a list, in the place of those with the same names: all of them or, after an error, none. `keep` is given
    /// what the store has to keep; it must not wait for that, since other changes wait for it.
    ///
    /// # Errors
    /// When there is no room for so many, or a word cannot be looked for.
    pub(crate) fn enlist<K: Name>(
        &self,
        app: AppIndex,
        list: &ListOf<K>,
        entries: &[(K, Entry)],
        now: Now,
        keep: impl FnOnce(Vec<Change>),
    ) -> Result<(), ListError> {
        let of_app = self.app(app);
        let max = (list.max)(of_app);
        let change = |policy: &mut AppPolicy| {
            let entries_of = Arc::make_mut((list.of_mut)(policy));
            entries_of
                .enlist(entries, now, max)
                .map_err(|Full| ListError::Full { max })?;
            (list.make_ready)(policy, now)?;
            let put = entries.iter().map(|(name, entry)| Change::PutAppEntry {
                app: of_app.key.clone(),
                list: list.kept_as,
                key: name.text().to_owned(),
                entry: entry.clone(),
            });
            Ok(((), put.collect()))
        };
        self.change(of_app, change, keep)
    }

    /// Takes names off a list, and returns those that were on it. `keep` as in [`enlist`](Self::enlist).
    ///
    /// # Errors
    /// When the configuration has put one of them there.
    pub(crate) fn strike<K: Name>(
        &self,
        app: AppIndex,
        list: &ListOf<K>,
        names: &[K],
        now: Now,
        keep: impl FnOnce(Vec<Change>),
    ) -> Result<Vec<K>, ListError> {
        let of_app = self.app(app);
        let change = |policy: &mut AppPolicy| {
            let configured = (list.configured)(policy);
            if let Some(name) = names.iter().find(|name| configured.contains(name)) {
                let name = name.text().to_owned();
                return Err(ListError::Configured { name });
            }
            let struck = Arc::make_mut((list.of_mut)(policy)).strike(names, now);
            (list.make_ready)(policy, now)?;
            let remove = struck.iter().map(|name| Change::RemoveAppEntry {
                app: of_app.key.clone(),
                list: list.kept_as,
                key: name.text().to_owned(),
            });
            let remove = remove.collect();
            Ok((struck, remove))
        };
        self.change(of_app, change, keep)
    }

    /// All that is on a list: what the configuration has put there, and the rest by the time it was put there.
    pub(crate) fn listed<K: Name>(&self, app: AppIndex, list: &ListOf<K>, now: Now) -> Vec<(K, Entry)> {
        let policy = self.of(app);
        let configured = (list.configured)(&policy);
        let mut listed = (list.of)(&policy).listed(now);
        listed.retain(|(name, _)| !configured.contains(name));
        let configured = configured.into_iter().map(|name| (name, Entry::default()));
        configured.chain(listed).collect()
    }

    /// Puts back what was kept, before anybody is served. Entries of apps that the configuration has no more are passed over: they
    /// are there again when the app is.
    ///
    /// # Errors
    /// When the words that were kept cannot be looked for.
    pub(crate) fn restore(&self, kept: Vec<(String, AppList, String, Entry)>, now: Now) -> Result<(), ListError> {
        let mut of_apps: HashMap<String, Vec<(AppList, String, Entry)>> = HashMap::new();
        for (app, list, name, entry) in kept {
            of_apps.entry(app).or_default().push((list, name, entry));
        }
        for of_app in &self.apps {
            let Some(kept) = of_apps.remove(&of_app.key) else {
                continue;
            };
            let change = |policy: &mut AppPolicy| {
                for (list, name, entry) in kept {
                    policy.restore(list, &name, entry);
                }
                (WORD_LIST.make_ready)(policy, now)?;
                Ok(((), Vec::new()))
            };
            self.change(of_app, change, |_| ())?;
        }
        Ok(())
    }

    /// Makes a new snapshot from the one that holds, unless that is refused.
    fn change<T>(
        &self,
        app: &OfApp,
        change: impl FnOnce(&mut AppPolicy) -> Result<(T, Vec<Change>), ListError>,
        keep: impl FnOnce(Vec<Change>),
    ) -> Result<T, ListError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = AppPolicy::clone(&app.snapshot.load());
        let (result, changes) = change(&mut next)?;
        app.snapshot.store(Arc::new(next));
        keep(changes);
        Ok(result)
    }

    fn app(&self, app: AppIndex) -> &OfApp {
        &self.apps[usize::from(app.0)]
    }
}

#[cfg(test)]
mod tests;
