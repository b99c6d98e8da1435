//! Keys of the server API. In a file, each is a table `[[apps.api_keys]]`.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::read::{require, tables};
use super::{Secret, table};
use crate::config::Rate;
use crate::config::document::{Place, fill, read_text};
use crate::config::kind::Kind;
use crate::config::origin::{Origin, Problem};
use crate::config::settings::{Default, Setting};

/// A call that names no key is tried with each, so there are few.
const API_KEYS_MAX: usize = 16;

/// Shortest secret. The vendor's whose API it is makes them 14 bytes long; off loopback it takes [`API_SECRET_BYTES_PUBLIC`].
const API_SECRET_BYTES_MIN: usize = 8;

/// Shortest secret of an app whose API can be reached from other machines: as long as the hash that is made with it.
pub(in crate::config) const API_SECRET_BYTES_PUBLIC: usize = 32;

/// Longest secret: longer ones are hashed first and gain nothing.
const API_SECRET_BYTES_MAX: usize = 1024;

/// Longest id of a key: it travels in a header with each call.
const API_KEY_ID_BYTES_MAX: usize = 64;

/// Largest file with a secret.
const SECRET_FILE_BYTES_MAX: u64 = 16 << 10;

/// Calls each second that a key may make where nobody says: what the vendor whose API it is allows for a path.
const API_CALLS_PER_SECOND: u32 = 100;

/// A key that an app's server signs calls of the server API with.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// What a call may name it by; empty for a key that calls do not name.
    pub id: String,
    /// What calls are signed with.
    pub secret: Secret,
    /// What it is good for. Default: everything.
    pub scopes: Vec<ApiScope>,
    /// Calls that may be made with it. Default 100 each second.
    pub rate: Rate,
    /// The signatures that are taken. Default: all.
    pub signatures: Vec<ApiSignature>,
}

/// A part of the server API that a key may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiScope {
    /// Tokens, blocks of users, who is online, blacklists.
    User,
    /// Rooms: making, ending, asking, keep-alive, types of messages.
    Room,
    /// Gags, mutes, blocks, allow lists and distribution of rooms.
    Moderation,
    /// Attributes of rooms.
    Attribute,
    /// Sending messages and taking them back.
    Message,
    /// Sensitive words.
    Word,
    /// Groups: who is inside, who may speak.
    Group,
    /// Reading conversations: which there are, and all that was said.
    Conversation,
}

/// A way to sign a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiSignature {
    /// SHA-1 over secret, nonce and time, as the vendor's libraries do it. Whoever sees one can use it for ever.
    Sha1,
    /// HMAC-SHA256 over the whole call, good once and for some minutes.
    Hmac,
}

impl ApiScope {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Room,
        Self::Moderation,
        Self::Attribute,
        Self::Message,
        Self::Word,
        Self::Group,
        Self::Conversation,
    ];

    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Room => "room",
            Self::Moderation => "moderation",
            Self::Attribute => "attribute",
            Self::Message => "message",
            Self::Word => "word",
            Self::Group => "group",
            Self::Conversation => "conversation",
        }
    }
}

impl ApiSignature {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Hmac];

    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Hmac => "hmac",
        }
    }
}

impl ApiKey {
    /// A key with this secret that is good for everything.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            id: String::new(),
            secret,
            scopes: ApiScope::ALL.to_vec(),
            rate: Rate::PerSecond(API_CALLS_PER_SECOND),
            signatures: ApiSignature::ALL.to_vec(),
        }
    }
}

/// A table `[[apps.api_keys]]` as it is read, before it is known to make sense.
pub(in crate::config) struct ApiKeyTable {
    id: String,
    secret: Option<Secret>,
    secret_file: PathBuf,
    scopes: Vec<String>,
    rate: Rate,
    signatures: Vec<String>,
}

