//! The state folder (`state_dir`): the files through which daemon, guard and operator know of each other.
//!
//! | file | written by | holds |
//! |---|---|---|
//! | `instance` | the daemon that holds its lock | who it is, over restarts |
//! | `daemon.alive` | the daemon, once a second | [`Heartbeat`](crate::Heartbeat) |
//! | `guard.alive` | the guard, once a second | [`GuardAlive`] |
//! | `guard.lock` | the guard that holds its lock | its process id |
//! | `guard.log` | the guard | [`log::Entry`] per line: what it withdrew |
//! | `guard.log.position` | the daemon | how far it has read that |
//! | `panic.json` | `prefixdctl panic --direct` | [`PanicMarker`] |
//! | `panic.ack` | the daemon | [`PanicAck`]: it is frozen |
//!
//! A file is replaced as a whole, so nobody ever reads a part of one. Folder and files are only believed if nobody else
//! can have written them ([`Untrusted`]).

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use prefix_core::id::PanicId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::GuardState;

mod access;
pub mod log;

pub use access::Untrusted;

/// The largest file that is read, in octets.
const LARGEST: u64 = 1 << 20;

/// Numbers the files that this process writes.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// The guard's heartbeat, written once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardAlive {
    /// The guard's process id.
    pub pid: u32,
    /// The guard's version.
    pub version: String,
    /// The fingerprint of its configuration: the daemon replaces a guard of another one.
    pub configuration: String,
    /// The guard's time of day.
    pub time: DateTime<Utc>,
    /// Grows by one with each heartbeat.
    pub counter: u64,
    /// What the guard knows.
    #[serde(flatten)]
    pub state: GuardState,
}

/// The marker of `prefixdctl panic --direct` for a daemon on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicMarker {
    /// The identifier of the panic.
    pub panic_id: PanicId,
    /// The reason that the operator gave.
    pub reason: String,
    /// When the panic began.
    pub started_at: DateTime<Utc>,
    /// Who began it.
    pub started_by: String,
}

/// The daemon's acknowledgement of a marker: it announces nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicAck {
    /// The panic of the marker.
    pub panic_id: PanicId,
    /// When the daemon stopped announcing.
    pub frozen_at: DateTime<Utc>,
}

