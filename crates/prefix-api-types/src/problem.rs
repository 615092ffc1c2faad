//! Answers that are no success (RFC 9457, http-api.md §1.2).

use prefix_api_macros::wire;

use crate::lenient::IfAny;
use crate::{Decision, EventId, Guardrail, MitigationId, Seconds};

/// An answer that is no success (RFC 9457).
#[wire]
#[derive(Default)]
#[allow(
    clippy::option_option,
    reason = "some members are null where they have no value, and missing in other kinds"
)]
pub struct Problem {
    /// `urn:prefixd:problem:` and the kind.
    #[serde(rename = "type")]
    #[schema(example = "urn:prefixd:problem:guardrail")]
    pub problem_type: String,
    /// The kind in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong and how to mend it.
    pub detail: String,
    /// The same as `detail`.
    pub error: String,
    /// The id of the request.
    pub instance: String,
    /// Each mistake with its place.
    pub errors: IfAny<Vec<FieldError>>,
    /// When to send the request again.
    pub retry_after_seconds: IfAny<Seconds>,
    /// With kind `guardrail`: which one.
    pub guardrail: IfAny<Guardrail>,
    /// With kind `unknown-vector`: the defined ones.
    pub vectors: IfAny<Vec<String>>,
    /// With kind `mass-withdraw`: what would be withdrawn.
    pub affected_mitigations: IfAny<Vec<MitigationId>>,
    /// A refused event is stored: its identifier.
    pub event_id: IfAny<EventId>,
    /// The detector's identifier of a refused event.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::lenient::present")]
    #[schema(value_type = Option<String>)]
    pub external_event_id: Option<Option<String>>,
    /// The `rejected` row of a refused rule.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::lenient::present")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub mitigation_id: Option<Option<MitigationId>>,
    /// With `?explain=true`: why.
    #[schema(value_type = Option<serde_json::Value>)]
    pub decision: IfAny<Decision>,
    /// False in the answer of `GET /v1/health/ready`.
    #[schema(ignore)]
    pub ready: IfAny<bool>,
}

/// One mistake of a request.
#[wire]
pub struct FieldError {
    /// A JSON Pointer into the body, `?name` for a query parameter, `{name}` for a part of the path, or
    /// `file.yaml:LINE`.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl FieldError {
    /// A mistake at a place. Details may quote what was sent, so they are cut to a length that helps.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        const MOST: usize = 300;
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MOST) {
            detail.truncate(end);
            detail.push_str("...");
        }
        Self { pointer: pointer.into(), detail }
    }
}
