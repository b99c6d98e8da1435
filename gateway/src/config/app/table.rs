//! The tables of what can be said of an app and of its keys.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use sluice_protocol::{IdProfile, limits};

use super::{App, AppState, Secret, SingleLogin};
use crate::config::kind::Kind;
use crate::config::settings::{Default, Setting};

/// Shortest HMAC secret: as long as its hash, as RFC 7518 section 3.2 demands.
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// Longest HMAC secret: longer ones are hashed first and gain nothing.
pub(super) const SECRET_BYTES_MAX: usize = 1024;

/// Longest `kid`.
const KEY_ID_BYTES_MAX: usize = 128;

/// Most connections of one user: every message to the user is a write to each.
const LOGINS_MAX: u32 = 64;

/// An app has a program for each system it runs on, and perhaps some for tests.
const PACKAGES_MAX: usize = 1000;

/// As many as the vendor whose apps set them allows.
const LOW_TYPES_MAX: usize = 20;

/// What they say takes memory wherever somebody is slow.
const PROTECTED_SENDERS_MAX: usize = 1000;

/// Shorter tokens than this run out while a client connects.
const TOKEN_LIFETIME_MIN: Duration = Duration::from_secs(60);

/// Longer ones outlive the telephones they are for.
const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Rooms of an app, where it says nothing: each takes some KiB, so a gigabyte at worst.
pub(super) const ROOMS_DEFAULT: usize = 100_000;

/// More rooms than this on one machine are several machines' work.
const ROOMS_MAX: usize = 10_000_000;

/// Rooms of a session, where the app says nothing: as the vendor allows whose rooms these are.
pub(super) const ROOMS_PER_USER_DEFAULT: usize = 5;

/// Rooms that one user has made, where the app says nothing: as many as the largest session can be inside. A thousand users have to go
/// together to take up all rooms of an app.
pub(super) const ROOMS_MADE_PER_USER_DEFAULT: usize = limits::ROOMS_PER_SESSION;

/// Attributes of all rooms of an app together, where the app says nothing: 2.5 KiB for each of 100,000 rooms, which is ten short ones. A
/// `live` room may hold 400 KiB, so without a bound they took 40 GiB at worst.
pub(super) const ATTRIBUTE_BYTES_DEFAULT: usize = 256 << 20;

/// Less than this no single `live` room could be filled with.
const ATTRIBUTE_BYTES_MIN: usize = 1 << 20;

/// More than this is more than all else that the gateway holds.
const ATTRIBUTE_BYTES_MAX: usize = 64 << 30;

/// Rooms exempt from ending by being idle, where the app says nothing: as the vendor allows who has such a list.
pub(super) const KEEP_ALIVE_DEFAULT: usize = 5;

/// More than these are what a policy that never ends by itself is for.
const KEEP_ALIVE_MAX: usize = 1_000;

/// Every message is an event for each member, and each change of the members has all of them read again.
const CONVERSATION_MEMBERS_MAX: usize = 10_000;

/// What is older was read long ago.
const RECALL_WINDOW_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Whoever was away over a weekend finds what was said.
const HISTORY_KEPT_MIN: Duration = Duration::from_secs(3 * 86_400);

/// For ever.
const HISTORY_KEPT_MAX: Duration = Duration::from_secs(36_500 * 86_400);

