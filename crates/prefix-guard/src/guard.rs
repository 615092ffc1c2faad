//! The guard: it follows the speaker's table and withdraws own paths that are overdue.
//!
//! Three things wake it: the speaker's watch stream, the not-after time of the next path, and a full read of the table
//! every 30 seconds. A path is read back before its withdrawal, because a living daemon may have renewed it meanwhile,
//! and again after it, because an answer alone does not prove that the path is gone. What failed is tried again
//! without end. Its time is that of storage, as the daemon on this machine knew it last; whatever it is, a path that comes
//! back is a leader's that lives, and is left to it.

mod attempts;
mod probe;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod time;
mod withdrawal;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use prefix_core::announcer::{AnnounceError, RibPath, SpeakerEvent};
use prefix_core::flowspec::RouteKey;
use prefix_core::guard::GuardWithdrawal;
use prefix_core::ownership::NotAfter;
use prefix_core::{Announcer, Clock};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::warn;

use self::attempts::Attempts;
use self::probe::Probe;
pub use self::state::GuardState;
use self::time::GuardTime;
use crate::heartbeat_monitor::{Heartbeat, HeartbeatMonitor, Liveness};
use crate::path_tracker::{PathTracker, is_overdue};

/// The time between two reads of the whole table, whatever the watch stream says.
const FULL_READ_INTERVAL: Duration = Duration::from_secs(30);
/// The time until the table is read again after a read failed.
const FULL_READ_RETRY: Duration = Duration::from_secs(5);
/// The time between two checks of the daemon's heartbeat and of the clock.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two log messages about the same problem.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);
/// How long a path that was withdrawn is watched for its return.
const COMES_BACK: Duration = Duration::from_secs(10);
/// A daemon without a heartbeat for so long is gone: a guard that it started ends once no own path is left.
const DAEMON_GONE: Duration = Duration::from_secs(30);

/// How the guard works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long after its not-after time a path is withdrawn: `bgp.guard.grace_seconds`.
    pub grace: Duration,
    /// The rate of withdrawals: `bgp.max_changes_per_second`.
    pub max_changes_per_second: u32,
    /// Whether the guard ends when the daemon is gone and the speaker holds no own path.
    pub ends_with_daemon: bool,
}

/// Reads the watch stream in a task of its own: a stream that nobody polls may block other calls of the adapter.
fn subscribe(announcer: Arc<dyn Announcer>) -> (mpsc::UnboundedReceiver<SpeakerEvent>, JoinSet<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let mut watch = announcer.watch();
            while let Some(event) = watch.next().await {
                if sender.send(event).is_err() {
                    return;
                }
            }
            // the port promises an endless stream; an adapter that ends it is asked again
            sleep(CHECK_INTERVAL).await;
        }
    });
    (receiver, tasks)
}

/// What the guard needs of the host it runs on: the daemon's heartbeat, and a log of its withdrawals.
pub trait GuardHost: Send + Sync {
    /// The daemon's heartbeat as it is written now; `None` if there is none, or it cannot be read. Its time of storage is
    /// of this boot.
    fn heartbeat(&self) -> Option<Heartbeat>;
    /// Records withdrawals that were read back: these paths are gone.
    fn record_withdrawals(&self, gone: &[GuardWithdrawal]);
}

/// Why a guard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It was told to stop.
    Requested,
    /// The daemon is gone, and the speaker holds no own path.
    NothingLeft,
}

/// The guards of several speakers in one process: they end together, when none of them has anything left. A daemon that
/// starts meanwhile finds a guard of all of them, or none.
#[derive(Debug)]
pub struct GuardGroup {
    idle: Vec<AtomicBool>,
    ended: AtomicBool,
}

impl GuardGroup {
    /// A group of so many.
    pub fn new(guards: usize) -> Arc<Self> {
        let idle = (0..guards).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self { idle, ended: AtomicBool::new(false) })
    }

    /// Notes whether one of them has nothing left; returns true once all end.
    fn ends(&self, number: usize, nothing_left: bool) -> bool {
        if let Some(idle) = self.idle.get(number) {
            idle.store(nothing_left, Ordering::Release);
        }
        if self.idle.iter().all(|idle| idle.load(Ordering::Acquire)) {
            self.ended.store(true, Ordering::Release);
        }
        self.ended.load(Ordering::Acquire)
    }
}

/// The result of a single pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassSummary {
    /// Own paths left in the speaker.
    pub own: usize,
    /// Of those, the overdue ones.
    pub overdue: usize,
    /// Paths that were withdrawn.
    pub withdrawn: u64,
}

