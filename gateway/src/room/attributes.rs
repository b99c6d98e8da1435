//! Attributes of a room: short texts by key, each with an owner and a version.

/// What somebody wants written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Set {
        /// Key and value.
        entries: Vec<(String, String)>,
        /// Overwrites what belongs to somebody else.
        force: bool,
        /// What is overwritten changes its owner.
        take_over: bool,
        delete_on_leave: bool,
        /// Only what has this version.
        if_version: Option<u64>,
    },
    Delete {
        keys: Vec<String>,
        force: bool,
        if_version: Option<u64>,
    },
}
