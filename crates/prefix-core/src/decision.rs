//! A decision explains itself: the facts, thresholds and guardrails that led to it, stored with what it decided.

use serde::{Deserialize, Serialize};

use crate::flowspec::{Action, ActionType, Nlri};
use crate::guardrail::Guardrail;
use crate::name::{CustomerId, PlaybookName, ServiceId};
use crate::rate::{BitsPerSecond, PacketsPerSecond};
use crate::ttl::Ttl;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    None,
}

/// A station on the way of a decision, in order.
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
    /// Went on.
    Pass,
    /// Ended the decision.
    Stop,
    /// Did not apply.
    Skip,
    /// Says something worth knowing.
    Info,
}

/// One line of the explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// Where.
    pub stage: Stage,
    /// How it ended.
    pub result: StageResult,
    /// Why, in words an on-call engineer understands.
    pub detail: String,
}

/// The rule that was decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecidedRule {
    /// The match for people.
    pub flow: String,
    /// The identity of the rule.
    pub nlri: Nlri,
    /// What is done with matching packets.
    pub action_type: ActionType,
    /// Bits per second, for `police`.
    pub rate_bps: Option<BitsPerSecond>,
    /// Packets per second, for `police`.
    pub rate_pps: Option<PacketsPerSecond>,
    /// How long it lives without another report.
    pub ttl_seconds: Ttl,
}

impl DecidedRule {
    /// From the parts of a rule.
    pub fn new(route: &crate::announcer::Route, action: &Action, ttl: Ttl) -> Self {
        Self {
            flow: route.to_string(),
            nlri: route.key().nlri().clone(),
            action_type: action.action_type(),
            rate_bps: action.rate_bps(),
            rate_pps: action.rate_pps(),
            ttl_seconds: ttl,
        }
    }
}

/// A decision and its explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What came of it.
    pub outcome: Outcome,
    /// Whose address it is.
    pub customer_id: Option<CustomerId>,
    /// Which service of the customer.
    pub service_id: Option<ServiceId>,
    /// The policy profile of the customer: `strict`, `normal` or `relaxed`.
    pub profile: Option<String>,
    /// The playbook that matched.
    pub playbook: Option<PlaybookName>,
    /// The step of the playbook, 0-based.
    pub step: Option<u16>,
    /// The rule, if one could be built.
    pub rule: Option<DecidedRule>,
    /// The guardrail that refused.
    pub guardrail: Option<Guardrail>,
    /// The way of the decision; it ends at the first `stop`.
    pub trace: Vec<TraceEntry>,
}

impl Decision {
    /// A decision about nothing yet.
    pub fn open() -> Self {
        Self {
            outcome: Outcome::None,
            customer_id: None,
            service_id: None,
            profile: None,
            playbook: None,
            step: None,
            rule: None,
            guardrail: None,
            trace: Vec::new(),
        }
    }

    /// Notes how a stage ended.
    pub fn note(&mut self, stage: Stage, result: StageResult, detail: impl Into<String>) {
        self.trace.push(TraceEntry { stage, result, detail: detail.into() });
    }

    /// A stage that went on.
    pub fn pass(&mut self, stage: Stage, detail: impl Into<String>) {
        self.note(stage, StageResult::Pass, detail);
    }

    /// The stage that ended the decision.
    pub fn stop(&mut self, stage: Stage, outcome: Outcome, detail: impl Into<String>) {
        self.outcome = outcome;
        self.note(stage, StageResult::Stop, detail);
    }
}
