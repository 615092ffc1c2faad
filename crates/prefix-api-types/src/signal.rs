//! Signals: what became of what foreign detectors sent (http-api.md §6).

use prefix_api_macros::wire;

use crate::lenient::IfAny;
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
#[wire(as = SignalItemAnswer)]
pub struct SignalResult {
    /// Its place in the payload, from 0.
    #[wire(strict)]
    pub index: usize,
    /// As of a single event, `error`, or `ignored` for what an adapter leaves out.
    pub status: EventStatus,
    /// Our identifier, if the event is stored.
    pub event_id: IfAny<EventId>,
    /// The mitigation it made, renewed or released, or the `rejected` row.
    pub mitigation_id: IfAny<MitigationId>,
    /// Where that stands now.
    pub mitigation_status: IfAny<MitigationStatus>,
    /// Why it failed.
    pub error: IfAny<String>,
    /// The guardrail that refused it, or that it waits for.
    pub guardrail: IfAny<Guardrail>,
    /// When it may help to send it again.
    pub retry_after_seconds: IfAny<Seconds>,
}
