//! What is kept, as values. Keys are texts (app key, room id, user id), so that the store knows no module but itself.

/// A change to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    PutRoom {
        app: String,
        room: String,
        record: RoomRecord,
    },
    /// The room, its attributes, and the members the app's server put inside. What was decided about users of the room stays.
    RemoveRoom {
        app: String,
        room: String,
    },
    /// What holds for a room whether it exists or not. Rules that are the default remove the row.
    PutRoomRules {
        app: String,
        room: String,
        rules: RoomRules,
    },
    PutRoomUser {
        app: String,
        room: String,
        list: RoomList,
        user: String,
        entry: Entry,
    },
    RemoveRoomUser {
        app: String,
        room: String,
        list: RoomList,
        user: String,
    },
    PutAttribute {
        app: String,
        room: String,
        key: String,
        attribute: AttributeRecord,
    },
    RemoveAttribute {
        app: String,
        room: String,
        key: String,
    },
    PutAppEntry {
        app: String,
        list: AppList,
        key: String,
        entry: Entry,
    },
    RemoveAppEntry {
        app: String,
        list: AppList,
        key: String,
    },
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoomRecord {
    pub name: String,
    pub policy: String,
    pub created_at_ms: i64,
    /// Made by the app's server.
    pub by_server: bool,
    /// How it ends, where that differs from its policy, as the room writes and reads it.
    pub ends: String,
    /// Raised with each change of an attribute.
    pub attributes_version: u64,
    /// Somebody has been inside.
    pub used: bool,
}

/// What holds for all of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RoomRules {
    /// Nobody may send, but those excepted.
    pub muted: bool,
    /// What members send is given to nobody.
    pub stopped: bool,
}

/// Lists of users that a room has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RoomList {
    Gag,
    Block,
    Allow,
    MuteException,
    ServerMember,
}

/// Lists that an app has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum AppList {
    Gag,
    UserBlock,
    LowType,
    AllowedType,
    KeepAlive,
    Word,
    /// Who may not send in any group.
    GroupGag,
    /// Who may not send to any user.
    PeerGag,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    /// Milliseconds since 1970-01-01 UTC; `None`: for ever.
    pub until_ms: Option<i64>,
    pub since_ms: i64,
    /// The app's own words, a name, or a word's replacement.
    pub text: String,
}

/// An attribute of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AttributeRecord {
    pub value: String,
    pub owner: String,
    pub version: u64,
    /// It goes when its owner leaves the room.
    pub goes_with_owner: bool,
    /// Milliseconds since 1970-01-01 UTC.
    pub set_at_ms: i64,
}

/// Everything kept, read once at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Kept {
    pub rooms: Vec<KeptRoom>,
    /// App, list, key, entry.
    pub apps: Vec<(String, AppList, String, Entry)>,
}

/// All that is kept of one room id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeptRoom {
    pub app: String,
    pub room: String,
    /// `None`: there is no such room, but something holds for it.
    pub record: Option<RoomRecord>,
    pub rules: RoomRules,
    pub users: Vec<(RoomList, String, Entry)>,
    pub attributes: Vec<(String, AttributeRecord)>,
}