/// The guard of one speaker, before it [runs](Self::run).
pub struct Guard {
    announcer: Arc<dyn Announcer>,
    clock: GuardTime,
    host: Arc<dyn GuardHost>,
    settings: Settings,
    state: GuardState,
    published: watch::Sender<GuardState>,
    tracker: PathTracker,
    attempts: Attempts,
    monitor: HeartbeatMonitor,
    probe: Probe,
    /// Paths that were withdrawn lately, and when they were seen to be gone.
    gone: HashMap<RouteKey, Option<Instant>>,
    began: Instant,
    next_read: Instant,
    /// Withdraws nothing before.
    held_until: Option<Instant>,
    reminded: Option<Instant>,
    /// The guards of the other speakers in this process, and which of all this one is.
    group: Option<(Arc<GuardGroup>, usize)>,
}

impl Guard {
    /// A guard of the speaker behind `announcer`. It does nothing before it [runs](Self::run).
    pub fn new(
        announcer: Arc<dyn Announcer>,
        clock: Arc<dyn Clock>,
        host: Arc<dyn GuardHost>,
        settings: Settings,
    ) -> Self {
        let now = Instant::now();
        Self {
            announcer,
            clock: GuardTime::new(clock),
            host,
            settings,
            state: GuardState::default(),
            published: watch::Sender::default(),
            tracker: PathTracker::default(),
            attempts: Attempts::default(),
            monitor: HeartbeatMonitor::new(now),
            probe: Probe::new(),
            gone: HashMap::new(),
            began: now,
            next_read: now,
            held_until: None,
            reminded: None,
            group: None,
        }
    }

    /// The guard with this number of several that share a process: none ends because nothing is left at its speaker while
    /// another one has work.
    #[must_use]
    pub fn in_group(self, group: Arc<GuardGroup>, number: usize) -> Self {
        Self { group: Some((group, number)), ..self }
    }

    /// Its state, published after each round of its work, at least once a second while the speaker answers.
    pub fn state(&self) -> watch::Receiver<GuardState> {
        self.published.subscribe()
    }