/// The keys of a table `[[apps]]`.
pub(in crate::config) const APP_SETTINGS: &[Setting<App>] = &[
    Setting {
        path: "apps.key",
        kind: Kind::Text {
            expected: "1 to 64 letters, digits, \"-\", \"_\" and \".\"",
            read: |app, text| {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                let fits = (1..=limits::APP_KEY_BYTES).contains(&text.len()) && text.bytes().all(allowed);
                app.key = Some(text).filter(|_| fits)?.to_owned();
                Some(())
            },
            show: |app| app.key.clone(),
        },
        default: Default::Required,
        meaning: "What clients name the app by; also the `aud` of its tokens. Unique.",
        cost: "",
    },
    Setting {
        path: "apps.id_profile",
        kind: Kind::Text {
            expected: "\"zim\" or \"wide\"",
            read: |app, text| {
                app.id_profile = match text {
                    "zim" => IdProfile::Zim,
                    "wide" => IdProfile::Wide,
                    _ => return None,
                };
                Some(())
            },
            show: |app| match app.id_profile {
                IdProfile::Zim => "zim".into(),
                IdProfile::Wide => "wide".into(),
            },
        },
        default: Default::Text("zim"),
        meaning: "Which user ids are allowed: `zim` is up to 32 letters, digits and listed signs, `wide` up to 64 characters of any script.",
        cost: "Longer ids make longer frames.",
    },
    Setting {
        path: "apps.single_login",
        kind: Kind::Text {
            expected: "\"single\", \"per_platform\" or \"multi(N)\" with N from 1 to 64",
            read: |app, text| {
                app.single_login = match text {
                    "single" => SingleLogin::Single,
                    "per_platform" => SingleLogin::PerPlatform,
                    _ => {
                        let count = text.strip_prefix("multi(")?.strip_suffix(')')?;
                        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
                        let count = count
                            .parse()
                            .ok()
                            .filter(|count| digits && (1..=LOGINS_MAX).contains(count))?;
                        SingleLogin::Multi(count)
                    }
                };
                Some(())
            },
            show: |app| match app.single_login {
                SingleLogin::Single => "single".into(),
                SingleLogin::PerPlatform => "per_platform".into(),
                SingleLogin::Multi(count) => format!("multi({count})"),
            },
        },
        default: Default::Text("single"),
        meaning: "How many connections one user may have: one, one per platform, or N. The oldest one above gives way and is closed with 31010.",
        cost: "Every message to a user is a write to each of the user's connections.",
    },
    Setting {
        path: "apps.packages",
        kind: Kind::Texts {
            max: PACKAGES_MAX,
            expected: "a list of at most 1000 package names, each 1 to 128 bytes, such as [\"com.example.chat\"]",
            fits: |text| (1..=limits::PACKAGE_NAME_BYTES).contains(&text.len()),
            field: |app| &mut app.packages,
        },
        default: Default::Empty,
        meaning: "The package names of client programs that may log in; empty for all.",
        cost: "",
    },
    Setting {
        path: "apps.low_types",
        kind: Kind::Texts {
            max: LOW_TYPES_MAX,
            expected: "a list of at most 20 object names, each 1 to 64 bytes, such as [\"app:like\"]",
            fits: |text| (1..=limits::OBJECT_NAME_BYTES).contains(&text.len()),
            field: |app| &mut app.low_types,
        },
        default: Default::Empty,
        meaning: "Object names of custom messages that count as class low, whatever priority they are sent with: the first to be shed after barrage.",
        cost: "",
    },
    Setting {
        path: "apps.protected_senders",
        kind: Kind::Texts {
            max: PROTECTED_SENDERS_MAX,
            expected: "a list of at most 1000 user ids, each 1 to 256 bytes, such as [\"host\"]",
            fits: |text| (1..=limits::USER_ID_BYTES).contains(&text.len()),
            field: |app| &mut app.protected_senders,
        },
        default: Default::Empty,
        meaning: "Users whose messages in rooms are never shed.",
        cost: "A member that is too slow for what may not be shed is closed, so these had better not say much.",
    },
    Setting {
        path: "apps.token_lifetime",
        kind: Kind::Duration {
            min: TOKEN_LIFETIME_MIN,
            max: TOKEN_LIFETIME_MAX,
            field: |app| &mut app.token_lifetime,
        },
        default: Default::Text("30d"),
        meaning: "How long the tokens live that the server API issues (`/user/getToken`), with the app's first HS256 key.",
        cost: "A token cannot be taken back: whoever has one can log in for that long, unless the user is blocked.",
    },
    Setting {
        path: "apps.rooms_max",
        kind: Kind::Count {
            min: 1,
            max: ROOMS_MAX,
            auto: None,
            field: |app| &mut app.rooms_max,
        },
        default: Default::Text("100000"),
        meaning: "Most rooms of the app at once; who would create one more is refused with 6000324. Rooms that are still there after a restart count and are never refused.",
        cost: "About a KiB for an empty room, and its history.",
    },
    Setting {
        path: "apps.rooms_per_user",
        kind: Kind::Count {
            min: 1,
            max: limits::ROOMS_PER_SESSION,
            auto: None,
            field: |app| &mut app.rooms_per_user,
        },
        default: Default::Text("5"),
        meaning: "Rooms that one session may be inside at once, told at login; beyond it, 6000325.",
        cost: "Memory for each membership, and all that is said in each room.",
    },
    Setting {
        path: "apps.rooms_made_per_user",
        kind: Kind::Count {
            min: 1,
            max: ROOMS_MAX,
            auto: None,
            field: |app| &mut app.rooms_made_per_user,
        },
        default: Default::Text("100"),
        meaning: "Rooms there may be at once that one user has made, with whatever sessions; who would make one more is refused with 6000324 `user`. Rooms that the app's server makes and those that are still there after a restart do not count.",
        cost: "So many users take up `rooms_max` all the sooner.",
    },
    Setting {
        path: "apps.room_attribute_bytes",
        kind: Kind::Size {
            min: ATTRIBUTE_BYTES_MIN,
            max: ATTRIBUTE_BYTES_MAX,
            field: |app| &mut app.room_attribute_bytes,
        },
        default: Default::Text("256MiB"),
        meaning: "Most memory for the attributes of all the app's rooms together: keys, values, and 256 bytes more for each. What would go beyond it is refused with 23423 `app`. Attributes that are still there after a restart count and stay.",
        cost: "This much memory, and as much again where members ask for all attributes of a room.",
    },
    Setting {
        path: "apps.keep_alive_max",
        kind: Kind::Count {
            min: 0,
            max: KEEP_ALIVE_MAX,
            auto: None,
            field: |app| &mut app.keep_alive_max,
        },
        default: Default::Text("5"),
        meaning: "Rooms that the app's server may keep from ending by being idle.",
        cost: "They live, with all they hold, until it lets go of them.",
    },
    Setting {
        path: "apps.conversation_members_max",
        kind: Kind::Count {
            min: 2,
            max: CONVERSATION_MEMBERS_MAX,
            auto: None,
            field: |app| &mut app.conversations.members_max,
        },
        default: Default::Text("500"),
        meaning: "Most members of a group or discussion; beyond it, 25411.",
        cost: "Every message is an event for each member, and each change of the members has all of them read again.",
    },
    Setting {
        path: "apps.conversation_recall_window",
        kind: Kind::Duration {
            min: Duration::ZERO,
            max: RECALL_WINDOW_MAX,
            field: |app| &mut app.conversations.recall_window,
        },
        default: Default::Text("2m"),
        meaning: "How long users can take back and change their own messages in conversations; beyond it, 6000278 and 20114.",
        cost: "What was read long ago can still become something else.",
    },
    Setting {
        path: "apps.conversation_history",
        kind: Kind::Boolean(|app| &mut app.conversations.history),
        default: Default::Text("true"),
        meaning: "Whether clients may ask for the history of conversations; without, 33007. What they missed they get all the same.",
        cost: "Pages of up to 512 KiB.",
    },
    Setting {
        path: "apps.conversation_history_kept",
        kind: Kind::Duration {
            min: HISTORY_KEPT_MIN,
            max: HISTORY_KEPT_MAX,
            field: |app| &mut app.conversations.history_kept,
        },
        default: Default::Text("180d"),
        meaning: "How long messages of conversations are kept. Older ones are deleted in the background, which begins within the hour.",
        cost: "Disk: what messages hold, and about 250 bytes more for each.",
    },
    Setting {
        path: "apps.conversation_groups_open",
        kind: Kind::Boolean(|app| &mut app.conversations.groups_open),
        default: Default::Text("true"),
        meaning: "Whether anybody may join a group whose id they know; without, 25414.",
        cost: "",
    },
    Setting {
        path: "apps.conversation_members_may_add",
        kind: Kind::Boolean(|app| &mut app.conversations.members_may_add),
        default: Default::Text("false"),
        meaning: "Whether any member may add users to a group. Otherwise its owner and managers may; others get 25405.",
        cost: "",
    },
    Setting {
        path: "apps.conversation_users_name_groups",
        kind: Kind::Boolean(|app| &mut app.conversations.users_name_groups),
        default: Default::Text("false"),
        meaning: "Whether users may choose the ids of groups they make; without, 33003, and the server chooses. Whoever takes an id first owns the group: leave it off if the app's server puts users into groups by ids that somebody could guess.",
        cost: "",
    },
    Setting {
        path: "apps.state",
        kind: Kind::Text {
            expected: "\"enabled\", \"blocked\" or \"service_disabled\"",
            read: |app, text| {
                app.state = match text {
                    "enabled" => AppState::Enabled,
                    "blocked" => AppState::Blocked,
                    "service_disabled" => AppState::ServiceDisabled,
                    _ => return None,
                };
                Some(())
            },
            show: |app| match app.state {
                AppState::Enabled => "enabled".into(),
                AppState::Blocked => "blocked".into(),
                AppState::ServiceDisabled => "service_disabled".into(),
            },
        },
        default: Default::Text("enabled"),
        meaning: "Whether the app may be used: its users are let in, or refused as blocked or as without service.",
        cost: "",
    },
];

