//! A unit of work that lost a race is run again, after a short and random wait.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use prefix_core::ports::StoreError;

use crate::error::Failure;

/// How often a unit of work is run at most.
const ATTEMPTS: u32 = 6;

/// How often it may ask for more of the global quota besides.
const GRANTS: u32 = 20;

/// After this time no further attempt begins: the caller has a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a unit of work was tried.
#[derive(Debug)]
pub(crate) struct Retry {
    began: Instant,
    /// When somebody was faster for the first time.
    collided: Option<Instant>,
    count: u32,
    /// How often more of the quota was asked for.
    grants: u32,
}

impl Retry {
    /// Before the first attempt.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), collided: None, count: 0, grants: 0 }
    }

    /// After a failed attempt: waits a moment and lets another one begin, or returns the error for good.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), StoreError> {
        if failure.grant.is_some() && self.grants < GRANTS {
            // what it needed it has now; others that waited for the same connections may have used it meanwhile
            self.grants += 1;
            return Ok(());
        }
        self.count += 1;
        // a conflict is found at once, however long the unit of work waited for its turn before
        let since = match failure.error {
            StoreError::Conflict(_) => *self.collided.get_or_insert_with(Instant::now),
            _ => self.began,
        };
        if !failure.again || self.count >= ATTEMPTS || since.elapsed() > PATIENCE {
            return Err(failure.error);
        }
        tracing::debug!(error = %failure.error, attempt = self.count, "a transaction is run again");
        tokio::time::sleep(jitter(Duration::from_millis(1 << self.count))).await;
        Ok(())
    }
}

/// A random part of `most`, so that two that collided do not collide again.
fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random % (micros + 1))
}
