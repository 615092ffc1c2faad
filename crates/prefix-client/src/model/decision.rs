//! Why something was, or was not, mitigated.

use crate::model::lenient::or_default;
use crate::model::mitigation::ActionType;
use crate::rate::{BitsPerSecond, PacketsPerSecond};
use serde::Deserialize;

/// The stored decision of an event or a mitigation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Decision {
    /// `mitigate`, `extend`, `hold`, `no_playbook`, `not_mitigated`, `refuse`, `withdraw`, `release` or `none`.
    #[serde(default, deserialize_with = "or_default")]
    pub outcome: String,
    /// The customer who owns the address.
    pub customer_id: Option<String>,
    /// The service on the address.
    pub service_id: Option<String>,
    /// The policy profile of the customer.
    pub profile: Option<String>,
    /// The playbook that matched.
    pub playbook: Option<String>,
    /// The step of the playbook, from 0.
    pub step: Option<u32>,
    /// The rule that was wanted.
    pub rule: Option<DecidedRule>,
    /// The code of the guardrail that refused.
    pub guardrail: Option<String>,
    /// The way to the outcome, stage by stage.
    #[serde(default, deserialize_with = "or_default")]
    pub trace: Vec<TraceLine>,
}

/// The rule of a decision.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DecidedRule {
    /// The rule for people.
    pub flow: Option<String>,
    /// The rule's identity in hex.
    pub nlri: Option<String>,
    /// What routers do with matching packets.
    pub action_type: Option<ActionType>,
    /// The rate of a `police` action in bits.
    pub rate_bps: Option<BitsPerSecond>,
    /// The rate of a `police` action in packets.
    pub rate_pps: Option<PacketsPerSecond>,
    /// How long it lives, in seconds, if nothing extends it.
    pub ttl_seconds: Option<u64>,
}

/// One stage of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TraceLine {
    /// `identity`, `inventory`, `extend`, `correlation`, `playbook`, `rule`, `allowed_ports`, `guardrails`, `announce`.
    #[serde(default, deserialize_with = "or_default")]
    pub stage: String,
    /// `pass`, `stop`, `skip` or `info`.
    #[serde(default, deserialize_with = "or_default")]
    pub result: String,
    /// What was found there.
    #[serde(default, deserialize_with = "or_default")]
    pub detail: String,
}
