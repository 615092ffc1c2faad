//! A small file system of one test, which the test can fill.

use super::folder::Folder;
use super::{LabError, process};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The name of the file that fills it.
const FILLER: &str = "filler";

/// A file system in memory of a given size (tmpfs), unmounted with its value. Needs root.
#[derive(Debug)]
pub struct Volume {
    folder: Folder,
    watchdog: Child,
}

impl Volume {
    /// A new empty volume of `size` mebibytes.
    ///
    /// # Errors
    /// [`LabError::Command`] without the right to mount.
    pub async fn of_mebibytes(size: u32) -> Result<Self, LabError> {
        let folder = Folder::new("volume")?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m,mode=755"), "prefixd-lab"]);
        mount.arg(folder.path());
        process::run(mount).await?;
        let unmount_later = "umount --lazy \"$0\" && rmdir \"$0\"";
        match process::at_exit(unmount_later, &[folder.path().as_os_str()]) {
            Ok(watchdog) => Ok(Self { folder, watchdog }),
            Err(error) => {
                unmount(folder.path());
                Err(error)
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills all free space.
    ///
    /// # Errors
    /// [`LabError::File`] for anything but the lack of space.
    pub fn fill(&self) -> Result<(), LabError> {
        let path = self.filler();
        let failed = |source| LabError::file("fill the disk with", &path)(source);
        let mut filler = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        // what does not fit in large blocks may fit in smaller ones
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![0; size];
            loop {
                match filler.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        Ok(())
    }

    /// Frees the space again.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn free(&self) -> Result<(), LabError> {
        let path = self.filler();
        std::fs::remove_file(&path).map_err(LabError::file("remove", path))
    }

    fn filler(&self) -> PathBuf {
        self.folder.join(FILLER)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        unmount(self.folder.path());
    }
}

/// Unmounts lazily: processes with open files there are being killed, and the memory is freed with the last of them.
fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(path).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_volume_takes_nothing_more_until_it_is_freed() {
        let volume = Volume::of_mebibytes(1).await.unwrap();
        let file = volume.path().join("file");
        std::fs::write(&file, "fits").unwrap();
        volume.fill().unwrap();
        let refused = std::fs::write(volume.path().join("another"), "does not").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
        volume.free().unwrap();
        std::fs::write(volume.path().join("another"), "fits again").unwrap();
        let path = volume.path().to_path_buf();
        drop(volume);
        assert!(!path.exists());
    }
}
