//! The daemon's side of the state folder: who it is, that it lives, and what was left there for it.
//!
//! A folder that cannot be used is no reason not to start: rules are then announced without a guard, health says so,
//! and at the end they are withdrawn. One in which others can write is a reason: they could freeze this daemon, or make
//! its guard believe that it lives. And so is one that another daemon uses, if both would announce.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prefix_core::clock::Anchor;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_engine::Engine;
use prefix_guard::files::{PanicMarker, StateDir, Untrusted};
use prefix_guard::{BootAnchor, Heartbeat};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::StartError;
use crate::{compose, machine};

/// The time between two heartbeats of the daemon.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Who this daemon is. Its lock ends with it.
#[derive(Debug)]
pub struct Identity {
    /// The same after each restart on this machine, unless another daemon has taken it.
    pub instance: InstanceId,
    _lock: Option<File>,
}

impl Identity {
    /// Takes the identity of the folder. A second daemon in the same folder has one of its own until it ends, unless it is
    /// `enforcing`: both would announce through one speaker and withdraw each other's rules, with a guard that watches
    /// only one of them.
    pub fn take(state: &StateDir, enforcing: bool) -> Result<Self, StartError> {
        let folder = || state.folder().to_owned();
        let taken = state.create().and_then(|()| state.lock(StateDir::INSTANCE)).and_then(|lock| {
            lock.map(|mut file| Ok((read_or_write(&mut file, &machine::identity())?, file))).transpose()
        });
        match taken {
            Ok(Some((instance, lock))) => Ok(Self { instance, _lock: Some(lock) }),
            Ok(None) if enforcing => Err(StartError::StateDirInUse { folder: folder() }),
            Err(error) if Untrusted::is(&error) => Err(StartError::StateDir { error }),
            Ok(None) => {
                let folder = state.folder().display().to_string();
                tracing::warn!(folder, "another daemon uses this state_dir: each should have its own");
                Ok(Self { instance: InstanceId::generate(), _lock: None })
            }
            Err(error) => {
                let folder = state.folder().display().to_string();
                tracing::error!(folder, %error, "state_dir cannot be used: no guard can be seen, and a direct panic cannot reach this daemon");
                Ok(Self { instance: InstanceId::generate(), _lock: None })
            }
        }
    }
}

/// The identity in the file, if it was written on this machine. A folder that was copied to another one brings its
/// identity along, and two daemons that storage takes for one would depose each other for ever.
fn read_or_write(file: &mut File, machine: &str) -> io::Result<InstanceId> {
    let mut text = String::new();
    // What is no text is no identity either.
    if file.read_to_string(&mut text).is_ok() {
        let mut lines = text.lines();
        if let (Some(Ok(instance)), Some(known)) = (lines.next().map(str::parse), lines.next()) {
            if known == machine {
                return Ok(instance);
            }
            tracing::warn!(
                "state_dir was copied from another machine: this daemon takes an identity of its own"
            );
        }
    }
    let instance = InstanceId::generate();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{instance}\n{machine}")?;
    file.sync_data()?;
    Ok(instance)
}

/// The time of storage for the heartbeat: of the engine, once it runs, and until then of the daemon before.
#[derive(Clone, Default)]
struct StorageTime {
    known: Arc<Mutex<Known>>,
    /// That there is something to write before the next second.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Known {
    engine: Option<Engine>,
    last: Option<BootAnchor>,
}

impl StorageTime {
    /// What the last daemon of this boot knew.
    fn of_the_last(state: &StateDir) -> Self {
        let last: Option<Heartbeat> = state.read(StateDir::DAEMON_ALIVE).ok().flatten();
        let last = last.and_then(|heartbeat| heartbeat.storage_time);
        let last = last.filter(|time| time.boot_id == machine::boot_id());
        Self { known: Arc::new(Mutex::new(Known { engine: None, last })), changed: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest that is valid: an older one goes on to be right, as long as the machine runs.
    fn newest(&self) -> Option<BootAnchor> {
        let mut known = self.known();
        if let Some(anchor) = known.engine.as_ref().and_then(Engine::anchor) {
            known.last = Some(BootAnchor { boot_id: machine::boot_id(), anchor });
        }
        known.last.clone()
    }
}

/// Writes the daemon's heartbeat once a second as long as the runtime works, and a goodbye when dropped.
pub struct HeartbeatWriter {
    state: StateDir,
    time: StorageTime,
    writing: JoinHandle<()>,
}

impl HeartbeatWriter {
    /// Starts writing.
    pub fn start(state: StateDir) -> Self {
        let time = StorageTime::of_the_last(&state);
        let writing = tokio::spawn(write_heartbeats(state.clone(), time.clone()));
        Self { state, time, writing }
    }

    /// The time of storage as the last daemon of this boot knew it, if one did.
    pub fn last_time(&self) -> Option<Anchor> {
        self.time.known().last.as_ref().map(|time| time.anchor)
    }

    /// From now on the heartbeat says what this engine knows of the time, beginning at once: a daemon that dies in its
    /// first second leaves it to its successor.
    pub fn follow(&self, engine: Engine) {
        self.time.known().engine = Some(engine);
        self.time.changed.notify_one();
    }
}

impl Drop for HeartbeatWriter {
    fn drop(&mut self) {
        self.writing.abort();
        let _ = self.state.write(StateDir::DAEMON_ALIVE, &heartbeat(0, true, self.time.newest()));
    }
}

fn heartbeat(counter: u64, goodbye: bool, storage_time: Option<BootAnchor>) -> Heartbeat {
    Heartbeat { pid: std::process::id(), time: compose::clock().now(), counter, goodbye, storage_time }
}

async fn write_heartbeats(state: StateDir, time: StorageTime) {
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    for counter in 1.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = time.changed.notified() => {}
        }
        let (state, newest) = (state.clone(), time.newest());
        // A disk that hangs must not hold up anything else.
        let written =
            spawn_blocking(move || state.write(StateDir::DAEMON_ALIVE, &heartbeat(counter, false, newest)))
                .await;
        let error = written.map_err(io::Error::other).and_then(|written| written).err();
        if let (Some(error), false) = (&error, failing) {
            tracing::error!(%error, "daemon.alive cannot be written: a guard with another clock would take this daemon for dead");
        }
        failing = error.is_some();
    }
}

