//! Routes to compare again after a while.

use std::collections::{BTreeSet, HashMap};

use prefix_core::flowspec::RouteKey;
use tokio::time::Instant;

/// Routes by the time at which they are due: each once, at the earliest of the times it was put with.
#[derive(Default)]
pub(super) struct RetryQueue {
    due: BTreeSet<(Instant, RouteKey)>,
    times: HashMap<RouteKey, Instant>,
}

impl RetryQueue {
    pub(super) fn put(&mut self, at: Instant, key: RouteKey) {
        if let Some(known) = self.times.get(&key).copied() {
            if known <= at {
                return;
            }
            self.due.remove(&(known, key.clone()));
        }
        self.times.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<RouteKey> {
        let mut keys = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            keys.extend(self.due.pop_first().map(|(_, key)| key));
        }
        keys.iter().for_each(|key| {
            self.times.remove(key);
        });
        keys
    }

    pub(super) fn take_all(&mut self) -> Vec<RouteKey> {
        self.times.clear();
        std::mem::take(&mut self.due).into_iter().map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(flow: &str) -> RouteKey {
        RouteKey::for_rule(&flow.parse().unwrap())
    }

    #[test]
    fn a_route_waits_once_and_no_longer_than_its_earliest_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let (a, b) = (key("dst 203.0.113.10/32"), key("dst 203.0.113.11/32"));
        let mut retries = RetryQueue::default();
        retries.put(now + second * 2, a.clone());
        retries.put(now + second, a.clone());
        retries.put(now + second * 3, a.clone());
        retries.put(now + second * 2, b.clone());
        assert_eq!(retries.next(), Some(now + second));
        assert_eq!(retries.take_due(now), []);
        assert_eq!(retries.take_due(now + second), std::slice::from_ref(&a));
        retries.put(now + second * 9, a.clone());
        assert_eq!(retries.take_all(), [b, a]);
        assert_eq!(retries.next(), None);
    }
}
