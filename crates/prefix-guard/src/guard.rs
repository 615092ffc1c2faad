//! The guard follows the speaker's table and takes away what stands beyond its time; it never decides from memory.
//!
//! Three things wake it: the speaker's watch, the time of the next path, and a full read every half minute. Before
//! anything is withdrawn it is read back, because a living daemon may have renewed it a moment ago, and afterwards
//! again, because only that tells that it is gone. What failed is tried again for ever.

mod attempts;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use prefix_core::announcer::{AnnounceError, RibPath, SpeakerEvent};
use prefix_core::flowspec::RouteKey;
use prefix_core::guard::GuardWithdrawal;
use prefix_core::{Announcer, Clock};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::{info, warn};

use self::attempts::Attempts;
pub use self::view::View;
use crate::ledger::{Ledger, Standing, is_overdue};
use crate::pace;
use crate::pulse::{Daemon, Heartbeat, Pulse};

/// How often the whole table is read, whatever the watch says.
const FULL_READ: Duration = Duration::from_secs(30);
/// How soon it is read again after it could not be read.
const FULL_READ_AGAIN: Duration = Duration::from_secs(5);
/// How often the daemon's heartbeat and the clock are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long what was read back is believed.
const BELIEVED: Duration = Duration::from_secs(2);
/// How often somebody is reminded of the same thing.
const REMINDER: Duration = Duration::from_mins(1);
/// A daemon that was silent for so long is gone: a guard that it started ends after it, once nothing is left to guard.
const GONE: Duration = Duration::from_secs(30);

/// How the guard works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a path may stand beyond its time: `bgp.guard.grace_seconds`.
    pub grace: Duration,
    /// The pace of withdrawals: `bgp.max_changes_per_second`.
    pub max_changes_per_second: u32,
    /// Whether it ends when the daemon is gone and nothing of ours is left in the speaker.
    pub ends_with_daemon: bool,
}

/// Listens to the speaker in a task of its own: a watch that nobody polls may hold what a call needs.
fn listen(announcer: Arc<dyn Announcer>) -> (mpsc::UnboundedReceiver<SpeakerEvent>, AbortOnDrop) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        loop {
            let mut watch = announcer.watch();
            while let Some(event) = watch.next().await {
                if sender.send(event).is_err() {
                    return;
                }
            }
            // an adapter watches for ever; one that does not is asked again
            sleep(LOOK).await;
        }
    });
    (receiver, AbortOnDrop(listening))
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The guard's own surroundings, as far as it needs them: what the daemon writes, and where its own deeds are written.
pub trait Surroundings: Send + Sync {
    /// The daemon's heartbeat as it stands there now.
    fn heartbeat(&self) -> Option<Heartbeat>;
    /// These paths were overdue, and were seen to be gone.
    fn withdrew(&self, gone: &[GuardWithdrawal]);
}

/// Why a guard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// The daemon is gone, and so is everything of ours.
    NothingLeft,
}

/// What a single pass left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Own paths that stand.
    pub own: usize,
    /// Of those, the ones that are overdue all the same.
    pub overdue: usize,
    /// Paths that were taken away.
    pub withdrawn: u64,
}

/// See the module.
pub struct Guard {
    announcer: Arc<dyn Announcer>,
    clock: Arc<dyn Clock>,
    surroundings: Arc<dyn Surroundings>,
    settings: Settings,
    view: watch::Sender<View>,
    ledger: Ledger,
    attempts: Attempts,
    pulse: Pulse,
    connected: bool,
    /// When the whole table was last read to its end.
    read_at: Option<DateTime<Utc>>,
    next_read: Instant,
    /// Not allowed to act before.
    held_until: Option<Instant>,
    reminded: Option<Instant>,
    withdrawn: u64,
    problem: Option<String>,
}

impl Guard {
    /// Does nothing before it [runs](Self::run).
    pub fn new(
        announcer: Arc<dyn Announcer>,
        clock: Arc<dyn Clock>,
        surroundings: Arc<dyn Surroundings>,
        settings: Settings,
    ) -> Self {
        let now = Instant::now();
        let view = watch::Sender::new(View::new(clock.now()));
        Self {
            announcer,
            clock,
            surroundings,
            settings,
            view,
            ledger: Ledger::default(),
            attempts: Attempts::default(),
            pulse: Pulse::new(now),
            connected: false,
            read_at: None,
            next_read: now,
            held_until: None,
            reminded: None,
            withdrawn: 0,
            problem: None,
        }
    }

