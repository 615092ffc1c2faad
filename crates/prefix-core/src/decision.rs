//! A decision with its explanation: the facts, thresholds and guardrails that led to it, stored with its result.

use serde::{Deserialize, Serialize};

use crate::flowspec::{Action, ActionType, Nlri};
use crate::guardrail::Guardrail;
use crate::mitigation::Role;
use crate::name::{CustomerId, PlaybookName, ServiceId};
use crate::rate::{BitsPerSecond, PacketsPerSecond};
use crate::ttl::Ttl;

/// The result of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of the contract, http-api.md §5.1")]
pub enum Outcome {
    Mitigate,
    Extend,
    Hold,
    NoPlaybook,
    NotMitigated,
    Refuse,
    Withdraw,
    Release,
    #[default]
    None,
}

/// A stage of a decision, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of the contract, http-api.md §5.1")]
pub enum Stage {
    Identity,
    Inventory,
    Extend,
    Correlation,
    Playbook,
    Rule,
    AllowedPorts,
    Guardrails,
    Announce,
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageResult {
    /// The decision went on to the next stage.
    Pass,
    /// The stage ended the decision.
    Stop,
    /// The stage did not apply.
    Skip,
    /// The stage added information only.
    Info,
}

/// The result of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// The stage.
    pub stage: Stage,
    /// How the stage ended.
    pub result: StageResult,
    /// The reason, as text for operators.
    pub detail: String,
}

/// The rule that was decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecidedRule {
    /// The match in its text form.
    pub flow: String,
    /// The identity of the rule.
    pub nlri: Nlri,
    /// What is done with matching packets.
    pub action_type: ActionType,
    /// Bits per second, for `police`.
    pub rate_bps: Option<BitsPerSecond>,
    /// Packets per second, for `police`.
    pub rate_pps: Option<PacketsPerSecond>,
    /// How long it lives without another report, in seconds.
    pub ttl_seconds: Ttl,
    /// What it is within its rule set; `None` in what was stored before there were roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl DecidedRule {
    /// A rule with this role, route, action and TTL.
    pub fn new(role: Role, route: &crate::announcer::Route, action: &Action, ttl: Ttl) -> Self {
        Self {
            flow: route.to_string(),
            nlri: route.key().nlri().clone(),
            action_type: action.action_type(),
            rate_bps: action.rate_bps(),
            rate_pps: action.rate_pps(),
            ttl_seconds: ttl,
            role: Some(role),
        }
    }
}

/// A decision and its explanation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The result of a decision.
    pub outcome: Outcome,
    /// The customer of the address.
    pub customer_id: Option<CustomerId>,
    /// The service of the customer.
    pub service_id: Option<ServiceId>,
    /// The policy profile of the customer: `strict`, `normal` or `relaxed`.
    pub profile: Option<String>,
    /// The playbook that matched.
    pub playbook: Option<PlaybookName>,
    /// The step of the playbook, 0-based.
    pub step: Option<u16>,
    /// The rule, if one could be built.
    pub rule: Option<DecidedRule>,
    /// The further rules of its set: no packet matches two of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<DecidedRule>,
    /// The guardrail that refused.
    pub guardrail: Option<Guardrail>,
    /// The stages, in order; the first `stop` is the last one.
    pub trace: Vec<TraceEntry>,
}

impl Decision {
    /// A decision before its first stage.
    pub fn open() -> Self {
        Self::default()
    }

    /// Adds the result of a stage.
    pub fn note(&mut self, stage: Stage, result: StageResult, detail: impl Into<String>) {
        self.trace.push(TraceEntry { stage, result, detail: detail.into() });
    }

    /// Adds a stage that went on.
    pub fn pass(&mut self, stage: Stage, detail: impl Into<String>) {
        self.note(stage, StageResult::Pass, detail);
    }

    /// Adds the stage that ended the decision with this outcome.
    pub fn stop(&mut self, stage: Stage, outcome: Outcome, detail: impl Into<String>) {
        self.outcome = outcome;
        self.note(stage, StageResult::Stop, detail);
    }
}
