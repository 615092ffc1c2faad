//! The configurations between which a schedule moves. They differ in what they allow, and are alike in their numbers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prefix_core::address::Prefix;

use crate::conditions::Conditions;
use crate::config::Config;

const NUMBERS: &str = "
playbooks:
  - name: floods
    match: {vector: [udp_flood, syn_flood]}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 40}
      - {action: discard, ttl_seconds: 60, require_persistence_seconds: 20, require_confidence_at_least: 0.8}
  - name: reflections
    match: {vector: [dns_amplification, ntp_amplification]}
    steps:
      - {action: police, rate_bps: 20000000, ttl_seconds: 40, fragments: police}
      - {action: rtbh, ttl_seconds: 40, require_persistence_seconds: 20, require_confidence_at_least: 0.5}
quotas: {max_active_per_customer: 4, max_active_per_pop: 6, max_new_per_minute: 20}
timers: {quiet_period_after_withdraw_seconds: 30}
escalation: {step_down: true, max_escalated_duration_seconds: 60}
sources:
  probe: {reports: edge, edge_hold_seconds: 120}
  helper: {mode: corroborating, match_dimensions: [customer_id]}
";

/// Three of a prefix are a carpet. Their rate is no higher than that of their own rules.
const CARPETS: &str = "
carpet:
  - match: {vector: udp_flood}
    min_victims: 3
    step: {rate_bps: 50000000, ttl_seconds: 40}
";

/// Two must agree, and what they say grows old.
const CORRELATION: &str = "correlation: {min_sources: 2, confidence_threshold: 0.5, window_seconds: 60, confidence_decay_half_life_seconds: 90}
";

/// Rules of the pop that may exist at once.
pub(crate) const POP_QUOTA: usize = 6;
/// Rules of a customer that may exist at once.
pub(crate) const CUSTOMER_QUOTA: usize = 4;

/// What the files allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Files {
    /// Everything that is usual.
    Usual,
    /// Half of the first customer's addresses are protected.
    Protected,
    /// No black holes.
    WithoutBlackHoles,
}

impl Files {
    pub(crate) const ALL: [Self; 3] = [Self::Usual, Self::Protected, Self::WithoutBlackHoles];

    /// The configuration that they mean in this schedule, which is read once.
    pub(crate) fn config(self, conditions: &Conditions) -> Config {
        static READ: Mutex<BTreeMap<(Files, [bool; 4]), Config>> = Mutex::new(BTreeMap::new());
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        let key =
            (self, [conditions.dry_run, conditions.preserve, conditions.correlation, conditions.carpets]);
        read.entry(key).or_insert_with(|| self.read(conditions)).clone()
    }

    fn read(self, conditions: &Conditions) -> Config {
        let guardrails = match self {
            Self::Usual => "allow_rtbh: true",
            Self::Protected => "allow_rtbh: true, protected_prefixes: [203.0.113.8/30]",
            Self::WithoutBlackHoles => "allow_rtbh: false",
        };
        let (dry_run, preserve) = (conditions.dry_run, conditions.preserve);
        let correlation = if conditions.correlation { CORRELATION } else { "" };
        let (carpets, lengths) =
            if conditions.carpets { (CARPETS, "dst_prefix_minlen: 24, ") } else { ("", "") };
        Config::read(&format!(
            "{NUMBERS}{correlation}{carpets}guardrails: {{{lengths}max_lifetime_seconds: 240, max_lifetime_cooldown_seconds: 30, {guardrails}}}
dry_run: {dry_run}
preserve_announcements: {preserve}
"
        ))
    }

    /// For the trace.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Usual => "the usual configuration",
            Self::Protected => "a configuration that protects 203.0.113.8/30",
            Self::WithoutBlackHoles => "a configuration without black holes",
        }
    }
}

/// Prefixes that operators put on the safelist now and then.
pub(crate) fn safe_prefixes() -> [Prefix; 3] {
    ["203.0.113.12/32", "203.0.113.14/31", "198.51.100.0/30"].map(|text| text.parse().unwrap())
}
