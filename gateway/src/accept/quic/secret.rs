//! The secret behind stateless resets: kept in the data folder, so that a restarted gateway can still prove to clients that it
//! was theirs.
//!
//! Whoever knows it can end anybody's QUIC connection, and nothing else: it opens no message.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// Its name in the data folder.
const FILE: &str = "quic-reset.key";

/// As many as the hash has.
const SECRET_BYTES: usize = 32;

/// Read and written by the owner.
const OWNER_ONLY: u32 = 0o600;

/// What anybody else may do with it.
const OTHERS: u32 = 0o077;

/// The secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ResetSecretError {
    /// The file or its folder cannot be made.
    #[error("the key of QUIC's stateless resets cannot be kept in {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The file is there and cannot be read.
    #[error("{} holds the key of QUIC's stateless resets and cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The file has been damaged.
    #[error(
        "{} should hold the {SECRET_BYTES} bytes of the key of QUIC's stateless resets and holds {bytes}: remove it and the next \
         start makes a new one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How many it holds.
        bytes: usize,
    },
}

/// See the module.
pub(crate) struct ResetSecret([u8; SECRET_BYTES]);

impl ResetSecret {
    /// Reads the secret of this data folder. At the first start it is made, with the folder.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub(crate) fn of_folder(data: &Path) -> Result<Self, ResetSecretError> {
        let path = data.join(FILE);
        match read(&path)? {
            Some(secret) => Ok(secret),
            None => {
                make(&path).map_err(|cause| ResetSecretError::Write {
                    path: path.clone(),
                    cause,
                })?;
                read(&path)?.ok_or_else(|| ResetSecretError::Read {
                    path,
                    cause: io::ErrorKind::NotFound.into(),
                })
            }
        }
    }

    /// The key that makes the tokens of stateless resets.
    pub(super) fn reset_key(&self) -> Arc<hmac::Key> {
        self.key_for(b"stateless reset")
    }

    /// The key that marks connection ids as ours.
    pub(super) fn id_key(&self) -> Arc<hmac::Key> {
        self.key_for(b"connection id")
    }

    /// One key for each use: what one gives away in the open says nothing about the other.
    fn key_for(&self, use_: &[u8]) -> Arc<hmac::Key> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let derived = hmac::sign(&secret, use_);
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }
}

impl fmt::Debug for ResetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetSecret")
    }
}

fn read(path: &Path) -> Result<Option<ResetSecret>, ResetSecretError> {
    match read_file(path) {
        Ok(bytes) => match <[u8; SECRET_BYTES]>::try_from(bytes.as_slice()) {
            Ok(secret) => Ok(Some(ResetSecret(secret))),
            Err(_) => Err(ResetSecretError::Damaged {
                path: path.to_owned(),
                bytes: bytes.len(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(ResetSecretError::Read {
            path: path.to_owned(),
            cause,
        }),
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // A copy may have lost the permissions. Not starting for it would cost more than it is worth.
    if is_open_to_others(&file)? {
        tracing::warn!(
            path = %path.display(),
            "others may read the key of QUIC's stateless resets, and end anybody's QUIC connection with it: chmod 600, or remove it \
             and start again"
        );
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.permissions().mode() & OTHERS != 0)
}

/// Puts a new secret there, whole or not at all.
fn make(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| io::Error::other("the system has no random bytes"))?;
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let made = write_new(&unfinished, &secret).and_then(|()| fs::rename(&unfinished, path));
    made.inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })?;
    // The name is in the folder only once that is written, too. Clients of this run have to be known again after a power failure.
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, secret: &[u8]) -> io::Result<()> {
    // A process of the same id may have left one behind; opening it would keep its permissions.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
