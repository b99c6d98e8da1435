//! How lists are called in the file: names, so that a shell on it can be read. They are never changed.

use super::change::{AppList, RoomList};

impl RoomList {
    const ALL: [Self; 5] = [
        Self::Gag,
        Self::Block,
        Self::Allow,
        Self::MuteException,
        Self::ServerMember,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gag => "gag",
            Self::Block => "block",
            Self::Allow => "allow",
            Self::MuteException => "mute_exception",
            Self::ServerMember => "server_member",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.name() == name)
    }
}

impl AppList {
    const ALL: [Self; 8] = [
        Self::Gag,
        Self::UserBlock,
        Self::LowType,
        Self::AllowedType,
        Self::KeepAlive,
        Self::Word,
        Self::GroupGag,
        Self::PeerGag,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gag => "gag",
            Self::UserBlock => "user_block",
            Self::LowType => "low_type",
            Self::AllowedType => "allowed_type",
            Self::KeepAlive => "keep_alive",
            Self::Word => "word",
            Self::GroupGag => "group_gag",
            Self::PeerGag => "peer_gag",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.name() == name)
    }
}
