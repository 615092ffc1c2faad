//! A file is replaced as a whole: whoever reads it meanwhile, and whatever breaks, it is the old one or the new one.
//!
//! The new text goes to a file beside it and onto the disk, the old one to `.bak`, then the name is moved over. One
//! writer at a time, by a lock on the folder.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The permissions of a file that has no model.
const MODE: u32 = 0o640;

/// Why a file is what it was.
#[derive(Debug, Error)]
pub enum ReplaceError {
    /// A link is not replaced: its target belongs to somebody else.
    #[error("{} is a symbolic link, and only a file of its own is replaced: edit what it points to, then reload", .0.display())]
    Symlink(PathBuf),
    /// A folder, a pipe, ...
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// A folder has the name of the backup, or of the new text before it is moved.
    #[error("{} is a folder, and a file of this name has to be written: move it away", .0.display())]
    InTheWay(PathBuf),
    /// Two at once.
    #[error("another process is writing in {}, try again", .0.display())]
    Busy(PathBuf),
    /// The disk or its permissions.
    #[error("{} cannot be {what}: {cause}", .path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl ReplaceError {
    /// Whether the way the files are kept forbids it, so that trying again does not help.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::Symlink(_) | Self::NotAFile(_) | Self::InTheWay(_) => true,
            Self::Busy(_) => false,
            Self::Disk { cause, .. } => {
                matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
            }
        }
    }
}

/// What has been reached: between two of these the process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The new text is on the disk under another name.
    Staged,
    /// The old text is on the disk as the backup.
    BackedUp,
    /// The name means the new text.
    Moved,
}

/// A file that was replaced, and what it was before.
#[derive(Debug)]
pub struct Replaced {
    folder: PathBuf,
    name: String,
    before: Option<Kept>,
    backup_before: Option<Kept>,
}

/// A file in memory.
#[derive(Debug, Clone)]
struct Kept {
    bytes: Vec<u8>,
    like: Like,
}

/// Whose a file is, and who may do what with it.
#[derive(Debug, Clone, Copy)]
struct Like {
    mode: u32,
    owner: Option<(u32, u32)>,
}

/// Replaces a file of the folder, or makes it, then with the permissions of `model`.
pub fn replace(folder: &Path, name: &str, model: &str, text: &str) -> Result<Replaced, ReplaceError> {
    replace_by_steps(folder, name, model, text, &mut |_| Ok(()))
}

impl Replaced {
    /// Puts everything back as it was, the backup too.
    pub fn undo(self) -> Result<(), ReplaceError> {
        let _lock = lock(&self.folder)?;
        restore(&self.folder, &self.name, self.before.as_ref())?;
        restore(&self.folder, &backup(&self.name), self.backup_before.as_ref())?;
        sync(&self.folder)
    }
}

fn backup(name: &str) -> String {
    format!("{name}.bak")
}

/// What the new text of a file is called until it is moved.
fn staged(name: &str) -> String {
    format!(".{name}.new")
}

fn replace_by_steps(
    folder: &Path,
    name: &str,
    model: &str,
    text: &str,
    reached: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<Replaced, ReplaceError> {
    let _lock = lock(folder)?;
    let path = folder.join(name);
    let before = keep(&path)?;
    // a link or a pipe is replaced itself, whatever it leads to, but a folder cannot be
    for name in [backup(name), staged(name), staged(&backup(name))] {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(ReplaceError::InTheWay(path));
        }
    }
    let backup_before = keep(&folder.join(backup(name))).ok().flatten();
    let like = before.as_ref().map_or_else(|| Like::of(&folder.join(model)), |kept| kept.like);
    let replaced = Replaced { folder: folder.to_owned(), name: name.to_owned(), before, backup_before };
    let mut reach = |step| reached(step).map_err(|cause| disk("written", &path)(cause));
    let new = stage(folder, name, text.as_bytes(), like)?;
    let carried_out = (|| {
        reach(Step::Staged)?;
        if let Some(before) = &replaced.before {
            put(folder, &backup(name), &before.bytes, before.like)?;
            sync(folder)?;
        }
        reach(Step::BackedUp)?;
        std::fs::rename(&new, &path).map_err(disk("replaced", &path))?;
        reach(Step::Moved)?;
        sync(folder)
    })();
    let Err(error) = carried_out else { return Ok(replaced) };
    let _ = std::fs::remove_file(&new);
    let undone = restore(folder, name, replaced.before.as_ref())
        .and_then(|()| restore(folder, &backup(name), replaced.backup_before.as_ref()));
    // the first mistake is what is to be mended
    let _ = undone.and_then(|()| sync(folder));
    Err(error)
}

fn disk(what: &'static str, path: &Path) -> impl Fn(io::Error) -> ReplaceError {
    move |cause| ReplaceError::Disk { what, path: path.to_owned(), cause }
}

/// Held until it is dropped. Where the disk knows no locks, there is none.
fn lock(folder: &Path) -> Result<File, ReplaceError> {
    let handle = File::open(folder).map_err(disk("opened", folder))?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ReplaceError::Busy(folder.to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(handle),
    }
}

fn sync(folder: &Path) -> Result<(), ReplaceError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk("written", folder))
}

/// What a name means now; none if it means nothing.
fn keep(path: &Path) -> Result<Option<Kept>, ReplaceError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(disk("read", path)(error)),
    };
    if metadata.is_symlink() {
        return Err(ReplaceError::Symlink(path.to_owned()));
    }
    if !metadata.is_file() {
        return Err(ReplaceError::NotAFile(path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(disk("read", path))?;
    Ok(Some(Kept {
        bytes,
        like: Like { mode: metadata.mode() & 0o7777, owner: Some((metadata.uid(), metadata.gid())) },
    }))
}

impl Like {
    fn of(model: &Path) -> Self {
        let Ok(metadata) = model.metadata() else { return Self { mode: MODE, owner: None } };
        Self { mode: metadata.mode() & 0o777, owner: Some((metadata.uid(), metadata.gid())) }
    }
}

/// Writes a file beside the one that it is to become.
fn stage(folder: &Path, name: &str, bytes: &[u8], like: Like) -> Result<PathBuf, ReplaceError> {
    let path = folder.join(staged(name));
    // left by a process that died; the lock says that nobody is at it
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk("written", &path)(error)),
        _ => {}
    }
    let write = || {
        // for nobody else until it has its permissions
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(bytes)?;
        if let Some((user, group)) = like.owner {
            // who may not give files away keeps them
            let _ = fchown(&file, Some(user), Some(group)).or_else(|_| fchown(&file, None, Some(group)));
        }
        file.set_permissions(Permissions::from_mode(like.mode))?;
        file.sync_all()
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&path);
        disk("written", &path)(error)
    })?;
    Ok(path)
}

fn put(folder: &Path, name: &str, bytes: &[u8], like: Like) -> Result<(), ReplaceError> {
    let staged = stage(folder, name, bytes, like)?;
    let path = folder.join(name);
    std::fs::rename(&staged, &path).map_err(|error| {
        let _ = std::fs::remove_file(&staged);
        disk("replaced", &path)(error)
    })
}

/// The name means again what it meant.
fn restore(folder: &Path, name: &str, before: Option<&Kept>) -> Result<(), ReplaceError> {
    let path = folder.join(name);
    match before {
        Some(kept) => {
            let stands = std::fs::read(&path).is_ok_and(|bytes| bytes == kept.bytes);
            if stands { Ok(()) } else { put(folder, name, &kept.bytes, kept.like) }
        }
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(disk("removed", &path)(error)),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests;
