//! What is to be counted, logged or alerted once a unit of work is committed, and never for one that was repeated or
//! dropped.

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{SourceName, VectorName};
use prefix_core::panic::PanicScope;
use prefix_core::signal::Corroboration;

/// Something that happened in a unit of work, and that no changed row tells by itself.
#[derive(Clone, Debug)]
pub enum DomainEvent {
    /// A guardrail refused a rule.
    Refused {
        /// Which one, and why.
        refusal: Refusal,
        /// The rule.
        rule: RefusedRule,
        /// The source of the report that asked for it; `None` for an operator's rule, a step, a companion, and for what
        /// a signal group triggered.
        source: Option<SourceName>,
    },
    /// The running step changed.
    Step {
        /// The action before.
        from: &'static str,
        /// The row as it is now.
        row: Box<Mitigation>,
    },
    /// The speaker confirmed a new rule that was created then.
    FirstConfirmation {
        /// When.
        created_at: DateTime<Utc>,
    },
    /// A corroborating signal was taken; it is attached to the groups that it joined.
    Corroborated(Box<Corroboration>),
    /// The confidence of a signal group was computed anew, and is another one.
    GroupRefreshed,
    /// A scope was frozen.
    Frozen(PanicScope),
    /// Scopes were thawed.
    Thawed(Vec<PanicScope>),
}

/// A rule that a guardrail refused.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedRule {
    /// The row, if there is one.
    pub mitigation_id: Option<MitigationId>,
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The kind of attack.
    pub vector: VectorName,
    /// The match, as far as a rule could be built.
    pub flow: Option<String>,
}

impl RefusedRule {
    /// The rule of a row.
    pub fn of(row: &Mitigation) -> Self {
        let flow = row.route.as_ref().map(ToString::to_string);
        let (mitigation_id, vector) = (Some(row.mitigation_id), row.vector.clone());
        Self { mitigation_id, victim_ip: row.victim_ip, vector, flow }
    }
}
