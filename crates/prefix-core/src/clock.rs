//! The port to the time of day. Tests run the whole engine under a scripted clock.

use chrono::{DateTime, SubsecRound, Utc};

/// The port to the time of day.
pub trait Clock: Send + Sync {
    /// The time now, in UTC, in whole microseconds: every store keeps that without loss.
    fn now(&self) -> DateTime<Utc>;
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
