//! Signal groups and corroborating signals.

use prefix_core::id::GroupId;
use prefix_core::signal::{
    Corroboration, PrimaryDimensions as DomainDimensions, Signal, SignalGroup as Row, SignalRole,
};

use super::{text, texts};
use crate::{CachedSignal, GroupSignal, PrimaryDimensions, RawJson, SignalGroup};

impl From<&Row> for SignalGroup {
    /// As lists show it: `mitigation_id`, `required`, `explanation` and `events` are left out.
    fn from(group: &Row) -> Self {
        Self {
            group_id: group.group_id.into(),
            pop: Some(group.pop.to_string()),
            victim_ip: group.victim_ip.ip(),
            vector: Some(group.vector.to_string()),
            created_at: Some(group.created_at),
            window_expires_at: Some(group.window_ends_at),
            derived_confidence: Some(group.derived_confidence.value()),
            source_count: Some(group.source_count),
            status: group.status.into(),
            corroboration_met: group.met,
            primary_dimensions: PrimaryDimensions::from(&group.dimensions),
            playbook_name: text(group.playbook.as_ref()),
            mitigation_id: None,
            required: None,
            explanation: None,
            events: None,
        }
    }
}

impl From<&DomainDimensions> for PrimaryDimensions {
    fn from(dimensions: &DomainDimensions) -> Self {
        Self {
            customer_ids: texts(&dimensions.customer_ids),
            pops: texts(&dimensions.pops),
            service_ids: texts(&dimensions.service_ids),
            interfaces: texts(&dimensions.interfaces),
        }
    }
}

impl GroupSignal {
    /// A signal of this group.
    pub fn of(group: GroupId, signal: &Signal) -> Self {
        Self {
            group_id: Some(group.into()),
            event_id: signal.signal_id.into(),
            source_weight: Some(signal.weight),
            is_corroborating: signal.role != SignalRole::Primary,
            source: Some(signal.source.to_string()),
            identity: Some(signal.identity.to_string()),
            confidence: Some(signal.confidence.value()),
            ingested_at: Some(signal.received_at),
        }
    }
}

impl From<&Corroboration> for CachedSignal {
    fn from(signal: &Corroboration) -> Self {
        let scope = &signal.scope;
        Self {
            signal_id: signal.signal_id.into(),
            source: signal.source.to_string(),
            vector: text(scope.vector.as_ref()),
            customer_id: text(scope.customer_id.as_ref()),
            pop: text(scope.pop.as_ref()),
            service_id: text(scope.service_id.as_ref()),
            interface: text(scope.interface.as_ref()),
            confidence: Some(signal.confidence.value()),
            weight: Some(signal.weight),
            ingested_at: Some(signal.received_at),
            expires_at: Some(signal.expires_at),
            raw_details: Some(RawJson::or_null(signal.raw_details.as_deref())),
            attached_group_ids: signal.attached.iter().copied().map(Into::into).collect(),
        }
    }
}
