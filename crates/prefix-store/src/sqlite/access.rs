//! Who may read the files of the database: it holds who is attacked and by whom it was reported, so only its owner.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// The permissions of the database, its write-ahead log, that log's index, and the lock file.
pub(super) const MODE: u32 = 0o600;

/// Makes the database file if it is missing, and takes everybody else's rights to it and to its log away. SQLite gives
/// files that it makes beside it the same permissions.
pub(super) fn restrict(database: &Path) -> Result<(), OpenError> {
    // that it is there already is usual, and any other reason SQLite says better
    let _ = OpenOptions::new().write(true).create_new(true).mode(MODE).open(database);
    for end in ["", "-wal", "-shm", ".lock"] {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        let path = PathBuf::from(name);
        only_owner(&path).map_err(|source| OpenError::Permissions { path, source })?;
    }
    Ok(())
}

fn only_owner(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let mode = metadata.mode() & 0o777;
    // what is no file is refused by SQLite itself
    if mode & !MODE == 0 || !metadata.is_file() {
        return Ok(());
    }
    let told = format!("{mode:04o}");
    match std::fs::set_permissions(path, Permissions::from_mode(MODE & mode)) {
        Ok(()) => {
            tracing::warn!(
                file = %path.display(), mode = told,
                "others than its owner could read or write this file of the database: its mode is 0600 now"
            );
            Ok(())
        }
        // who may use a file that belongs to somebody else, or that cannot be changed, goes on using it
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            tracing::warn!(
                file = %path.display(), mode = told, %error,
                "others than its owner can read or write this file of the database, and that cannot be changed: run `chmod 0600`"
            );
            Ok(())
        }
        Err(error) => Err(error),
    }
}
