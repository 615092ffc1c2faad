//! Every change of storage: named facts are read, a pure function decides over them, and its [`ChangeSet`] is written,
//! all in one transaction.

mod access_changes;
mod change_set;
mod snapshot;

use async_trait::async_trait;

pub use access_changes::{AccessChanges, EndedSessions};
pub use change_set::{
    ChangeSet, GroupChange, IdempotencyRecord, MitigationChange, QuotaDelta, QuotaLimits, RowChange,
};
pub use snapshot::{MOST_CORROBORATIONS, People, QuotaCounts, ReadSet, RequestKey, Snapshot};

use super::StoreError;

/// The only way to change a mitigation, an event, the safelist, a panic scope, a signal, or who may do what.
///
/// `Ok` means durable: synchronously on disk. A dropped future never leaves half a unit of work behind.
#[async_trait]
pub trait Transactions: Send + Sync {
    /// One unit of work in one transaction: read `reads`, let `decide` turn them into changes, write those.
    ///
    /// What is decided over holds when it is written: a row that changed in between, or with `reads.admission` any change
    /// of which rules there are at the pop, is a conflict, after which `decide` is called again with what is there now. It
    /// is pure for that reason. Nothing that a unit of work of one pop locks delays another pop for longer than its
    /// commit. An empty change set commits nothing.
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError>;
}
