//! The ports to durable storage, each named by its use. An adapter implements all of them and so is a [`Store`].
//!
//! Every change is one unit of work ([`Transactions`]), so quotas and take-overs of rules are decided where they
//! are enforced, and no SQL knows a policy. Lists and counts for people are plain reads.

mod access;
mod audit_log;
mod change_feed;
mod history;
mod leadership;
mod maintenance;
mod reads;
mod signals;
mod statistics;
mod transactions;

use thiserror::Error;

pub use access::{Access, AccessState};
pub use audit_log::{AuditLog, AuditQuery};
pub use change_feed::{ChangeFeed, ChangedRows, FeedCursor, RowChanges};
pub use history::{CorroborationHistoryQuery, History, HistoryQuery};
pub use leadership::{
    Candidacy, ClockReading, Election, Epoch, HeldLease, Leader, Leadership, OtherInstance,
};
pub use maintenance::{Maintenance, PoolState, Retention};
pub use reads::{EventQuery, MitigationQuery, Reads};
pub use signals::{GroupQuery, SignalReads, SourceActivity, WaitingCorroborations};
pub use statistics::{Bucket, PopStats, SeriesMetric, SeriesQuery, Statistics, Totals};
pub use transactions::{
    AccessChanges, ChangeSet, EndedSessions, GroupChange, IdempotencyRecord, MOST_CORROBORATIONS,
    MitigationChange, People, QuotaCounts, QuotaDelta, QuotaLimits, ReadSet, RequestKey, RowChange, Snapshot,
    Transactions,
};

/// Durable storage: every port at once. Whoever has a `dyn Store` calls the methods of all of them.
pub trait Store:
    Transactions
    + Reads
    + SignalReads
    + Statistics
    + History
    + AuditLog
    + Access
    + Leadership
    + ChangeFeed
    + Maintenance
{
}

impl<S> Store for S where
    S: Transactions
        + Reads
        + SignalReads
        + Statistics
        + History
        + AuditLog
        + Access
        + Leadership
        + ChangeFeed
        + Maintenance
        + ?Sized
{
}

/// Why storage did not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Not reachable, full, read-only or too slow. Nothing was stored, or it is not known whether it was: the same
    /// unit of work may be run again, it then sees what happened.
    #[error("storage is not available: {0}")]
    Unavailable(String),
    /// Another transaction was faster. Nothing was stored; run it again. Adapters repeat a few times by themselves.
    #[error("another transaction changed the same rows: {0}")]
    Conflict(String),
    /// Another instance leads this pop now. Nothing was stored, and this instance stops leading.
    #[error("another instance leads this pop")]
    Deposed,
    /// Something in this unit of work cannot be stored, and never will be. Nothing was stored.
    #[error("storage refuses the data: {0}")]
    Invalid(String),
    /// A row cannot be read back: a defect, or another program wrote it.
    #[error("a row of {table} cannot be read: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl StoreError {
    /// True if the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict(_))
    }
}