/// The keys of a table `[[apps.api_keys]]`.
pub(in crate::config) const API_KEY_SETTINGS: &[Setting<ApiKeyTable>] = &[
    Setting {
        path: "apps.api_keys.id",
        kind: Kind::Text {
            expected: "at most 64 letters, digits, \"-\", \"_\" and \".\"",
            read: |key, text| {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                let fits = text.len() <= API_KEY_ID_BYTES_MAX && text.bytes().all(allowed);
                key.id = Some(text).filter(|_| fits)?.to_owned();
                Some(())
            },
            show: |key| key.id.clone(),
        },
        default: Default::Text(""),
        meaning: "What a call may name the key by (header `Key-Id`), and what the audit log calls it. Unique within the app. Calls with the vendor's libraries name none: they are tried with each key.",
        cost: "",
    },
    Setting {
        path: "apps.api_keys.secret",
        kind: Kind::Secret {
            expected: "text of 8 to 1024 bytes",
            read: |key, text| {
                key.secret = Some(secret(text)?);
                Some(())
            },
        },
        default: Default::Absent,
        meaning: "What the app's server signs calls with; the bytes are taken as they are. No other key of any app may have it, nor may tokens be signed with it. Better kept in `secret_file`. Off loopback at least 32 bytes.",
        cost: "",
    },
    Setting {
        path: "apps.api_keys.secret_file",
        kind: Kind::Path(|key| &mut key.secret_file),
        default: Default::Absent,
        meaning: "In place of `secret`: a file that holds it. Line ends after it are cut off.",
        cost: "",
    },
    Setting {
        path: "apps.api_keys.scopes",
        kind: Kind::Texts {
            max: ApiScope::ALL.len(),
            expected: "a list of \"user\", \"room\", \"moderation\", \"attribute\", \"message\", \"word\", \"group\" and \"conversation\"",
            fits: |text| scope(text).is_some(),
            field: |key| &mut key.scopes,
        },
        default: Default::Absent,
        meaning: "What the key is good for: `user` tokens, blocks, who is online, blacklists; `room` making, ending and asking rooms, allow lists, keep-alive; `moderation` gags, mutes and blocks; `attribute` attributes; `message` sending, recalling, classes, distribution; `word` sensitive words; `group` groups, their members, gags and mutes; `conversation` reading the lists and the history of conversations. All where nothing is said.",
        cost: "Whoever has the secret can do more.",
    },
    Setting {
        path: "apps.api_keys.rate",
        kind: Kind::Rate(|key| &mut key.rate),
        default: Default::Text("100"),
        meaning: "Calls each second with this key; beyond it, 1008.",
        cost: "Each call is work for a room's home, and most changes are written to disk.",
    },
    Setting {
        path: "apps.api_keys.signatures",
        kind: Kind::Texts {
            max: ApiSignature::ALL.len(),
            expected: "a list of \"sha1\" and \"hmac\"",
            fits: |text| signature(text).is_some(),
            field: |key| &mut key.signatures,
        },
        default: Default::Absent,
        meaning: "The signatures that are taken: `sha1` as the vendor's libraries make it, `hmac` over the whole call, good once. Both where nothing is said.",
        cost: "A `sha1` signature that somebody sees is good for ever.",
    },
];

/// Reads the value of `apps.api_keys` of an app's table, with the line of each key.
pub(super) fn read(table: &DeTable<'_>, place: &Place<'_>, problems: &mut Vec<Problem>) -> (Vec<ApiKey>, Vec<Origin>) {
    let (mut keys, mut origins): (Vec<ApiKey>, Vec<Origin>) = (Vec::new(), Vec::new());
    let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == "api_keys") else {
        return (keys, origins);
    };
    let at = place.at(&name.span());
    let found = tables("apps.api_keys", value, &at, place, problems);
    if found.len() > API_KEYS_MAX {
        let message = format!("apps.api_keys: found {}, expected at most {API_KEYS_MAX}", found.len());
        problems.push(Problem::new(&at, message));
    }
    for (origin, table) in found {
        let Some(key) = read_key(table, &origin, place, problems) else {
            continue;
        };
        if keys.iter().any(|other| other.id == key.id) {
            let message = "apps.api_keys.id: another key of this app has it already";
            problems.push(Problem::new(&origin, message));
        }
        keys.push(key);
        origins.push(origin);
    }
    (keys, origins)
}

fn read_key(table: &DeTable<'_>, origin: &Origin, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<ApiKey> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut key = ApiKeyTable {
        id: String::new(),
        secret: None,
        secret_file: PathBuf::new(),
        scopes: names(&ApiScope::ALL.map(ApiScope::name)),
        rate: Rate::PerSecond(API_CALLS_PER_SECOND),
        signatures: names(&ApiSignature::ALL.map(ApiSignature::name)),
    };
    let present = fill(API_KEY_SETTINGS, &[], &mut key, table, place, problems);
    let at = |path: &str| present.iter().find(|(other, _)| *other == path).map(|(_, at)| at);
    let secret = match (at("apps.api_keys.secret"), at("apps.api_keys.secret_file")) {
        (Some(_), None) => key.secret,
        (None, Some(at)) => secret_of_file(&key.secret_file)
            .map_err(|reason| problems.push(Problem::new(at, format!("apps.api_keys.secret_file: {reason}"))))
            .ok(),
        (Some(_), Some(at)) => {
            let message = "apps.api_keys.secret_file: found next to secret, expected only one of them";
            problems.push(Problem::new(at, message));
            None
        }
        (None, None) => {
            require(API_KEY_SETTINGS, "apps.api_keys.secret", &present, origin, problems);
            None
        }
    };
    Some(ApiKey {
        id: key.id,
        secret: secret?,
        scopes: key.scopes.iter().filter_map(|name| scope(name)).collect(),
        rate: key.rate,
        signatures: key.signatures.iter().filter_map(|name| signature(name)).collect(),
    })
}

fn scope(name: &str) -> Option<ApiScope> {
    ApiScope::ALL.into_iter().find(|scope| scope.name() == name)
}

fn signature(name: &str) -> Option<ApiSignature> {
    ApiSignature::ALL.into_iter().find(|signature| signature.name() == name)
}

fn secret_of_file(path: &Path) -> Result<Secret, String> {
    let text = read_text(path, SECRET_FILE_BYTES_MAX).map_err(|reason| format!("{} {reason}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    secret(text).ok_or_else(|| {
        let (path, found) = (path.display(), text.len());
        format!("{path} holds {found} bytes, expected {API_SECRET_BYTES_MIN} to {API_SECRET_BYTES_MAX}")
    })
}

fn secret(text: &str) -> Option<Secret> {
    table::secret_of(text, API_SECRET_BYTES_MIN..=API_SECRET_BYTES_MAX)
}
