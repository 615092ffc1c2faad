//! What became of a report.

use prefix_core::decision::{Decision, Stage, StageResult};
use prefix_core::event::EventStatus;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::mitigation::Status;
use prefix_core::name::ExternalEventId;
use serde::{Deserialize, Serialize};

/// What an unban did to one mitigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Touched {
    /// Which one.
    pub mitigation_id: MitigationId,
    /// `withdrawn` or `released`.
    pub status: EventStatus,
    /// Where it stands now.
    pub mitigation_status: Status,
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
    /// With `queued`: when it may be let in.
    pub retry_after_seconds: Option<u64>,
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

/// Either; both are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Ingestion {
    /// Any status but `rejected`.
    Accepted(Box<Ingested>),
    /// Refused by a guardrail.
    Refused(Box<RefusedEvent>),
}

impl Ingestion {
    /// Why.
    pub fn decision(&self) -> &Decision {
        match self {
            Self::Accepted(ingested) => &ingested.decision,
            Self::Refused(refused) => &refused.decision,
        }
    }

    /// The signal group it joined.
    pub fn signal_group_id(&self) -> Option<GroupId> {
        match self {
            Self::Accepted(ingested) => ingested.signal_group_id,
            Self::Refused(refused) => refused.signal_group_id,
        }
    }
}

/// What becomes of a rule that is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// The speaker is told.
    Made,
    /// It is not (`mode: dry-run`).
    Skipped,
    /// It would be: this is a simulation.
    Imagined,
}

impl Announcement {
    /// Ends a decision for a rule with its last stage.
    pub(super) fn conclude(self, decision: &mut Decision) {
        let (result, detail) = match self {
            Self::Made => (StageResult::Pass, "the rule is stored, and announced from now on"),
            Self::Skipped => (StageResult::Skip, "mode dry-run: the rule is stored, the speaker is not told"),
            Self::Imagined => (StageResult::Pass, "the rule would be stored and announced"),
        };
        decision.note(Stage::Announce, result, detail);
    }
}
