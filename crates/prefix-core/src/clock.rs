//! Time is asked for, never taken: the whole engine runs under a scripted clock in tests.

use chrono::{DateTime, SubsecRound, Utc};

/// The port to the time of day.
pub trait Clock: Send + Sync {
    /// Now, in UTC, in whole microseconds: what every store can hold without loss.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
