//! How a unit of work goes from one attempt to the next, and what is learned for those after it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prefix_core::ports::StoreError;

use crate::error::Failure;

/// After a conflict units of work lock first for so long. Where many write at one pop, most of those that only hope for
/// the best would be in vain.
const CONTENDED: Duration = Duration::from_secs(1);

/// Whether others write at the same pop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contention(Arc<Mutex<Option<Instant>>>);

impl Contention {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + CONTENDED);
    }

    fn is_on(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

/// One unit of work over its attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    contention: Contention,
    /// An attempt met somebody else.
    has_collided: bool,
    /// The lock of its own pop must not come first: it needs those of others, too.
    needs_several: bool,
    /// All rules, as far as a decision may know: so many that the quota is full here.
    ceiling: Option<u64>,
}

impl Course {
    /// Before the first attempt.
    pub(super) fn new(contention: &Contention) -> Self {
        Self { contention: contention.clone(), ..Self::default() }
    }

    /// True if the attempt holds the lock of its pop before it reads.
    pub(super) fn lock_first(&self) -> bool {
        !self.needs_several && (self.has_collided || self.contention.is_on())
    }

    /// The least number of rules in all that a decision is to see.
    pub(super) fn ceiling(&self) -> Option<u64> {
        self.ceiling
    }

    /// True if the decision saw that the quota is full, and lets a rule in all the same.
    pub(super) fn is_forced(&self, limit: u64) -> bool {
        self.ceiling.is_some_and(|ceiling| ceiling >= limit)
    }

    /// Learns from an attempt.
    pub(super) fn after(&mut self, done: Result<(), Failure>) -> Result<(), Failure> {
        if let Err(failure) = &done {
            match &failure.grant {
                Some(grant) => {
                    // others may want the same slice
                    self.has_collided = true;
                    self.ceiling = grant.ceiling.or(self.ceiling);
                }
                None if failure.needs_several => self.needs_several = true,
                None if matches!(failure.error, StoreError::Conflict(_)) => {
                    self.has_collided = true;
                    self.contention.note();
                }
                None => {}
            }
        }
        done
    }
}
