//! Apps: the tenants of a gateway, their keys and their policies. In a file, each is a table `[[apps]]`.

mod read;
mod table;

use std::fmt;

use sluice_protocol::IdProfile;

pub(crate) use read::apps_of_file;
pub(super) use read::{AppOrigins, read};
pub(super) use table::{APP_SETTINGS, KEY_SETTINGS};

/// Where development mode keeps its app, in the data folder.
pub(crate) const DEVELOPMENT_APP_FILE: &str = "app-dev.toml";

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
    /// Whether it may be used. Default [`AppState::Enabled`].
    pub state: AppState,
    /// The keys its tokens are checked with, 1 to 16. The algorithm comes from the key, never from the token.
    pub keys: Vec<TokenKey>,
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
