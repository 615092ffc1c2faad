//! The guard's heartbeat: it beats only while the guard really works.

use std::time::Duration;

use prefix_guard::View;
use prefix_guard::files::{GuardAlive, StateDir};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::compose;
use crate::config::speaker::SpeakerSettings;
use crate::service_manager::ServiceManager;

const PERIOD: Duration = Duration::from_secs(1);
/// Beside four calls that the speaker does not answer, nothing keeps a guard for so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// See the module.
pub(super) struct Heart {
    state: StateDir,
    configuration: String,
    view: watch::Receiver<View>,
    patience: Duration,
}

impl Heart {
    pub(super) fn new(state: StateDir, settings: &SpeakerSettings, view: watch::Receiver<View>) -> Self {
        let call = settings.bgp.connect_timeout_seconds + settings.bgp.request_timeout_seconds;
        let patience = PATIENCE + Duration::from_secs(call) * 4;
        Self { state, configuration: settings.fingerprint(), view, patience }
    }

    /// Beats as long as there is a guard, and once more when it has ended: what it did last is to be seen.
    pub(super) async fn beat(mut self, manager: ServiceManager) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counter, mut worked, mut failing) = (0, Instant::now(), false);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let ended = self.view.has_changed().is_err();
            if self.view.has_changed().unwrap_or(false) {
                worked = now;
            }
            if now - worked > self.patience {
                tracing::error!("the guard does not get on: its heartbeat stops");
                continue;
            }
            counter += 1;
            let alive = self.alive(counter);
            let written = self.state.write(StateDir::GUARD_ALIVE, &alive);
            if let (Err(error), false) = (&written, failing) {
                tracing::warn!(%error, "guard.alive cannot be written: the guard works, but nobody sees it");
            }
            failing = written.is_err();
            if ended {
                return;
            }
            if manager.watchdog().is_some() {
                manager.alive();
            }
        }
    }

    fn alive(&mut self, counter: u64) -> GuardAlive {
        let view = self.view.borrow_and_update().clone();
        GuardAlive {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: self.configuration.clone(),
            time: compose::clock().now(),
            counter,
            own_paths: view.own,
            overdue: view.overdue,
            untimed: view.untimed,
            next_not_after: view.next_not_after,
            withdrawn: view.withdrawn,
            connected: view.connected,
            table_read_at: view.table_read_at,
            problem: view.problem,
        }
    }
}
