//! Rate limits: token buckets, one per principal or address (http-api.md §1.5).
//!
//! A bucket that is not empty lets a request in whatever it costs, and may be overdrawn by it: the debt is paid back
//! before the next one. No library keeps such buckets, so these are ours: the generic cell rate algorithm (ITU-T I.371),
//! in which a bucket is one number, the time at which it will be full again.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::problem::{Kind, Problem};

/// How many requests a principal may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Events per second.
    pub events_per_second: NonZeroU32,
    /// Events at once.
    pub events_burst: NonZeroU32,
    /// Other requests per second.
    pub requests_per_second: NonZeroU32,
    /// Other requests at once.
    pub requests_burst: NonZeroU32,
}

/// Which bucket an endpoint draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Budget {
    /// Never limited: what must work in an emergency.
    Free,
    /// One per event.
    Events,
    /// The same tokens, for adapters: their senders send again after 503 only, so that is what they are told.
    Signals,
    /// One per request.
    Requests,
    /// One per refused credential or signature, by address. It delays nobody who is let in.
    Failures,
}

/// The buckets.
pub(crate) struct Limiter {
    events: Buckets,
    requests: Buckets,
    failures: Buckets,
}

/// Refused credentials per second and address, and at once.
const FAILURES: (u32, u32) = (1, 60);

struct Buckets {
    /// Between two tokens.
    period: Duration,
    /// From an empty bucket to a full one.
    capacity: Duration,
    full_at: Mutex<HashMap<String, Instant>>,
}

/// Full buckets are forgotten when there are so many, and then at every doubling.
const FEWEST_TO_FORGET: usize = 1_000;

impl Limiter {
    /// Full buckets.
    pub(crate) fn new(limits: &RateLimits) -> Self {
        Self {
            events: Buckets::new(limits.events_per_second.get(), limits.events_burst.get()),
            requests: Buckets::new(limits.requests_per_second.get(), limits.requests_burst.get()),
            failures: Buckets::new(FAILURES.0, FAILURES.1),
        }
    }

    /// Takes `cost` tokens of a caller if its bucket is not empty, and says else when it will not be.
    pub(crate) fn take(&self, budget: Budget, caller: &str, cost: u32) -> Result<(), Problem> {
        let Some((buckets, what)) = self.buckets(budget) else { return Ok(()) };
        buckets.take(caller, cost).map_err(|wait| {
            // rounded up: a client that waits as long as it is told must get in
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let kind = if budget == Budget::Signals { Kind::Busy } else { Kind::RateLimited };
            Problem::new(kind, format!("too many {what}; send again in {seconds} s"))
                .retry_after(Some(seconds.max(1)))
        })
    }

    /// Takes what a request costs beyond the one token that it paid to get in, whether or not there is as much.
    pub(crate) fn charge(&self, budget: Budget, caller: &str, cost: u32) {
        if let Some((buckets, _)) = self.buckets(budget) {
            buckets.charge(caller, cost);
        }
    }

    fn buckets(&self, budget: Budget) -> Option<(&Buckets, &'static str)> {
        match budget {
            Budget::Free => None,
            Budget::Events | Budget::Signals => Some((&self.events, "events")),
            Budget::Requests => Some((&self.requests, "requests")),
            Budget::Failures => Some((&self.failures, "refused credentials from this address")),
        }
    }
}

impl Buckets {
    fn new(per_second: u32, burst: u32) -> Self {
        let period = Duration::from_secs(1) / per_second.max(1);
        Self { period, capacity: period * burst.max(1), full_at: Mutex::default() }
    }

    fn take(&self, caller: &str, cost: u32) -> Result<(), Duration> {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let until_full = full_at.get(caller).map_or(Duration::ZERO, |full| *full - now);
        // at least one token is there
        let most = self.capacity.saturating_sub(self.period);
        if until_full > most {
            return Err(until_full.saturating_sub(most));
        }
        self.add(&mut full_at, caller, cost, now);
        Ok(())
    }

    fn charge(&self, caller: &str, cost: u32) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.add(&mut full_at, caller, cost, Instant::now());
    }

    fn add(&self, full_at: &mut HashMap<String, Instant>, caller: &str, cost: u32, now: Instant) {
        if full_at.len() >= FEWEST_TO_FORGET && full_at.len() == full_at.capacity() {
            full_at.retain(|_, full| *full > now);
        }
        let cost = self.period.saturating_mul(cost);
        match full_at.get_mut(caller) {
            Some(full) => *full = (*full).max(now) + cost,
            None => {
                full_at.insert(caller.to_owned(), now + cost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(burst: u32) -> Limiter {
        let (slow, burst) = (NonZeroU32::MIN, NonZeroU32::new(burst).unwrap());
        Limiter::new(&RateLimits {
            events_per_second: slow,
            events_burst: burst,
            requests_per_second: slow,
            requests_burst: burst,
        })
    }

    fn wait(limiter: &Limiter) -> u64 {
        let problem = limiter.take(Budget::Events, "a", 1).unwrap_err();
        problem.body("")["retry_after_seconds"].as_u64().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_costs_its_number_of_events_and_what_it_overdraws_is_paid_back() {
        let limiter = limiter(10);
        assert!(limiter.take(Budget::Events, "a", 1).is_ok());
        limiter.charge(Budget::Events, "a", 6_999);
        assert_eq!(wait(&limiter), 6_991, "7,000 less the burst of 10, and one token");
        tokio::time::advance(Duration::from_secs(6_990)).await;
        assert_eq!(wait(&limiter), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limiter.take(Budget::Events, "a", 1).is_ok());
        assert_eq!(wait(&limiter), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_bucket_holds_its_burst_and_not_more() {
        let limiter = limiter(3);
        for _ in 0..2 {
            for _ in 0..3 {
                assert!(limiter.take(Budget::Events, "a", 1).is_ok());
            }
            assert_eq!(wait(&limiter), 1);
            tokio::time::advance(Duration::from_secs(100)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_and_budgets_do_not_share() {
        let limiter = limiter(1);
        assert!(limiter.take(Budget::Events, "a", 1).is_ok());
        assert!(limiter.take(Budget::Events, "a", 1).is_err());
        assert!(limiter.take(Budget::Events, "b", 1).is_ok());
        assert!(limiter.take(Budget::Requests, "a", 1).is_ok());
        assert!(limiter.take(Budget::Failures, "a", 1).is_ok());
        assert!(limiter.take(Budget::Free, "a", 1_000).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn full_buckets_are_forgotten() {
        let buckets = Buckets::new(1, 10);
        for round in 0..20 {
            for caller in 0..2_000 {
                buckets.take(&format!("{round} {caller}"), 1).unwrap();
            }
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        let known = buckets.full_at.lock().unwrap().len();
        assert!(known < 10_000, "{known}");
    }
}
