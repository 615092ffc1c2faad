//! The pulse of the daemon: it lives as long as what it writes keeps changing, by the observer's own steady clock. Two
//! clocks that disagree are thereby noticed, and never taken for a death.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What the daemon writes each second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Its process.
    pub pid: u32,
    /// Its clock.
    pub time: DateTime<Utc>,
    /// One more each time.
    pub counter: u64,
    /// True in the last one of a daemon that ends in order.
    #[serde(default)]
    pub goodbye: bool,
}

/// The daemon, as its pulse shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// It was not looked at for long enough.
    Unknown,
    /// It lives. Its clock is `behind` ours by so much (negative: ahead), beyond what looking now and then explains.
    Living {
        /// Our clock less its clock.
        behind: TimeDelta,
    },
    /// Nothing was heard of it for so long.
    Silent {
        /// As far as we looked.
        since: Duration,
    },
    /// It ended in order.
    Ended,
}

/// Looks at the heartbeat again and again.
#[derive(Clone, Debug)]
pub struct Pulse {
    began: Instant,
    looked: Option<Instant>,
    last: Option<Heartbeat>,
    changed: Option<(Instant, TimeDelta)>,
}

impl Pulse {
    /// A heartbeat that did not change for so long is that of a dead one.
    pub const FRESH: Duration = Duration::from_secs(10);
    /// A heartbeat that was found does not say whether it changes before so long.
    const FIRST_LOOK: Duration = Duration::from_secs(3);

    /// Nothing was seen yet.
    pub fn new(now: Instant) -> Self {
        Self { began: now, looked: None, last: None, changed: None }
    }

    /// Takes note of what stands there now. `clock` is the observer's own time of day.
    pub fn look(&mut self, heartbeat: Option<Heartbeat>, now: Instant, clock: DateTime<Utc>) {
        if let Some(new) = &heartbeat
            && let Some(looked) = self.looked
            && self.last.as_ref() != Some(new)
        {
            // it was written at some time since the last look
            let late = clock - new.time;
            let explained = TimeDelta::from_std(now - looked).unwrap_or(TimeDelta::MAX);
            let behind =
                if late > TimeDelta::zero() { (late - explained).max(TimeDelta::zero()) } else { late };
            self.changed = Some((now, behind));
        }
        self.last = heartbeat;
        self.looked = Some(now);
    }

    /// What that says.
    pub fn daemon(&self, now: Instant) -> Daemon {
        match (&self.last, self.changed) {
            (Some(last), _) if last.goodbye => Daemon::Ended,
            (_, Some((at, behind))) if now - at < Self::FRESH => Daemon::Living { behind },
            (_, Some((at, _))) => Daemon::Silent { since: now - at },
            (Some(_), None) if now - self.began < Self::FIRST_LOOK => Daemon::Unknown,
            (None, None) if self.looked.is_none() => Daemon::Unknown,
            _ => Daemon::Silent { since: now - self.began },
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
        Heartbeat { pid: 1, time, counter, goodbye: false }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_heartbeat_that_changes_is_life_whatever_its_clock_says() {
        let start = Instant::now();
        for skew in [-3_600_000, 0, 3_600_000] {
            let mut pulse = Pulse::new(start);
            pulse.look(Some(beat(1, at(skew))), start, at(0));
            assert_eq!(pulse.daemon(start), Daemon::Unknown);
            let now = start + seconds(1);
            pulse.look(Some(beat(2, at(1000 + skew))), now, at(1000));
            let expected = match skew {
                0 => TimeDelta::zero(),
                skew if skew > 0 => TimeDelta::milliseconds(-skew),
                // a second between two looks may be the daemon's fault or ours
                skew => TimeDelta::milliseconds(-skew - 1000),
            };
            assert_eq!(pulse.daemon(now), Daemon::Living { behind: expected }, "{skew}");
        }
    }

    #[tokio::test]
    async fn a_heartbeat_that_stands_still_is_death_even_with_the_time_of_now() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.look(Some(beat(1, at(0))), start, at(0));
        pulse.look(Some(beat(1, at(0))), start + seconds(3), at(0));
        assert_eq!(pulse.daemon(start + seconds(3)), Daemon::Silent { since: seconds(3) });
        pulse.look(Some(beat(2, at(4000))), start + seconds(4), at(4000));
        assert!(matches!(pulse.daemon(start + seconds(13)), Daemon::Living { .. }));
        assert_eq!(pulse.daemon(start + seconds(14)), Daemon::Silent { since: seconds(10) });
    }

    #[tokio::test]
    async fn no_heartbeat_and_a_goodbye_need_no_waiting() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        assert_eq!(pulse.daemon(start), Daemon::Unknown);
        pulse.look(None, start, at(0));
        assert!(matches!(pulse.daemon(start), Daemon::Silent { .. }));
        let goodbye = Heartbeat { pid: 1, time: at(0), counter: 9, goodbye: true };
        pulse.look(Some(goodbye), start, at(0));
        assert_eq!(pulse.daemon(start), Daemon::Ended);
    }
}
