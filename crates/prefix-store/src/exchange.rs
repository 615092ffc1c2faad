//! The conversation between a caller and its transaction, which runs elsewhere: the transaction hands the facts over,
//! the caller decides, the transaction writes.
//!
//! The caller can be dropped at any moment. Before it has answered, the transaction finds that nobody listens and
//! rolls back; after that, it ends as decided. It never holds a lock because a caller is gone.

use std::time::Duration;

use prefix_core::ports::{ChangeSet, Snapshot};
use tokio::sync::oneshot;

use crate::error::Failure;

/// How long a transaction waits for its caller's decision. Decisions take milliseconds, but a caller that is not
/// polled must not hold the lock of all others.
pub(crate) const DECISION_TIMEOUT: Duration = Duration::from_secs(5);

/// The caller's side.
pub(crate) struct Caller<A> {
    pub(crate) facts: oneshot::Receiver<Snapshot>,
    pub(crate) answer: A,
    pub(crate) result: oneshot::Receiver<Result<(), Failure>>,
}

impl<A: FnOnce(ChangeSet)> Caller<A> {
    /// Decides over the facts when they come, and waits for the result.
    pub(crate) async fn converse(
        self,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), Failure> {
        // No facts: the transaction failed while it read them, and its result says why.
        if let Ok(facts) = self.facts.await {
            (self.answer)(decide(facts));
        }
        self.result.await.unwrap_or_else(|_| Err(Failure::unavailable("the store is shut down")))
    }
}
