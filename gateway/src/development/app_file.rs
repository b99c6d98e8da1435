//! The file of the development app: written once, in the form of a configuration file, and kept.

use std::fmt::Write as _;
use std::path::Path;

use super::private_file::{self, OWNER_ONLY};
use super::{APP, DevelopmentError};
use crate::config::{App, apps_of_file};

/// Twice the least: 64 hexadecimal digits, which hold 32 random bytes.
const SECRET_RANDOM_BYTES: usize = 32;

/// The apps of the file at `path`, which is made when it is missing.
pub(super) fn load_or_make(path: &Path) -> Result<Vec<App>, DevelopmentError> {
    if !path.exists() {
        private_file::write(path, &new_file()?, OWNER_ONLY)?;
    }
    load(path)
}

/// The apps of the file at `path`.
pub(super) fn load(path: &Path) -> Result<Vec<App>, DevelopmentError> {
    if !path.exists() {
        return Err(DevelopmentError::NeverStarted { path: path.to_owned() });
    }
    apps_of_file(path).map_err(DevelopmentError::AppFile)
}

fn new_secret() -> Result<String, DevelopmentError> {
    let mut random = [0; SECRET_RANDOM_BYTES];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|_| DevelopmentError::Generate("the system has no random bytes".into()))?;
    let mut secret = String::new();
    for byte in random {
        write!(secret, "{byte:02x}").expect("a String takes everything");
    }
    Ok(secret)
}

fn new_file() -> Result<String, DevelopmentError> {
    let (secret, api_secret) = (new_secret()?, new_secret()?);
    Ok(format!(
        "# The app of development mode, made on the first start and kept. For this machine only: write a configuration\n\
         # file with an app and a secret of its own for anything else.\n\
         [[apps]]\n\
         key = \"{APP}\"\n\
         conversation_users_name_groups = true\n\
         \n\
         [[apps.keys]]\n\
         algorithm = \"HS256\"\n\
         secret = \"{secret}\"\n\
         \n\
         # For calls of the server API.\n\
         [[apps.api_keys]]\n\
         secret = \"{api_secret}\"\n"
    ))
}
