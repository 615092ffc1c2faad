//! Why something was, or was not, mitigated (http-api.md §5.1).

use prefix_api_macros::wire;

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{ActionType, BitsPerSecond, PacketsPerSecond, Role};

words! {
    /// Why a rule was refused, or what it waits for.
    pub enum Guardrail from prefix_core::guardrail::Guardrail {
        /// A panic scope covers the rule.
        Frozen = "frozen",
        /// The destination is not within a customer's prefix.
        NotOwned = "not_owned",
        /// The destination is covered by, or covers, a safelist entry.
        Safelisted = "safelisted",
        /// The rule would touch the control plane.
        ControlPlane = "control_plane",
        /// The destination is shorter or longer than configured for its family.
        PrefixLength = "prefix_length",
        /// A match that cannot exist.
        Semantic = "semantic",
        /// The action is switched off.
        ActionNotAllowed = "action_not_allowed",
        /// A component is switched off.
        MatchNotAllowed = "match_not_allowed",
        /// More port terms than allowed.
        MaxPorts = "max_ports",
        /// The encoding has 240 bytes or more.
        NlriSize = "nlri_size",
        /// The time to live is outside its bounds.
        Ttl = "ttl",
        /// The police rate is below its bound.
        PoliceRate = "police_rate",
        /// The rule just reached its absolute lifetime.
        MaxLifetime = "max_lifetime",
        /// An operator withdrew the rule a short time ago.
        QuietPeriod = "quiet_period",
        /// Too many new rules in a minute.
        NewRate = "new_rate",
        /// Too many rules of one victim.
        QuotaVictim = "quota_victim",
        /// Too many rules of one customer.
        QuotaCustomer = "quota_customer",
        /// Too many rules of one pop.
        QuotaPop = "quota_pop",
        /// Too many rules in all.
        QuotaGlobal = "quota_global",
    }
}

words! {
    /// What came of a decision.
    pub enum DecisionOutcome from prefix_core::decision::Outcome {
        /// A new mitigation.
        Mitigate = "mitigate",
        /// A living mitigation was renewed.
        Extend = "extend",
        /// It waits for corroboration.
        Hold = "hold",
        /// No playbook matches.
        NoPlaybook = "no_playbook",
        /// Stored, but not to be mitigated.
        NotMitigated = "not_mitigated",
        /// A guardrail refused.
        Refuse = "refuse",
        /// A mitigation ends.
        Withdraw = "withdraw",
        /// A lease ended, others hold the mitigation.
        Release = "release",
        /// Nothing was to be decided.
        None = "none",
    }
}

words! {
    /// A station on the way of a decision, in their order.
    pub enum Stage from prefix_core::decision::Stage {
        /// Who reports.
        Identity = "identity",
        /// Whose address it is.
        Inventory = "inventory",
        /// Whether a living mitigation is renewed.
        Extend = "extend",
        /// Whether enough sources agree.
        Correlation = "correlation",
        /// Which playbook matches.
        Playbook = "playbook",
        /// What the rule is.
        Rule = "rule",
        /// Which ports it spares.
        AllowedPorts = "allowed_ports",
        /// Whether the guardrails let it pass.
        Guardrails = "guardrails",
        /// Whether it is announced.
        Announce = "announce",
    }
}

words! {
    /// How a stage of a decision ended.
    pub enum StageResult from prefix_core::decision::StageResult {
        /// It went on.
        Pass = "pass",
        /// It ended the decision.
        Stop = "stop",
        /// It did not apply.
        Skip = "skip",
        /// It says something worth knowing.
        Info = "info",
    }
}

/// A decision that explains itself.
#[wire]
pub struct Decision {
    /// `mitigate`, `extend`, `hold`, `no_playbook`, `not_mitigated`, `refuse`, `withdraw`, `release` or `none`.
    #[wire(lenient)]
    pub outcome: DecisionOutcome,
    /// Whose address it is.
    pub customer_id: Option<String>,
    /// Which service of the customer.
    pub service_id: Option<String>,
    /// The policy profile of the customer.
    pub profile: Option<String>,
    /// The playbook that matched.
    pub playbook: Option<String>,
    /// The step of the playbook, 0-based.
    pub step: Option<u32>,
    /// The rule, if one could be built.
    pub rule: Option<DecidedRule>,
    /// The further rules of its set: what was cut out of the rule, and at which rate it is bounded.
    pub companions: IfAny<Vec<DecidedRule>>,
    /// The guardrail that refused.
    #[schema(schema_with = Guardrail::nullable_schema)]
    pub guardrail: Option<Guardrail>,
    /// The way of the decision; it ends at the first `stop`.
    pub trace: Vec<TraceEntry>,
}

/// The rule that was decided on.
#[wire]
pub struct DecidedRule {
    /// The rule for people.
    pub flow: Always<String>,
    /// The bytes of the rule, hexadecimal.
    pub nlri: Always<String>,
    /// What is done with matching packets.
    #[schema(schema_with = ActionType::schema, required = true)]
    pub action_type: Option<ActionType>,
    /// Bits per second, of `police`.
    pub rate_bps: Option<BitsPerSecond>,
    /// Packets per second, of `police`.
    pub rate_pps: Option<PacketsPerSecond>,
    /// How long it lives without another report.
    pub ttl_seconds: Always<u32>,
    /// What it is within its rule set.
    #[schema(schema_with = Role::schema)]
    pub role: IfAny<Role>,
}

/// One station of a decision.
#[wire]
pub struct TraceEntry {
    /// `identity`, `inventory`, `extend`, `correlation`, `playbook`, `rule`, `allowed_ports`, `guardrails` or
    /// `announce`.
    #[wire(lenient)]
    pub stage: Stage,
    /// `pass`, `stop`, `skip` or `info`.
    #[wire(lenient)]
    pub result: StageResult,
    /// Why, in words.
    pub detail: String,
}
