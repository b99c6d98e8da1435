//! A file of lines that never becomes larger than it may: it is put beside, and begins anew. What goes wrong costs the lines for which it
//! does, and none after them.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Read and written by the owner: it says who is gagged.
const OWNER_ONLY: u32 = 0o600;

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    bytes: u64,
    bytes_max: u64,
    /// Whether a line may have been cut off, by a crash or a full disk.
    torn: bool,
}

impl File {
    /// Opens the file at `path` to write on.
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut file = Self {
            path: path.to_owned(),
            file: open(path)?,
            bytes: 0,
            bytes_max,
            torn: true,
        };
        file.mend()?;
        Ok(file)
    }

    /// Writes one line.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        if self.torn {
            self.mend()?;
        }
        let more = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + more > self.bytes_max {
            self.begin_anew()?;
        }
        self.append(format!("{line}\n").as_bytes())
    }

    /// Ends a line that was cut off, so that what follows is no part of it, and sees how long the file is.
    fn mend(&mut self) -> io::Result<()> {
        self.bytes = self.file.metadata()?.len();
        if let Some(last) = self.bytes.checked_sub(1) {
            let mut byte = [0];
            self.file.read_exact_at(&mut byte, last)?;
            if byte != *b"\n" {
                self.append(b"\n")?;
            }
        }
        self.torn = false;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.torn = true;
        self.file.write_all(bytes)?;
        self.torn = false;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        match fs::rename(&self.path, beside(&self.path)) {
            // It was put beside before, and then there was no place for a new one; or somebody else did it.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

/// Where the last one is kept.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn open(path: &Path) -> io::Result<fs::File> {
    // Read to see how it ends.
    let mut how = OpenOptions::new();
    how.create(true).read(true).append(true).mode(OWNER_ONLY).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of up to 16 bytes in a folder of this test.
    fn file(name: &str) -> (PathBuf, File) {
        let folder = std::env::temp_dir().join(format!("sluice-audit-file-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let path = folder.join("log");
        let file = File::open(&path, 16).expect("a file");
        (path, file)
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).expect("the file")
    }

    #[test]
    fn a_line_that_a_full_disk_cut_off_does_not_spoil_the_next() {
        let (path, mut file) = file("full");
        file.write("one").expect("a disk");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a full device");
        let good = std::mem::replace(&mut file.file, full);
        assert!(file.write("two").is_err());
        file.file = good;
        // What there was room for.
        file.file.write_all(b"tw").expect("a disk");
        file.write("three").expect("a disk");
        assert_eq!(text(&path), "one\ntw\nthree\n");
        // All of it counts: there is no room for one more.
        file.write("four").expect("a disk");
        assert_eq!(
            (text(&beside(&path)), text(&path)),
            ("one\ntw\nthree\n".into(), "four\n".into())
        );
        fs::remove_dir_all(path.parent().expect("a folder")).expect("a disk");
    }

    #[test]
    fn a_file_that_was_put_beside_without_a_new_one_begins_anew_when_there_is_a_place_for_it() {
        let (path, mut file) = file("no-place");
        file.write("0123456789").expect("a disk");
        fs::rename(&path, beside(&path)).expect("a disk");
        // Nothing can be opened there.
        fs::create_dir(&path).expect("a disk");
        assert!(file.write("lost, too long").is_err());
        fs::remove_dir(&path).expect("a disk");
        file.write("abcdefghij").expect("a disk");
        assert_eq!(text(&path), "abcdefghij\n");
        fs::remove_dir_all(path.parent().expect("a folder")).expect("a disk");
    }
}