    /// What it sees, again and again while it works.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Guards until it is asked to stop, or has nothing left to guard.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) -> End {
        tokio::select! {
            () = stop => End::Asked,
            end = self.work() => end,
        }
    }

    /// A single pass: reads the table, takes away what is overdue, and says what is left.
    ///
    /// # Errors
    /// The table could not be read to its end.
    pub async fn once(mut self) -> Result<Once, AnnounceError> {
        self.look();
        while self.pulse.daemon(Instant::now()) == Daemon::Unknown {
            sleep(LOOK / 4).await;
            self.look();
        }
        self.read_table().await?;
        // what failed waits for its next turn, which a single pass does not have
        while self.take_away().await && self.attempts.is_empty() {}
        self.read_table().await?;
        let unsettled = self.attempts.absent_keys(&self.ledger);
        self.read_back(unsettled).await;
        let overdue = self.ledger.overdue(self.clock.now(), self.settings.grace).count();
        Ok(Once { own: self.ledger.own(), overdue, withdrawn: self.withdrawn })
    }

    async fn work(&mut self) -> End {
        let (mut events, _listening) = listen(Arc::clone(&self.announcer));
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.wake();
            tokio::select! {
                Some(event) = events.recv() => {
                    self.heard(event);
                    while let Ok(event) = events.try_recv() {
                        self.heard(event);
                    }
                }
                _ = looks.tick() => self.look(),
                () = sleep_until(self.next_read) => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            if Instant::now() >= self.next_read {
                self.full_read().await;
            }
            self.take_away().await;
            self.show();
            if self.settings.ends_with_daemon && self.nothing_left().await {
                return End::NothingLeft;
            }
        }
    }

    fn look(&mut self) {
        self.pulse.look(self.surroundings.heartbeat(), Instant::now(), self.clock.now());
    }

    fn heard(&mut self, event: SpeakerEvent) {
        match event {
            SpeakerEvent::Connected => {
                self.connected = true;
                self.next_read = Instant::now();
                self.attempts.retry_now();
            }
            SpeakerEvent::Disconnected { reason } => {
                self.connected = false;
                self.trouble(format!("the speaker cannot be reached: {reason}"));
            }
            SpeakerEvent::PeerChanged(_) => {}
            SpeakerEvent::PathChanged { key, path: None } => self.ledger.gone(&key),
            SpeakerEvent::PathChanged { path: Some(path), .. } => self.note(&path),
        }
    }

    fn note(&mut self, path: &RibPath) {
        let known = self.ledger.is_untimed(&path.key);
        self.ledger.note(path);
        if !known && self.ledger.is_untimed(&path.key) {
            let rule = path.key.flow();
            warn!(rule, "an own path has no readable not-after: it is left to the daemon's reconciliation");
        }
    }

    async fn full_read(&mut self) {
        let result = self.read_table().await;
        let now = Instant::now();
        if let Err(error) = result {
            self.next_read = now + FULL_READ_AGAIN;
            self.trouble(format!("the table cannot be read: {error}"));
        }
    }

    /// A table that broke off adds to what is known; only a whole one replaces it.
    async fn read_table(&mut self) -> Result<(), AnnounceError> {
        let mut whole = Ledger::default();
        let mut paths = self.announcer.table().await?;
        while let Some(path) = paths.try_next().await? {
            self.note(&path);
            whole.note(&path);
        }
        self.ledger = whole;
        let (clock, grace) = (self.clock.now(), self.settings.grace);
        self.attempts.forget_renewed(&self.ledger, |standing| is_overdue(standing.not_after, grace, clock));
        let now = Instant::now();
        self.read_at = Some(clock);
        self.next_read = now + FULL_READ;
        self.connected = true;
        self.problem = None;
        Ok(())
    }

    /// When there is something to take away; `None` while nothing of ours with a time stands.
    fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let clock = self.clock.now();
        let mut wake = self.attempts.next_of_absent(&self.ledger);
        for key in self.ledger.overdue(clock, self.settings.grace) {
            let at = self.attempts.retry_at(key).unwrap_or(now);
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
            if at <= now {
                break;
            }
        }
        let due = self.ledger.next_due(self.settings.grace).filter(|due| *due > clock);
        let due = due.map(|due| now + (due - clock).to_std().unwrap_or_default());
        let wake = match (wake, due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }?;
        // the clock may be set meanwhile, so it is asked at least with every look
        Some(wake.max(self.held_until.unwrap_or(now)).min(now + LOOK))
    }

    /// Takes away what is overdue and waits for nothing. True if something was done, so that more may be due.
    async fn take_away(&mut self) -> bool {
        let (now, clock) = (Instant::now(), self.clock.now());
        let mut keys: Vec<RouteKey> = self
            .ledger
            .overdue(clock, self.settings.grace)
            .filter(|key| self.attempts.retry_at(key).is_none_or(|at| at <= now))
            .cloned()
            .collect();
        let overdue = keys.len();
        keys.extend(self.attempts.due_and_absent(&self.ledger, now));
        if keys.is_empty() {
            return false;
        }
        if overdue > 0 && self.is_held(overdue) {
            self.held_until = Some(now + LOOK);
            return false;
        }
        self.held_until = None;
        let read_back = Instant::now();
        let Some(overdue) = self.read_back(keys).await else { return true };
        if overdue.is_empty() {
            return true;
        }
        let until = read_back + BELIEVED;
        let pace = self.settings.max_changes_per_second;
        let answers = pace::withdraw(self.announcer.as_ref(), &overdue, pace, Some(until)).await;
        let mut sent = Vec::with_capacity(answers.len());
        for (key, answer) in overdue.into_iter().zip(answers) {
            match answer {
                Ok(()) | Err(AnnounceError::Unknown(_)) => {
                    if let Some(standing) = self.ledger.get(&key) {
                        self.attempts.sent(&key, standing);
                    }
                    sent.push(key);
                }
                Err(error) => self.failed(&key, &error),
            }
        }
        for key in self.read_back(sent).await.unwrap_or_default() {
            self.failed(&key, &AnnounceError::Unknown("it still stands".to_owned()));
        }
        true
    }

    /// Reads these routes back and settles what is gone or was renewed. Returns what is still overdue; `None` if it
    /// could not be read.
    async fn read_back(&mut self, keys: Vec<RouteKey>) -> Option<Vec<RouteKey>> {
        if keys.is_empty() {
            return Some(keys);
        }
        let found = match self.announcer.find(&keys).await {
            Ok(found) => found,
            Err(error) => {
                keys.iter().for_each(|key| self.failed(key, &error));
                return None;
            }
        };
        let clock = self.clock.now();
        let mut overdue = Vec::new();
        let mut gone = Vec::new();
        for (key, found) in keys.into_iter().zip(found) {
            match found.as_ref().and_then(Standing::of) {
                Some(now) if is_overdue(now.not_after, self.settings.grace, clock) => {
                    // what is there may be another path than the one we knew
                    found.iter().for_each(|path| self.ledger.note(path));
                    overdue.push(key);
                }
                Some(_) => {
                    found.iter().for_each(|path| self.ledger.note(path));
                    self.attempts.settled(&key);
                }
                None => {
                    self.ledger.gone(&key);
                    found.iter().for_each(|path| self.ledger.note(path));
                    if let Some(Standing { not_after, mitigation }) = self.attempts.settled(&key) {
                        gone.push(GuardWithdrawal { at: clock, key, not_after, mitigation });
                    }
                }
            }
        }
        self.withdrew(&gone);
        if self.attempts.is_empty() {
            self.problem = None;
        }
        Some(overdue)
    }

    fn withdrew(&mut self, gone: &[GuardWithdrawal]) {
        if gone.is_empty() {
            return;
        }
        for path in gone {
            let (rule, not_after) = (path.key.flow(), path.not_after.time());
            info!(rule, %not_after, "took away an own path that stood beyond its time");
        }
        self.withdrawn += gone.len() as u64;
        self.surroundings.withdrew(gone);
    }

    fn failed(&mut self, key: &RouteKey, error: &AnnounceError) {
        self.attempts.failed(key, Instant::now());
        self.trouble(format!("an overdue path cannot be taken away: {error}"));
    }

    /// While the daemon lives and its clock is another, nobody knows whose clock is right: it is only said.
    fn is_held(&mut self, overdue: usize) -> bool {
        match self.pulse.daemon(Instant::now()) {
            Daemon::Unknown => true,
            Daemon::Living { behind }
                if behind.abs().to_std().unwrap_or(Duration::MAX) > self.settings.grace =>
            {
                let seconds = behind.num_seconds();
                self.trouble(format!(
                    "the daemon lives, and its clock is {seconds} s behind this one: {overdue} paths look overdue \
                     and are left to it"
                ));
                true
            }
            Daemon::Living { .. } | Daemon::Silent { .. } | Daemon::Ended => false,
        }
    }

    fn trouble(&mut self, problem: String) {
        let now = Instant::now();
        if self.problem.is_none() || self.reminded.is_none_or(|at| now - at >= REMINDER) {
            warn!("{problem}");
            self.reminded = Some(now);
        }
        self.problem = Some(problem);
    }

    fn show(&self) {
        let now = self.clock.now();
        self.view.send_replace(View {
            at: now,
            own: self.ledger.own(),
            untimed: self.ledger.untimed().count(),
            overdue: self.ledger.overdue(now, self.settings.grace).count(),
            next_not_after: self.ledger.iter().next().map(|(_, standing)| standing.not_after.time()),
            withdrawn: self.withdrawn,
            connected: self.connected,
            table_read_at: self.read_at,
            problem: self.problem.clone(),
        });
    }

    /// True if the daemon is gone and, by a table that was read to its end after that, so is everything of ours.
    async fn nothing_left(&mut self) -> bool {
        let gone = match self.pulse.daemon(Instant::now()) {
            Daemon::Silent { since } => since >= GONE,
            Daemon::Ended => true,
            Daemon::Unknown | Daemon::Living { .. } => false,
        };
        let empty = |guard: &Self| guard.ledger.own() == 0 && guard.attempts.is_empty();
        gone && empty(self) && self.read_table().await.is_ok() && empty(self)
    }
}
