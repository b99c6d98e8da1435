//! The lists of an app, by name: what is on each, how much, and what has to be done when one has changed.

use std::hash::Hash;
use std::sync::Arc;

use sluice_protocol::{IdProfile, RoomId, UserId};

use crate::clock::Now;
use crate::policy::{AppPolicy, List, OfApp};
use crate::store::{AppList, Entry};
use crate::words::{WORDS_MAX, Words, WordsError};

/// Users on one list: about 20 MiB, which a change copies in some milliseconds. Whoever has more to keep away can do that where it makes
/// tokens.
const USERS_MAX: usize = 100_000;

/// As the vendor has it.
const GROUP_GAGS_MAX: usize = 100;

/// As many as the vendor whose apps set them allows, and as the configuration.
const LOW_TYPES_MAX: usize = 20;

/// As for [`LOW_TYPES_MAX`].
const ALLOWED_TYPES_MAX: usize = 20;

/// A list of an app: what the server API names when it changes one.
pub(crate) struct ListOf<K> {
    pub(super) kept_as: AppList,
    pub(super) max: fn(&OfApp) -> usize,
    pub(super) of: fn(&AppPolicy) -> &Arc<List<K>>,
    pub(super) of_mut: fn(&mut AppPolicy) -> &mut Arc<List<K>>,
    /// Names that the configuration has put there.
    pub(super) configured: fn(&AppPolicy) -> Vec<K>,
    /// What is made of the list when it has changed.
    pub(super) make_ready: fn(&mut AppPolicy, Now) -> Result<(), WordsError>,
}

/// What lists are of: identifiers and other names, which the store keeps as texts.
pub(crate) trait Name: Clone + Eq + Hash + Ord {
    fn text(&self) -> &str;

    /// The name that was kept as `text`.
    fn from_kept(text: &str) -> Option<Self>;
}

impl Name for UserId {
    fn text(&self) -> &str {
        self.as_str()
    }

    fn from_kept(text: &str) -> Option<Self> {
        // The wider profile takes all ids of the other. An app that has changed its profile keeps what it decided before.
        Self::parse(text, IdProfile::Wide).ok()
    }
}

impl Name for RoomId {
    fn text(&self) -> &str {
        self.as_str()
    }

    fn from_kept(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Name for String {
    fn text(&self) -> &str {
        self
    }

    fn from_kept(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Who may not send in any room.
pub(crate) const GAGS: ListOf<UserId> = users(AppList::Gag, |app| &app.gags, |app| &mut app.gags);

/// Who may not log in.
pub(crate) const BLOCKS: ListOf<UserId> = users(AppList::UserBlock, |app| &app.blocks, |app| &mut app.blocks);

/// Who may not send in any group.
pub(crate) const GROUP_GAGS: ListOf<UserId> = ListOf {
    max: |_| GROUP_GAGS_MAX,
    ..users(AppList::GroupGag, |app| &app.group_gags, |app| &mut app.group_gags)
};

/// Who may not send to any user.
pub(crate) const PEER_GAGS: ListOf<UserId> = users(AppList::PeerGag, |app| &app.peer_gags, |app| &mut app.peer_gags);

/// Object names that count as low.
pub(crate) const LOW_TYPES: ListOf<String> = ListOf {
    kept_as: AppList::LowType,
    max: |_| LOW_TYPES_MAX,
    of: |app| &app.low_types,
    of_mut: |app| &mut app.low_types,
    configured: |app| {
        let mut configured: Vec<String> = app.configured_low_types.iter().cloned().collect();
        configured.sort_unstable();
        configured
    },
    make_ready: |_, _| Ok(()),
};

/// Object names whose messages are never shed.
pub(crate) const ALLOWED_TYPES: ListOf<String> = ListOf {
    kept_as: AppList::AllowedType,
    max: |_| ALLOWED_TYPES_MAX,
    of: |app| &app.allowed_types,
    of_mut: |app| &mut app.allowed_types,
    configured: |_| Vec::new(),
    make_ready: |_, _| Ok(()),
};

/// Rooms that do not end by being idle.
pub(crate) const KEEP_ALIVE: ListOf<RoomId> = ListOf {
    kept_as: AppList::KeepAlive,
    max: |app| app.keep_alive_max,
    of: |app| &app.keep_alive,
    of_mut: |app| &mut app.keep_alive,
    configured: |_| Vec::new(),
    make_ready: |_, _| Ok(()),
};

/// Words that no text may have, or that are replaced by the text of their entry if that is not empty.
pub(crate) const WORD_LIST: ListOf<String> = ListOf {
    kept_as: AppList::Word,
    max: |_| WORDS_MAX,
    of: |app| &app.word_list,
    of_mut: |app| &mut app.word_list,
    configured: |_| Vec::new(),
    make_ready: |app, now| {
        let replacement = |entry: Entry| Some(entry.text).filter(|text| !text.is_empty());
        let listed = app.word_list.listed(now).into_iter();
        app.words = Arc::new(Words::new(listed.map(|(word, entry)| (word, replacement(entry))))?);
        Ok(())
    },
};

const fn users(
    kept_as: AppList,
    of: fn(&AppPolicy) -> &Arc<List<UserId>>,
    of_mut: fn(&mut AppPolicy) -> &mut Arc<List<UserId>>,
) -> ListOf<UserId> {
    ListOf {
        kept_as,
        max: |_| USERS_MAX,
        of,
        of_mut,
        configured: |_| Vec::new(),
        make_ready: |_, _| Ok(()),
    }
}

impl AppPolicy {
    /// Puts back one entry. A name that cannot be one any more is passed over.
    pub(super) fn restore(&mut self, list: AppList, name: &str, entry: Entry) {
        fn put<K: Name>(policy: &mut AppPolicy, list: &ListOf<K>, name: &str, entry: Entry) {
            match K::from_kept(name) {
                Some(name) => Arc::make_mut((list.of_mut)(policy)).restore(name, entry),
                None => tracing::warn!(list = ?list.kept_as, name, "what was kept is no name any more and is left out"),
            }
        }
        match list {
            AppList::Gag => put(self, &GAGS, name, entry),
            AppList::UserBlock => put(self, &BLOCKS, name, entry),
            AppList::LowType => put(self, &LOW_TYPES, name, entry),
            AppList::AllowedType => put(self, &ALLOWED_TYPES, name, entry),
            AppList::KeepAlive => put(self, &KEEP_ALIVE, name, entry),
            AppList::Word => put(self, &WORD_LIST, name, entry),
            AppList::GroupGag => put(self, &GROUP_GAGS, name, entry),
            AppList::PeerGag => put(self, &PEER_GAGS, name, entry),
        }
    }
}
