//! Signal groups: what several sources say about one attack, weighed together.

use crate::id::{MitigationId, SignalGroupId, SignalId};
use crate::model::lenient::or_default;
use crate::model::query::Pairs;
use crate::page::Listed;
use crate::word::words;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::net::IpAddr;

words! {
    /// The state of a signal group.
    pub enum GroupStatus {
        /// Its window runs.
        Open = "open",
        /// Met, and handed on.
        Resolved = "resolved",
        /// Its window ended without a quorum.
        Expired = "expired",
    }
}

/// A signal group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SignalGroup {
    /// Its id.
    pub group_id: SignalGroupId,
    /// The site that decides over it.
    pub pop: Option<String>,
    /// The attacked address.
    pub victim_ip: IpAddr,
    /// The kind of attack.
    pub vector: Option<String>,
    /// When its first signal came.
    pub created_at: Option<DateTime<Utc>>,
    /// When its window ends.
    pub window_expires_at: Option<DateTime<Utc>>,
    /// How sure its sources are together, 0 to 1.
    pub derived_confidence: Option<f64>,
    /// How many sources are in it.
    pub source_count: Option<u32>,
    /// Its state.
    pub status: GroupStatus,
    /// Was it enough?
    #[serde(default, deserialize_with = "or_default")]
    pub corroboration_met: bool,
    /// What a corroborating signal has to share.
    #[serde(default, deserialize_with = "or_default")]
    pub primary_dimensions: PrimaryDimensions,
    /// The playbook whose terms it has to meet.
    pub playbook_name: Option<String>,
    /// The mitigation that it was handed on to; only for one group.
    pub mitigation_id: Option<MitigationId>,
    /// What it has to reach; only for one group, while it is open.
    pub required: Option<RequiredAgreement>,
    /// How its confidence comes about, in words; only for one group, while it is open.
    pub explanation: Option<String>,
    /// Its signals; only for one group.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<GroupSignal>,
}

impl Listed for SignalGroup {
    const KEY: &'static str = "groups";
}

/// What makes a group enough.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct RequiredAgreement {
    /// So many sources have to agree.
    #[serde(default, deserialize_with = "or_default")]
    pub min_sources: u32,
    /// The confidence that they have to reach together, 0 to 1.
    #[serde(default, deserialize_with = "or_default")]
    pub confidence_threshold: f64,
}

/// What the primary signals of a group are about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(clippy::struct_field_names, reason = "the members' names are those of the API")]
pub struct PrimaryDimensions {
    /// Customers.
    #[serde(default, deserialize_with = "or_default")]
    pub customer_ids: Vec<String>,
    /// Sites.
    #[serde(default, deserialize_with = "or_default")]
    pub pops: Vec<String>,
    /// Services.
    #[serde(default, deserialize_with = "or_default")]
    pub service_ids: Vec<String>,
    /// Interfaces.
    #[serde(default, deserialize_with = "or_default")]
    pub interfaces: Vec<String>,
}

/// One signal of a group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct GroupSignal {
    /// The event, or the corroborating signal.
    pub event_id: SignalId,
    /// The weight of its source.
    pub source_weight: Option<f64>,
    /// It counts, but can never trigger.
    #[serde(default, deserialize_with = "or_default")]
    pub is_corroborating: bool,
    /// Under which name it was reported.
    pub source: Option<String>,
    /// Who is behind it.
    pub identity: Option<String>,
    /// How sure it was, 0 to 1.
    pub confidence: Option<f64>,
    /// When it came.
    pub ingested_at: Option<DateTime<Utc>>,
}

/// Which signal groups to list.
#[derive(Debug, Clone, Default)]
pub struct GroupQuery {
    /// Only in one of these states.
    pub status: Vec<GroupStatus>,
    /// Only on exactly this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Of this site; `all` = of every site; missing = of the answering instance's.
    pub pop: Option<String>,
    /// Only created at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only created before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl GroupQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let status: Vec<_> = self.status.iter().map(ToString::to_string).collect();
        let status = (!status.is_empty()).then(|| status.join(","));
        Pairs::default()
            .with("status", status.as_ref())
            .with("victim_ip", self.victim_ip.as_ref())
            .with("vector", self.vector.as_ref())
            .with("pop", self.pop.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}
