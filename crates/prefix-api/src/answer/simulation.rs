//! What a simulation answers (http-api.md §10).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_engine::view::{DecidedRuleSchema, DecisionSchema};
use prefix_engine::{Simulated, SimulationReport, Summary};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// What would become of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimulationAnswer {
    #[schema(value_type = SummarySchema)]
    summary: Summary,
    /// In the order of the events.
    #[schema(value_type = Vec<SimulatedSchema>)]
    results: Vec<Simulated>,
}

impl From<SimulationReport> for SimulationAnswer {
    fn from(SimulationReport { summary, results }: SimulationReport) -> Self {
        Self { summary, results }
    }
}

/// Counts.
#[derive(ToSchema)]
#[schema(as = SimulationSummary)]
#[allow(dead_code, reason = "read by the derive only")]
struct SummarySchema {
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
    by_guardrail: BTreeMap<String, u64>,
    /// Recorded events by `same`, `added`, `missing` and `changed`.
    by_diff: BTreeMap<String, u64>,
}

/// What would become of one event.
#[derive(ToSchema)]
#[schema(as = SimulatedEvent)]
#[allow(dead_code, reason = "read by the derive only")]
struct SimulatedSchema {
    /// Its place, from 0: in `events`, or in the record.
    index: u64,
    /// Of a recorded event.
    event_id: Option<Uuid>,
    /// When it is received.
    at: DateTime<Utc>,
    /// As of an event; `rejected` if it is refused.
    #[schema(example = "accepted")]
    status: String,
    /// What refuses it, or what its mitigation waits for.
    guardrail: Option<String>,
    /// Why.
    decision: DecisionSchema,
    /// The rule.
    rule: Option<DecidedRuleSchema>,
    /// It is held, and makes a mitigation later: something else than a report completes its group. Missing = false.
    mitigated_later: Option<bool>,
    /// How long the mitigation that it makes is there; null if it makes none, or that had not ended.
    duration_seconds: Option<i64>,
    /// Why that mitigation ends.
    end_reason: Option<String>,
    /// What was done.
    actual: Option<ActualSchema>,
    /// `same`, `added`, `missing` or `changed` against what was done; null for events that never happened.
    #[schema(example = "same")]
    diff: Option<String>,
    /// What is different.
    changes: Vec<SimulatedChange>,
}

/// What was done about a recorded event.
#[derive(ToSchema)]
#[schema(as = ActualOutcome)]
#[allow(dead_code, reason = "read by the derive only")]
struct ActualSchema {
    status: String,
    mitigation_id: Option<Uuid>,
    guardrail: Option<String>,
    rule: Option<DecidedRuleSchema>,
    /// How long the mitigation that it made was there, if that had ended when the record did.
    duration_seconds: Option<i64>,
    end_reason: Option<String>,
}

/// One thing that is different.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read by the derive only")]
struct SimulatedChange {
    /// `status`, `guardrail`, `flow`, `action`, `mitigated_later` or `duration_seconds`.
    field: String,
    /// As it was.
    actual: Value,
    /// As it would be.
    simulated: Value,
}
