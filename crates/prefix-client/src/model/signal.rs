//! Signals: what became of what foreign detectors sent.

use crate::id::{EventId, MitigationId};
use crate::model::event::EventStatus;
use crate::model::lenient::or_default;
use crate::model::mitigation::MitigationStatus;
use serde::Deserialize;

/// The answer to a foreign payload.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SignalsAnswer {
    /// How many items became events and were not refused.
    #[serde(default, deserialize_with = "or_default")]
    pub processed: usize,
    /// How many did not.
    #[serde(default, deserialize_with = "or_default")]
    pub failed: usize,
    /// One entry for each item, in order.
    #[serde(default, deserialize_with = "or_default")]
    pub results: Vec<SignalResult>,
}

/// What became of one item of a foreign payload.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SignalResult {
    /// The item's place in the payload, from 0.
    pub index: usize,
    /// The server's id, if the event is stored.
    pub event_id: Option<EventId>,
    /// What became of it; `error` if it failed.
    pub status: EventStatus,
    /// The mitigation it made or touched.
    pub mitigation_id: Option<MitigationId>,
    /// That mitigation's status now.
    pub mitigation_status: Option<MitigationStatus>,
    /// Why it failed.
    pub error: Option<String>,
    /// The guardrail that refused it or makes it wait.
    pub guardrail: Option<String>,
}
