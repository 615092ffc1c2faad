//! Signal groups: what several sources say about one attack, weighed together (http-api.md §7).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{MitigationId, SignalGroupId, SignalId};

words! {
    /// The state of a signal group.
    pub enum GroupStatus from prefix_core::signal::GroupStatus {
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
    #[schema(example = "fra1")]
    pub pop: Always<String>,
    /// The address under attack.
    #[schema(example = "203.0.113.10")]
    pub victim_ip: IpAddr,
    /// The kind of attack.
    #[schema(example = "udp_flood")]
    pub vector: Always<String>,
    /// When its first signal was received.
    pub created_at: Always<DateTime<Utc>>,
    /// When its window ends, counted from the first signal.
    pub window_expires_at: Always<DateTime<Utc>>,
    /// What its signals amount to, as of the last look.
    #[schema(minimum = 0, maximum = 1)]
    pub derived_confidence: Always<f64>,
    /// How many identities are behind them.
    pub source_count: Always<u32>,
    /// `open`; `resolved` = met and handed on; `expired` = its window ended without a quorum.
    #[schema(schema_with = GroupStatus::schema)]
    pub status: GroupStatus,
    /// There was a quorum; this stays true.
    pub corroboration_met: bool,
    /// What its primary signals are about: a corroborating one must share some of it.
    #[wire(lenient)]
    pub primary_dimensions: PrimaryDimensions,
    /// The playbook that its newest primary signal matches: its terms decide what is enough.
    pub playbook_name: IfAny<String>,
    /// The mitigation that it was handed on to; only when asked for by id.
    pub mitigation_id: IfAny<MitigationId>,
    /// What it has to reach by the terms in force; only when asked for by id, and while it is open.
    pub required: IfAny<RequiredAgreement>,
    /// How its confidence comes about, and what is missing, in words; only when asked for by id, and while it is open.
    pub explanation: IfAny<String>,
    /// Its signals in the order of receipt; only when asked for by id.
    pub events: IfAny<Vec<GroupSignal>>,
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
#[derive(Default)]
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
    pub group_id: Always<SignalGroupId>,
    /// The event, or the corroborating signal.
    pub event_id: SignalId,
    /// The weight of its source when it was received.
    #[schema(minimum = 0)]
    pub source_weight: Always<f64>,
    /// It counts, but can never trigger.
    pub is_corroborating: bool,
    /// Under which name it was reported.
    pub source: Always<String>,
    /// Who is behind it: one identity counts once.
    pub identity: Always<String>,
    /// How sure it was.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Always<f64>,
    /// When it was received: decay is counted from here.
    pub ingested_at: Always<DateTime<Utc>>,
}
