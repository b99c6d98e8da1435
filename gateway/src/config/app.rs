//! Apps: the tenants of a gateway, their keys and their policies. In a file, each is a table `[[apps]]`.

mod api_key;
mod conversations;
mod push_hook;
mod read;
mod table;

use std::fmt;
use std::time::Duration;

use sluice_protocol::IdProfile;

use super::policy::AppPolicySettings;

pub(super) use api_key::{API_KEY_SETTINGS, API_SECRET_BYTES_PUBLIC};
pub use api_key::{ApiKey, ApiScope, ApiSignature};
pub use conversations::AppConversations;
pub(super) use push_hook::PUSH_HOOK_SETTINGS;
pub use push_hook::PushHook;
pub(crate) use read::apps_of_file;
pub(super) use read::{AppOrigins, read, require, tables};
pub(super) use table::{APP_SETTINGS, KEY_SETTINGS};

/// Where development mode keeps its app, in the data folder.
pub(crate) const DEVELOPMENT_APP_FILE: &str = "app-dev.toml";

/// How long a token of the server API lives where nobody says: a month, as a telephone that is opened now and then is back
/// before.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// An app (tenant): who may log in with its key, and how.
#[derive(Debug, Clone)]
pub struct App {
    /// What clients and tokens name it by. 1 to 64 letters, digits, `-`, `_` and `.`.
    pub key: String,
    /// Which user ids it allows. Default [`IdProfile::Zim`].
    pub id_profile: IdProfile,
    /// How many connections one user may have. Default [`SingleLogin::Single`].
    pub single_login: SingleLogin,
    /// The package names of client programs that may log in; empty for all. Default empty.
    pub packages: Vec<String>,
    /// Object names of custom messages that count as low, whatever their priority. At most 20.
    pub low_types: Vec<String>,
    /// Users whose messages in rooms are never shed.
    pub protected_senders: Vec<String>,
    /// How long the tokens live that the server API issues. Default 30 days.
    pub token_lifetime: Duration,
    /// Most rooms at once. Default 100000.
    pub rooms_max: usize,
    /// Most rooms that one session may be inside at once, at most [`sluice_protocol::limits::ROOMS_PER_SESSION`]. Default 5.
    pub rooms_per_user: usize,
    /// Most rooms at once that one user has made. Default 100.
    pub rooms_made_per_user: usize,
    /// Most bytes of attributes in all rooms together, 256 more counted for each. Default 256 MiB.
    pub room_attribute_bytes: usize,
    /// Most rooms that the app's server may exempt from ending by being idle. Default 5.
    pub keep_alive_max: usize,
    /// How its conversations are kept.
    pub conversations: AppConversations,
    /// Policies of its own, beside the two presets. Names are unique.
    pub policies: Vec<AppPolicySettings>,
    /// Whether it may be used. Default [`AppState::Enabled`].
    pub state: AppState,
    /// The keys its tokens are checked with, 1 to 16. The algorithm comes from the key, never from the token.
    pub keys: Vec<TokenKey>,
    /// The keys that its server signs calls of the server API with, at most 16. Default none.
    pub api_keys: Vec<ApiKey>,
}

impl App {
    /// An app with nothing but a key: what it can have has its default.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            id_profile: IdProfile::default(),
            single_login: SingleLogin::Single,
            packages: Vec::new(),
            low_types: Vec::new(),
            protected_senders: Vec::new(),
            token_lifetime: TOKEN_LIFETIME,
            rooms_max: table::ROOMS_DEFAULT,
            rooms_per_user: table::ROOMS_PER_USER_DEFAULT,
            rooms_made_per_user: table::ROOMS_MADE_PER_USER_DEFAULT,
            room_attribute_bytes: table::ATTRIBUTE_BYTES_DEFAULT,
            keep_alive_max: table::KEEP_ALIVE_DEFAULT,
            conversations: AppConversations::default(),
            policies: Vec::new(),
            state: AppState::Enabled,
            keys: Vec::new(),
            api_keys: Vec::new(),
        }
    }
}

/// How many connections one user of an app may have; the oldest one above gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SingleLogin {
    /// One.
    Single,
    /// One per platform.
    PerPlatform,
    /// This many, 1 to 64.
    Multi(u32),
}

/// Whether an app may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppState {
    /// It may.
    Enabled,
    /// It is blocked or deleted.
    Blocked,
    /// It exists, but has no chat service.
    ServiceDisabled,
}

/// A key that tokens are checked with.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// The `kid` in the header of the tokens it is for; `None` for tokens without one.
    pub id: Option<String>,
    /// How a token is checked, and with what.
    pub algorithm: TokenAlgorithm,
}

/// How a token is checked, and with what.
#[derive(Debug, Clone)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: whoever checks can also issue.
    Hs256 {
        /// At least 32 bytes, which are taken as they are.
        secret: Secret,
    },
    /// Ed25519 signatures: only the app server can issue.
    EdDsa {
        /// The public key, PEM.
        public_key_pem: String,
    },
}

/// Bytes that never show in a log: `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they are.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one who computes with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(masked)")
    }
}
