//! Supervises the guard process: it monitors the guard's heartbeat, and in mode `spawn` starts a guard, replaces one of
//! another version or configuration, and kills one that hangs.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use prefix_core::guard::{GuardMode, GuardStatus, GuardWatch};
use prefix_guard::files::{GuardAlive, StateDir};
use prefix_guard::{Heartbeat, HeartbeatMonitor, Liveness};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::compose;
use prefix_config::folder::ConfigSource;
use prefix_config::speaker::SpeakerSettings;

/// The time between two checks of the guard.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// The same until the first heartbeat.
const FIRST_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// The greatest age of the heartbeat of a guard whose process still holds the lock.
const RECENT: TimeDelta = TimeDelta::seconds(10);
/// How long a guard may take from its start to its first heartbeat.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a guard may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// The time from one start to the next; doubled each time, until a guard is alive.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// The time between two log messages about the same problem.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);
/// What of its environment a daemon passes on besides what the configuration of the speaker names. `NOTIFY_SOCKET` and
/// `WATCHDOG_*` are not among it: the service manager waits for notifications of the daemon only.
///
/// A library that `LD_PRELOAD` names gets its own variables: whoever tests a host whose clock is wrong by `libfaketime`
/// means the guard too.
const PASSED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "FAKETIME",
    "FAKETIME_DONT_FAKE_MONOTONIC",
];
/// The greatest age of an observation that counts: a disk that hangs must not make a dead guard look alive.
const STALE: Duration = Duration::from_secs(10);

/// The last observation of the guard, shared with whoever asks whether it is alive.
#[derive(Debug)]
pub struct ObservedGuard {
    mode: GuardMode,
    last: Mutex<Observation>,
}

#[derive(Debug, Clone, Copy)]
struct Observation {
    at: Instant,
    alive: bool,
    heartbeat: Option<DateTime<Utc>>,
}

impl ObservedGuard {
    /// Waits until the guard is alive, at most for `patience`.
    pub async fn wait_until_alive(&self, patience: Duration) {
        let began = Instant::now();
        while !self.status().alive && began.elapsed() < patience {
            sleep(FIRST_CHECK_INTERVAL / 2).await;
        }
    }

    fn new(mode: GuardMode, at: Instant) -> Self {
        Self { mode, last: Mutex::new(Observation { at, alive: false, heartbeat: None }) }
    }

    fn last(&self) -> MutexGuard<'_, Observation> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GuardWatch for ObservedGuard {
    fn status(&self) -> GuardStatus {
        let Observation { at, alive, heartbeat } = *self.last();
        GuardStatus { mode: self.mode, alive: alive && at.elapsed() < STALE, last_seen: heartbeat }
    }
}

/// What a guard is started with.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The configuration that it reads its part of.
    pub source: ConfigSource,
    /// The speaker that it guards.
    pub settings: SpeakerSettings,
}

/// Supervises the guard of this daemon.
pub struct GuardSupervisor {
    state: StateDir,
    observed: Arc<ObservedGuard>,
    launch: Option<Launch>,
    configuration: String,
    monitor: HeartbeatMonitor,
    began: Instant,
    warned: Option<Instant>,
    child: Option<Child>,
    next_start: Instant,
    backoff: Duration,
    /// The process that holds the lock, and since when it is known to.
    holder: Option<(u32, Instant)>,
    /// The process that was sent SIGTERM, and when.
    terminated: Option<(u32, Instant)>,
    problem: Option<String>,
}

impl GuardSupervisor {
    /// A supervisor in this mode. In mode `Spawn` its first check starts a guard, if none is alive.
    pub fn new(mode: GuardMode, state: StateDir, launch: Launch) -> Self {
        let now = Instant::now();
        let observed = Arc::new(ObservedGuard::new(mode, now));
        Self {
            state,
            observed,
            configuration: launch.settings.fingerprint(),
            launch: (mode == GuardMode::Spawn).then_some(launch),
            monitor: HeartbeatMonitor::new(now),
            began: now,
            warned: None,
            child: None,
            next_start: now,
            backoff: FIRST_BACKOFF,
            holder: None,
            terminated: None,
            problem: None,
        }
    }

