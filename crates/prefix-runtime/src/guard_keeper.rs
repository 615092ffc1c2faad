//! The keeper sees to it that a guard lives: it watches the guard's heartbeat, and in mode `spawn` starts one, replaces
//! one of another version or configuration, and ends one that hangs.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use prefix_core::guard::{GuardMode, GuardStatus, GuardWatch};
use prefix_guard::files::{GuardAlive, StateDir};
use prefix_guard::{Daemon as Life, Heartbeat, Pulse};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::compose;
use crate::config::speaker::SpeakerSettings;

const LOOK: Duration = Duration::from_millis(500);
/// While a guard is still to show itself.
const FIRST_LOOKS: Duration = Duration::from_millis(50);
/// A heartbeat with a time of so long ago is that of a living guard, if its process still has the lock.
const RECENT: TimeDelta = TimeDelta::seconds(10);
/// A guard that started is given so long to show itself.
const START: Duration = Duration::from_secs(10);
/// A guard that was asked to end is given so long.
const END: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const REMINDER: Duration = Duration::from_mins(1);

/// A look of so long ago says nothing any more: a disk that hangs shall not keep a dead guard alive.
const STALE: Duration = Duration::from_secs(10);

/// What was last seen of the guard.
#[derive(Debug)]
pub struct Seen {
    mode: GuardMode,
    last: Mutex<Looked>,
}

#[derive(Debug, Clone, Copy)]
struct Looked {
    at: Instant,
    alive: bool,
    beat: Option<DateTime<Utc>>,
}

impl Seen {
    /// Waits until it is seen alive, but not for ever.
    pub async fn appears(&self, patience: Duration) {
        let began = Instant::now();
        while !self.status().alive && began.elapsed() < patience {
            sleep(FIRST_LOOKS / 2).await;
        }
    }

    fn new(mode: GuardMode, at: Instant) -> Self {
        Self { mode, last: Mutex::new(Looked { at, alive: false, beat: None }) }
    }

    fn last(&self) -> MutexGuard<'_, Looked> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GuardWatch for Seen {
    fn status(&self) -> GuardStatus {
        let Looked { at, alive, beat } = *self.last();
        GuardStatus { mode: self.mode, alive: alive && at.elapsed() < STALE, last_seen: beat }
    }
}

/// How a guard is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The configuration folder; none for the built-in configuration.
    pub folder: Option<PathBuf>,
    /// What the guard is to guard.
    pub settings: SpeakerSettings,
}

/// See the module.
pub struct Keeper {
    state: StateDir,
    seen: Arc<Seen>,
    launch: Option<Launch>,
    configuration: String,
    pulse: Pulse,
    began: Instant,
    warned: Option<Instant>,
    child: Option<Child>,
    next_start: Instant,
    pause: Duration,
    /// The process that has the lock, and since when it is known to have it.
    holder: Option<(u32, Instant)>,
    /// A process that was asked to end.
    asked: Option<(u32, Instant)>,
    trouble: Option<String>,
}

impl Keeper {
    /// For this mode. `Spawn` starts a guard with the next look.
    pub fn new(mode: GuardMode, state: StateDir, launch: Launch) -> Self {
        let now = Instant::now();
        let seen = Arc::new(Seen::new(mode, now));
        Self {
            state,
            seen,
            configuration: launch.settings.fingerprint(),
            launch: (mode == GuardMode::Spawn).then_some(launch),
            pulse: Pulse::new(now),
            began: now,
            warned: None,
            child: None,
            next_start: now,
            pause: FIRST_PAUSE,
            holder: None,
            asked: None,
            trouble: None,
        }
    }

    /// Whether it starts guards.
    pub fn starts_guards(&self) -> bool {
        self.launch.is_some()
    }

