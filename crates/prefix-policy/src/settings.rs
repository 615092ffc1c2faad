//! The sections of the configuration that policy needs, deserialised as they are written, with the defaults of the
//! contract. A value out of its range is refused by the rules of prefix-config; until then it counts as the nearest one.

pub use correlation::{ConfidenceMode, CorrelationSettings, CorrelationTerms};
pub(crate) use guardrails::Uses;
pub use guardrails::{Approval, ApprovalCase, Guardrails, PrefixLengths};
pub use sources::{Dimension, Reports, SourceMode, SourcePolicy, Sources};

mod correlation;
mod guardrails;
mod sources;

use prefix_core::confidence::Confidence;
use prefix_core::ttl::Ttl;
use serde::{Deserialize, Deserializer, Serialize};

/// A number of seconds; more than 2^32-1 becomes 2^32-1.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u64::deserialize(deserializer).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// The nearest TTL.
fn ttl(seconds: u32) -> Ttl {
    Ttl::from_seconds(seconds.max(1).into()).unwrap_or(Ttl::MAX)
}

/// How many rules may exist (`quotas`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

/// How long things last (`timers`), seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timers {
    /// TTL of a manual rule that names none. See [`Self::default_ttl`].
    #[serde(deserialize_with = "seconds")]
    pub default_ttl_seconds: u32,
    /// The shortest TTL, unless the guardrails name their own.
    #[serde(deserialize_with = "seconds")]
    pub min_ttl_seconds: u32,
    /// The longest TTL, unless the guardrails name their own.
    #[serde(deserialize_with = "seconds")]
    pub max_ttl_seconds: u32,
    /// Between two comparisons of storage and speaker.
    pub reconciliation_interval_seconds: u64,
    /// How long detectors cannot raise a rule again that an operator withdrew.
    #[serde(deserialize_with = "seconds")]
    pub quiet_period_after_withdraw_seconds: u32,
    /// Accepted for old files, ignored.
    #[serde(skip_serializing)]
    pub correlation_window_seconds: Option<u64>,
}

impl Timers {
    const MIN_TTL_SECONDS: u32 = 30;
    const MAX_TTL_SECONDS: u32 = 1_800;

    /// TTL of a manual rule that names none.
    pub fn default_ttl(&self) -> Ttl {
        ttl(self.default_ttl_seconds)
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            default_ttl_seconds: 120,
            min_ttl_seconds: Self::MIN_TTL_SECONDS,
            max_ttl_seconds: Self::MAX_TTL_SECONDS,
            reconciliation_interval_seconds: 30,
            quiet_period_after_withdraw_seconds: 120,
            correlation_window_seconds: None,
        }
    }
}

/// Escalation for steps that do not set their own (`escalation`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EscalationDefaults {
    /// Off: every mitigation stays at its first step.
    pub enabled: bool,
    /// Whether a step goes back when reports stay below its confidence.
    pub step_down: bool,
    /// Seconds a step must have been confirmed before the next.
    #[serde(deserialize_with = "seconds")]
    pub min_persistence_seconds: u32,
    /// Confidence the next step needs, 0..=1. See [`Self::min_confidence`].
    pub min_confidence: f64,
    /// The longest time at a step above 0, seconds.
    #[serde(deserialize_with = "seconds")]
    pub max_escalated_duration_seconds: u32,
}

impl EscalationDefaults {
    /// Confidence the next step needs.
    pub fn min_confidence(&self) -> Confidence {
        Confidence::clamped(self.min_confidence)
    }
}

impl Default for EscalationDefaults {
    fn default() -> Self {
        Self {
            enabled: true,
            step_down: false,
            min_persistence_seconds: 120,
            min_confidence: 0.7,
            max_escalated_duration_seconds: 1_800,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let guardrails = Guardrails::default();
        let ttls = [Timers::default().default_ttl(), guardrails.min_ttl(), guardrails.max_ttl()];
        assert_eq!(ttls.map(Ttl::seconds), [120, 30, 1_800]);
        let timers = Timers { min_ttl_seconds: 0, max_ttl_seconds: 100_000, ..Timers::default() };
        let guardrails = guardrails.with_timers(&timers);
        assert_eq!([guardrails.min_ttl(), guardrails.max_ttl()].map(Ttl::seconds), [1, 86_400]);
        assert_eq!(Quotas::default().pop_limit(), 100);
    }
}
