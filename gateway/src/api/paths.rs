//! The table of all paths, a file for each group.

mod app_list;
mod conversation;
mod entry;
mod found;
mod group;
mod group_user;
mod member;
mod message;
mod mute;
mod publish;
mod room;
mod room_user;
mod shared;
mod unserved;
mod user;
mod user_list;
mod word;

use crate::api::path::Path;

/// Every group of paths that is served.
const GROUPS: &[&[Path]] = &[
    user::PATHS,
    room::PATHS,
    member::PATHS,
    room_user::GAGS,
    mute::PATHS,
    room_user::BLOCKS,
    room_user::OTHERS,
    app_list::PATHS,
    entry::PATHS,
    message::PATHS,
    word::PATHS,
    group::PATHS,
    group_user::PATHS,
    user_list::PATHS,
    publish::PATHS,
    conversation::PATHS,
];

/// Every path that is served.
pub(super) fn all() -> impl Iterator<Item = &'static Path> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Served(&'static Path),
    /// The vendor has it, we do not.
    Unserved,
    Unknown,
}

/// Looks up the path of a request, which may end with `.json`.
pub(super) fn find(path: &str) -> Found {
    let name = path.strip_suffix(".json").unwrap_or(path);
    match all().find(|known| known.path == name) {
        Some(path) => Found::Served(path),
        None if unserved::PATHS.contains(&name) => Found::Unserved,
        None => Found::Unknown,
    }
}
