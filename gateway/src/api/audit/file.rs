//! A file of lines that never becomes larger than it may: it is put beside, and begins anew.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Read and written by the owner: it says who is gagged.
const OWNER_ONLY: u32 = 0o600;

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    bytes: u64,
    bytes_max: u64,
}

impl File {
    /// Opens the file at `path` to write on.
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut file = open(path)?;
        let mut bytes = file.metadata()?.len();
        if !ends_a_line(path, bytes)? {
            // A crash cut the last line off: what follows must not be a part of it.
            file.write_all(b"\n")?;
            bytes += 1;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            bytes_max,
        })
    }

    /// Writes one line.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let more = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + more > self.bytes_max {
            self.begin_anew()?;
        }
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.bytes += more;
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        fs::rename(&self.path, beside(&self.path))?;
        self.file = open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

/// Where the last one is kept.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).mode(OWNER_ONLY).open(path)
}

fn ends_a_line(path: &Path, bytes: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let Some(last) = bytes.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    fs::File::open(path)?.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}
