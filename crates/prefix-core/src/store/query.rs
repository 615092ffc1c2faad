//! What people ask for: filters of lists, and counts.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::address::VictimIp;
use crate::id::{EventId, SignalId};
use crate::mitigation::Status;
use crate::name::{CustomerId, Pop, SourceName, VectorName};
use crate::page::PageRequest;
use crate::signal::GroupStatus;

/// Which events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventQuery {
    /// Which page.
    pub page: PageRequest,
    /// Of this source.
    pub source: Option<SourceName>,
    /// Against this address.
    pub victim_ip: Option<VictimIp>,
    /// Of this kind.
    pub vector: Option<VectorName>,
}

/// Which mitigations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MitigationQuery {
    /// Which page.
    pub page: PageRequest,
    /// Of one of these statuses; empty = any.
    pub status: Vec<Status>,
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// For this address.
    pub victim_ip: Option<VictimIp>,
    /// Of this kind.
    pub vector: Option<VectorName>,
    /// Of this pop; `None` = every pop.
    pub pop: Option<Pop>,
    /// Acknowledged, or not.
    pub acknowledged: Option<bool>,
}

/// Which audit entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditQuery {
    /// Which page.
    pub page: PageRequest,
    /// In the chain of this pop; `None` = of every pop.
    pub pop: Option<Pop>,
    /// Of this action.
    pub action: Option<String>,
    /// Of this actor.
    pub actor_id: Option<String>,
    /// About this kind of thing.
    pub target_type: Option<String>,
    /// About this thing.
    pub target_id: Option<String>,
}

/// Counts of a pop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PopStats {
    /// Mitigations that are pending, active, escalated or withdrawing.
    pub active: u64,
    /// All mitigations.
    pub total: u64,
}

/// Counts of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All mitigations.
    pub mitigations: u64,
    /// All events.
    pub events: u64,
}

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesMetric {
    /// New mitigations.
    Mitigations,
    /// Received events.
    Events,
}

/// A series of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// What is counted.
    pub metric: SeriesMetric,
    /// From here, inclusive.
    pub start: DateTime<Utc>,
    /// To here, exclusive.
    pub end: DateTime<Utc>,
    /// Length of a bucket, at least a second; buckets are aligned to the epoch.
    pub bucket: TimeDelta,
}

/// One count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins.
    pub start: DateTime<Utc>,
    /// How many.
    pub count: u64,
}

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

/// Recorded events, oldest first: what a simulation reads.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// Received from here on, inclusive.
    pub start: DateTime<Utc>,
    /// Received before, exclusive.
    pub end: DateTime<Utc>,
    /// Of these sources; empty = all.
    pub sources: BTreeSet<SourceName>,
    /// Against this address.
    pub victim_ip: Option<VictimIp>,
    /// Those after this event, which was the last one of the answer before.
    pub after: Option<(DateTime<Utc>, EventId)>,
    /// At most so many.
    pub limit: u32,
}

/// Recorded corroborating signals, oldest first: what a simulation hears beside the events.
#[derive(Clone, Debug, PartialEq)]
pub struct CorroborationHistoryQuery {
    /// Received by this pop.
    pub pop: Pop,
    /// Received from here on, inclusive.
    pub start: DateTime<Utc>,
    /// Received before, exclusive.
    pub end: DateTime<Utc>,
    /// Those after this signal, which was the last one of the answer before.
    pub after: Option<(DateTime<Utc>, SignalId)>,
    /// At most so many.
    pub limit: u32,
}
