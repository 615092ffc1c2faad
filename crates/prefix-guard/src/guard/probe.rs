//! Whether somebody else looks after the paths that look overdue. A guard whose time may be wrong withdraws one of them
//! and waits: if it comes back, a leader lives, and it is not for this guard to fight it.

use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use tokio::time::Instant;

/// How long a path that was withdrawn is waited for: a leader puts it back within a second.
const WAIT: Duration = Duration::from_secs(3);
/// For how long nobody is expected to live once no path came back.
const ALONE: Duration = Duration::from_mins(1);
/// How long nothing is withdrawn after a path came back; twice as long each time.
const FIRST_TRUCE: Duration = Duration::from_mins(1);
const LONGEST_TRUCE: Duration = Duration::from_mins(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    /// One path was withdrawn: until then it may come back.
    Waiting(Instant),
    /// None came back.
    Alone(Instant),
    /// One came back: until then nothing is tried.
    Truce(Instant),
}

/// What the guard knows of a leader elsewhere.
#[derive(Debug)]
pub(super) struct Probe {
    state: State,
    truce: Duration,
    /// A path came back once: from then on the time is not trusted, wherever it comes from.
    was_contested: bool,
}

impl Probe {
    pub(super) fn new() -> Self {
        Self { state: State::Unknown, truce: FIRST_TRUCE, was_contested: false }
    }

    /// Which of the overdue paths may be withdrawn now. `is_trusted`: the guard's time is that of storage.
    pub(super) fn choose(
        &mut self,
        mut overdue: Vec<RouteKey>,
        is_trusted: bool,
        now: Instant,
    ) -> Vec<RouteKey> {
        if overdue.is_empty() || (is_trusted && !self.was_contested) {
            return overdue;
        }
        if let State::Waiting(until) = self.state
            && now >= until
        {
            self.state = State::Alone(now + ALONE);
            self.truce = FIRST_TRUCE;
        }
        match self.state {
            State::Alone(until) if now < until => overdue,
            State::Waiting(until) | State::Truce(until) if now < until => Vec::new(),
            _ => {
                self.state = State::Waiting(now + WAIT);
                overdue.truncate(1);
                overdue
            }
        }
    }

    /// A path that was withdrawn is there again, and still looks overdue.
    pub(super) fn came_back(&mut self, now: Instant) {
        if matches!(self.state, State::Truce(until) if now < until) {
            return;
        }
        self.was_contested = true;
        self.state = State::Truce(now + self.truce);
        self.truce = (self.truce * 2).min(LONGEST_TRUCE);
    }

    /// True while a leader elsewhere is known to live.
    pub(super) fn is_contested(&self, now: Instant) -> bool {
        matches!(self.state, State::Truce(until) if now < until)
    }

    /// Until when it is waited for a path to come back.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::world::key;

    fn keys(count: u32) -> Vec<RouteKey> {
        (0..count).map(key).collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_trusted_time_needs_no_probe_until_it_was_contested() {
        let (mut probe, now) = (Probe::new(), Instant::now());
        assert_eq!(probe.choose(keys(9), true, now).len(), 9);
        probe.came_back(now);
        assert!(probe.is_contested(now + seconds(59)));
        assert!(probe.choose(keys(9), true, now + seconds(59)).is_empty());
        assert_eq!(probe.choose(keys(9), true, now + seconds(60)).len(), 1);
        probe.came_back(now + seconds(61));
        assert!(probe.choose(keys(9), true, now + seconds(180)).is_empty(), "twice as long");
        assert_eq!(probe.choose(keys(9), true, now + seconds(181)).len(), 1);
        assert_eq!(probe.choose(keys(8), true, now + seconds(184)).len(), 8, "nobody lives any more");
    }

    #[tokio::test]
    async fn without_a_trusted_time_one_goes_first_and_the_rest_after_three_seconds() {
        let (mut probe, now) = (Probe::new(), Instant::now());
        assert_eq!(probe.choose(keys(9), false, now), keys(1));
        assert!(probe.choose(keys(8), false, now + seconds(2)).is_empty());
        assert_eq!(probe.waits_until(), Some(now + seconds(3)));
        assert_eq!(probe.choose(keys(8), false, now + seconds(3)).len(), 8);
        assert_eq!(probe.choose(keys(3), false, now + seconds(30)).len(), 3);
        assert_eq!(probe.choose(keys(3), false, now + seconds(64)).len(), 1, "it is asked anew");
    }
}
