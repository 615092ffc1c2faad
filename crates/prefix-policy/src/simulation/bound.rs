//! How long a simulation may go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

/// What ends a simulation early; nothing does by default.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The most steps: each event, each timer and each decision is one. A step takes microseconds, so a simulation of as
    /// many steps as `u64` holds never ends.
    pub steps: u64,
    /// Becomes true when nobody waits for the result any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Default for Bound {
    fn default() -> Self {
        Self { steps: u64::MAX, cancelled: Arc::default() }
    }
}

/// Why a simulation ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Stopped {
    /// It took all the steps that it may take.
    #[error("more than {0} steps")]
    Steps(u64),
    /// Nobody waits for it any more.
    #[error("nobody waits for the result any more")]
    Cancelled,
}

impl Bound {
    /// Whether a simulation that has taken so many steps ends here.
    pub(super) fn reached(&self, steps: u64) -> Option<Stopped> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(Stopped::Cancelled);
        }
        (steps > self.steps).then_some(Stopped::Steps(self.steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_reached_by_steps_or_by_nobody_waiting() {
        let bound = Bound { steps: 3, ..Bound::default() };
        assert_eq!((bound.reached(3), bound.reached(4)), (None, Some(Stopped::Steps(3))));
        bound.cancelled.store(true, Ordering::Relaxed);
        assert_eq!(bound.reached(1), Some(Stopped::Cancelled));
        assert_eq!(Bound::default().reached(u64::MAX), None);
    }
}
