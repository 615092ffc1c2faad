//! Rate limits: token buckets, one per principal or address (http-api.md §1.5).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

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
    /// One per request.
    Requests,
}

/// The buckets.
pub(crate) struct Limiter {
    events: Bucket,
    requests: Bucket,
}

struct Bucket {
    limiter: DefaultKeyedRateLimiter<String>,
    burst: NonZeroU32,
    checks: AtomicU32,
}

/// Full buckets of callers that went away are forgotten after so many checks.
const CHECKS_PER_CLEANUP: u32 = 10_000;

impl Limiter {
    /// Full buckets.
    pub(crate) fn new(limits: &RateLimits) -> Self {
        Self {
            events: Bucket::new(limits.events_per_second, limits.events_burst),
            requests: Bucket::new(limits.requests_per_second, limits.requests_burst),
        }
    }

    /// Takes what a request of several events costs beyond the one token that it paid at the gate: at most the rest of a full bucket, so that
    /// a request larger than the burst gets in when the bucket was full.
    pub(crate) fn take_rest(&self, caller: &str, cost: u32) -> Result<(), Problem> {
        self.take(Budget::Events, caller, cost.min(self.events.burst.get() - 1))
    }

    /// Takes `cost` tokens of a caller, or says when there will be enough.
    pub(crate) fn take(&self, budget: Budget, caller: &str, cost: u32) -> Result<(), Problem> {
        let (bucket, what) = match budget {
            Budget::Free => return Ok(()),
            Budget::Events => (&self.events, "events"),
            Budget::Requests => (&self.requests, "requests"),
        };
        bucket.take(caller, cost).map_err(|wait| {
            // rounded up: a client that waits as long as it is told must get in
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Problem::new(Kind::RateLimited, format!("too many {what}; send again in {seconds} s"))
                .retry_after(Some(seconds.max(1)))
        })
    }
}

impl Bucket {
    fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        Self { limiter, burst, checks: AtomicU32::new(0) }
    }

    fn take(&self, caller: &str, cost: u32) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_PER_CLEANUP == CHECKS_PER_CLEANUP - 1 {
            self.limiter.retain_recent();
        }
        // more than a full bucket could never be paid: it costs the whole bucket
        let Some(cost) = NonZeroU32::new(cost.min(self.burst.get())) else { return Ok(()) };
        match self.limiter.check_key_n(&caller.to_owned(), cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(DefaultClock::default().now())),
            Err(_) => Err(Duration::from_secs(1)),
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

    #[test]
    fn a_batch_costs_its_number_of_events() {
        let limiter = limiter(10);
        assert!(limiter.take(Budget::Events, "a", 9).is_ok());
        assert!(limiter.take(Budget::Events, "a", 1).is_ok());
        let problem = limiter.take(Budget::Events, "a", 5).unwrap_err();
        let wait = problem.body("")["retry_after_seconds"].as_u64().unwrap();
        assert!((4..=6).contains(&wait), "{wait}");
    }

    #[test]
    fn a_payload_larger_than_the_burst_gets_in_beside_the_token_that_it_paid_at_the_gate() {
        for burst in [1, 2, 10] {
            let limiter = limiter(burst);
            assert!(limiter.take(Budget::Events, "a", 1).is_ok());
            assert!(limiter.take_rest("a", 500).is_ok(), "{burst}");
            assert!(limiter.take(Budget::Events, "a", 1).is_err(), "it cost the whole bucket");
        }
    }

    #[test]
    fn callers_and_budgets_do_not_share() {
        let limiter = limiter(1);
        assert!(limiter.take(Budget::Events, "a", 1).is_ok());
        assert!(limiter.take(Budget::Events, "a", 1).is_err());
        assert!(limiter.take(Budget::Events, "b", 1).is_ok());
        assert!(limiter.take(Budget::Requests, "a", 1).is_ok());
        assert!(limiter.take(Budget::Free, "a", 1_000).is_ok());
    }

    #[test]
    fn a_batch_beyond_the_burst_passes_when_the_bucket_is_full() {
        let limiter = limiter(10);
        assert!(limiter.take(Budget::Events, "a", 100).is_ok());
        assert!(limiter.take(Budget::Events, "a", 1).is_err());
    }
}
