//! A folder that lasts as long as a run.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use crate::bench_error::{BenchError, Doing};

/// Removed with all that is in it when dropped.
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    pub(crate) fn create() -> Result<Self, BenchError> {
        let path = env::temp_dir().join(format!("sluice-bench-{}", process::id()));
        fs::create_dir_all(&path).doing(format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}
