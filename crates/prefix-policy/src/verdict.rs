//! The answers of policy: what shall be done, and why.

use chrono::TimeDelta;
use prefix_core::address::VictimIp;
use prefix_core::announcer::Route;
use prefix_core::decision::Decision;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::matching::Matching;
use prefix_core::mitigation::{Carpet, Progress, ReportedMatch, Role};
use prefix_core::name::{CustomerId, PlaybookName, ServiceId, SourceName, VectorName};
use prefix_core::ttl::Ttl;

/// A mitigation as it shall be, before it has an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What its rule is within the rule set.
    pub role: Role,
    /// Whose address it is.
    pub customer_id: Option<CustomerId>,
    /// Which service of the customer.
    pub service_id: Option<ServiceId>,
    /// What is matched.
    pub matching: Matching,
    /// The rule of that match; `None` only in a refusal, where no rule could be built.
    pub route: Option<Route>,
    /// What is done with matching packets.
    pub action: Action,
    /// What a report holds it by.
    pub ttl: Ttl,
    /// The playbook; `None` for manual ones.
    pub playbook: Option<PlaybookName>,
    /// The step, 0-based.
    pub step: u16,
    /// The longest it may live, extensions included.
    pub lifetime: TimeDelta,
    /// What the rule may miss or hit.
    pub warnings: Vec<String>,
    /// What was reported, for later steps.
    pub reported: ReportedMatch,
    /// What it holds, if it is for a whole prefix; without victims it holds what is reported.
    pub carpet: Option<Carpet>,
}

impl Plan {
    /// Where the new mitigation stands in its playbook.
    pub fn progress(&self) -> Progress {
        Progress {
            step: self.step,
            manual: self.playbook.is_none() && self.carpet.is_none(),
            reported: self.reported.clone(),
            ..Progress::default()
        }
    }
}

/// What becomes of a ban.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made once per event and taken apart at once")]
pub enum BanVerdict {
    /// The address is in no prefix and no asset of a customer, or nothing can be done about it at it.
    NotMitigated(Decision),
    /// Its sources do not agree enough yet.
    Hold(Decision),
    /// No playbook is for it, or its step says that there shall be no rule.
    NoPlaybook(Decision),
    /// A mitigation does the work already: its lease is renewed.
    Extend {
        /// Which one.
        mitigation: MitigationId,
        /// Why.
        decision: Decision,
    },
    /// A guardrail says no.
    Refuse {
        /// Which one.
        refusal: Refusal,
        /// What was wanted; without route where no rule could be built.
        plan: Box<Plan>,
        /// Why.
        decision: Decision,
    },
    /// A new rule.
    Mitigate {
        /// Which quota, rate of new rules or quiet period it waits for; none if it is let in at once.
        waits: Option<Refusal>,
        /// The main rule.
        plan: Plan,
        /// The other rules of its set: none matches a packet that another one of the set matches.
        companions: Vec<Plan>,
        /// Why.
        decision: Decision,
    },
}

impl BanVerdict {
    /// The explanation.
    pub fn decision(&self) -> &Decision {
        match self {
            Self::NotMitigated(decision)
            | Self::Hold(decision)
            | Self::NoPlaybook(decision)
            | Self::Extend { decision, .. }
            | Self::Refuse { decision, .. }
            | Self::Mitigate { decision, .. } => decision,
        }
    }
}

/// A rule that an operator asks for: taken literally.
#[derive(Clone, Debug, PartialEq)]
pub struct ManualRequest {
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The match.
    pub matching: Matching,
    /// What is done with matching packets.
    pub action: Action,
    /// The TTL; `None` = the default one.
    pub ttl: Option<Ttl>,
    /// Something asked for that no rule can have, so that the members above lack it: refused at the place of its
    /// guardrail in the order.
    pub flaw: Option<Refusal>,
    /// A label.
    pub vector: VectorName,
    /// Why.
    pub reason: String,
    /// Who asks: `operator:NAME`.
    pub operator: SourceName,
}

/// What becomes of an operator's request.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made once per request and taken apart at once")]
pub enum ManualVerdict {
    /// The same rule is there already: its action, rate and TTL become these. A queued one is admitted with them.
    Replace {
        /// Which one.
        mitigation: MitigationId,
        /// What it becomes.
        plan: Plan,
        /// Why.
        decision: Decision,
    },
    /// A new rule.
    Mitigate {
        /// The rule.
        plan: Plan,
        /// Why.
        decision: Decision,
    },
    /// A guardrail says no.
    Refuse {
        /// Which one.
        refusal: Refusal,
        /// What was wanted; without route where no rule could be built.
        plan: Option<Plan>,
        /// Why.
        decision: Decision,
    },
}

/// What a mitigation becomes at another step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepPlan {
    /// The step it goes to.
    pub step: u16,
    /// What is matched there.
    pub matching: Matching,
    /// The rule of that match.
    pub route: Route,
    /// What is done with matching packets.
    pub action: Action,
    /// What a report holds it by.
    pub ttl: Ttl,
    /// What the rule may miss or hit.
    pub warnings: Vec<String>,
    /// The companions of this step. Those of the former step that are not among them end.
    pub companions: Vec<Plan>,
    /// Why, for the log and the audit.
    pub reason: String,
}

/// Whether a mitigation changes its step now.
#[derive(Clone, Debug, PartialEq)]
pub enum StepVerdict {
    /// It stays where it is.
    Stay,
    /// The next step.
    Escalate(Box<StepPlan>),
    /// The former step.
    StepDown(Box<StepPlan>),
    /// A guardrail refuses the step: audited once, not tried again before the next report.
    Refused {
        /// The step that was wanted.
        step: u16,
        /// Which guardrail.
        refusal: Refusal,
    },
}
