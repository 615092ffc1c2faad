//! A clock that shows what the test says.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use prefix_core::Clock;
use tokio::time::Instant;

/// A clock under the hand of a test.
///
/// One that [follows tokio](Self::following_tokio) goes on with tokio's own time: in a test that pauses it
/// (`#[tokio::test(start_paused = true)]`), sleeping moves both at once, without any real time passing, and timers fire
/// in their order. One that [stands](Self::standing_at) moves only when it is told to. Both can be set.
#[derive(Debug)]
pub struct ScriptedClock {
    hands: Mutex<Hands>,
    born: Instant,
}

/// How long before a scripted clock its machine was started.
const BOOTED_BEFORE: Duration = Duration::from_hours(1);

#[derive(Debug)]
struct Hands {
    shown: DateTime<Utc>,
    /// Since when tokio's time is added; `None` for one that stands.
    since: Option<Instant>,
}

impl ScriptedClock {
    /// Shows this time until it is told to show another.
    pub fn standing_at(time: DateTime<Utc>) -> Self {
        Self { hands: Mutex::new(Hands { shown: time, since: None }), born: Instant::now() }
    }

    /// Shows this time now, and goes on with tokio's.
    pub fn following_tokio(time: DateTime<Utc>) -> Self {
        Self { hands: Mutex::new(Hands { shown: time, since: Some(Instant::now()) }), born: Instant::now() }
    }

    /// Sets it, forward or back, as a correction of the machine's clock does: tokio's time does not move.
    pub fn set(&self, time: DateTime<Utc>) {
        let mut hands = self.lock();
        hands.shown = time;
        hands.since = hands.since.map(|_| Instant::now());
    }

    /// Puts it forward at once; tokio's time does not move.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        self.set(self.now() + by);
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ScriptedClock {
    fn now(&self) -> DateTime<Utc> {
        let hands = self.lock();
        let elapsed = hands.since.map_or(Duration::ZERO, |since| since.elapsed());
        (hands.shown + elapsed).trunc_subsecs(6)
    }

    /// Goes on with tokio's time, whatever the clock is set to.
    fn since_boot(&self) -> Duration {
        BOOTED_BEFORE + self.born.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[tokio::test]
    async fn a_standing_clock_moves_only_when_told() {
        let clock = ScriptedClock::standing_at(at(100));
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(clock.now(), at(100));
        clock.advance(Duration::from_mins(1));
        assert_eq!(clock.now(), at(160));
        clock.set(at(50));
        assert_eq!(clock.now(), at(50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_following_clock_goes_with_the_paused_time_of_a_test() {
        let clock = ScriptedClock::following_tokio(at(100));
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(clock.now(), at(3_700));
        clock.set(at(100));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), at(101));
    }
}
