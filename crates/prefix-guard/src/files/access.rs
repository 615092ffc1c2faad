//! Whom the state folder may believe. What stands in it freezes a daemon and tells a guard that a daemon lives, so nobody
//! but this user, the owner of the folder and root may be able to write there, and no name in it may lead elsewhere.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use thiserror::Error;

/// The bits of a mode by which others than the owner may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The superuser, who can write everywhere.
const ROOT: u32 = 0;

/// Why a folder or a file is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Untrusted {
    /// Group or others may write there.
    #[error(
        "others than its owner may write to {} (mode {mode:04o}): run `chmod go-w {}`, or name a folder below it, which is then made with mode 0700",
        .path.display(), .path.display()
    )]
    Writable {
        /// The folder or file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to a user who is neither this one, nor root, nor the owner of the folder.
    #[error("{} belongs to the user with id {owner}, who is neither root nor the user of prefixd: run `chown`", .path.display())]
    Owner {
        /// The folder or file.
        path: PathBuf,
        /// The id of its owner.
        owner: u32,
    },
    /// A symbolic link, a pipe, a folder, a device.
    #[error("{} is no regular file: remove it", .0.display())]
    NotAFile(PathBuf),
    /// Not a folder.
    #[error("{} is no folder", .0.display())]
    NotAFolder(PathBuf),
}

impl From<Untrusted> for io::Error {
    fn from(error: Untrusted) -> Self {
        Self::new(ErrorKind::PermissionDenied, error)
    }
}

impl Untrusted {
    /// Whether an error of the state folder says that something is not believed.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).is_some()
    }
}

/// Checks the folder; its owner. A link to a folder is followed: whoever can set it owns the folder above.
pub(super) fn check_folder(path: &Path) -> io::Result<u32> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(Untrusted::NotAFolder(path.to_owned()).into());
    }
    // whatever root finds, it may use: an operator's panic must not fail because the daemon is another user
    let trusted = [ROOT, geteuid().as_raw(), if geteuid().is_root() { metadata.uid() } else { ROOT }];
    check(path, &metadata, &trusted)?;
    Ok(metadata.uid())
}

/// Checks a file that is open, in a folder of this owner.
pub(super) fn check_file(path: &Path, file: &File, folder_owner: u32) -> io::Result<()> {
    Ok(check(path, &file.metadata()?, &[ROOT, geteuid().as_raw(), folder_owner])?)
}

fn check(path: &Path, metadata: &Metadata, trusted: &[u32]) -> Result<(), Untrusted> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if !trusted.contains(&owner) {
        return Err(Untrusted::Owner { path: path.to_owned(), owner });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(Untrusted::Writable { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Opens a regular file, and nothing that its name leads to. A pipe in its place neither waits nor is opened.
pub(super) fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = how.custom_flags(flags.bits()).open(path).map_err(|error| {
        let stands = path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file());
        if stands { Untrusted::NotAFile(path.to_owned()).into() } else { error }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(Untrusted::NotAFile(path.to_owned()).into()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::Mode;

    use super::super::{PanicMarker, StateDir};
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("state"));
        state.create().unwrap();
        (folder, state)
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refused<T: std::fmt::Debug>(result: io::Result<T>) -> String {
        let error = result.unwrap_err();
        assert!(Untrusted::is(&error), "{error}");
        error.to_string()
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_believed() {
        let (_folder, state) = state();
        for mode in [0o720, 0o702, 0o777, 0o1777] {
            chmod(state.folder(), mode);
            let said = refused(state.create());
            assert!(said.contains(&format!("mode {mode:04o}")) && said.contains("chmod go-w"), "{said}");
            refused(state.read::<PanicMarker>(StateDir::PANIC));
            refused(state.write(StateDir::PANIC_ACK, &1));
            refused(state.lock(StateDir::INSTANCE));
            refused(state.remove(StateDir::PANIC));
        }
        chmod(state.folder(), 0o755);
        state.create().unwrap();
        assert_eq!(std::fs::read_dir(state.folder()).unwrap().count(), 0, "nothing was written meanwhile");
    }

    #[test]
    fn a_marker_that_others_can_write_or_own_is_not_believed() {
        let (_folder, state) = state();
        state.write(StateDir::PANIC, &1).unwrap();
        let marker = state.path(StateDir::PANIC);
        chmod(&marker, 0o666);
        assert!(refused(state.read::<u32>(StateDir::PANIC)).contains("mode 0666"));
        chmod(&marker, 0o644);
        assert_eq!(state.read::<u32>(StateDir::PANIC).unwrap(), Some(1));
        if geteuid().is_root() {
            std::os::unix::fs::chown(&marker, Some(12345), None).unwrap();
            assert!(refused(state.read::<u32>(StateDir::PANIC)).contains("user with id 12345"));
        }
    }

    #[test]
    fn a_pipe_a_link_and_a_folder_are_refused_at_once() {
        let (folder, state) = state();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "1\n").unwrap();
        let marker = state.path(StateDir::PANIC);
        let make: [(&str, &dyn Fn()); 3] = [
            ("a pipe", &|| nix::unistd::mkfifo(&marker, Mode::from_bits_truncate(0o600)).unwrap()),
            ("a link", &|| symlink(&elsewhere, &marker).unwrap()),
            ("a folder", &|| std::fs::create_dir(&marker).unwrap()),
        ];
        for (what, make) in make {
            make();
            for said in [refused(state.read::<u32>(StateDir::PANIC)), refused(state.lock(StateDir::PANIC))] {
                assert!(said.contains("is no regular file"), "{what}: {said}");
            }
            if what == "a folder" {
                std::fs::remove_dir(&marker).unwrap();
            } else {
                // a file that is replaced takes the place of the name, not of what it leads to
                state.write(StateDir::PANIC, &2).unwrap();
                assert_eq!(state.read::<u32>(StateDir::PANIC).unwrap(), Some(2), "{what}");
                state.remove(StateDir::PANIC).unwrap();
            }
        }
        assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), "1\n");
    }
}
