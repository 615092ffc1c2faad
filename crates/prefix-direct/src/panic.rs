//! A panic past API and database: a daemon on this host is told by a marker in the state folder, and this site's rules
//! are taken out of its speakers.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::join_all;
use prefix_core::announcer::AnnounceError;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::PanicId;
use prefix_core::name::SpeakerName;
use prefix_guard::files::{PanicAck, PanicMarker, StateDir};
use prefix_guard::{Heartbeat, SweepResult, SweepSettings, sweep};
use tokio::time::Instant;

use crate::error::DirectError;
use crate::speaker::Speaker;

/// How long the table is watched after the rules are gone.
const WATCH: Duration = Duration::from_secs(5);
/// How long a living daemon is waited for.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(3);
/// A heartbeat that does not change for so long is that of a dead daemon.
const UNCHANGED: Duration = Duration::from_secs(2);
/// The pause between two looks at the acknowledgement.
const LOOK: Duration = Duration::from_millis(50);
/// How long the first look at the table may take.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// An older heartbeat is that of a dead process.
const FRESH: TimeDelta = TimeDelta::seconds(10);

/// Whether the time in a heartbeat is that of a living process on this host.
pub(crate) fn is_fresh(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - time).abs() <= FRESH
}

/// What the daemon of this host knows of a panic.
#[derive(Debug)]
pub enum DaemonState {
    /// It has acknowledged: it announces nothing any more.
    Frozen,
    /// There is none; the next one reads the marker when it starts.
    Absent,
    /// Its heartbeat has stopped; the next one reads the marker when it starts.
    Dead,
    /// It lives and has not acknowledged: it may announce again.
    Silent,
    /// The marker cannot be written, so that no daemon is frozen.
    Untold {
        /// The marker's file.
        marker: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// A panic that has begun.
#[derive(Debug)]
pub struct Frozen {
    /// Its identifier, for the thaw.
    pub panic_id: PanicId,
    /// What the daemon knows of it.
    pub daemon: DaemonState,
    /// Own routes that were in the table before the daemon was told: a daemon that freezes withdraws them itself.
    before: BTreeSet<RouteKey>,
}

/// Who runs this program.
pub(crate) fn user() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    user.filter(|user| !user.is_empty()).unwrap_or_else(|| "prefixdctl".to_owned())
}

/// Leaves the marker, and waits for the daemon to acknowledge it. That a daemon cannot be told is no reason to leave its
/// rules where they are.
pub async fn freeze(speaker: &Speaker, reason: &str, now: DateTime<Utc>) -> Frozen {
    // A speaker that does not answer at once must not hold up the freeze.
    let first_look = tokio::time::timeout(FIRST_LOOK, speaker.routes()).await;
    let before = first_look.into_iter().flatten().flat_map(|routes| routes.own).collect();
    let marker = PanicMarker {
        panic_id: PanicId::generate(),
        reason: reason.to_owned(),
        // as exact as storage and audit are
        started_at: now.trunc_subsecs(6),
        started_by: user(),
    };
    let daemon = tell_daemon(&speaker.state, &marker).await;
    Frozen { panic_id: marker.panic_id, daemon, before }
}

/// What came of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// Of all speakers that could be read. A rule that is left at one of them does not count as withdrawn.
    pub result: SweepResult,
    /// Which of several speakers could not be read: their rules are left as they were.
    pub unread: Vec<DirectError>,
}

impl Swept {
    fn add(&mut self, of_one: SweepResult) {
        let SweepResult { withdrawn, foreign, left } = of_one;
        self.result.foreign += foreign;
        self.result.left.extend(left);
        self.result.withdrawn.extend(withdrawn);
        let SweepResult { withdrawn, left, .. } = &mut self.result;
        withdrawn.retain(|key| !left.contains(key));
    }
}

impl Frozen {
    /// Takes this site's rules out of the speakers and watches their tables: for 5 s, or with `hold` until `stop`.
    /// `progress` gets each route that is gone, and each failure of a speaker once, with its name where there are several.
    /// One that cannot be read keeps the others from nothing: an error means that none could be read.
    pub async fn sweep(
        &mut self,
        speaker: &Speaker,
        hold: bool,
        stop: impl Future<Output = ()>,
        progress: impl FnMut(Option<&SpeakerName>, Result<&RouteKey, &AnnounceError>),
    ) -> Result<Swept, DirectError> {
        let how = SweepSettings {
            max_changes_per_second: speaker.settings.bgp.max_changes_per_second,
            watch_for: (!hold).then_some(WATCH),
        };
        let before = std::mem::take(&mut self.before);
        let (stop, progress) = (stop.shared(), Mutex::new(progress));
        let sweeps = speaker.each.iter().map(|one| {
            let report = |change: Result<&RouteKey, &AnnounceError>| {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress(one.name.as_ref(), change);
            };
            sweep(&one.gobgp, how, before.clone(), stop.clone(), report)
        });
        let mut swept = Swept::default();
        for (one, result) in speaker.each.iter().zip(join_all(sweeps).await) {
            match result {
                Ok(result) => swept.add(result),
                Err(error) => swept.unread.push(one.unreachable(error)),
            }
        }
        match swept.unread.pop() {
            Some(error) if swept.unread.len() + 1 == speaker.each.len() => Err(error),
            error => {
                swept.unread.extend(error);
                Ok(swept)
            }
        }
    }
}