/// What a marker of `panic --direct` freezes: this pop, whole.
pub fn scope(marker: &PanicMarker, pop: &Pop) -> PanicScope {
    PanicScope {
        panic_id: marker.panic_id,
        reason: marker.reason.clone(),
        pop: Some(pop.clone()),
        customer_id: None,
        started_at: marker.started_at,
        started_by: marker.started_by.clone(),
        origin: PanicOrigin::Direct,
        thawed: None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn an_identity_is_kept_over_restarts_and_never_shared() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("state"));
        let first = Identity::take(&state, false).unwrap();
        let second = Identity::take(&state, false).unwrap();
        assert_ne!(first.instance, second.instance);
        let known = first.instance;
        drop((first, second));
        assert_eq!(Identity::take(&state, false).unwrap().instance, known);
        std::fs::write(state.path(StateDir::INSTANCE), "nonsense").unwrap();
        let anew = Identity::take(&state, false).unwrap().instance;
        assert_ne!(anew, known);
        assert_eq!(Identity::take(&state, false).unwrap().instance, anew);
    }

    #[test]
    fn a_second_daemon_that_announces_is_refused_in_the_same_folder() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("state"));
        let first = Identity::take(&state, true).unwrap();
        let refused = Identity::take(&state, true).unwrap_err();
        assert!(
            matches!(&refused, StartError::StateDirInUse { folder } if folder == state.folder()),
            "{refused}"
        );
        drop(first);
        Identity::take(&state, true).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_write_is_a_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("state"));
        state.create().unwrap();
        std::fs::set_permissions(state.folder(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Identity::take(&state, false).unwrap_err().to_string();
        assert!(refused.starts_with("state_dir: others than its owner may write to"), "{refused}");
    }

    #[test]
    fn a_folder_that_was_copied_to_another_machine_brings_no_identity_along() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(folder.path().join(name))
                .unwrap()
        };
        let one = read_or_write(&mut file("instance"), "one 1").unwrap();
        assert_eq!(read_or_write(&mut file("instance"), "one 1").unwrap(), one);
        std::fs::copy(folder.path().join("instance"), folder.path().join("copy")).unwrap();
        let other = read_or_write(&mut file("copy"), "two 2").unwrap();
        assert_ne!(other, one);
        assert_eq!(read_or_write(&mut file("copy"), "two 2").unwrap(), other);
    }

    #[tokio::test]
    async fn a_daemon_beats_and_says_goodbye() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        let writer = HeartbeatWriter::start(state.clone());
        let seen = || state.read::<Heartbeat>(StateDir::DAEMON_ALIVE).unwrap();
        while seen().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!seen().unwrap().goodbye);
        drop(writer);
        assert!(seen().unwrap().goodbye);
    }

    #[tokio::test]
    async fn the_time_of_storage_outlives_the_daemon_and_not_the_boot() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        let anchor = Anchor {
            time: chrono::DateTime::UNIX_EPOCH,
            since_boot: Duration::from_secs(5),
            frame: prefix_core::clock::ClockFrame(3),
        };
        for (boot_id, expected) in [(machine::boot_id(), Some(anchor)), ("another".to_owned(), None)] {
            let last = heartbeat(7, true, Some(BootAnchor { boot_id, anchor }));
            state.write(StateDir::DAEMON_ALIVE, &last).unwrap();
            let writer = HeartbeatWriter::start(state.clone());
            assert_eq!(writer.last_time(), expected);
            drop(writer);
            let left: Heartbeat = state.read(StateDir::DAEMON_ALIVE).unwrap().unwrap();
            assert_eq!(left.storage_time.map(|time| time.anchor), expected);
        }
        assert!(!machine::boot_id().is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let state = StateDir::at(folder.path().join("file/state"));
        assert_ne!(
            Identity::take(&state, false).unwrap().instance,
            Identity::take(&state, false).unwrap().instance
        );
    }
}
