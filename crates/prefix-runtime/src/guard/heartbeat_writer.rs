//! Writes the guard's heartbeat, as long as the guard makes progress.

use std::time::Duration;

use prefix_guard::GuardState;
use prefix_guard::files::{GuardAlive, StateDir};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Published;
use crate::compose;
use crate::service_manager::ServiceManager;
use prefix_config::speaker::SpeakerSettings;

const PERIOD: Duration = Duration::from_secs(1);
/// A guard publishes its state more often than this, if all calls of the speaker are answered at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// Writes `guard.alive` once a second, unless the guard of a speaker has published no state for [`PATIENCE`] and four calls.
pub(super) struct HeartbeatWriter {
    state: StateDir,
    configuration: String,
    guards: Published,
    patience: Duration,
}

impl HeartbeatWriter {
    pub(super) fn new(state: StateDir, settings: &SpeakerSettings, guards: Published) -> Self {
        let call = settings.bgp.connect_timeout_seconds + settings.bgp.request_timeout_seconds;
        let patience = PATIENCE + Duration::from_secs(call) * 4;
        Self { state, configuration: settings.fingerprint(), guards, patience }
    }

    /// Writes as long as there is a guard, and once more when it has ended, so that its last state is visible.
    pub(super) async fn run(mut self, manager: ServiceManager) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counter, mut failing) = (0, false);
        let mut worked = vec![Instant::now(); self.guards.len()];
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let ended = self.guards.iter().all(|(_, guard)| guard.has_changed().is_err());
            for ((_, guard), worked) in self.guards.iter().zip(&mut worked) {
                if guard.has_changed().unwrap_or(false) {
                    *worked = now;
                }
            }
            if worked.iter().any(|worked| now - *worked > self.patience) {
                tracing::error!("the guard makes no progress: its heartbeat stops");
                continue;
            }
            counter += 1;
            let alive = self.alive(counter);
            let written = self.state.write(StateDir::GUARD_ALIVE, &alive);
            if let (Err(error), false) = (&written, failing) {
                tracing::warn!(%error, "guard.alive cannot be written: the guard works, but nobody can see that");
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
        GuardAlive {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: self.configuration.clone(),
            time: compose::clock().now(),
            counter,
            state: GuardState::together(
                self.guards
                    .iter_mut()
                    .map(|(name, guard)| (name.as_ref(), guard.borrow_and_update().clone())),
            ),
        }
    }
}
