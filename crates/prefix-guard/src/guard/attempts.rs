//! Withdrawals that are not known to be done: each is tried again with exponential backoff, without end.

use std::collections::HashMap;
use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use tokio::time::Instant;

use crate::path_tracker::{PathTracker, TrackedPath};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Attempt {
    failures: u32,
    retry_at: Option<Instant>,
    /// The path when its withdrawal was sent: if it is gone later, the guard has withdrawn it.
    sent: Option<TrackedPath>,
}

/// Unfinished withdrawals by route.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<RouteKey, Attempt>);

impl Attempts {
    /// A withdrawal was sent.
    pub(super) fn sent(&mut self, key: &RouteKey, tracked: TrackedPath) {
        self.0.entry(key.clone()).or_default().sent = Some(tracked);
    }

    /// A withdrawal failed, or its effect is unknown: it is due again after 0.1 s, then twice as long each time, at
    /// most 5 s.
    pub(super) fn failed(&mut self, key: &RouteKey, now: Instant) {
        let attempt = self.0.entry(key.clone()).or_default();
        attempt.failures += 1;
        let wait = FIRST_RETRY * 2_u32.saturating_pow(attempt.failures.min(10) - 1);
        attempt.retry_at = Some(now + wait.min(LONGEST_RETRY));
    }

    /// The route was read back, and needs no withdrawal. Returns the path that the last withdrawal was sent for.
    pub(super) fn settled(&mut self, key: &RouteKey) -> Option<TrackedPath> {
        self.0.remove(key)?.sent
    }

    /// When the withdrawal of this route is tried again; `None` if it did not fail.
    pub(super) fn retry_at(&self, key: &RouteKey) -> Option<Instant> {
        self.0.get(key)?.retry_at
    }

    /// The speaker is connected again: every withdrawal is due now.
    pub(super) fn retry_now(&mut self) {
        for attempt in self.0.values_mut() {
            attempt.failures = 0;
            attempt.retry_at = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Routes with an unfinished withdrawal that left the table: read back, they can be reported as withdrawn.
    pub(super) fn due_and_absent(&self, tracker: &PathTracker, now: Instant) -> Vec<RouteKey> {
        let due = self.absent(tracker).filter(|(_, attempt)| attempt.retry_at.is_none_or(|at| at <= now));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// The same, due or not.
    pub(super) fn absent_keys(&self, tracker: &PathTracker) -> Vec<RouteKey> {
        self.absent(tracker).map(|(key, _)| key.clone()).collect()
    }

    /// Forgets the routes whose path was renewed and is not overdue any more.
    pub(super) fn forget_renewed(&mut self, tracker: &PathTracker, is_overdue: impl Fn(TrackedPath) -> bool) {
        self.0.retain(|key, _| tracker.get(key).is_none_or(&is_overdue));
    }

    /// When the next of the routes that left the table is due.
    pub(super) fn next_of_absent(&self, tracker: &PathTracker) -> Option<Instant> {
        self.absent(tracker).map(|(_, attempt)| attempt.retry_at.unwrap_or_else(Instant::now)).min()
    }

    fn absent<'a>(&'a self, tracker: &'a PathTracker) -> impl Iterator<Item = (&'a RouteKey, &'a Attempt)> {
        self.0.iter().filter(|(key, _)| tracker.get(key).is_none())
    }
}