    /// Whether it starts guards.
    pub fn starts_guards(&self) -> bool {
        self.launch.is_some()
    }

    /// Its last observation of the guard.
    pub fn observed(&self) -> Arc<ObservedGuard> {
        Arc::clone(&self.observed)
    }

    /// Supervises until the task is aborted.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut supervisor = self;
            loop {
                // files and processes may block
                let check = spawn_blocking(move || {
                    supervisor.check();
                    supervisor
                });
                match check.await {
                    Ok(back) => {
                        supervisor = back;
                        let first =
                            !supervisor.observed.status().alive && supervisor.began.elapsed() < START_TIMEOUT;
                        sleep(if first { FIRST_CHECK_INTERVAL } else { CHECK_INTERVAL }).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "the supervision of the guard ended");
                        return;
                    }
                }
            }
        })
    }

    fn check(&mut self) {
        let now = Instant::now();
        self.reap();
        let alive: Option<GuardAlive> = self.state.read(StateDir::GUARD_ALIVE).ok().flatten();
        let heartbeat = alive.as_ref().map(|alive| Heartbeat {
            pid: alive.pid,
            time: alive.time,
            counter: alive.counter,
            goodbye: false,
            storage_time: None,
        });
        self.monitor.observe(heartbeat, now, compose::clock().now());
        let is_alive = match self.monitor.liveness(now) {
            Liveness::Alive { .. } => true,
            // a daemon that has just started need not wait for the next heartbeat of a guard that outlived the last one
            Liveness::Unknown => alive.as_ref().is_some_and(|alive| self.holds_lock(alive)),
            Liveness::Silent { .. } | Liveness::Ended => false,
        };
        *self.observed.last() =
            Observation { at: now, alive: is_alive, heartbeat: alive.as_ref().map(|alive| alive.time) };
        if is_alive {
            self.backoff = FIRST_BACKOFF;
        }
        if self.launch.is_some() {
            self.ensure_running(alive.as_ref(), is_alive, now);
        }
        self.warn(alive.as_ref(), is_alive, now);
    }

    fn holds_lock(&self, alive: &GuardAlive) -> bool {
        (compose::clock().now() - alive.time).abs() < RECENT
            && self.state.lock_holder(StateDir::GUARD_LOCK).ok().flatten() == Some(alive.pid)
    }

    fn reap(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            tracing::warn!(pid = child.id(), %status, "the guard ended");
            self.child = None;
        }
    }

    fn ensure_running(&mut self, alive: Option<&GuardAlive>, is_alive: bool, now: Instant) {
        if self.child.is_some() && !is_alive && now < self.next_start {
            // to test the lock would disturb a guard that starts
            return;
        }
        match self.state.lock(StateDir::GUARD_LOCK) {
            Ok(Some(free)) => {
                drop::<File>(free);
                (self.holder, self.terminated) = (None, None);
                if now >= self.next_start {
                    self.spawn(now);
                }
            }
            Ok(None) => self.check_lock_holder(alive, is_alive, now),
            Err(error) => self.problem = Some(format!("guard.lock: {error}")),
        }
    }

    /// Ends the process that holds the lock, if it is silent or a guard of another version or configuration.
    fn check_lock_holder(&mut self, alive: Option<&GuardAlive>, is_alive: bool, now: Instant) {
        let holder = match self.state.lock_holder(StateDir::GUARD_LOCK) {
            Ok(Some(pid)) => pid,
            Ok(None) => return,
            Err(error) => {
                self.problem = Some(format!("guard.lock: its holder cannot be found: {error}"));
                return;
            }
        };
        let since = match self.holder {
            Some((pid, since)) if pid == holder => since,
            _ => {
                self.holder = Some((holder, now));
                now
            }
        };
        let heartbeat = alive.filter(|alive| alive.pid == holder);
        let is_other = heartbeat.is_some_and(|alive| {
            alive.version != env!("CARGO_PKG_VERSION") || alive.configuration != self.configuration
        });
        let why = match (is_other, is_alive) {
            (true, _) => "it is of another version or configuration",
            (false, false) if now - since >= START_TIMEOUT => "it is silent",
            _ => return,
        };
        let signal = match self.terminated {
            Some((pid, at)) if pid == holder && now - at < STOP_TIMEOUT => return,
            Some((pid, _)) if pid == holder => Signal::SIGKILL,
            _ => Signal::SIGTERM,
        };
        if signal == Signal::SIGTERM {
            self.terminated = Some((holder, now));
        }
        tracing::warn!(pid = holder, %signal, "the guard is replaced: {why}");
        let Ok(pid) = i32::try_from(holder) else { return };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            self.problem = Some(format!("the guard (process {holder}) cannot be ended: {error}"));
        }
    }

    fn spawn(&mut self, now: Instant) {
        let Some(launch) = &self.launch else { return };
        match command(launch).spawn() {
            Ok(child) => {
                tracing::info!(pid = child.id(), "the guard is started");
                self.child = Some(child);
                self.problem = None;
                self.next_start = now + self.backoff.max(START_TIMEOUT / 2);
            }
            Err(error) => {
                self.problem = Some(format!("it cannot be started: {error}"));
                self.next_start = now + self.backoff;
            }
        }
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
    }

    /// Logs that no guard is alive, or that the guard has a problem, at most once a minute.
    fn warn(&mut self, alive: Option<&GuardAlive>, is_alive: bool, now: Instant) {
        if self.warned.is_some_and(|at| now - at < REMINDER_INTERVAL) || now - self.began < START_TIMEOUT {
            return;
        }
        if !is_alive {
            let reason = self.problem.clone().unwrap_or_else(|| "no heartbeat".to_owned());
            let (mode, folder) = (self.observed.mode, self.state.folder().display().to_string());
            tracing::error!(
                ?mode,
                folder,
                reason,
                "no guard is alive: if this daemon dies, its rules stay in the routers"
            );
            self.warned = Some(now);
        } else if let Some(problem) = alive.and_then(|alive| alive.state.problem.as_deref()) {
            tracing::warn!(problem, "the guard has a problem");
            self.warned = Some(now);
        }
    }
}