/// A table `[[apps.keys]]` as it is read, before it is known to make sense.
#[derive(std::default::Default)]
pub(in crate::config) struct KeyTable {
    pub(super) id: String,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) secret: Option<Secret>,
    pub(super) secret_file: PathBuf,
    pub(super) public_key_file: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    EdDsa,
}

/// The keys of a table `[[apps.keys]]`.
pub(in crate::config) const KEY_SETTINGS: &[Setting<KeyTable>] = &[
    Setting {
        path: "apps.keys.algorithm",
        kind: Kind::Text {
            expected: "\"HS256\" or \"EdDSA\"",
            read: |key, text| {
                key.algorithm = Some(match text {
                    "HS256" => Algorithm::Hs256,
                    "EdDSA" => Algorithm::EdDsa,
                    _ => return None,
                });
                Some(())
            },
            show: |key| match key.algorithm {
                Some(Algorithm::Hs256) => "HS256".into(),
                Some(Algorithm::EdDsa) => "EdDSA".into(),
                None => String::new(),
            },
        },
        default: Default::Required,
        meaning: "How tokens are checked. It is taken from here and never from the token.",
        cost: "EdDSA takes about 25 µs per login, HS256 about 2 µs; with EdDSA only the app server can issue tokens.",
    },
    Setting {
        path: "apps.keys.id",
        kind: Kind::Text {
            expected: "1 to 128 bytes",
            read: |key, text| {
                let fits = (1..=KEY_ID_BYTES_MAX).contains(&text.len());
                key.id = Some(text).filter(|_| fits)?.to_owned();
                Some(())
            },
            show: |key| key.id.clone(),
        },
        default: Default::Absent,
        meaning: "The `kid` in the header of the tokens this key is for. Unique within the app. Name keys to replace one without a gap: add the new, switch the app server, remove the old.",
        cost: "",
    },
    Setting {
        path: "apps.keys.secret",
        kind: Kind::Secret {
            expected: "text of 32 to 1024 bytes",
            read: |key, text| {
                key.secret = Some(secret(text)?);
                Some(())
            },
        },
        default: Default::Absent,
        meaning: "For HS256: the secret, whose bytes are taken as they are. Better kept in `secret_file`.",
        cost: "",
    },
    Setting {
        path: "apps.keys.secret_file",
        kind: Kind::Path(|key| &mut key.secret_file),
        default: Default::Absent,
        meaning: "For HS256, in place of `secret`: a file that holds it. Line ends after it are cut off.",
        cost: "",
    },
    Setting {
        path: "apps.keys.public_key_file",
        kind: Kind::Path(|key| &mut key.public_key_file),
        default: Default::Absent,
        meaning: "For EdDSA: a PEM file with the Ed25519 public key.",
        cost: "",
    },
];

/// `text` as a secret, where its length allows.
pub(super) fn secret(text: &str) -> Option<Secret> {
    secret_of(text, SECRET_BYTES_MIN..=SECRET_BYTES_MAX)
}

/// The same with bounds of its own, in bytes.
pub(super) fn secret_of(text: &str, bytes: RangeInclusive<usize>) -> Option<Secret> {
    bytes.contains(&text.len()).then(|| Secret::new(text))
}
