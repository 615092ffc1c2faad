//! Signals: reports of several sources about one attack, collected in a group until there is a quorum.
//!
//! A group has one pop, victim and vector. It is `open` from its first signal until its window ends or it leads to a
//! mitigation, and accepts signals for as long as that mitigation is live.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::{Prefix, VictimIp};
use crate::confidence::Confidence;
use crate::event::Reports;
use crate::id::{GroupId, SignalId};
use crate::mitigation::ReportedMatch;
use crate::name::{
    CustomerId, ExternalEventId, Identity, InterfaceName, PlaybookName, Pop, ServiceId, SourceName,
    VectorName,
};

words! {
    /// The role of a signal in its group.
    pub enum SignalRole {
        /// An event that may start a mitigation.
        Primary = "primary",
        /// An event that counts, but does not start a mitigation alone.
        Supporting = "supporting",
        /// A signal of a source that only corroborates.
        Corroborating = "corroborating",
    }
}

/// A signal of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The identifier of the event or of the corroborating signal.
    pub signal_id: SignalId,
    /// The name of its source.
    pub source: SourceName,
    /// The identity behind the source.
    pub identity: Identity,
    /// Its role.
    pub role: SignalRole,
    /// The weight of its source when it was received, 0 or more.
    pub weight: f64,
    /// Its confidence, 0 to 1.
    pub confidence: Confidence,
    /// When it was received: its decay counts from here.
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
    /// The prefix that it reported as a whole; its first address is that of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub victim_prefix: Option<Prefix>,
}

words! {
    /// The status of a group.
    pub enum GroupStatus {
        /// Its window has not ended.
        Open = "open",
        /// There was a quorum, and it led to a mitigation.
        Resolved = "resolved",
        /// Its window ended without a quorum.
        Expired = "expired",
    }
}

/// The dimensions of the primary signals of a group, against which corroborating signals are matched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryDimensions {
    /// The customers of the victims.
    pub customer_ids: BTreeSet<CustomerId>,
    /// The pops that received them.
    pub pops: BTreeSet<Pop>,
    /// The services of the victims.
    pub service_ids: BTreeSet<ServiceId>,
    /// The interfaces of the assets.
    pub interfaces: BTreeSet<InterfaceName>,
}

/// The signals of several sources about one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalGroup {
    /// The identifier of the group.
    pub group_id: GroupId,
    /// Grows with each change of the row; the store refuses a change of an older revision.
    pub revision: i64,
    /// The pop that received its signals and decides on them.
    pub pop: Pop,
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The kind of attack.
    pub vector: VectorName,
    /// When its first signal was received.
    pub created_at: DateTime<Utc>,
    /// When its window ends; fixed by its first signal.
    pub window_ends_at: DateTime<Utc>,
    /// The status.
    pub status: GroupStatus,
    /// The confidence derived from its signals when they were last evaluated.
    pub derived_confidence: Confidence,
    /// The number of identities behind its signals.
    pub source_count: u32,
    /// Whether there ever was a quorum.
    pub met: bool,
    /// The dimensions of its primary signals.
    pub dimensions: PrimaryDimensions,
    /// The playbook that its newest primary signal matches.
    pub playbook: Option<PlaybookName>,
    /// The first mitigation that it led to.
    pub mitigation_id: Option<crate::id::MitigationId>,
    /// The signals that count, in order of receipt.
    pub signals: Vec<Signal>,
}

impl SignalGroup {
    /// The newest signal that may start a mitigation.
    pub fn newest_primary(&self) -> Option<&Signal> {
        self.signals.iter().rev().find(|signal| signal.role == SignalRole::Primary)
    }

    /// Whether it is open and its window has not ended.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.status == GroupStatus::Open && self.window_ends_at > now
    }
}

words! {
    /// How the confidence of a group is derived from its signals.
    #[derive(Default)]
    pub enum ConfidenceMode {
        /// Noisy-OR of the identities, taken as independent: another one never lowers it.
        #[default]
        NoisyOr = "noisy_or",
        /// The weighted mean.
        WeightedMean = "weighted_mean",
    }
}

/// What one identity contributes to a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// The identity.
    pub identity: Identity,
    /// The source names that it reported under.
    pub sources: BTreeSet<SourceName>,
    /// The strongest of its signals, weight x confidence, decayed, at most 1.
    pub score: f64,
    /// The sum of the weights of its signals, decayed.
    pub weight: f64,
    /// The sum of weight x confidence of its signals, decayed.
    pub weighted: f64,
}

/// The signals that a mitigation is based on, when they were last evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// The group.
    pub signal_group_id: GroupId,
    /// The confidence derived from its signals.
    pub derived_confidence: Confidence,
    /// The number of identities behind its signals.
    pub source_count: u32,
    /// Whether there was a quorum; always true.
    pub corroboration_met: bool,
    /// The sources of its signals.
    pub contributing_sources: BTreeSet<SourceName>,
    /// How the confidence was derived, as text for operators.
    pub explanation: String,
    /// How the confidence is derived.
    pub mode: ConfidenceMode,
    /// What each identity contributes: escalation counts only those with a live lease.
    pub witnesses: Vec<Witness>,
}

/// The attacks that a corroborating signal is about; `None` of a dimension = any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CorroborationScope {
    /// The vector.
    pub vector: Option<VectorName>,
    /// The customer.
    pub customer_id: Option<CustomerId>,
    /// The pop.
    pub pop: Option<Pop>,
    /// The service.
    pub service_id: Option<ServiceId>,
    /// The interface.
    pub interface: Option<InterfaceName>,
}

/// A corroborating signal, kept for later groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corroboration {
    /// The identifier of the signal.
    pub signal_id: SignalId,
    /// The pop that received it.
    pub received_by: Pop,
    /// The name of its source.
    pub source: SourceName,
    /// The identity behind the source.
    pub identity: Identity,
    /// The attacks that it is about.
    pub scope: CorroborationScope,
    /// Its confidence, 0 to 1.
    pub confidence: Confidence,
    /// The weight of its source.
    pub weight: f64,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Until when later groups may use it.
    pub expires_at: DateTime<Utc>,
    /// The groups that it was attached to.
    pub attached: BTreeSet<GroupId>,
    /// JSON text as it came: stored, never interpreted. Lists leave it out of the document.
    #[serde(skip)]
    pub raw_details: Option<String>,
}
