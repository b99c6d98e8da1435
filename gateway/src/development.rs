//! Development mode: what a gateway needs that nobody has configured.
//!
//! Without a configuration file, the data folder gets an app `dev` with a generated secret and a self-signed
//! certificate for this machine: start with [`prepare`]. What is there already is kept, so that commands in another
//! terminal agree with the gateway; a certificate made here is renewed when its time runs out.
//!
//! Nothing here opens a socket. Loopback addresses only: [`crate::config`] refuses others in this mode.

mod api_call;
mod app_file;
mod certificate;
mod private_file;
mod token;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sluice_protocol::InvalidId;

use crate::config::{CERTIFICATE_FILE, CertificateError, Config, DEVELOPMENT_APP_FILE, Loaded, Problems};

pub use api_call::api_headers;
pub use token::{TOKEN_TTL_DEFAULT, TOKEN_TTL_MAX, issue_token_of};

/// The key of the app that development mode makes.
pub const APP: &str = "dev";

/// Why development mode, or a command that relies on it, cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// A file or folder cannot be made or read.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no development app in the data folder.
    #[error(
        "{} is missing: start the gateway in development mode first (sluice serve), or name its folder with --data",
        path.display()
    )]
    NeverStarted {
        /// The file that is missing.
        path: PathBuf,
    },
    /// The file of the development app has been damaged.
    #[error("{0}\nremove the file and the next start makes a new one")]
    AppFile(Problems),
    /// There are a certificate and a key that were not made here and cannot be used.
    #[error("{0}; remove both files and the next start makes new ones")]
    Certificate(CertificateError),
    /// A certificate cannot be made.
    #[error("the development certificate cannot be made: {0}")]
    Generate(String),
    /// The app does not exist.
    #[error("there is no app {app:?}; there is {known}")]
    UnknownApp {
        /// The app that was asked for.
        app: String,
        /// Those that exist.
        known: String,
    },
    /// The app's keys can only check tokens.
    #[error("the app {app:?} has no HS256 secret: its tokens can only come from its app server")]
    CannotSign {
        /// The app.
        app: String,
    },
    /// The user id does not fit the app's profile.
    #[error("the user id {user:?} {source}")]
    UserId {
        /// The user id.
        user: String,
        /// The rule it breaks.
        source: InvalidId,
    },
    /// The life of a token is out of bounds.
    #[error("a token lives from 1 s to {} days", TOKEN_TTL_MAX.as_secs() / 86_400)]
    Ttl,
    /// The token cannot be signed.
    #[error("the token cannot be signed: {0}")]
    Sign(String),
}

/// Makes what is missing in the data folder and returns the configuration with the development app in it.
///
/// # Errors
/// A file cannot be written or read, or the folder holds something that was not made here and cannot be used.
pub fn prepare(loaded: Loaded) -> Result<Config, DevelopmentError> {
    let own_certificate = loaded.certificate_is_default();
    let mut config = loaded.config;
    let listens = config.needs_certificate();
    make_folder(&config.data)?;
    config.apps = app_file::load_or_make(&config.data.join(DEVELOPMENT_APP_FILE))?;
    if own_certificate && listens {
        certificate::make_or_renew(&config.tls, SystemTime::now())?;
    }
    Ok(config)
}

/// All defaults with the development app and certificate in `data`, for tests to change what they are about.
///
/// # Errors
/// Like [`prepare`].
pub fn configuration(data: &Path) -> Result<Config, DevelopmentError> {
    let mut config = Config::defaults(data);
    make_folder(data)?;
    config.apps = app_file::load_or_make(&data.join(DEVELOPMENT_APP_FILE))?;
    certificate::make_or_renew(&config.tls, SystemTime::now())?;
    Ok(config)
}

/// Issues a token for `user` of the development app (`app`, usually [`APP`]) whose files are in `data`. It is good from
/// now on for `ttl`, 1 s to [`TOKEN_TTL_MAX`].
///
/// # Errors
/// No gateway has run in development mode in `data`, it does not know `app`, or `user` or `ttl` is out of bounds.
pub fn issue_token(data: &Path, app: &str, user: &str, ttl: Duration) -> Result<String, DevelopmentError> {
    let apps = app_file::load(&data.join(DEVELOPMENT_APP_FILE))?;
    issue_token_of(&apps, app, user, ttl, SystemTime::now())
}

/// The certificate that clients on this machine trust, in `data`.
#[must_use]
pub fn certificate_path(data: &Path) -> PathBuf {
    data.join(CERTIFICATE_FILE)
}

fn make_folder(path: &Path) -> Result<(), DevelopmentError> {
    std::fs::create_dir_all(path).map_err(|source| DevelopmentError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[path = "development/tests.rs"]
mod tests;
