//! What a decision is made from, besides the configuration: read in the same transaction that writes the decision.

use chrono::{DateTime, Utc};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop};
use prefix_core::panic::PanicScope;
use prefix_core::ports::QuotaCounts;
use prefix_core::signal::SignalGroup;

use crate::safelist::SafelistIndex;

/// What can refuse any rule, whatever it matches: checked whenever a rule is admitted, changes its step, or is
/// revalidated.
#[derive(Clone, Copy, Debug)]
pub struct CheckContext<'a> {
    /// The time of the decision.
    pub now: DateTime<Utc>,
    /// The safelist as it is now.
    pub safelist: &'a SafelistIndex,
    /// The panic scopes that are not thawed.
    pub frozen: &'a [PanicScope],
}

/// The facts about one victim at one pop.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The time of the decision.
    pub now: DateTime<Utc>,
    /// Where the rule would be announced.
    pub pop: &'a Pop,
    /// Queued, living and withdrawing mitigations of the victim, and of the wanted rule where that is known.
    pub unfinished: &'a [&'a Mitigation],
    /// Final ones that ended a short time ago: for the quiet period and the cooldown of the absolute lifetime.
    pub recent: &'a [&'a Mitigation],
    /// The safelist as it is now.
    pub safelist: &'a SafelistIndex,
    /// The panic scopes that are not thawed.
    pub frozen: &'a [PanicScope],
    /// How far the quotas are used.
    pub quota: &'a QuotaCounts,
    /// The signal group of this attack, with the report at hand in it; `None` = nothing is weighed.
    pub group: Option<&'a SignalGroup>,
}

impl<'a> Facts<'a> {
    /// What can refuse any rule.
    pub(crate) fn check_context(&self) -> CheckContext<'a> {
        CheckContext { now: self.now, safelist: self.safelist, frozen: self.frozen }
    }

    /// True if nothing of this customer may be announced here.
    pub(crate) fn is_frozen(&self, customer: &CustomerId) -> bool {
        self.frozen.iter().any(|scope| scope.covers(self.pop, Some(customer)))
    }

    /// Unfinished and recently ended ones.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Mitigation> + use<'a> {
        self.unfinished.iter().chain(self.recent).copied()
    }
}