/// The guard as a process that shares no terminal, pipe or working folder with this one; it leaves this session itself.
fn command(launch: &Launch) -> Command {
    // the program that runs now, even if another one was installed meanwhile
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "prefixd");
    command.args(["guard", "--spawned"]);
    // what it does not need it does not get: above all the secrets of API, database and detectors
    command
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| PASSED_ON.iter().any(|known| name == known)));
    command.envs(launch.source.speaker_environment());
    match launch.source.of_folder() {
        Some(folder) => {
            command.arg("--config").arg(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
        }
        // the guard does not know that --enforce changed the built-in configuration
        None => {
            command.env("PREFIXD__BGP__BACKEND", "gobgp");
        }
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    // it may be relative to the working folder of this process
    command.env("PREFIXD__STATE_DIR", quoted(&launch.settings.state_dir.to_string_lossy()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_nobody_looked_at_for_ten_seconds_counts_as_dead() {
        let now = Instant::now();
        let observed = ObservedGuard::new(GuardMode::Spawn, now);
        assert!(!observed.status().alive);
        *observed.last() = Observation { at: now, alive: true, heartbeat: None };
        assert!(observed.status().alive);
        let long_ago = now.checked_sub(STALE).unwrap();
        *observed.last() = Observation { at: long_ago, alive: true, heartbeat: None };
        assert!(!observed.status().alive);
    }
}
