//! The port to durable storage.
//!
//! Every change is one [unit of work](Store::transact): named facts are read, a pure function decides over them, and
//! its [`ChangeSet`] is written, all in one transaction. Quotas and the uniqueness of a living rule are thus decided
//! where they are enforced, and no SQL knows a policy. Lists and counts for people are plain reads.

mod change;
mod feed;
mod leadership;
mod query;
mod snapshot;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

pub use change::{ChangeSet, GroupChange, MitigationChange, QuotaDelta, StoredReply};
pub use feed::{Changed, Changes, FeedCursor};
pub use leadership::{Candidacy, Election, Epoch, Leader, OtherInstance};
pub use query::{
    AuditQuery, Bucket, CorroborationHistoryQuery, EventQuery, GroupQuery, HistoryQuery, MitigationQuery,
    PopStats, SeriesMetric, SeriesQuery, SourceActivity, Totals, WaitingCorroborations,
};
pub use snapshot::{MOST_CORROBORATIONS, QuotaCounts, ReadSet, ReplyKey, Snapshot};

use crate::audit::AuditEntry;
use crate::chain::ChainHead;
use crate::event::Event;
use crate::id::{EventId, GroupId, InstanceId, MitigationId, PanicId};
use crate::mitigation::Mitigation;
use crate::name::{CustomerId, Pop, SourceName};
use crate::page::Page;
use crate::panic::PanicScope;
use crate::safelist::Safelist;
use crate::signal::{Corroboration, SignalGroup};

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

/// What is to be deleted because of its age. Each `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events received before this time go, unless the mitigation they belong to is not final.
    pub events_before: Option<DateTime<Utc>>,
    /// Final mitigations that ended before this time go.
    pub mitigations_before: Option<DateTime<Utc>>,
    /// Stored replies of before this time go.
    pub replies_before: Option<DateTime<Utc>>,
    /// Signal groups whose window ended before this time go, unless they are open or the mitigation that they were
    /// handed on to is not final.
    pub groups_before: Option<DateTime<Utc>>,
    /// Corroborating signals that were over before this time go.
    pub corroborations_before: Option<DateTime<Utc>>,
}

/// The connections of the adapter to its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// In use.
    pub active: usize,
    /// Open and waiting.
    pub idle: usize,
}

/// The port to durable storage.
///
/// `Ok` of a change means durable: synchronously on disk. Lists are newest first. A dropped future never leaves half a
/// unit of work behind.
#[async_trait]
pub trait Store: Send + Sync {
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

    /// Cheap proof that storage answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Every mitigation of a pop that is not final (queued, pending, active, escalated, withdrawing).
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError>;

    /// One mitigation, of any pop.
    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError>;

    /// A page of mitigations by time of creation.
    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError>;

    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;

    /// A page of events by time of receipt, without their raw details, which can be a megabyte each.
    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError>;

    /// A page of audit entries by time.
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError>;

    /// The safelist as it is now, expired entries included.
    async fn safelist(&self) -> Result<Safelist, StoreError>;

    /// How many mitigations and events there are, by pop. Active = pending + active + escalated + withdrawing.
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError>;

    /// All mitigations and events.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Counts per bucket of time. Empty buckets are left out.
    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError>;

    /// Deletes at most `limit` rows that are too old; returns how many went. Zero means that nothing is left to do.
    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError>;

    /// True if several instances can work on this storage at the same time.
    fn is_shared(&self) -> bool;

    /// Reports an instance, and takes or renews the leadership of its pop if nobody else has it: after a crash the
    /// same instance has it again at once, another one when the lease is over. A new leader has a new, higher epoch.
    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError>;

    /// Gives the leadership back, so that nobody has to wait for the end of the lease, and reports the instance gone.
    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError>;

    /// The mitigations of a pop that other instances have changed since `since`; `None` reads for the first time.
    /// Storage that is not shared has no other instances.
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<Changes, StoreError>;

    /// These mitigations, of any pop and status; those that do not exist are left out.
    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError>;

    /// The mitigations that are not final, of a pop (`None` = every pop) and of a customer (`None` = everybody).
    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError>;

    /// The panic scopes that are not thawed, oldest first.
    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError>;

    /// One panic scope, thawed or not.
    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError>;

    /// Seals up to `limit` audit entries of a pop, in the order of their commits; returns how many. Only the leader
    /// of the pop may do it.
    async fn seal(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError>;

    /// The newest sealed entry of a pop, as the store noted it apart from the entries.
    async fn chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError>;

    /// Up to `limit` sealed audit entries of a pop from number `from` on, in order.
    async fn chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// A page of signal groups by time of creation.
    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError>;

    /// One signal group, of any pop.
    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError>;

    /// Up to `limit` open groups of a pop, those whose window ends first.
    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError>;

    /// Corroborating signals received by a pop that were attached to no group and are not over at `now`: how many, and
    /// the newest `limit` of them (of one source, if it is named), newest first, with their raw details.
    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError>;

    /// The corroborating signals that a pop has received since, by source, sorted by name.
    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError>;

    /// When each of these sources was heard last, by an event or a corroborating signal, at whatever pop; those that
    /// never were are left out.
    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError>;

    /// Recorded events by time of receipt, oldest first, without their raw details and the traces of their decisions.
    /// Fewer than the query's limit come only at the end of the recording.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError>;

    /// Recorded corroborating signals of a pop by time of receipt, oldest first, without their raw details. Fewer than
    /// the query's limit come only at the end of the recording.
    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError>;

    /// The state of the connections.
    fn pool(&self) -> PoolState;
}