/// The state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The file of the daemon's identity; its lock is held by the daemon.
    pub const INSTANCE: &str = "instance";
    /// The file of the daemon's heartbeat.
    pub const DAEMON_ALIVE: &str = "daemon.alive";
    /// The file of the guard's heartbeat.
    pub const GUARD_ALIVE: &str = "guard.alive";
    /// The file whose lock the guard holds.
    pub const GUARD_LOCK: &str = "guard.lock";
    /// The log of the guard's withdrawals.
    pub const GUARD_LOG: &str = "guard.log";
    /// How far the daemon has read that log.
    pub const GUARD_LOG_POSITION: &str = "guard.log.position";
    /// The file of the marker of a direct panic.
    pub const PANIC: &str = "panic.json";
    /// The file of its acknowledgement.
    pub const PANIC_ACK: &str = "panic.ack";

    /// The state folder at this path, whether or not it exists.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Creates the folder with mode 0700 if it is missing. An existing folder keeps its mode, but others must not be
    /// able to write there.
    ///
    /// # Errors
    /// It cannot be created, or is [`Untrusted`].
    pub fn create(&self) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        access::check_folder(&self.0).map(|_| ())
    }

    /// The path of the folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Replaces a file as a whole, with mode 0644. After a power cut it may be gone, which is right for a heartbeat.
    ///
    /// # Errors
    /// It cannot be written; the old file is unchanged.
    pub fn write<T: Serialize>(&self, name: &str, content: &T) -> io::Result<()> {
        self.replace(name, content, false)
    }

    /// As [`Self::write`], for what has to survive a power cut.
    ///
    /// # Errors
    /// It cannot be written, or may be lost in a power cut.
    pub fn write_durably<T: Serialize>(&self, name: &str, content: &T) -> io::Result<()> {
        self.replace(name, content, true)
    }

    fn replace<T: Serialize>(&self, name: &str, content: &T, durably: bool) -> io::Result<()> {
        access::check_folder(&self.0)?;
        // several programs, and several threads of one, may write at once
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let temporary = self.path(&format!(".{name}.{}.{number}", std::process::id()));
        // left by a process of the same number that died
        let _ = std::fs::remove_file(&temporary);
        let written = (|| {
            let mut file =
                access::open(&temporary, OpenOptions::new().write(true).create_new(true).mode(0o600))?;
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.write_all(&serde_json::to_vec(content)?)?;
            file.write_all(b"\n")?;
            if durably {
                file.sync_all()?;
            }
            std::fs::rename(&temporary, self.path(name))?;
            if durably { File::open(&self.0)?.sync_all() } else { Ok(()) }
        })();
        if written.is_err() {
            // a leftover is of no use and does no harm
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    /// Reads a file; `None` if it does not exist.
    ///
    /// # Errors
    /// It cannot be read, is [`Untrusted`], larger than 1 MiB, or not JSON of a `T`.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let Some(bytes) = found(self.bytes(name))? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let owner = access::check_folder(&self.0)?;
        let path = self.path(name);
        let file = access::open(&path, OpenOptions::new().read(true))?;
        access::check_file(&path, &file, owner)?;
        let mut bytes = Vec::new();
        if file.take(LARGEST + 1).read_to_end(&mut bytes)? as u64 > LARGEST {
            return Err(io::Error::new(ErrorKind::FileTooLarge, format!("{name} is larger than 1 MiB")));
        }
        Ok(bytes)
    }

    /// Opens a file, in a folder that is believed.
    fn open(&self, name: &str, how: &mut OpenOptions) -> io::Result<File> {
        access::check_folder(&self.0)?;
        access::open(&self.path(name), how)
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// It exists and cannot be removed, or the folder is [`Untrusted`].
    pub fn remove(&self, name: &str) -> io::Result<()> {
        if found(access::check_folder(&self.0))?.is_none() {
            return Ok(());
        }
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Opens a file and locks it (`flock(2)`); `None` if another process holds the lock. The lock is released when the
    /// file is closed, and so when the process ends in any way.
    ///
    /// # Errors
    /// It cannot be opened or locked at all, or is [`Untrusted`].
    pub fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let mut how = OpenOptions::new();
        let file = self.open(name, how.read(true).write(true).create(true).truncate(false).mode(0o644))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The process that holds the lock of a file and wrote its process id there; `None` if there is none, or if the two
    /// are not known to be the same.
    ///
    /// # Errors
    /// The file or `/proc/locks` cannot be read.
    pub fn lock_holder(&self, name: &str) -> io::Result<Option<u32>> {
        let opened = self.open(name, OpenOptions::new().read(true));
        let Some(mut file) = found(opened)? else { return Ok(None) };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let Ok(pid) = text.trim().parse() else { return Ok(None) };
        let locks = std::fs::read_to_string("/proc/locks")?;
        Ok(holds_lock(&locks, pid, file.metadata()?.ino()).then_some(pid))
    }
}

/// `None` for what does not exist.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether `/proc/locks` (`proc_locks(5)`) says that the process holds a `flock` on the inode.
fn holds_lock(locks: &str, pid: u32, inode: u64) -> bool {
    let (pid, inode) = (pid.to_string(), inode.to_string());
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", holder, place, ..] = words[..] else { return false };
        holder == pid && place.rsplit(':').next() == Some(&inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("a/b"));
        state.create().unwrap();
        (folder, state)
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_nothing_else_stays_behind() {
        let (_folder, state) = state();
        let marker = PanicMarker {
            panic_id: PanicId::generate(),
            reason: "a wrong rule".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            started_by: "ada".to_owned(),
        };
        assert_eq!(state.read::<PanicMarker>(StateDir::PANIC).unwrap(), None);
        state.write_durably(StateDir::PANIC, &marker).unwrap();
        assert_eq!(state.read(StateDir::PANIC).unwrap(), Some(marker));
        assert_eq!(std::fs::read_dir(state.folder()).unwrap().count(), 1);
        state.remove(StateDir::PANIC).unwrap();
        state.remove(StateDir::PANIC).unwrap();
        assert_eq!(state.read::<PanicMarker>(StateDir::PANIC).unwrap(), None);
    }

    #[test]
    fn a_new_folder_is_for_its_owner_alone() {
        let (_folder, state) = state();
        assert_eq!(std::fs::metadata(state.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn one_at_a_time_holds_the_lock_and_is_known() {
        let (_folder, state) = state();
        assert_eq!(state.lock_holder(StateDir::GUARD_LOCK).unwrap(), None);
        let mut held = state.lock(StateDir::GUARD_LOCK).unwrap().unwrap();
        write!(held, "{}", std::process::id()).unwrap();
        assert!(state.lock(StateDir::GUARD_LOCK).unwrap().is_none());
        assert_eq!(state.lock_holder(StateDir::GUARD_LOCK).unwrap(), Some(std::process::id()));
        drop(held);
        assert_eq!(state.lock_holder(StateDir::GUARD_LOCK).unwrap(), None);
        assert!(state.lock(StateDir::GUARD_LOCK).unwrap().is_some());
    }

    #[test]
    fn only_the_lock_of_this_process_on_this_file_counts() {
        let locks = "1: POSIX  ADVISORY  WRITE 77 08:01:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 77 08:01:41 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 78 08:01:41 0 EOF\n";
        assert!(holds_lock(locks, 77, 41));
        assert!(!holds_lock(locks, 77, 42) && !holds_lock(locks, 78, 41) && !holds_lock(locks, 7, 41));
    }
}
