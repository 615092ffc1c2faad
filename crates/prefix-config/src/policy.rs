//! From the keys of prefixd.yaml to the numbers of policy, and from its findings back to remarks.

use prefix_core::confidence::Confidence;
use prefix_core::rate::BitsPerSecond;
use prefix_core::ttl::Ttl;
use prefix_policy::settings::{EscalationDefaults, Guardrails, MatchSwitches, PrefixLengths, Quotas, Timers};
use prefix_policy::{Checked, Finding, Severity};

use super::finding::Remark;
use super::path::KeyPath;
use super::settings::Keys;

/// Everything that bounds a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bounds of every rule.
    pub guardrails: Guardrails,
    /// Ceilings.
    pub quotas: Quotas,
    /// Lifetimes.
    pub timers: Timers,
    /// For steps that do not say.
    pub escalation: EscalationDefaults,
}

impl Limits {
    /// From keys that passed the rules; a value out of its range becomes the nearest one.
    pub fn from_keys(keys: &Keys) -> Self {
        Self {
            guardrails: guardrails(keys),
            quotas: quotas(keys),
            timers: Timers {
                default_ttl: ttl(keys.timers.default_ttl_seconds),
                min_ttl: ttl(keys.timers.min_ttl_seconds),
                max_ttl: ttl(keys.timers.max_ttl_seconds),
                quiet_period_after_withdraw_seconds: narrow(keys.timers.quiet_period_after_withdraw_seconds),
            },
            escalation: EscalationDefaults {
                enabled: keys.escalation.enabled,
                step_down: keys.escalation.step_down,
                min_persistence_seconds: narrow(keys.escalation.min_persistence_seconds),
                min_confidence: Confidence::clamped(keys.escalation.min_confidence),
                max_escalated_duration_seconds: narrow(keys.escalation.max_escalated_duration_seconds),
            },
        }
    }

    /// Guardrails that let everything pass which any configuration could allow.
    pub(super) fn unbounded() -> Guardrails {
        let keys = Keys::default();
        let matches = MatchSwitches {
            src_port: true,
            tcp_flags: true,
            fragment: true,
            icmp_type: true,
            packet_length: true,
            dscp: true,
        };
        Guardrails {
            min_ttl: ttl(1),
            max_ttl: Ttl::MAX,
            allow_redirect: true,
            allow_mark: true,
            allow_rtbh: true,
            matches,
            min_police_rate: BitsPerSecond::saturating(1),
            ..guardrails(&keys)
        }
    }
}

fn guardrails(keys: &Keys) -> Guardrails {
    let from = &keys.guardrails;
    Guardrails {
        min_ttl: ttl(keys.shortest_ttl_seconds()),
        max_ttl: ttl(keys.longest_ttl_seconds()),
        max_lifetime_seconds: narrow(from.max_lifetime_seconds),
        max_lifetime_cooldown_seconds: narrow(from.max_lifetime_cooldown_seconds),
        dst_prefix_v4: PrefixLengths { min: from.dst_prefix_minlen, max: from.dst_prefix_maxlen },
        dst_prefix_v6: PrefixLengths { min: from.dst_prefix_minlen_v6, max: from.dst_prefix_maxlen_v6 },
        max_ports: usize::try_from(from.max_ports).unwrap_or(usize::MAX),
        min_police_rate: BitsPerSecond::saturating(from.min_police_rate_bps),
        default_police_rate: BitsPerSecond::saturating(from.default_police_rate_bps),
        protected_prefixes: from.protected_prefixes.clone(),
        matches: MatchSwitches {
            src_port: from.allow_src_port_match,
            tcp_flags: from.allow_tcp_flags_match,
            fragment: from.allow_fragment_match,
            icmp_type: from.allow_icmp_type_match,
            packet_length: from.allow_packet_length_match,
            dscp: from.allow_dscp_match,
        },
        allow_redirect: from.allow_redirect,
        allow_mark: from.allow_mark,
        allow_rtbh: from.allow_rtbh,
    }
}

fn quotas(keys: &Keys) -> Quotas {
    let from = &keys.quotas;
    Quotas {
        max_active_per_customer: from.max_active_per_customer.into(),
        max_active_per_pop: from.max_active_per_pop.into(),
        max_active_global: from.max_active_global.into(),
        max_new_per_minute: from.max_new_per_minute.into(),
        max_announcements_per_peer: from.max_announcements_per_peer.into(),
    }
}

fn ttl(seconds: u64) -> Ttl {
    Ttl::from_seconds(seconds.clamp(1, u64::from(Ttl::MAX.seconds()))).unwrap_or(Ttl::MAX)
}

pub(super) fn narrow(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// A built document with what was said about it.
pub(super) struct Built<T> {
    /// Absent if an error is among the remarks.
    pub(super) value: Option<T>,
    /// Errors and warnings.
    pub(super) remarks: Vec<Remark>,
}

/// Takes apart what a document's `build` returns.
pub(super) fn split<T>(built: Result<Checked<T>, Vec<Finding>>) -> Built<T> {
    match built {
        Ok(checked) => Built { value: Some(checked.value), remarks: remarks(checked.warnings) },
        Err(findings) => Built { value: None, remarks: remarks(findings) },
    }
}

/// What the rules of the policy found, as remarks about a document.
pub(super) fn remarks(findings: Vec<Finding>) -> Vec<Remark> {
    let remark = |finding: Finding| {
        let path = KeyPath::from_pointer(&finding.pointer);
        match finding.severity {
            Severity::Error => Remark::error(path, finding.text),
            Severity::Warning => Remark::warning(path, finding.text),
        }
    };
    findings.into_iter().map(remark).collect()
}
