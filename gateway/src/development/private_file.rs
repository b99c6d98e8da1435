//! Files for the owner's eyes only.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::DevelopmentError;

/// Read and written by the owner.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// Read by everybody.
pub(super) const WORLD_READABLE: u32 = 0o644;

/// Writes a whole file with the permissions `mode`: a reader, or a start after a crash, sees the old content or the
/// new one, never a part.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), DevelopmentError> {
    // Two gateways that start at once must not write into the same unfinished file.
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let result = write_new(&unfinished, text, mode).and_then(|()| fs::rename(&unfinished, path));
    result.map_err(|source| {
        let _ = fs::remove_file(&unfinished);
        DevelopmentError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    // A process of the same id may have left one behind; opening it would keep its permissions.
    let _ = fs::remove_file(path);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
