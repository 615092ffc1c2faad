//! A signal group and what corroborates it, as they are shown (http-api.md §7).

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::name::{
    CustomerId, Identity, InterfaceName, PlaybookName, Pop, ServiceId, SourceName, VectorName,
};
use prefix_core::signal::{Corroboration, GroupStatus, PrimaryDimensions, Signal, SignalGroup, SignalRole};
use prefix_policy::Policy;
use serde::{Deserialize, Serialize};

use super::RawJson;
#[cfg(feature = "openapi")]
use super::schema;

/// What several sources say about one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SignalGroup))]
pub struct GroupObject {
    /// Its identifier.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub group_id: GroupId,
    /// The pop that received its signals, and decides over them.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "fra1"))]
    pub pop: Pop,
    /// The address under attack.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "203.0.113.10"))]
    pub victim_ip: VictimIp,
    /// The kind of attack.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "udp_flood"))]
    pub vector: VectorName,
    /// When its first signal was received.
    pub created_at: DateTime<Utc>,
    /// When its window ends, counted from the first signal.
    pub window_expires_at: DateTime<Utc>,
    /// What its signals amount to, as of the last look.
    #[cfg_attr(feature = "openapi", schema(value_type = f64, minimum = 0, maximum = 1))]
    pub derived_confidence: Confidence,
    /// How many identities are behind them.
    pub source_count: u32,
    /// `open`; `resolved` = met and handed on; `expired` = its window ended without a quorum.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::group_status))]
    pub status: GroupStatus,
    /// There was a quorum; this stays true.
    pub corroboration_met: bool,
    /// What its primary signals are about: a corroborating one must share some of it.
    pub primary_dimensions: PrimaryDimensionsObject,
    /// The playbook that its newest primary signal matches: its terms decide what is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub playbook_name: Option<PlaybookName>,
    /// The mitigation that it was handed on to; only when asked for by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub mitigation_id: Option<MitigationId>,
    /// What it has to reach by the terms in force; only when asked for by id, and while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<RequiredObject>,
    /// How its confidence comes about, and what is missing, in words; only when asked for by id, and while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Its signals in the order of receipt; only when asked for by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<GroupSignalObject>>,
}

/// What makes a group enough: the terms of its playbook, else those of correlation.yaml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RequiredAgreement))]
pub struct RequiredObject {
    /// So many identities have to agree.
    pub min_sources: u32,
    /// The confidence that they have to reach together.
    #[cfg_attr(feature = "openapi", schema(value_type = f64, minimum = 0, maximum = 1))]
    pub confidence_threshold: Confidence,
}

/// What the primary signals of a group are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PrimaryDimensions))]
#[allow(clippy::struct_field_names, reason = "the members' names are those of the contract")]
pub struct PrimaryDimensionsObject {
    /// Customers.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub customer_ids: Vec<CustomerId>,
    /// Pops that received them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub pops: Vec<Pop>,
    /// Services.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub service_ids: Vec<ServiceId>,
    /// Interfaces of the assets.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub interfaces: Vec<InterfaceName>,
}

/// One signal of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GroupSignal))]
pub struct GroupSignalObject {
    /// The group.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub group_id: GroupId,
    /// The event, or the corroborating signal.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub event_id: SignalId,
    /// The weight of its source when it was received.
    #[cfg_attr(feature = "openapi", schema(minimum = 0))]
    pub source_weight: f64,
    /// It counts, but can never trigger.
    pub is_corroborating: bool,
    /// Under which name it was reported.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceName,
    /// Who is behind it: one identity counts once.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub identity: Identity,
    /// How sure it was.
    #[cfg_attr(feature = "openapi", schema(value_type = f64, minimum = 0, maximum = 1))]
    pub confidence: Confidence,
    /// When it was received: decay is counted from here.
    pub ingested_at: DateTime<Utc>,
}

