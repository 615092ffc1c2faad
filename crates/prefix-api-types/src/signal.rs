//! Signals: what became of what foreign detectors sent (http-api.md §6).

use prefix_api_macros::wire;

use crate::{EventId, EventStatus, Guardrail, MitigationId, MitigationStatus, Seconds};

/// What became of the items of a foreign payload.
#[wire]
pub struct SignalsAnswer {
    /// How many became events and were not refused.
    pub processed: usize,
    /// How many did not.
    pub failed: usize,
    /// One per item, in order.
    pub results: Vec<SignalResult>,
}

/// What became of one item of a foreign payload.
#[wire]
#[schema(as = SignalItemAnswer)]
pub struct SignalResult {
    /// Its place in the payload, from 0.
    #[wire(strict)]
    pub index: usize,
    /// As of a single event, or `error`.
    pub status: EventStatus,
    /// Our identifier, if the event is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The mitigation it made, renewed or released, or the `rejected` row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigation_id: Option<MitigationId>,
    /// Where that stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigation_status: Option<MitigationStatus>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The guardrail that refused it, or that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// When it may help to send it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<Seconds>,
}
