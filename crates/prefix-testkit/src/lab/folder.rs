//! The folder of one part: configuration, sockets, log.

use super::LabError;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether the folders are kept after the test.
pub(super) fn is_kept() -> bool {
    std::env::var_os("PREFIXD_LAB_KEEP").is_some()
}

/// A folder that is removed when its value is dropped, unless `PREFIXD_LAB_KEEP` is set.
#[derive(Debug)]
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// A new folder; `part` is in its name.
    pub(super) fn new(part: &str) -> Result<Self, LabError> {
        let parent = std::env::temp_dir();
        let mut folder = tempfile::Builder::new()
            .prefix(&format!("prefixd-{part}-"))
            .tempdir_in(&parent)
            .map_err(LabError::file("create a folder in", parent))?;
        folder.disable_cleanup(is_kept());
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the file `name` and returns its path.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, LabError> {
        write(self.join(name), text)
    }
}

/// Writes the file at `path` and returns the path.
pub(super) fn write(path: PathBuf, text: &str) -> Result<PathBuf, LabError> {
    fs::write(&path, text).map_err(LabError::file("write", &path))?;
    Ok(path)
}