    /// Guards until `stop` completes, or nothing is left to guard.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) -> ExitReason {
        tokio::select! {
            () = stop => ExitReason::Requested,
            end = self.work() => end,
        }
    }

    /// A single pass: reads the table, withdraws what is overdue, and counts what is left.
    ///
    /// # Errors
    /// The table could not be read to its end.
    pub async fn once(mut self) -> Result<PassSummary, AnnounceError> {
        self.check_daemon();
        while self.monitor.liveness(Instant::now()) == Liveness::Unknown {
            sleep(CHECK_INTERVAL / 4).await;
            self.check_daemon();
        }
        self.read_table().await?;
        // what failed waits for its retry, which a single pass does not have
        while self.attempts.is_empty() {
            if self.withdraw_overdue().await {
                continue;
            }
            let Some(until) = self.probe.waits_until().filter(|until| *until > Instant::now()) else { break };
            sleep_until(until).await;
            // whatever came back meanwhile
            self.read_table().await?;
        }
        self.read_table().await?;
        let unsettled = self.attempts.absent_keys(&self.tracker);
        self.read_back(unsettled).await;
        let overdue = self.tracker.overdue(self.clock.now(), self.settings.grace).count();
        Ok(PassSummary { own: self.tracker.own_count(), overdue, withdrawn: self.state.withdrawn })
    }

    async fn work(&mut self) -> ExitReason {
        let (mut events, _subscription) = subscribe(Arc::clone(&self.announcer));
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.next_wake();
            tokio::select! {
                Some(event) = events.recv() => {
                    self.on_event(event);
                    while let Ok(event) = events.try_recv() {
                        self.on_event(event);
                    }
                }
                _ = checks.tick() => self.check_daemon(),
                () = sleep_until(self.next_read) => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            if Instant::now() >= self.next_read
                && let Err(error) = self.read_table().await
            {
                self.next_read = Instant::now() + FULL_READ_RETRY;
                self.report_problem(format!("the table cannot be read: {error}"));
            }
            self.withdraw_overdue().await;
            self.publish();
            if self.settings.ends_with_daemon {
                let nothing_left = self.nothing_left().await;
                let ends = self
                    .group
                    .as_ref()
                    .map_or(nothing_left, |(group, number)| group.ends(*number, nothing_left));
                if ends {
                    return ExitReason::NothingLeft;
                }
            }
        }
    }

    fn check_daemon(&mut self) {
        let (heartbeat, now) = (self.host.heartbeat(), Instant::now());
        let anchor = heartbeat.as_ref().and_then(|heartbeat| heartbeat.storage_time.as_ref());
        self.clock.observe(anchor.map(|time| time.anchor), now);
        self.monitor.observe(heartbeat, now, self.clock.host());
        self.gone.retain(|_, at| at.is_none_or(|at| now - at < COMES_BACK));
    }

    fn on_event(&mut self, event: SpeakerEvent) {
        match event {
            SpeakerEvent::Connected => {
                self.state.connected = true;
                self.next_read = Instant::now();
                self.attempts.retry_now();
            }
            SpeakerEvent::Disconnected { reason } => {
                self.state.connected = false;
                self.report_problem(format!("the speaker cannot be reached: {reason}"));
            }
            SpeakerEvent::PeerChanged(_) => {}
            SpeakerEvent::PathChanged { key, path: None } => {
                if let Some(at) = self.gone.get_mut(&key) {
                    *at = Some(Instant::now());
                }
                self.tracker.remove(&key);
            }
            SpeakerEvent::PathChanged { path: Some(path), .. } => self.update(&path),
        }
    }

    fn update(&mut self, path: &RibPath) {
        let known = self.tracker.is_untimed(&path.key);
        self.tracker.update(path);
        self.note_return(&path.key);
        if !known && self.tracker.is_untimed(&path.key) {
            let rule = path.key.flow();
            warn!(rule, "an own path has no readable not-after: it is left to the daemon's reconciliation");
        }
    }

    /// A table that broke off adds to what is known; only a whole one replaces it.
    async fn read_table(&mut self) -> Result<(), AnnounceError> {
        let mut whole = PathTracker::default();
        let mut paths = self.announcer.table().await?;
        while let Some(path) = paths.try_next().await? {
            self.update(&path);
            whole.update(&path);
        }
        self.tracker = whole;
        let (clock, grace) = (self.clock.now(), self.settings.grace);
        self.attempts.forget_renewed(&self.tracker, |tracked| is_overdue(tracked.not_after, grace, clock));
        self.next_read = Instant::now() + FULL_READ_INTERVAL;
        self.state.table_read_at = Some(clock);
        self.state.connected = true;
        if !self.probe.is_contested(Instant::now()) {
            self.state.problem = None;
        }
        Ok(())
    }

    /// When there is something to withdraw; `None` while there is no own path with a not-after time.
    fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let clock = self.clock.now();
        let mut wake = self.attempts.next_of_absent(&self.tracker);
        for key in self.tracker.overdue(clock, self.settings.grace) {
            let at = self.attempts.retry_at(key).unwrap_or(now);
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
            if at <= now {
                break;
            }
        }
        let due = self.tracker.next_due(self.settings.grace).filter(|due| *due > clock);
        let due = due.map(|due| now + (due - clock).to_std().unwrap_or_default());
        let wake = wake.into_iter().chain(due).min()?;
        // the clock may be set meanwhile, so it is asked at least with every check
        Some(wake.max(self.held_until.unwrap_or(now)).min(now + CHECK_INTERVAL))
    }

    fn report_problem(&mut self, problem: String) {
        let now = Instant::now();
        if self.state.problem.is_none() || self.reminded.is_none_or(|at| now - at >= REMINDER_INTERVAL) {
            warn!("{problem}");
            self.reminded = Some(now);
        }
        self.state.problem = Some(problem);
    }

    fn publish(&mut self) {
        let overdue = self.tracker.overdue(self.clock.now(), self.settings.grace).count();
        self.published.send_replace(GuardState {
            own_paths: self.tracker.own_count(),
            overdue,
            untimed: self.tracker.untimed().count(),
            next_not_after: self.tracker.next_not_after().map(NotAfter::time),
            ..self.state.clone()
        });
    }

    /// Whether the daemon is gone and a table that was read to its end after that holds no own path.
    async fn nothing_left(&mut self) -> bool {
        let gone = match self.monitor.liveness(Instant::now()) {
            Liveness::Silent { since } => since >= DAEMON_GONE,
            Liveness::Ended => true,
            Liveness::Unknown | Liveness::Alive { .. } => false,
        };
        let empty = |guard: &Self| guard.tracker.own_count() == 0 && guard.attempts.is_empty();
        gone && empty(self) && self.read_table().await.is_ok() && empty(self)
    }
}
