//! What a configuration would do, or would have done (http-api.md §10).

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;
use serde_json::Value;

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{
    DecidedRule, Decision, EndReason, EventId, EventStatus, Guardrail, MitigationId, NewEvent, NewPlaybooks,
};

words! {
    /// How what would be done compares to what was.
    pub enum Diff from prefix_policy::simulation::Diff {
        /// Nothing is different.
        Same = "same",
        /// It would have been mitigated, and was not.
        Added = "added",
        /// It would not have been mitigated, and was.
        Missing = "missing",
        /// It would have been mitigated otherwise.
        Changed = "changed",
    }
}

/// What is run through a configuration: `events` or `history`.
#[wire(body)]
pub struct NewSimulation {
    /// Events that never happened; each needs its `timestamp`, which is its time of receipt.
    #[schema(min_items = 1, max_items = 1000)]
    pub events: Option<Vec<NewEvent>>,
    /// A part of what is recorded: at most 7 days and 100,000 events.
    pub history: Option<RecordedEvents>,
    /// In the place of the playbooks that run, as for `PUT /v1/config/playbooks`.
    pub playbooks: Option<NewPlaybooks>,
    /// In the place of the correlation that runs, as for `PUT /v1/config/correlation`.
    pub correlation: Option<Value>,
    /// In the place of the guardrails that run: the section of prefixd.yaml. A key that is left out stays as it is.
    pub guardrails: Option<Value>,
}

/// A part of what is recorded.
#[wire(body)]
pub struct RecordedEvents {
    /// Received from here on.
    pub start: DateTime<Utc>,
    /// Received before.
    pub end: DateTime<Utc>,
    /// Of these sources; all if it is missing or empty.
    #[schema(max_items = 1000)]
    pub sources: Vec<String>,
    /// Against this address.
    pub victim_ip: Option<IpAddr>,
}

/// What would become of events.
#[wire(as = SimulationAnswer)]
pub struct Simulation {
    pub summary: SimulationSummary,
    /// In the order of the events.
    pub results: Vec<SimulatedEvent>,
}

/// Counts.
#[wire]
#[derive(Default)]
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
    /// Events that ended one.
    pub withdrawn: u64,
    /// The most rules at the same time.
    pub peak_rules: u64,
    /// Events by the guardrail that refused them or made them wait.
    pub by_guardrail: BTreeMap<String, u64>,
    /// Recorded events by `same`, `added`, `missing` and `changed`.
    pub by_diff: BTreeMap<String, u64>,
}

/// What would become of one event.
#[wire]
pub struct SimulatedEvent {
    /// Its place, from 0: in `events`, or in the record.
    #[wire(strict)]
    pub index: u64,
    /// Of a recorded event.
    pub event_id: IfAny<EventId>,
    /// When it is received.
    pub at: DateTime<Utc>,
    /// As of an event; `rejected` if it is refused.
    #[schema(example = "accepted")]
    pub status: EventStatus,
    /// What refuses it, or what its mitigation waits for.
    pub guardrail: Option<Guardrail>,
    /// Why.
    pub decision: Always<Decision>,
    /// The rule.
    pub rule: IfAny<DecidedRule>,
    /// It is held, and makes a mitigation later: something else than a report completes its group. Missing = false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(value_type = Option<bool>)]
    pub mitigated_later: bool,
    /// How long the mitigation that it makes is there; null if it makes none, or that had not ended.
    pub duration_seconds: Option<i64>,
    /// Why that mitigation ends.
    pub end_reason: Option<EndReason>,
    /// What was done.
    pub actual: IfAny<ActualOutcome>,
    /// `same`, `added`, `missing` or `changed` against what was done; null for events that never happened.
    #[schema(example = "same")]
    pub diff: Option<Diff>,
    /// What is different.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub changes: Vec<SimulatedChange>,
}

/// What was done about a recorded event.
#[wire]
pub struct ActualOutcome {
    pub status: EventStatus,
    pub mitigation_id: Option<MitigationId>,
    pub guardrail: Option<Guardrail>,
    pub rule: Option<DecidedRule>,
    /// How long the mitigation that it made was there, if that had ended when the record did.
    pub duration_seconds: Option<i64>,
    pub end_reason: Option<EndReason>,
}

/// One thing that is different.
#[wire]
pub struct SimulatedChange {
    /// `status`, `guardrail`, `flow`, `action`, `mitigated_later` or `duration_seconds`.
    pub field: String,
    /// As it was.
    pub actual: Value,
    /// As it would be.
    pub simulated: Value,
}
