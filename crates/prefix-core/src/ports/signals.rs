//! Signal groups, corroborating signals and the sources they come from.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::address::VictimIp;
use crate::id::GroupId;
use crate::name::{Pop, SourceName, VectorName};
use crate::page::{Page, PageRequest};
use crate::signal::{Corroboration, GroupStatus, SignalGroup};

/// Which signal groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupQuery {
    /// Which page.
    pub page: PageRequest,
    /// Of this pop; `None` = every pop.
    pub pop: Option<Pop>,
    /// Of one of these statuses; empty = any.
    pub status: Vec<GroupStatus>,
    /// Against this address.
    pub victim_ip: Option<VictimIp>,
    /// Of this kind.
    pub vector: Option<VectorName>,
}

/// Corroborating signals that wait for a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingCorroborations {
    /// How many there are, whatever is listed.
    pub total: u64,
    /// How many there are of each source.
    pub by_source: BTreeMap<SourceName, u64>,
}

/// When a source was heard last, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceActivity {
    /// Which source.
    pub source: SourceName,
    /// Its newest signal.
    pub last_seen: DateTime<Utc>,
    /// How many there were.
    pub count: u64,
}

/// What the corroboration of detectors has stored.
#[async_trait]
pub trait SignalReads: Send + Sync {
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
}
