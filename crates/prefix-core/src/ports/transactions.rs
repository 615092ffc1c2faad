//! Every change of storage: named facts are read, a pure function decides over them, and its [`ChangeSet`] is written,
//! all in one transaction.

mod change_set;
mod snapshot;

use async_trait::async_trait;

pub use change_set::{ChangeSet, GroupChange, IdempotencyRecord, MitigationChange, QuotaDelta, RowChange};
pub use snapshot::{MOST_CORROBORATIONS, QuotaCounts, ReadSet, RequestKey, Snapshot};

use super::StoreError;

/// The only way to change a mitigation, an event, the safelist, a panic scope or a signal.
///
/// `Ok` means durable: synchronously on disk. A dropped future never leaves half a unit of work behind.
#[async_trait]
pub trait Transactions: Send + Sync {
    /// One unit of work in one transaction: read `reads`, let `decide` turn them into changes, write those.
    ///
    /// With `reads.admission` the quota, safelist and panic rows are locked first, so that units of work with it run
    /// one after the other, in all instances. `decide` is pure and may be called again after a conflict. An empty
    /// change set commits nothing.
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError>;
}
