//! A result as people and programs read it (http-api.md §10).

use chrono::{DateTime, Utc};
use prefix_core::decision::{DecidedRule, Decision};
use prefix_core::event::EventStatus;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::EndReason;
use serde::{Serialize, Serializer};

use super::diff::{Actual, Change, Diff};
use super::outcome::{Ending, Simulated};

#[derive(Serialize)]
struct View<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    at: DateTime<Utc>,
    status: EventStatus,
    guardrail: Option<Guardrail>,
    decision: &'a Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a DecidedRule>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mitigated_later: bool,
    duration_seconds: Option<i64>,
    end_reason: Option<EndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<&'a Actual>,
    diff: Option<Diff>,
    #[serde(skip_serializing_if = "<[Change]>::is_empty")]
    changes: &'a [Change],
}

#[derive(Serialize)]
struct ActualView<'a> {
    status: EventStatus,
    mitigation_id: Option<MitigationId>,
    guardrail: Option<Guardrail>,
    rule: Option<&'a DecidedRule>,
    duration_seconds: Option<i64>,
    end_reason: Option<EndReason>,
}

impl Serialize for Simulated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View {
            index: self.index,
            event_id: self.event_id,
            at: self.at,
            status: self.status,
            guardrail: self.guardrail,
            decision: &self.decision,
            rule: self.decision.rule.as_ref(),
            mitigated_later: self.led_to,
            duration_seconds: self.ended.as_ref().map(Ending::seconds),
            end_reason: self.ended.and_then(|ended| ended.reason),
            actual: self.actual.as_ref(),
            diff: self.diff.as_ref().map(|difference| difference.diff),
            changes: self.diff.as_ref().map_or(&[], |difference| &difference.changes),
        }
        .serialize(serializer)
    }
}

impl Serialize for Actual {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ActualView {
            status: self.status,
            mitigation_id: self.mitigation_id.or(self.led_to),
            guardrail: self.guardrail,
            rule: self.rule.as_ref(),
            duration_seconds: self.ended.as_ref().map(Ending::seconds),
            end_reason: self.ended.and_then(|ended| ended.reason),
        }
        .serialize(serializer)
    }
}
