//! What a simulation answers (http-api.md §10).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_core::decision::{DecidedRule, Decision};
use prefix_core::event::EventStatus;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::EndReason;
use prefix_engine::view::DecisionSchema;
use prefix_engine::{Actual, Change, Diff, Ending, Simulated, SimulationReport, Summary};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What would become of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimulationAnswer {
    summary: SummaryAnswer,
    /// In the order of the events.
    results: Vec<SimulatedAnswer>,
}

/// Counts.
#[derive(Debug, Serialize, ToSchema)]
struct SummaryAnswer {
    /// Events taken.
    events: u64,
    /// Mitigations made, those that waited included.
    mitigations: u64,
    /// Events that renewed one.
    extended: u64,
    /// Events that waited for corroboration.
    held: u64,
    /// Events that were refused.
    refused: u64,
    /// Events that ended one.
    withdrawn: u64,
    /// The most rules at the same time.
    peak_rules: u64,
    /// Events by the guardrail that refused them or made them wait.
    #[schema(value_type = BTreeMap<String, u64>)]
    by_guardrail: BTreeMap<Guardrail, u64>,
    /// Recorded events by `same`, `added`, `missing` and `changed`.
    #[schema(value_type = BTreeMap<String, u64>)]
    by_diff: BTreeMap<Diff, u64>,
}

/// What would become of one event.
#[derive(Debug, Serialize, ToSchema)]
struct SimulatedAnswer {
    /// Its place, from 0: in `events`, or in the record.
    index: u64,
    /// Of a recorded event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    event_id: Option<EventId>,
    /// When it is received.
    at: DateTime<Utc>,
    /// As of an event; `rejected` if it is refused.
    #[schema(value_type = String, example = "accepted")]
    status: EventStatus,
    /// What refuses it, or what its mitigation waits for.
    #[schema(value_type = Option<String>)]
    guardrail: Option<Guardrail>,
    /// Why.
    #[schema(value_type = DecisionSchema)]
    decision: Decision,
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    rule: Option<DecidedRule>,
    /// How long the mitigation that it makes is there; null if it makes none, or that had not ended.
    duration_seconds: Option<i64>,
    /// Why that mitigation ends.
    #[schema(value_type = Option<String>)]
    end_reason: Option<EndReason>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<ActualAnswer>,
    /// `same`, `added`, `missing` or `changed` against what was done; null for events that never happened.
    #[schema(value_type = Option<String>, example = "same")]
    diff: Option<Diff>,
    /// What is different.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<SimulatedChange>,
}

/// What was done about a recorded event.
#[derive(Debug, Serialize, ToSchema)]
struct ActualAnswer {
    #[schema(value_type = String)]
    status: EventStatus,
    #[schema(value_type = Option<Uuid>)]
    mitigation_id: Option<MitigationId>,
    #[schema(value_type = Option<String>)]
    guardrail: Option<Guardrail>,
    #[schema(value_type = Option<Value>)]
    rule: Option<DecidedRule>,
    /// How long the mitigation that it made was there, if that had ended when the record did.
    duration_seconds: Option<i64>,
    #[schema(value_type = Option<String>)]
    end_reason: Option<EndReason>,
}

/// One thing that is different.
#[derive(Debug, Serialize, ToSchema)]
struct SimulatedChange {
    /// `status`, `guardrail`, `flow`, `action` or `duration_seconds`.
    field: &'static str,
    /// As it was.
    actual: Value,
    /// As it would be.
    simulated: Value,
}

impl From<SimulationReport> for SimulationAnswer {
    fn from(report: SimulationReport) -> Self {
        Self {
            summary: report.summary.into(),
            results: report.results.into_iter().map(SimulatedAnswer::from).collect(),
        }
    }
}

impl From<Summary> for SummaryAnswer {
    fn from(summary: Summary) -> Self {
        let Summary { events, mitigations, extended, held, refused, withdrawn, peak_rules, by_guardrail, by_diff } =
            summary;
        Self { events, mitigations, extended, held, refused, withdrawn, peak_rules, by_guardrail, by_diff }
    }
}

impl From<Simulated> for SimulatedAnswer {
    fn from(result: Simulated) -> Self {
        let changes = result.diff.as_ref().map(|difference| difference.changes.clone()).unwrap_or_default();
        let change = |Change { field, actual, simulated }| SimulatedChange { field, actual, simulated };
        Self {
            index: result.index,
            event_id: result.event_id,
            at: result.at,
            status: result.status,
            guardrail: result.guardrail,
            rule: result.decision.rule.clone(),
            decision: result.decision,
            duration_seconds: result.ended.as_ref().map(Ending::seconds),
            end_reason: result.ended.and_then(|ended| ended.reason),
            actual: result.actual.map(ActualAnswer::from),
            diff: result.diff.map(|difference| difference.diff),
            changes: changes.into_iter().map(change).collect(),
        }
    }
}

impl From<Actual> for ActualAnswer {
    fn from(actual: Actual) -> Self {
        Self {
            status: actual.status,
            mitigation_id: actual.mitigation_id,
            guardrail: actual.guardrail,
            rule: actual.rule,
            duration_seconds: actual.ended.as_ref().map(Ending::seconds),
            end_reason: actual.ended.and_then(|ended| ended.reason),
        }
    }
}
