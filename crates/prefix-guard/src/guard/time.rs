//! The guard's time: that of storage, as the daemon knew it last, for as long as this boot lasts. The time of day of the
//! machine counts only where no daemon ever knew better.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::Clock;
use prefix_core::clock::Anchor;
use tokio::time::Instant;

/// Anchors that differ by more than this are of two times: storage's clock was set, and the daemon has gone over to it.
const STEP: TimeDelta = TimeDelta::seconds(1);
/// After that a leader renews the times on its paths: nothing is withdrawn meanwhile.
const STEP_PATIENCE: Duration = Duration::from_secs(30);

/// What the guard takes for the time.
pub(super) struct GuardTime {
    clock: Arc<dyn Clock>,
    anchor: Option<Anchor>,
    stepped: Option<Instant>,
}

impl GuardTime {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, anchor: None, stepped: None }
    }

    /// The time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        match &self.anchor {
            Some(anchor) => anchor.at(self.clock.since_boot()),
            None => self.clock.now(),
        }
    }

    /// The time of day of the machine.
    pub(super) fn host(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// True if the time is that of storage.
    pub(super) fn is_of_storage(&self) -> bool {
        self.anchor.is_some()
    }

    /// Takes what the daemon says of the time; what it said before stays when it says nothing any more.
    pub(super) fn observe(&mut self, anchor: Option<Anchor>, now: Instant) {
        let Some(anchor) = anchor else { return };
        if let Some(known) = self.anchor
            && (anchor.time - known.at(anchor.since_boot)).abs() > STEP
        {
            self.stepped = Some(now);
        }
        self.anchor = Some(anchor);
    }

    /// True if storage's clock was set a moment ago: paths may still carry times of before.
    pub(super) fn has_just_stepped(&self, now: Instant) -> bool {
        self.stepped.is_some_and(|at| now - at < STEP_PATIENCE)
    }
}
