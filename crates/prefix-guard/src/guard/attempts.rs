//! What was tried and is not known to be done. It is tried again, a little later each time, and never given up.

use std::collections::HashMap;
use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use tokio::time::Instant;

use crate::ledger::{Ledger, Standing};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Attempt {
    failures: u32,
    retry_at: Option<Instant>,
    /// What stood there when its withdrawal was sent: if it is gone later, that was us.
    sent: Option<Standing>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<RouteKey, Attempt>);

impl Attempts {
    /// A withdrawal went out.
    pub(super) fn sent(&mut self, key: &RouteKey, standing: Standing) {
        self.0.entry(key.clone()).or_default().sent = Some(standing);
    }

    /// It did not help, or nobody knows.
    pub(super) fn failed(&mut self, key: &RouteKey, now: Instant) {
        let attempt = self.0.entry(key.clone()).or_default();
        attempt.failures += 1;
        let wait = FIRST_RETRY * 2_u32.saturating_pow(attempt.failures.min(10) - 1);
        attempt.retry_at = Some(now + wait.min(LONGEST_RETRY));
    }

    /// It is known what stands there now. Returns what the last withdrawal was sent for.
    pub(super) fn settled(&mut self, key: &RouteKey) -> Option<Standing> {
        self.0.remove(key)?.sent
    }

    /// When this route is tried again, if it was tried.
    pub(super) fn retry_at(&self, key: &RouteKey) -> Option<Instant> {
        self.0.get(key)?.retry_at
    }

    /// The speaker is there again: nothing waits any longer.
    pub(super) fn retry_now(&mut self) {
        for attempt in self.0.values_mut() {
            attempt.failures = 0;
            attempt.retry_at = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Routes whose withdrawal was sent and that the ledger does not know any more: read back, they can be reported.
    pub(super) fn due_and_absent(&self, ledger: &Ledger, now: Instant) -> Vec<RouteKey> {
        let due = self.absent(ledger).filter(|(_, attempt)| attempt.retry_at.is_none_or(|at| at <= now));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// All of them, due or not.
    pub(super) fn absent_keys(&self, ledger: &Ledger) -> Vec<RouteKey> {
        self.absent(ledger).map(|(key, _)| key.clone()).collect()
    }

    /// Forgets what need not be tried any more, because somebody put a later time on it.
    pub(super) fn forget_renewed(&mut self, ledger: &Ledger, is_overdue: impl Fn(Standing) -> bool) {
        self.0.retain(|key, _| ledger.get(key).is_none_or(&is_overdue));
    }

    /// When the next route is due that the ledger does not know any more.
    pub(super) fn next_of_absent(&self, ledger: &Ledger) -> Option<Instant> {
        self.absent(ledger).map(|(_, attempt)| attempt.retry_at.unwrap_or_else(Instant::now)).min()
    }

    fn absent<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = (&'a RouteKey, &'a Attempt)> {
        self.0.iter().filter(|(key, _)| ledger.get(key).is_none())
    }
}