/// A corroborating signal that waits for a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CachedSignal))]
pub struct CorroborationObject {
    /// Its identifier.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub signal_id: SignalId,
    /// Under which name it was sent.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceName,
    /// Only about attacks of this kind.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub vector: Option<VectorName>,
    /// About this customer.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub customer_id: Option<CustomerId>,
    /// About this pop.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub pop: Option<Pop>,
    /// About this service.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub service_id: Option<ServiceId>,
    /// About this interface.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub interface: Option<InterfaceName>,
    /// How sure it is.
    #[cfg_attr(feature = "openapi", schema(value_type = f64, minimum = 0, maximum = 1))]
    pub confidence: Confidence,
    /// The weight of its source.
    #[cfg_attr(feature = "openapi", schema(minimum = 0))]
    pub weight: f64,
    /// When it was received.
    pub ingested_at: DateTime<Utc>,
    /// Until when groups yet to come take it up.
    pub expires_at: DateTime<Utc>,
    /// What was sent along, as it came.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub raw_details: RawJson,
    /// The groups that it joined: none while it waits.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<uuid::Uuid>))]
    pub attached_group_ids: Vec<GroupId>,
}

/// Shows a group as lists do.
pub fn group(group: &SignalGroup) -> GroupObject {
    GroupObject {
        group_id: group.group_id,
        pop: group.pop.clone(),
        victim_ip: group.victim_ip,
        vector: group.vector.clone(),
        created_at: group.created_at,
        window_expires_at: group.window_ends_at,
        derived_confidence: group.derived_confidence,
        source_count: group.source_count,
        status: group.status,
        corroboration_met: group.met,
        primary_dimensions: dimensions(&group.dimensions),
        playbook_name: group.playbook.clone(),
        mitigation_id: None,
        required: None,
        explanation: None,
        events: None,
    }
}

/// Shows one group with its signals, its mitigation, and what it still needs.
pub fn group_in_full(found: &SignalGroup, policy: &Policy, now: DateTime<Utc>) -> GroupObject {
    let is_open = found.is_open(now);
    let terms = policy.terms(found.playbook.as_ref());
    let required =
        RequiredObject { min_sources: terms.min_sources, confidence_threshold: terms.confidence_threshold };
    GroupObject {
        mitigation_id: found.mitigation_id,
        required: is_open.then_some(required),
        explanation: is_open.then(|| policy.correlation_of(found, now).explanation),
        events: Some(found.signals.iter().map(|one| signal(found.group_id, one)).collect()),
        ..group(found)
    }
}

fn dimensions(dimensions: &PrimaryDimensions) -> PrimaryDimensionsObject {
    PrimaryDimensionsObject {
        customer_ids: dimensions.customer_ids.iter().cloned().collect(),
        pops: dimensions.pops.iter().cloned().collect(),
        service_ids: dimensions.service_ids.iter().cloned().collect(),
        interfaces: dimensions.interfaces.iter().cloned().collect(),
    }
}

fn signal(group_id: GroupId, signal: &Signal) -> GroupSignalObject {
    GroupSignalObject {
        group_id,
        event_id: signal.signal_id,
        source_weight: signal.weight,
        is_corroborating: signal.role != SignalRole::Primary,
        source: signal.source.clone(),
        identity: signal.identity.clone(),
        confidence: signal.confidence,
        ingested_at: signal.received_at,
    }
}

/// Shows a corroborating signal.
pub fn corroboration(signal: &Corroboration) -> CorroborationObject {
    let scope = &signal.scope;
    CorroborationObject {
        signal_id: signal.signal_id,
        source: signal.source.clone(),
        vector: scope.vector.clone(),
        customer_id: scope.customer_id.clone(),
        pop: scope.pop.clone(),
        service_id: scope.service_id.clone(),
        interface: scope.interface.clone(),
        confidence: signal.confidence,
        weight: signal.weight,
        ingested_at: signal.received_at,
        expires_at: signal.expires_at,
        raw_details: RawJson::or_null(signal.raw_details.as_deref()),
        attached_group_ids: signal.attached.iter().copied().collect(),
    }
}