async fn tell_daemon(state: &StateDir, marker: &PanicMarker) -> DaemonState {
    if let Err(error) = state.create().and_then(|()| state.write_durably(StateDir::PANIC, marker)) {
        return DaemonState::Untold { marker: state.path(StateDir::PANIC), error };
    }
    if !heartbeat(state).is_some_and(|heartbeat| is_fresh(heartbeat.time, Utc::now())) {
        return DaemonState::Absent;
    }
    match tokio::time::timeout(ACKNOWLEDGED_WITHIN, is_acknowledged(state, marker.panic_id)).await {
        Ok(true) => DaemonState::Frozen,
        Ok(false) => DaemonState::Dead,
        Err(_) => DaemonState::Silent,
    }
}

/// The heartbeat of a daemon that did not say goodbye.
fn heartbeat(state: &StateDir) -> Option<Heartbeat> {
    state.read(StateDir::DAEMON_ALIVE).ok().flatten().filter(|heartbeat: &Heartbeat| !heartbeat.goodbye)
}

/// Waits until the daemon has acknowledged; false when its heartbeat has stopped, so that it never will.
async fn is_acknowledged(state: &StateDir, panic_id: PanicId) -> bool {
    let (mut last, mut changed) = (heartbeat(state), Instant::now());
    loop {
        let ack: Option<PanicAck> = state.read(StateDir::PANIC_ACK).ok().flatten();
        if ack.is_some_and(|ack| ack.panic_id == panic_id) {
            return true;
        }
        let seen = heartbeat(state);
        if seen != last {
            (last, changed) = (seen, Instant::now());
        } else if changed.elapsed() > UNCHANGED {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> PanicMarker {
        PanicMarker {
            panic_id: PanicId::generate(),
            reason: "a drill".to_owned(),
            started_at: Utc::now(),
            started_by: "noc".to_owned(),
        }
    }

    fn beat(state: &StateDir, counter: u64, goodbye: bool) {
        let heartbeat = Heartbeat { pid: 1, time: Utc::now(), counter, goodbye, storage_time: None };
        state.write(StateDir::DAEMON_ALIVE, &heartbeat).unwrap();
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        (folder, state)
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_acknowledges_is_frozen() {
        let (_folder, state) = state();
        beat(&state, 1, false);
        let daemon = state.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Ok(Some(PanicMarker { panic_id, .. })) = daemon.read(StateDir::PANIC) {
                    let ack = PanicAck { panic_id, frozen_at: Utc::now() };
                    daemon.write(StateDir::PANIC_ACK, &ack).unwrap();
                }
            }
        });
        assert!(matches!(tell_daemon(&state, &marker()).await, DaemonState::Frozen));
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_only_lives_is_silent_and_one_that_stopped_is_dead() {
        let (_folder, state) = state();
        beat(&state, 1, false);
        assert!(matches!(tell_daemon(&state, &marker()).await, DaemonState::Dead));
        let daemon = state.clone();
        tokio::spawn(async move {
            for counter in 2.. {
                beat(&daemon, counter, false);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert!(matches!(tell_daemon(&state, &marker()).await, DaemonState::Silent));
    }

    #[tokio::test]
    async fn a_daemon_that_said_goodbye_is_absent_and_a_folder_that_cannot_be_made_tells_nobody() {
        let (folder, state) = state();
        beat(&state, 1, true);
        assert!(matches!(tell_daemon(&state, &marker()).await, DaemonState::Absent));
        assert!(state.read::<PanicMarker>(StateDir::PANIC).unwrap().is_some());
        std::fs::write(folder.path().join("file"), "").unwrap();
        let unusable = StateDir::at(folder.path().join("file/state"));
        assert!(matches!(tell_daemon(&unusable, &marker()).await, DaemonState::Untold { .. }));
    }
}
