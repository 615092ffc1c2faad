//! The sections of the configuration that policy needs, deserialised as they are written, with the defaults of the
//! contract. A value out of its range is refused by the rules of prefix-config; until then it counts as the nearest one.

pub use correlation::{ConfidenceMode, CorrelationSettings, CorrelationTerms};
pub use guardrails::{Approval, ApprovalCase, Guardrails, PrefixLengths};
pub use sources::{Dimension, Reports, SourceMode, SourcePolicy, Sources};

mod correlation;
mod guardrails;
mod sources;

use chrono::TimeDelta;
use prefix_core::confidence::Confidence;
use prefix_core::section;
use prefix_core::ttl::Ttl;

/// A number of seconds; more than 2^32-1 counts as 2^32-1.
pub(crate) fn clamped(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// The same as a length of time.
pub(crate) fn duration(seconds: u64) -> TimeDelta {
    TimeDelta::seconds(clamped(seconds).into())
}

/// The nearest TTL.
fn ttl(seconds: u64) -> Ttl {
    Ttl::from_seconds(seconds.max(1)).unwrap_or(Ttl::MAX)
}

section! {
    /// How many rules may exist (`quotas`). Companions count only toward what a peer takes.
    #[derive(Eq)]
    pub struct Quotas {
        /// Main rules of one victim at a pop.
        pub max_active_per_victim: u64 = 8,
        /// Main rules of one customer, over all pops.
        pub max_active_per_customer: u64 = 64,
        /// Main rules of one pop.
        pub max_active_per_pop: u64 = 500,
        /// Main rules in all.
        pub max_active_global: u64 = 2_000,
        /// New main rules per pop in any 60 seconds.
        pub max_new_per_minute: u64 = 120,
        /// Every own rule goes to every peer, so this bounds the pop too: here companions count as well.
        pub max_announcements_per_peer: u64 = 1_000,
    }
}

impl Quotas {
    /// The quota of a pop's main rules: the lower of its own and what one peer takes.
    pub fn pop_limit(&self) -> u64 {
        self.max_active_per_pop.min(self.max_announcements_per_peer)
    }
}

section! {
    /// How long things last (`timers`), seconds.
    #[derive(Eq)]
    pub struct Timers {
        /// TTL of a manual rule that names none. See [`Self::default_ttl`].
        pub default_ttl_seconds: u64 = 120,
        /// The shortest TTL, unless the guardrails name their own.
        pub min_ttl_seconds: u64 = Self::MIN_TTL_SECONDS,
        /// The longest TTL, unless the guardrails name their own.
        pub max_ttl_seconds: u64 = Self::MAX_TTL_SECONDS,
        /// Between two comparisons of storage and speaker.
        pub reconciliation_interval_seconds: u64 = 30,
        /// How long detectors cannot raise a rule again that an operator withdrew.
        pub quiet_period_after_withdraw_seconds: u64 = 120,
        /// How long an unban keeps a rule that was raised again shortly after its last end, doubled each time up to 600
        /// s; 0 = off.
        pub flap_hold_seconds: u64 = 60,
        /// Accepted for old files, ignored.
        #[serde(skip_serializing)]
        pub correlation_window_seconds: Option<u64> = None,
    }
}

impl Timers {
    const MIN_TTL_SECONDS: u64 = 30;
    const MAX_TTL_SECONDS: u64 = 1_800;

    /// TTL of a manual rule that names none.
    pub fn default_ttl(&self) -> Ttl {
        ttl(self.default_ttl_seconds)
    }
}

section! {
    /// Escalation for steps that do not set their own (`escalation`).
    pub struct EscalationDefaults {
        /// Off: every mitigation stays at its first step.
        pub enabled: bool = true,
        /// Whether a step goes back when reports stay below its confidence.
        pub step_down: bool = false,
        /// Seconds a step must have been confirmed before the next.
        pub min_persistence_seconds: u64 = 120,
        /// Confidence the next step needs, 0..=1. See [`Self::min_confidence`].
        pub min_confidence: f64 = 0.7,
        /// The longest time at a step above 0, seconds.
        pub max_escalated_duration_seconds: u64 = 1_800,
    }
}

impl EscalationDefaults {
    /// Confidence the next step needs.
    pub fn min_confidence(&self) -> Confidence {
        Confidence::clamped(self.min_confidence)
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
        assert_eq!(Quotas::default().pop_limit(), 500);
    }
}
