//! Numbers of prefixd.yaml that policy needs, as types with the defaults of the contract.

pub use correlation::{ConfidenceMode, CorrelationSettings, CorrelationTerms};
pub(crate) use guardrails::Uses;
pub use guardrails::{Guardrails, MatchSwitches, PrefixLengths};
pub use sources::{Dimension, Reports, SourceMode, SourcePolicy, Sources};

mod correlation;
mod guardrails;
mod sources;

use prefix_core::confidence::Confidence;
use prefix_core::ttl::Ttl;

/// How many rules may exist (`quotas`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Of one customer, over all pops.
    pub max_active_per_customer: u64,
    /// Of one pop.
    pub max_active_per_pop: u64,
    /// In all.
    pub max_active_global: u64,
    /// New ones per pop in any 60 seconds.
    pub max_new_per_minute: u64,
    /// Every own rule goes to every peer, so this bounds the pop too.
    pub max_announcements_per_peer: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            max_active_per_customer: 5,
            max_active_per_pop: 200,
            max_active_global: 500,
            max_new_per_minute: 30,
            max_announcements_per_peer: 100,
        }
    }
}

impl Quotas {
    /// The quota of a pop: the lower of its own and what one peer takes.
    pub fn pop_limit(&self) -> u64 {
        self.max_active_per_pop.min(self.max_announcements_per_peer)
    }
}

/// How long things last (`timers`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// TTL of a manual rule that names none.
    pub default_ttl: Ttl,
    /// The shortest TTL, unless the guardrails name their own.
    pub min_ttl: Ttl,
    /// The longest TTL, unless the guardrails name their own.
    pub max_ttl: Ttl,
    /// How long detectors cannot raise a rule again that an operator withdrew.
    pub quiet_period_after_withdraw_seconds: u32,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            default_ttl: Ttl::MAX.scaled(120.0 / 86_400.0),
            min_ttl: Ttl::MAX.scaled(30.0 / 86_400.0),
            max_ttl: Ttl::MAX.scaled(1_800.0 / 86_400.0),
            quiet_period_after_withdraw_seconds: 120,
        }
    }
}

/// Escalation for steps that do not set their own (`escalation`).
#[derive(Clone, Debug, PartialEq)]
pub struct EscalationDefaults {
    /// Off: every mitigation stays at its first step.
    pub enabled: bool,
    /// Whether a step goes back when reports stay below its confidence.
    pub step_down: bool,
    /// Seconds a step must have been confirmed before the next.
    pub min_persistence_seconds: u32,
    /// Confidence the next step needs.
    pub min_confidence: Confidence,
    /// The longest time at a step above 0.
    pub max_escalated_duration_seconds: u32,
}

impl Default for EscalationDefaults {
    fn default() -> Self {
        Self {
            enabled: true,
            step_down: false,
            min_persistence_seconds: 120,
            min_confidence: Confidence::clamped(0.7),
            max_escalated_duration_seconds: 1_800,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let timers = Timers::default();
        assert_eq!([timers.default_ttl, timers.min_ttl, timers.max_ttl].map(Ttl::seconds), [120, 30, 1_800]);
        assert_eq!(Quotas::default().pop_limit(), 100);
    }
}
