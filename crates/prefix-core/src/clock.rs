//! The time: the port to the clocks of the machine, and the estimate of storage's clock that everything is decided by.
//! Tests run the whole engine under scripted clocks.

mod estimate;
mod frame;

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};

pub use estimate::{Anchor, ClockEstimate, ClockSample, VALID_ERROR};
pub use frame::ClockFrame;

/// The port to a clock.
///
/// The machine's own is [`SystemClock`], whose time of day may be wrong and may be set. What decides is the clock of the
/// engine, which shows the time of storage.
pub trait Clock: Send + Sync {
    /// The time of day, in UTC, in whole microseconds: every store keeps that without loss.
    fn now(&self) -> DateTime<Utc>;

    /// The time since the machine was started, the time that it was suspended included (`CLOCK_BOOTTIME`,
    /// `clock_gettime(2)`). Nobody can set it, and all processes of a machine see the same.
    fn since_boot(&self) -> Duration;
}

/// The clocks of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    fn since_boot(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_the_start_of_the_machine_goes_on() {
        let first = SystemClock.since_boot();
        std::thread::sleep(Duration::from_millis(2));
        let between = SystemClock.since_boot().saturating_sub(first);
        assert!(between >= Duration::from_millis(2) && between < Duration::from_mins(1), "{between:?}");
    }
}
