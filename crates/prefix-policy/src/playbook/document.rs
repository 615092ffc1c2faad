//! playbooks.yaml as it is written: typed, unknown keys refused, not yet checked.

use std::collections::BTreeMap;

use prefix_core::confidence::Confidence;
use prefix_core::flowspec::{ActionType, Dscp, RouteTarget};
use prefix_core::matching::PacketMatch;
use prefix_core::name::{CustomerId, PlaybookName, RtbhTargetName, ServiceId, SourceName, VectorName};
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_core::ttl::Ttl;
use serde::{Deserialize, Serialize};

use super::{CarpetDocument, OneOrMany};
use crate::vector::VectorTemplate;

/// playbooks.yaml.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybooksDocument {
    /// Own vectors.
    #[serde(default)]
    pub vectors: BTreeMap<VectorName, VectorTemplate>,
    /// Used when nothing matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_playbook: Option<PlaybookName>,
    /// The playbooks, first match wins.
    #[serde(default)]
    pub playbooks: Vec<PlaybookDocument>,
    /// When one rule for a prefix takes the place of the rules of many hosts; first match wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carpet: Vec<CarpetDocument>,
}

/// One playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybookDocument {
    /// Unique.
    pub name: PlaybookName,
    /// Which attacks it is for.
    #[serde(rename = "match")]
    pub matches: MatchDocument,
    /// Its own terms of correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationOverride>,
    /// At least one.
    #[serde(default)]
    pub steps: Vec<StepDocument>,
}

/// All keys must hold; a key left out matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchDocument {
    /// The vectors.
    pub vector: OneOrMany<VectorName>,
    /// The source of the event at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<OneOrMany<SourceName>>,
    /// The customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<OneOrMany<CustomerId>>,
    /// The services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<OneOrMany<ServiceId>>,
    /// Protocol of the vector, else of the event; `any` holds for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Only events with ports.
    #[serde(default)]
    pub require_top_ports: bool,
}

/// Overrides of the global correlation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrelationOverride {
    /// Identities that must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_sources: Option<u32>,
    /// The confidence they must reach together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_threshold: Option<Confidence>,
    /// Seconds; 0 = off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_decay_half_life_seconds: Option<u64>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// What is done.
    pub action: ActionType,
    /// Of police.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<BitsPerSecond>,
    /// Of police.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Of redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<RouteTarget>,
    /// Of mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dscp_mark: Option<Dscp>,
    /// Of rtbh: where it goes (`bgp.rtbh_targets`); without any it goes where every black hole goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<RtbhTargetName>,
    /// How long a report holds the rule.
    pub ttl_seconds: Ttl,
    /// The confidence it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_confidence_at_least: Option<Confidence>,
    /// How long the step before it must have been confirmed, 0..=86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_persistence_seconds: Option<u64>,
    /// When only ports that the service serves are attacked.
    #[serde(default)]
    pub on_allowed_ports: OnAllowedPorts,
    /// When the event names no port and the service serves some.
    #[serde(default)]
    pub on_unknown_ports: OnUnknownPorts,
    /// When the event names more ports than a rule may hold.
    #[serde(default)]
    pub on_too_many_ports: OnTooManyPorts,
    /// The companion rule for fragments.
    #[serde(default)]
    pub fragments: FragmentsOption,
    /// The rate where ports that the service serves are policed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_ports_rate_bps: Option<BitsPerSecond>,
    /// Narrows the vector.
    #[serde(default, rename = "match", skip_serializing_if = "PacketMatch::is_empty")]
    pub matches: PacketMatch,
}

/// When only ports that the service serves are attacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAllowedPorts {
    /// Exactly these ports are policed, never discarded.
    #[default]
    Police,
    /// No rule.
    Skip,
}

/// When the event names no port and the service serves some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknownPorts {
    /// Everything but the served ports.
    #[default]
    Exclude,
    /// One rule without ports, policed.
    PoliceAll,
}

/// When the event names more ports than a rule may hold (`guardrails.max_ports`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTooManyPorts {
    /// The first of them, in the order of the report.
    #[default]
    KeepFirst,
    /// As if the event named none.
    AsUnknown,
    /// No rule: the guardrail `max_ports` refuses it.
    Refuse,
}

/// The companion rule for fragments, which no port match reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FragmentsOption {
    /// No companion.
    #[default]
    None,
    /// Policed.
    Police,
    /// Discarded.
    Discard,
}
