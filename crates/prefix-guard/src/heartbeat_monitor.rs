//! Whether a process is alive, by its heartbeat: it is as long as what it writes keeps changing, measured by the
//! observer's monotonic clock. Two clocks that disagree are noticed and never taken for a death.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::clock::Anchor;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A heartbeat: written once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The process id of the writer.
    pub pid: u32,
    /// The writer's time of day.
    pub time: DateTime<Utc>,
    /// Grows by one with each heartbeat.
    pub counter: u64,
    /// True in the last heartbeat of a process that ended in order.
    #[serde(default)]
    pub goodbye: bool,
    /// The time of storage, as the writer knows it; it outlives the writer, until the machine is started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_time: Option<BootAnchor>,
}

/// A time that is right during one boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootAnchor {
    /// Which boot: `/proc/sys/kernel/random/boot_id` (`random(4)`).
    pub boot_id: String,
    /// The time.
    pub anchor: Anchor,
}

/// What the heartbeat says about the process that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It was not observed for long enough.
    Unknown,
    /// Its heartbeat changes.
    Alive {
        /// The observer's time of day less the process' (negative: the process is ahead), beyond what the time between
        /// two observations explains.
        behind: TimeDelta,
    },
    /// Its heartbeat does not change.
    Silent {
        /// For how long, as far as it was observed.
        since: Duration,
    },
    /// It ended in order.
    Ended,
}

/// Derives the liveness of a process from repeated observations of its heartbeat.
#[derive(Clone, Debug)]
pub struct HeartbeatMonitor {
    began: Instant,
    observed: Option<Instant>,
    last: Option<Heartbeat>,
    changed: Option<(Instant, TimeDelta)>,
}

impl HeartbeatMonitor {
    /// How long a process counts as alive after its heartbeat changed.
    pub const FRESH: Duration = Duration::from_secs(10);
    /// How long a heartbeat is observed before no change means silence.
    const FIRST_OBSERVATION: Duration = Duration::from_secs(3);

    /// A monitor that has observed nothing yet.
    pub fn new(now: Instant) -> Self {
        Self { began: now, observed: None, last: None, changed: None }
    }

    /// Observes the heartbeat as it is written now. `clock` is the observer's own time of day.
    pub fn observe(&mut self, heartbeat: Option<Heartbeat>, now: Instant, clock: DateTime<Utc>) {
        if let Some(new) = &heartbeat
            && let Some(observed) = self.observed
            && self.last.as_ref() != Some(new)
        {
            // it was written at some time since the last observation
            let late = clock - new.time;
            let explained = TimeDelta::from_std(now - observed).unwrap_or(TimeDelta::MAX);
            let behind =
                if late > TimeDelta::zero() { (late - explained).max(TimeDelta::zero()) } else { late };
            self.changed = Some((now, behind));
        }
        self.last = heartbeat;
        self.observed = Some(now);
    }

    /// The liveness of the process.
    pub fn liveness(&self, now: Instant) -> Liveness {
        match (&self.last, self.changed) {
            (Some(last), _) if last.goodbye => Liveness::Ended,
            (_, Some((at, behind))) if now - at < Self::FRESH => Liveness::Alive { behind },
            (_, Some((at, _))) => Liveness::Silent { since: now - at },
            (Some(_), None) if now - self.began < Self::FIRST_OBSERVATION => Liveness::Unknown,
            (None, None) if self.observed.is_none() => Liveness::Unknown,
            _ => Liveness::Silent { since: now - self.began },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_000_000 + milliseconds).unwrap()
    }

    fn beat(counter: u64, time: DateTime<Utc>) -> Heartbeat {
        Heartbeat { pid: 1, time, counter, goodbye: false, storage_time: None }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_heartbeat_that_changes_is_life_whatever_its_clock_says() {
        let start = Instant::now();
        for skew in [-3_600_000, 0, 3_600_000] {
            let mut monitor = HeartbeatMonitor::new(start);
            monitor.observe(Some(beat(1, at(skew))), start, at(0));
            assert_eq!(monitor.liveness(start), Liveness::Unknown);
            let now = start + seconds(1);
            monitor.observe(Some(beat(2, at(1000 + skew))), now, at(1000));
            let expected = match skew {
                0 => TimeDelta::zero(),
                skew if skew > 0 => TimeDelta::milliseconds(-skew),
                // a second between two looks may be the daemon's fault or ours
                skew => TimeDelta::milliseconds(-skew - 1000),
            };
            assert_eq!(monitor.liveness(now), Liveness::Alive { behind: expected }, "{skew}");
        }
    }

    #[tokio::test]
    async fn a_heartbeat_that_stands_still_is_death_even_with_the_time_of_now() {
        let start = Instant::now();
        let mut monitor = HeartbeatMonitor::new(start);
        monitor.observe(Some(beat(1, at(0))), start, at(0));
        monitor.observe(Some(beat(1, at(0))), start + seconds(3), at(0));
        assert_eq!(monitor.liveness(start + seconds(3)), Liveness::Silent { since: seconds(3) });
        monitor.observe(Some(beat(2, at(4000))), start + seconds(4), at(4000));
        assert!(matches!(monitor.liveness(start + seconds(13)), Liveness::Alive { .. }));
        assert_eq!(monitor.liveness(start + seconds(14)), Liveness::Silent { since: seconds(10) });
    }

    #[tokio::test]
    async fn no_heartbeat_and_a_goodbye_need_no_waiting() {
        let start = Instant::now();
        let mut monitor = HeartbeatMonitor::new(start);
        assert_eq!(monitor.liveness(start), Liveness::Unknown);
        monitor.observe(None, start, at(0));
        assert!(matches!(monitor.liveness(start), Liveness::Silent { .. }));
        let goodbye = Heartbeat { pid: 1, time: at(0), counter: 9, goodbye: true, storage_time: None };
        monitor.observe(Some(goodbye), start, at(0));
        assert_eq!(monitor.liveness(start), Liveness::Ended);
    }
}
