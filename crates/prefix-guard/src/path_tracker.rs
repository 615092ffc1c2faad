//! The own paths in the speaker's table by their not-after times. No I/O, and no clock of its own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::announcer::RibPath;
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};

/// The tags of an own path with a readable not-after time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedPath {
    /// The time from which on it may be withdrawn.
    pub not_after: NotAfter,
    /// The mitigation it belongs to, if that can be read.
    pub mitigation: Option<MitigationTag>,
}

impl TrackedPath {
    /// The tags of a path that the guard may withdraw: own, injected over the speaker's API, with a not-after time.
    pub fn of(path: &RibPath) -> Option<Self> {
        match path.ownership {
            Ownership::Own { not_after: Some(not_after), mitigation } if path.local => {
                Some(Self { not_after, mitigation })
            }
            _ => None,
        }
    }
}

/// Whether a path is overdue: `now` is its not-after time plus `grace`, or later.
pub fn is_overdue(not_after: NotAfter, grace: Duration, now: DateTime<Utc>) -> bool {
    now >= due(not_after, grace)
}

fn due(not_after: NotAfter, grace: Duration) -> DateTime<Utc> {
    let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
    not_after.time().checked_add_signed(grace).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Own paths and their not-after times.
#[derive(Debug, Default)]
pub struct PathTracker {
    tracked: HashMap<RouteKey, TrackedPath>,
    deadlines: BTreeSet<(NotAfter, RouteKey)>,
    untimed: HashSet<RouteKey>,
}

impl PathTracker {
    /// Replaces what is known of the path's route. A path learned from a neighbor says nothing about own paths.
    pub fn update(&mut self, path: &RibPath) {
        if !path.local {
            return;
        }
        self.remove(&path.key);
        if let Some(tracked) = TrackedPath::of(path) {
            self.deadlines.insert((tracked.not_after, path.key.clone()));
            self.tracked.insert(path.key.clone(), tracked);
        } else if path.ownership.is_own() {
            self.untimed.insert(path.key.clone());
        }
    }

    /// Removes a route that has no path any more.
    pub fn remove(&mut self, key: &RouteKey) {
        if let Some(tracked) = self.tracked.remove(key) {
            self.deadlines.remove(&(tracked.not_after, key.clone()));
        }
        self.untimed.remove(key);
    }

    /// The number of own paths, those without a readable not-after time included.
    pub fn own_count(&self) -> usize {
        self.tracked.len() + self.untimed.len()
    }

    /// Own paths without a readable not-after time. They are the daemon's to withdraw, not the guard's.
    pub fn untimed(&self) -> impl ExactSizeIterator<Item = &RouteKey> {
        self.untimed.iter()
    }

    /// Whether this own path has no readable not-after time.
    pub fn is_untimed(&self, key: &RouteKey) -> bool {
        self.untimed.contains(key)
    }

    /// The overdue paths, by not-after time.
    pub fn overdue(&self, now: DateTime<Utc>, grace: Duration) -> impl Iterator<Item = &RouteKey> {
        let past = self.deadlines.iter().take_while(move |(not_after, _)| is_overdue(*not_after, grace, now));
        past.map(|(_, key)| key)
    }

    /// The earliest not-after time.
    pub fn next_not_after(&self) -> Option<NotAfter> {
        self.deadlines.first().map(|(not_after, _)| *not_after)
    }

    /// When the next path becomes overdue; in the past if one is overdue.
    pub fn next_due(&self, grace: Duration) -> Option<DateTime<Utc>> {
        self.next_not_after().map(|not_after| due(not_after, grace))
    }

    /// The tags of a tracked path.
    pub fn get(&self, key: &RouteKey) -> Option<TrackedPath> {
        self.tracked.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::world::{key, path};

    const GRACE: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn overdue(tracker: &PathTracker, seconds: i64) -> Vec<RouteKey> {
        tracker.overdue(at(seconds), GRACE).cloned().collect()
    }

    #[test]
    fn a_path_is_overdue_from_its_time_and_grace_on_and_never_before() {
        let mut tracker = PathTracker::default();
        tracker.update(&path(1, 100));
        assert_eq!(tracker.next_due(GRACE), Some(at(110)));
        let just_before = at(110) - TimeDelta::microseconds(1);
        assert_eq!(tracker.overdue(just_before, GRACE).count(), 0);
        assert_eq!(overdue(&tracker, 110), [key(1)]);
    }

    #[test]
    fn a_renewed_path_is_known_by_its_new_time_only() {
        let mut tracker = PathTracker::default();
        tracker.update(&path(1, 100));
        tracker.update(&path(2, 120));
        tracker.update(&path(1, 200));
        assert_eq!(overdue(&tracker, 130), [key(2)]);
        assert_eq!(overdue(&tracker, 210), [key(2), key(1)]);
        tracker.remove(&key(2));
        assert_eq!((tracker.own_count(), tracker.next_due(GRACE)), (1, Some(at(210))));
    }

    #[test]
    fn only_own_local_paths_with_a_time_are_ever_overdue() {
        let mut tracker = PathTracker::default();
        let foreign = RibPath { ownership: Ownership::Foreign, ..path(1, 1) };
        let other_pop = RibPath { ownership: Ownership::OtherPop { owner: 7 }, ..path(2, 1) };
        let learned = RibPath { local: false, ..path(3, 1) };
        let untimed =
            RibPath { ownership: Ownership::Own { not_after: None, mitigation: None }, ..path(4, 1) };
        for path in [foreign, other_pop, learned, untimed] {
            tracker.update(&path);
        }
        assert_eq!(overdue(&tracker, i64::from(u32::MAX)), []);
        assert_eq!((tracker.own_count(), tracker.untimed().collect::<Vec<_>>()), (1, vec![&key(4)]));
    }

    #[test]
    fn a_path_that_somebody_replaced_is_not_ours_any_more() {
        let mut tracker = PathTracker::default();
        tracker.update(&path(1, 100));
        tracker.update(&RibPath { local: false, ownership: Ownership::Foreign, ..path(1, 100) });
        assert_eq!(tracker.own_count(), 1, "a path of a neighbor replaces nothing");
        tracker.update(&RibPath { ownership: Ownership::Foreign, ..path(1, 100) });
        assert_eq!((tracker.own_count(), tracker.next_due(GRACE)), (0, None));
    }
}
