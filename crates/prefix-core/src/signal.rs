//! Signals: what several sources say about one attack, gathered in a group until it is enough to act on.
//!
//! A group belongs to one pop and is known by victim and vector. It is `open` from its first signal until its window
//! ends or it is handed on to a mitigation, and it can be joined for as long as that mitigation lives.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::VictimIp;
use crate::confidence::Confidence;
use crate::event::Reports;
use crate::id::{GroupId, SignalId};
use crate::mitigation::ReportedMatch;
use crate::name::{
    CustomerId, ExternalEventId, Identity, InterfaceName, PlaybookName, Pop, ServiceId, SourceName,
    VectorName,
};

/// What a signal can do in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalRole {
    /// An event that may start a mitigation.
    Primary,
    /// An event that counts, but does not start one alone.
    Supporting,
    /// A signal of a source that only corroborates.
    Corroborating,
}

/// One signal of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The event, or the corroborating signal.
    pub signal_id: SignalId,
    /// Under which name it was reported.
    pub source: SourceName,
    /// Who is behind it.
    pub identity: Identity,
    /// What it can do.
    pub role: SignalRole,
    /// The weight of its source when it was received, from 0.
    pub weight: f64,
    /// Its confidence.
    pub confidence: Confidence,
    /// When it was received: decay is counted from here.
    pub received_at: DateTime<Utc>,
    /// The detector's identifier of the episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<ExternalEventId>,
    /// How its adapter says that its source reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Reports>,
    /// What it said about the traffic.
    #[serde(default)]
    pub reported: ReportedMatch,
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStatus {
    /// Its window runs.
    Open,
    /// Met, and handed on.
    Resolved,
    /// Its window ended without a quorum.
    Expired,
}

impl GroupStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Open, Self::Resolved, Self::Expired];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Expired => "expired",
        }
    }
}

/// What the primary signals of a group are about; a corroborating one is matched by these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryDimensions {
    /// Customers.
    pub customer_ids: BTreeSet<CustomerId>,
    /// Pops that received them.
    pub pops: BTreeSet<Pop>,
    /// Services.
    pub service_ids: BTreeSet<ServiceId>,
    /// Interfaces of the assets.
    pub interfaces: BTreeSet<InterfaceName>,
}

/// What several sources say about one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalGroup {
    /// Its identifier.
    pub group_id: GroupId,
    /// Counts the changes of the row; a change based on an older revision is refused by the store.
    pub revision: i64,
    /// The site that received its signals, and decides over them.
    pub pop: Pop,
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The kind of attack.
    pub vector: VectorName,
    /// When its first signal was received.
    pub created_at: DateTime<Utc>,
    /// When its window ends: fixed from the first signal.
    pub window_ends_at: DateTime<Utc>,
    /// Where it stands.
    pub status: GroupStatus,
    /// What its signals amount to, as of the last look.
    pub derived_confidence: Confidence,
    /// How many identities are behind them.
    pub source_count: u32,
    /// True once there was a quorum; it stays true.
    pub met: bool,
    /// What its primary signals are about.
    pub dimensions: PrimaryDimensions,
    /// The playbook that its newest primary signal matches.
    pub playbook: Option<PlaybookName>,
    /// The mitigation that it was handed on to first.
    pub mitigation_id: Option<crate::id::MitigationId>,
    /// The signals that count, in the order of receipt.
    pub signals: Vec<Signal>,
}

impl SignalGroup {
    /// The newest signal that may start a mitigation.
    pub fn newest_primary(&self) -> Option<&Signal> {
        self.signals.iter().rev().find(|signal| signal.role == SignalRole::Primary)
    }

    /// True until its window is over or it was handed on.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.status == GroupStatus::Open && self.window_ends_at > now
    }
}

/// How a group's confidence is joined from its signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceMode {
    /// Independent witnesses: an agreeing one never lowers it.
    #[default]
    NoisyOr,
    /// An average.
    WeightedMean,
}

/// What one identity adds to a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// Who.
    pub identity: Identity,
    /// The names it reported under.
    pub sources: BTreeSet<SourceName>,
    /// The strongest of its signals, weight x confidence, decayed, at most 1.
    pub score: f64,
    /// The sum of the weights of its signals, decayed.
    pub weight: f64,
    /// The sum of weight x confidence of its signals, decayed.
    pub weighted: f64,
}

/// The signals that a mitigation stands on, as of the last look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// The group.
    pub signal_group_id: GroupId,
    /// What its signals amount to.
    pub derived_confidence: Confidence,
    /// How many identities are behind them.
    pub source_count: u32,
    /// True: there was a quorum.
    pub corroboration_met: bool,
    /// The sources of its signals.
    pub contributing_sources: BTreeSet<SourceName>,
    /// How the confidence comes about, in words.
    pub explanation: String,
    /// How the confidence is joined.
    pub mode: ConfidenceMode,
    /// What each identity adds: escalation counts only those whose lease lives.
    pub witnesses: Vec<Witness>,
}

/// What a corroborating signal says it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CorroborationScope {
    /// Only attacks of this kind.
    pub vector: Option<VectorName>,
    /// On this customer.
    pub customer_id: Option<CustomerId>,
    /// At this pop.
    pub pop: Option<Pop>,
    /// On this service.
    pub service_id: Option<ServiceId>,
    /// At this interface.
    pub interface: Option<InterfaceName>,
}

/// A corroborating signal: kept for groups yet to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corroboration {
    /// Its identifier.
    pub signal_id: SignalId,
    /// The pop that received it.
    pub received_by: Pop,
    /// Under which name it was sent.
    pub source: SourceName,
    /// Who is behind it.
    pub identity: Identity,
    /// What it is about.
    pub scope: CorroborationScope,
    /// Its confidence.
    pub confidence: Confidence,
    /// The weight of its source.
    pub weight: f64,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Until when groups yet to come take it up.
    pub expires_at: DateTime<Utc>,
    /// The groups that it was attached to.
    pub attached: BTreeSet<GroupId>,
    /// JSON text as it came: stored, never interpreted. Lists leave it out of the document.
    #[serde(skip)]
    pub raw_details: Option<String>,
}
