//! A speaker in memory, a clock, and a daemon of which only the heartbeat is seen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use prefix_core::Clock;
use prefix_core::announcer::RibPath;
use prefix_core::clock::{Anchor, ClockFrame};
use prefix_core::flowspec::{RouteKey, Rule};
use prefix_core::guard::GuardWithdrawal;
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};
use prefix_testkit::fakes::{MemoryAnnouncer, ScriptedClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::guard::{ExitReason, Guard, GuardHost, GuardState, Settings};
use crate::heartbeat_monitor::{BootAnchor, Heartbeat};

/// The time at which every story begins, Unix seconds.
pub(crate) const START: u32 = 1_800_000_000;

/// A rule of its own for each number.
pub(crate) fn key(number: u32) -> RouteKey {
    let (high, low) = (number >> 8, number & 0xff);
    RouteKey::for_rule(&format!("dst 10.0.{high}.{low}/32 proto udp").parse::<Rule>().unwrap())
}

/// An own path with this time on it.
pub(crate) fn path(number: u32, not_after: u32) -> RibPath {
    RibPath {
        key: key(number),
        action: None,
        ownership: Ownership::Own {
            not_after: Some(NotAfter(not_after)),
            mitigation: Some(MitigationTag(number)),
        },
        local: true,
        attributes: String::new(),
    }
}

pub(crate) struct World {
    pub(crate) speaker: Arc<MemoryAnnouncer>,
    clock: Arc<ScriptedClock>,
    others: Arc<Others>,
    state: Mutex<Option<watch::Receiver<GuardState>>>,
}

struct Others {
    clock: Arc<ScriptedClock>,
    daemon: Mutex<Option<TimeDelta>>,
    /// How much the machine's clock is ahead of storage's, if the daemon knows that one.
    ahead_of_storage: Mutex<Option<TimeDelta>>,
    last: Mutex<Option<Heartbeat>>,
    withdrawn: Mutex<Vec<GuardWithdrawal>>,
}

impl GuardHost for Others {
    fn heartbeat(&self) -> Option<Heartbeat> {
        let mut last = self.last.lock().unwrap();
        if let Some(ahead) = *self.daemon.lock().unwrap() {
            let time = self.clock.now() + ahead;
            let counter = u64::try_from(self.clock.now().timestamp()).unwrap();
            let storage_time = self.ahead_of_storage.lock().unwrap().map(|ahead| BootAnchor {
                boot_id: "this one".to_owned(),
                anchor: Anchor {
                    time: self.clock.now() - ahead,
                    since_boot: self.clock.since_boot(),
                    frame: ClockFrame::default(),
                },
            });
            *last = Some(Heartbeat { pid: 7, time, counter, goodbye: false, storage_time });
        }
        last.clone()
    }

    fn record_withdrawals(&self, gone: &[GuardWithdrawal]) {
        self.withdrawn.lock().unwrap().extend_from_slice(gone);
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let start = DateTime::from_timestamp(i64::from(START), 0).unwrap();
        let clock = Arc::new(ScriptedClock::following_tokio(start));
        let others = Others {
            clock: Arc::clone(&clock),
            daemon: Mutex::default(),
            ahead_of_storage: Mutex::default(),
            last: Mutex::default(),
            withdrawn: Mutex::default(),
        };
        Self { speaker: Arc::default(), clock, others: Arc::new(others), state: Mutex::default() }
    }

    /// The daemon writes its heartbeat, by a clock that is so far ahead.
    pub(crate) fn daemon_lives(&self, ahead: TimeDelta) {
        *self.others.daemon.lock().unwrap() = Some(ahead);
    }

    /// It knows the time of storage, which the machine's clock is so far ahead of.
    pub(crate) fn daemon_knows_storage(&self, ahead: TimeDelta) {
        *self.others.ahead_of_storage.lock().unwrap() = Some(ahead);
        self.daemon_lives(TimeDelta::zero());
    }

    /// A leader elsewhere lives: it puts this path back as soon as it is gone, a hundred times a second.
    pub(crate) fn leader_lives(&self, path: RibPath) -> JoinHandle<()> {
        let speaker = self.speaker.clone();
        tokio::spawn(async move {
            loop {
                if speaker.local(&path.key).is_none() {
                    speaker.put(path.clone());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }

    /// Its last heartbeat stays.
    pub(crate) fn daemon_dies(&self) {
        *self.others.daemon.lock().unwrap() = None;
    }

    pub(crate) fn new_guard(&self, ends_with_daemon: bool) -> Guard {
        let settings =
            Settings { grace: Duration::from_secs(10), max_changes_per_second: 10_000, ends_with_daemon };
        let guard = Guard::new(self.speaker.clone(), self.clock.clone(), self.others.clone(), settings);
        *self.state.lock().unwrap() = Some(guard.state());
        guard
    }

    /// A guard at work.
    pub(crate) fn guard(&self) -> JoinHandle<ExitReason> {
        tokio::spawn(self.new_guard(false).run(std::future::pending()))
    }

    /// A guard that the daemon started.
    pub(crate) fn spawned_guard(&self) -> JoinHandle<ExitReason> {
        tokio::spawn(self.new_guard(true).run(std::future::pending()))
    }

    pub(crate) fn own(&self) -> Vec<RouteKey> {
        self.speaker.own_paths().into_iter().map(|path| path.key).collect()
    }

    /// What it reported, in order.
    pub(crate) fn withdrawn(&self) -> Vec<RouteKey> {
        self.others.withdrawn.lock().unwrap().iter().map(|gone| gone.key.clone()).collect()
    }

    pub(crate) fn state(&self) -> GuardState {
        self.state.lock().unwrap().as_ref().unwrap().borrow().clone()
    }
}