    /// What it sees.
    pub fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    /// Keeps for ever.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut keeper = self;
            loop {
                // Files and processes may take their time, and nobody else shall.
                let look = spawn_blocking(move || {
                    keeper.look();
                    keeper
                });
                match look.await {
                    Ok(back) => {
                        keeper = back;
                        let first = !keeper.seen.status().alive && keeper.began.elapsed() < START;
                        sleep(if first { FIRST_LOOKS } else { LOOK }).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "the keeper of the guard ended");
                        return;
                    }
                }
            }
        })
    }

    fn look(&mut self) {
        let now = Instant::now();
        self.reap();
        let alive: Option<GuardAlive> = self.state.read(StateDir::GUARD_ALIVE).ok().flatten();
        let beat = alive.as_ref().map(|alive| Heartbeat {
            pid: alive.pid,
            time: alive.time,
            counter: alive.counter,
            goodbye: false,
        });
        self.pulse.look(beat, now, compose::clock().now());
        let lives = match self.pulse.daemon(now) {
            Life::Living { .. } => true,
            // a daemon that has just started need not wait for the next beat of a guard that goes on
            Life::Unknown => alive.as_ref().is_some_and(|alive| self.goes_on(alive)),
            Life::Silent { .. } | Life::Ended => false,
        };
        *self.seen.last() = Looked { at: now, alive: lives, beat: alive.as_ref().map(|alive| alive.time) };
        if lives {
            self.pause = FIRST_PAUSE;
        }
        if self.launch.is_some() {
            self.see_to_it(alive.as_ref(), lives, now);
        }
        self.warn(alive.as_ref(), lives, now);
    }

    fn goes_on(&self, alive: &GuardAlive) -> bool {
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

    fn see_to_it(&mut self, alive: Option<&GuardAlive>, lives: bool, now: Instant) {
        if self.child.is_some() && !lives && now < self.next_start {
            // one that starts is not disturbed by a look at its lock
            return;
        }
        match self.state.lock(StateDir::GUARD_LOCK) {
            Ok(Some(free)) => {
                drop::<File>(free);
                (self.holder, self.asked) = (None, None);
                if now >= self.next_start {
                    self.spawn(now);
                }
            }
            Ok(None) => self.judge(alive, lives, now),
            Err(error) => self.trouble = Some(format!("guard.lock: {error}")),
        }
    }

    /// Somebody holds the lock: a guard of ours that does its work is left alone.
    fn judge(&mut self, alive: Option<&GuardAlive>, lives: bool, now: Instant) {
        let holder = match self.state.lock_holder(StateDir::GUARD_LOCK) {
            Ok(Some(pid)) => pid,
            Ok(None) => return,
            Err(error) => {
                self.trouble = Some(format!("who holds guard.lock cannot be told: {error}"));
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
        let shown = alive.filter(|alive| alive.pid == holder);
        let strange = shown.is_some_and(|alive| {
            alive.version != env!("CARGO_PKG_VERSION") || alive.configuration != self.configuration
        });
        let why = match (strange, lives) {
            (true, _) => "it is of another version or configuration",
            (false, false) if now - since >= START => "it is silent",
            _ => return,
        };
        let signal = match self.asked {
            Some((pid, at)) if pid == holder && now - at < END => return,
            Some((pid, _)) if pid == holder => Signal::SIGKILL,
            _ => Signal::SIGTERM,
        };
        if signal == Signal::SIGTERM {
            self.asked = Some((holder, now));
        }
        tracing::warn!(pid = holder, %signal, "the guard is replaced: {why}");
        let Ok(pid) = i32::try_from(holder) else { return };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            self.trouble = Some(format!("the guard (process {holder}) cannot be ended: {error}"));
        }
    }

    fn spawn(&mut self, now: Instant) {
        let Some(launch) = &self.launch else { return };
        match command(launch).spawn() {
            Ok(child) => {
                tracing::info!(pid = child.id(), "the guard is started");
                self.child = Some(child);
                self.trouble = None;
                self.next_start = now + self.pause.max(START / 2);
            }
            Err(error) => {
                self.trouble = Some(format!("it cannot be started: {error}"));
                self.next_start = now + self.pause;
            }
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Somebody must hear of it when nobody would end the rules of a dead daemon.
    fn warn(&mut self, alive: Option<&GuardAlive>, lives: bool, now: Instant) {
        if self.warned.is_some_and(|at| now - at < REMINDER) || now - self.began < START {
            return;
        }
        if !lives {
            let reason = self.trouble.clone().unwrap_or_else(|| "no heartbeat".to_owned());
            let (mode, folder) = (self.seen.mode, self.state.folder().display().to_string());
            tracing::error!(
                ?mode,
                folder,
                reason,
                "no guard is seen: if this daemon dies, its rules stay in the routers"
            );
            self.warned = Some(now);
        } else if let Some(problem) = alive.and_then(|alive| alive.problem.as_deref()) {
            tracing::warn!(problem, "the guard has trouble");
            self.warned = Some(now);
        }
    }
}

/// The guard as a process that shares nothing with this one: no terminal, no pipe, no folder, and, by its own doing, no
/// session.
fn command(launch: &Launch) -> Command {
    // Whatever stands at the program's path by now, this is what runs.
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "prefixd");
    command.args(["guard", "--spawned"]);
    match &launch.folder {
        Some(folder) => {
            command.arg("--config").arg(std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
        }
        // What --enforce made of the built-in configuration, the guard could not know.
        None => {
            command.env("PREFIXD__BGP__BACKEND", "gobgp");
        }
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    // It may be relative to where this process runs.
    command.env("PREFIXD__STATE_DIR", quoted(&launch.settings.state_dir.to_string_lossy()));
    // The service manager waits for the daemon's word, not for the guard's.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_nobody_looked_at_for_ten_seconds_counts_as_dead() {
        let now = Instant::now();
        let seen = Seen::new(GuardMode::Spawn, now);
        assert!(!seen.status().alive);
        *seen.last() = Looked { at: now, alive: true, beat: None };
        assert!(seen.status().alive);
        let long_ago = now.checked_sub(STALE).unwrap();
        *seen.last() = Looked { at: long_ago, alive: true, beat: None };
        assert!(!seen.status().alive);
    }
}
