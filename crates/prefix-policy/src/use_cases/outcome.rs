//! What became of a report.

use chrono::{DateTime, Utc};
use prefix_core::decision::Decision;
use prefix_core::event::EventStatus;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::mitigation::Status;
use prefix_core::name::ExternalEventId;
use serde::{Deserialize, Serialize};

use super::admissible::Inadmissible;

/// What an unban did to one mitigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Touched {
    /// Which one.
    pub mitigation_id: MitigationId,
    /// `withdrawn` or `released`.
    pub status: EventStatus,
    /// Where it stands now.
    pub mitigation_status: Status,
    /// With `released`, if nobody reports it any more: until when it is kept because it flaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A stored event that was not refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ingested {
    /// Our identifier.
    pub event_id: EventId,
    /// The detector's identifier.
    pub external_event_id: Option<ExternalEventId>,
    /// What became of it.
    pub status: EventStatus,
    /// The mitigation it made, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// Where that stands now.
    pub mitigation_status: Option<Status>,
    /// The signal group it joined.
    pub signal_group_id: Option<GroupId>,
    /// What a `queued` mitigation waits for.
    pub guardrail: Option<Guardrail>,
    /// With `queued`: when it may be admitted.
    pub retry_after_seconds: Option<u64>,
    /// With `released`, if nobody reports it any more: until when it is kept because it flaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// If an unban touched more than one mitigation: all of them.
    pub mitigations: Vec<Touched>,
    /// Why.
    pub decision: Decision,
}

/// A stored event whose rule a guardrail refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedEvent {
    /// Our identifier.
    pub event_id: EventId,
    /// The detector's identifier.
    pub external_event_id: Option<ExternalEventId>,
    /// The `rejected` row.
    pub mitigation_id: MitigationId,
    /// The signal group it joined.
    #[serde(default)]
    pub signal_group_id: Option<GroupId>,
    /// What the guardrail said.
    pub refusal: Refusal,
    /// Why.
    pub decision: Decision,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventOutcome {
    /// Stored, with any status but `rejected`.
    Accepted(Box<Ingested>),
    /// Stored, and refused by a guardrail.
    Refused(Box<RefusedEvent>),
    /// Not stored: it could not be read, or it is [`Inadmissible`].
    Invalid(InvalidItem),
}

impl EventOutcome {
    /// Its status as an event.
    pub fn status(&self) -> EventStatus {
        match self {
            Self::Accepted(ingested) => ingested.status,
            Self::Refused(_) | Self::Invalid(_) => EventStatus::Rejected,
        }
    }

    /// What is stored of it: mitigation, signal group and decision.
    fn stored(&self) -> Option<(Option<MitigationId>, Option<GroupId>, &Decision)> {
        match self {
            Self::Accepted(done) => Some((done.mitigation_id, done.signal_group_id, &done.decision)),
            Self::Refused(done) => Some((Some(done.mitigation_id), done.signal_group_id, &done.decision)),
            Self::Invalid(_) => None,
        }
    }

    /// The mitigation it made, renewed or released, or the `rejected` row.
    pub fn mitigation_id(&self) -> Option<MitigationId> {
        self.stored()?.0
    }

    /// The signal group it joined.
    pub fn signal_group_id(&self) -> Option<GroupId> {
        self.stored()?.1
    }

    /// Why; `None` for what no policy has looked at.
    pub fn decision(&self) -> Option<&Decision> {
        Some(self.stored()?.2)
    }
}

/// Why a report was not stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvalidItem {
    /// The detector's identifier, as far as it could be read.
    pub external_event_id: Option<String>,
    /// What is wrong and how to mend it.
    pub error: String,
    /// The same of a single event, as it is to be answered again to its `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inadmissible: Option<Inadmissible>,
}
