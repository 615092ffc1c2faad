//! What a configuration would do, or would have done.

use crate::id::{EventId, MitigationId};
use crate::model::decision::{DecidedRule, Decision};
use crate::model::event::EventStatus;
use crate::model::lenient::or_default;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What became of simulated events.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Simulation {
    /// Counts.
    pub summary: SimulationSummary,
    /// One for each event, in their order.
    #[serde(default, deserialize_with = "or_default")]
    pub results: Vec<SimulatedEvent>,
}

/// Counts of a simulation.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SimulationSummary {
    /// Events taken.
    pub events: u64,
    /// Mitigations made, those that waited included.
    pub mitigations: u64,
    /// Events that renewed one.
    pub extended: u64,
    /// Events that waited for corroboration.
    pub held: u64,
    /// Events that were refused.
    pub refused: u64,
    /// Events that ended a mitigation.
    pub withdrawn: u64,
    /// The most rules at the same time.
    pub peak_rules: u64,
    /// Events by the guardrail that refused them or made them wait.
    pub by_guardrail: BTreeMap<String, u64>,
}

/// What became of one simulated event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SimulatedEvent {
    /// Its place, from 0.
    pub index: u64,
    /// Of a recorded event.
    pub event_id: Option<EventId>,
    /// When it is received.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub status: EventStatus,
    /// What refuses it, or what its mitigation waits for.
    pub guardrail: Option<String>,
    /// Why.
    pub decision: Option<Decision>,
    /// The rule.
    pub rule: Option<DecidedRule>,
    /// It is held, and makes a mitigation later.
    #[serde(default)]
    pub mitigated_later: bool,
    /// How long the mitigation that it makes is there.
    pub duration_seconds: Option<i64>,
    /// Why that ends.
    pub end_reason: Option<String>,
    /// What was done.
    pub actual: Option<ActualOutcome>,
    /// `same`, `added`, `missing` or `changed`; `None` for an event that never happened.
    pub diff: Option<String>,
    /// What is different.
    #[serde(default, deserialize_with = "or_default")]
    pub changes: Vec<SimulatedChange>,
}

/// What was done about a recorded event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ActualOutcome {
    /// What became of it.
    pub status: EventStatus,
    /// The mitigation it made, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// What refused it.
    pub guardrail: Option<String>,
    /// The rule.
    pub rule: Option<DecidedRule>,
    /// How long the mitigation that it made was there.
    pub duration_seconds: Option<i64>,
    /// Why that ended.
    pub end_reason: Option<String>,
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SimulatedChange {
    /// Which: `status`, `guardrail`, `flow`, `action`, `duration_seconds`.
    #[serde(default, deserialize_with = "or_default")]
    pub field: String,
    /// As it was.
    #[serde(default, deserialize_with = "or_default")]
    pub actual: serde_json::Value,
    /// As it would have been.
    #[serde(default, deserialize_with = "or_default")]
    pub simulated: serde_json::Value,
}
