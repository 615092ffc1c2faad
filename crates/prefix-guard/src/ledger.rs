//! The ledger knows every own path that has a time on it, and which of them are beyond it. It does no I/O and asks no
//! clock.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::announcer::RibPath;
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};

/// What the communities of an own path say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Until when it may stand.
    pub not_after: NotAfter,
    /// The mitigation it belongs to, if that can be read.
    pub mitigation: Option<MitigationTag>,
}

impl Standing {
    /// Of a path that the guard may end: ours, put there over the speaker's API, with a time on it.
    pub fn of(path: &RibPath) -> Option<Self> {
        match path.ownership {
            Ownership::Own { not_after: Some(not_after), mitigation } if path.local => {
                Some(Self { not_after, mitigation })
            }
            _ => None,
        }
    }
}

/// True from the moment at which a path has outlived its time by `grace`.
pub fn is_overdue(not_after: NotAfter, grace: Duration, now: DateTime<Utc>) -> bool {
    now >= due(not_after, grace)
}

fn due(not_after: NotAfter, grace: Duration) -> DateTime<Utc> {
    let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
    not_after.time().checked_add_signed(grace).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Own paths and their times.
#[derive(Debug, Default)]
pub struct Ledger {
    standing: HashMap<RouteKey, Standing>,
    deadlines: BTreeSet<(NotAfter, RouteKey)>,
    untimed: HashSet<RouteKey>,
}

impl Ledger {
    /// Takes note of a path; what it said of the same route before is forgotten. A path learned from a neighbor says
    /// nothing about ours.
    pub fn note(&mut self, path: &RibPath) {
        if !path.local {
            return;
        }
        self.gone(&path.key);
        if let Some(standing) = Standing::of(path) {
            self.deadlines.insert((standing.not_after, path.key.clone()));
            self.standing.insert(path.key.clone(), standing);
        } else if path.ownership.is_own() {
            self.untimed.insert(path.key.clone());
        }
    }

    /// The route has no path any more.
    pub fn gone(&mut self, key: &RouteKey) {
        if let Some(standing) = self.standing.remove(key) {
            self.deadlines.remove(&(standing.not_after, key.clone()));
        }
        self.untimed.remove(key);
    }

    /// Own paths, those without a readable time included.
    pub fn own(&self) -> usize {
        self.standing.len() + self.untimed.len()
    }

    /// Own paths without a readable time. They are the daemon's to withdraw, not the guard's.
    pub fn untimed(&self) -> impl Iterator<Item = &RouteKey> {
        self.untimed.iter()
    }

    /// True if this own path has no readable time.
    pub fn is_untimed(&self, key: &RouteKey) -> bool {
        self.untimed.contains(key)
    }

    /// What stands beyond its time, oldest first.
    pub fn overdue(&self, now: DateTime<Utc>, grace: Duration) -> impl Iterator<Item = &RouteKey> {
        let past = self.deadlines.iter().take_while(move |(not_after, _)| is_overdue(*not_after, grace, now));
        past.map(|(_, key)| key)
    }

    /// When the next path becomes overdue; past for one that is.
    pub fn next_due(&self, grace: Duration) -> Option<DateTime<Utc>> {
        self.deadlines.first().map(|(not_after, _)| due(*not_after, grace))
    }

    /// What is known of a path.
    pub fn get(&self, key: &RouteKey) -> Option<Standing> {
        self.standing.get(key).copied()
    }

    /// Every own path with a time, soonest first.
    pub fn iter(&self) -> impl Iterator<Item = (&RouteKey, Standing)> {
        self.deadlines.iter().filter_map(|(_, key)| Some((key, self.get(key)?)))
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

    fn overdue(ledger: &Ledger, seconds: i64) -> Vec<RouteKey> {
        ledger.overdue(at(seconds), GRACE).cloned().collect()
    }

    #[test]
    fn a_path_is_overdue_from_its_time_and_grace_on_and_never_before() {
        let mut ledger = Ledger::default();
        ledger.note(&path(1, 100));
        assert_eq!(ledger.next_due(GRACE), Some(at(110)));
        let just_before = at(110) - TimeDelta::microseconds(1);
        assert_eq!(ledger.overdue(just_before, GRACE).count(), 0);
        assert_eq!(overdue(&ledger, 110), [key(1)]);
    }

    #[test]
    fn a_renewed_path_is_known_by_its_new_time_only() {
        let mut ledger = Ledger::default();
        ledger.note(&path(1, 100));
        ledger.note(&path(2, 120));
        ledger.note(&path(1, 200));
        assert_eq!(overdue(&ledger, 130), [key(2)]);
        assert_eq!(overdue(&ledger, 210), [key(2), key(1)]);
        ledger.gone(&key(2));
        assert_eq!((ledger.own(), ledger.next_due(GRACE)), (1, Some(at(210))));
    }

    #[test]
    fn only_own_local_paths_with_a_time_are_ever_overdue() {
        let mut ledger = Ledger::default();
        let foreign = RibPath { ownership: Ownership::Foreign, ..path(1, 1) };
        let other_pop = RibPath { ownership: Ownership::OtherPop { owner: 7 }, ..path(2, 1) };
        let learned = RibPath { local: false, ..path(3, 1) };
        let untimed =
            RibPath { ownership: Ownership::Own { not_after: None, mitigation: None }, ..path(4, 1) };
        for path in [foreign, other_pop, learned, untimed] {
            ledger.note(&path);
        }
        assert_eq!(overdue(&ledger, i64::from(u32::MAX)), []);
        assert_eq!((ledger.own(), ledger.untimed().collect::<Vec<_>>()), (1, vec![&key(4)]));
    }

    #[test]
    fn a_path_that_somebody_replaced_is_not_ours_any_more() {
        let mut ledger = Ledger::default();
        ledger.note(&path(1, 100));
        ledger.note(&RibPath { local: false, ownership: Ownership::Foreign, ..path(1, 100) });
        assert_eq!(ledger.own(), 1, "a path of a neighbor replaces nothing");
        ledger.note(&RibPath { ownership: Ownership::Foreign, ..path(1, 100) });
        assert_eq!((ledger.own(), ledger.next_due(GRACE)), (0, None));
    }
}
