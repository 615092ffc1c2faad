//! The policy in force: everything the configuration says about decisions, immutable, swapped as a whole.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::name::{Pop, SourceName, VectorName};
use prefix_core::ports::ReadSet;
use prefix_core::ttl::Ttl;

use crate::inventory::{CustomerMatch, Inventory};
use crate::playbook::Playbooks;
use crate::profile::Profile;
use crate::settings::{
    CorrelationSettings, EscalationDefaults, Guardrails, Quotas, Reports, Timers, duration,
};
use crate::use_cases::{FLAPS_REMEMBERED, REJECTED_COUNTS};
use crate::vector::VectorTemplate;

/// What a policy is made of.
#[derive(Clone, Debug, Default)]
pub struct PolicyParts {
    /// Whose addresses are whose.
    pub inventory: Inventory,
    /// What is done about which attack, and the vectors.
    pub playbooks: Playbooks,
    /// Bounds of every rule.
    pub guardrails: Guardrails,
    /// Ceilings.
    pub quotas: Quotas,
    /// Durations.
    pub timers: Timers,
    /// Escalation for steps that do not say.
    pub escalation: EscalationDefaults,
    /// How far sources must agree, and what is known of each.
    pub correlation: CorrelationSettings,
    /// Addresses of our own (neighbors, router id, speaker, API): never filtered.
    pub own_addresses: Vec<VictimIp>,
}

/// The policy in force.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    parts: PolicyParts,
}

impl Policy {
    /// From its parts, which were checked when they were built.
    pub fn new(parts: PolicyParts) -> Self {
        Self { parts }
    }

    /// What it is made of.
    pub fn parts(&self) -> &PolicyParts {
        &self.parts
    }

    /// The template of a vector; `None` = not defined.
    pub fn vector(&self, name: &VectorName) -> Option<&VectorTemplate> {
        self.parts.playbooks.vectors().get(name)
    }

    /// The names of all vectors, sorted.
    pub fn vector_names(&self) -> Vec<VectorName> {
        self.parts.playbooks.vectors().names().cloned().collect()
    }

    /// Whose address it is; `None` = not ours.
    pub fn lookup(&self, victim: VictimIp) -> Option<CustomerMatch<'_>> {
        self.parts.inventory.lookup(victim)
    }

    /// Until when a report of this source holds a lease now, and whether the source reports edges only. `adapter_default` is
    /// what the adapter says through which the report came.
    pub fn lease_until_by(
        &self,
        source: &SourceName,
        adapter_default: Option<Reports>,
        ttl: Ttl,
        now: DateTime<Utc>,
    ) -> (DateTime<Utc>, bool) {
        self.parts.correlation.sources.lease_until(source, adapter_default, ttl, now)
    }

    /// How far back ended mitigations matter to decisions: for the quiet period after an operator's withdraw, the
    /// cooldown of the absolute lifetime, and rules that flap.
    pub(crate) fn look_back(&self) -> TimeDelta {
        let timers = &self.parts.timers;
        let quiet = timers.quiet_period_after_withdraw_seconds;
        let flapping = if timers.flap_hold_seconds > 0 { FLAPS_REMEMBERED } else { TimeDelta::zero() };
        duration(quiet.max(self.parts.guardrails.max_lifetime_cooldown_seconds)).max(flapping)
    }

    /// A read set that asks for nothing yet, with the look-back times that decisions need.
    pub fn read_set(&self, pop: Pop, now: DateTime<Utc>) -> ReadSet {
        let (recent_since, rejected_since) = (now - self.look_back(), now - REJECTED_COUNTS);
        ReadSet { recent_since, rejected_since, ..ReadSet::new(pop, now) }
    }

    /// For a report without confidence.
    pub fn default_confidence(&self, source: &SourceName) -> Confidence {
        self.parts.correlation.sources.default_confidence(source)
    }

    /// The profile of the customer that has this address.
    pub(crate) fn profile_of(&self, victim: VictimIp) -> Profile {
        self.lookup(victim).map(|owner| owner.customer.policy_profile).unwrap_or_default()
    }
}
