//! Writes the guard's heartbeat, as long as the guard makes progress.

use std::time::Duration;

use prefix_guard::GuardState;
use prefix_guard::files::{GuardAlive, StateDir};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::compose;
use crate::service_manager::ServiceManager;
use prefix_config::speaker::SpeakerSettings;

const PERIOD: Duration = Duration::from_secs(1);
/// A guard publishes its state more often than this, if all calls of the speaker are answered at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// Writes `guard.alive` once a second, unless the guard has published no state for [`PATIENCE`] and four calls.
pub(super) struct HeartbeatWriter {
    state: StateDir,
    configuration: String,
    guard: watch::Receiver<GuardState>,
    patience: Duration,
}

impl HeartbeatWriter {
    pub(super) fn new(
        state: StateDir,
        settings: &SpeakerSettings,
        guard: watch::Receiver<GuardState>,
    ) -> Self {
        let call = settings.bgp.connect_timeout_seconds + settings.bgp.request_timeout_seconds;
        let patience = PATIENCE + Duration::from_secs(call) * 4;
        Self { state, configuration: settings.fingerprint(), guard, patience }
    }

    /// Writes as long as there is a guard, and once more when it has ended, so that its last state is visible.
    pub(super) async fn run(mut self, manager: ServiceManager) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counter, mut worked, mut failing) = (0, Instant::now(), false);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let ended = self.guard.has_changed().is_err();
            if self.guard.has_changed().unwrap_or(false) {
                worked = now;
            }
            if now - worked > self.patience {
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
            state: self.guard.borrow_and_update().clone(),
        }
    }
}
