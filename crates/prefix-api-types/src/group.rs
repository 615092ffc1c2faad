//! Signal groups: what several sources say about one attack, weighed together (http-api.md §7).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;

use crate::word::words;
use crate::{MitigationId, SignalGroupId, SignalId};

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

/// What several sources say about one attack.
#[wire]
pub struct SignalGroup {
    /// Its identifier.
    pub group_id: SignalGroupId,
    /// The pop that received its signals, and decides over them.
    #[wire(always)]
    #[schema(example = "fra1")]
    pub pop: Option<String>,
    /// The address under attack.
    #[schema(example = "203.0.113.10")]
    pub victim_ip: IpAddr,
    /// The kind of attack.
    #[wire(always)]
    #[schema(example = "udp_flood")]
    pub vector: Option<String>,
    /// When its first signal was received.
    #[wire(always)]
    pub created_at: Option<DateTime<Utc>>,
    /// When its window ends, counted from the first signal.
    #[wire(always)]
    pub window_expires_at: Option<DateTime<Utc>>,
    /// What its signals amount to, as of the last look.
    #[wire(always)]
    #[schema(minimum = 0, maximum = 1)]
    pub derived_confidence: Option<f64>,
    /// How many identities are behind them.
    #[wire(always)]
    pub source_count: Option<u32>,
    /// `open`; `resolved` = met and handed on; `expired` = its window ended without a quorum.
    #[schema(schema_with = GroupStatus::schema)]
    pub status: GroupStatus,
    /// There was a quorum; this stays true.
    pub corroboration_met: bool,
    /// What its primary signals are about: a corroborating one must share some of it.
    #[wire(lenient)]
    pub primary_dimensions: PrimaryDimensions,
    /// The playbook that its newest primary signal matches: its terms decide what is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook_name: Option<String>,
    /// The mitigation that it was handed on to; only when asked for by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigation_id: Option<MitigationId>,
    /// What it has to reach by the terms in force; only when asked for by id, and while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<RequiredAgreement>,
    /// How its confidence comes about, and what is missing, in words; only when asked for by id, and while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Its signals in the order of receipt; only when asked for by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<GroupSignal>>,
}

/// What makes a group enough: the terms of its playbook, else those of correlation.yaml.
#[wire]
#[derive(Copy)]
pub struct RequiredAgreement {
    /// So many identities have to agree.
    pub min_sources: u32,
    /// The confidence that they have to reach together.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence_threshold: f64,
}

/// What the primary signals of a group are about.
#[wire]
#[derive(Default, Eq)]
#[allow(clippy::struct_field_names, reason = "the members' names are those of the contract")]
pub struct PrimaryDimensions {
    /// Customers.
    pub customer_ids: Vec<String>,
    /// Pops that received them.
    pub pops: Vec<String>,
    /// Services.
    pub service_ids: Vec<String>,
    /// Interfaces of the assets.
    pub interfaces: Vec<String>,
}

/// One signal of a group.
#[wire]
pub struct GroupSignal {
    /// The group.
    #[wire(always)]
    pub group_id: Option<SignalGroupId>,
    /// The event, or the corroborating signal.
    pub event_id: SignalId,
    /// The weight of its source when it was received.
    #[wire(always)]
    #[schema(minimum = 0)]
    pub source_weight: Option<f64>,
    /// It counts, but can never trigger.
    pub is_corroborating: bool,
    /// Under which name it was reported.
    #[wire(always)]
    pub source: Option<String>,
    /// Who is behind it: one identity counts once.
    #[wire(always)]
    pub identity: Option<String>,
    /// How sure it was.
    #[wire(always)]
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// When it was received: decay is counted from here.
    #[wire(always)]
    pub ingested_at: Option<DateTime<Utc>>,
}
