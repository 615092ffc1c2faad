//! `guardrails`, `quotas`, `timers` and `escalation`: the bounds of every decision.

use prefix_core::address::Prefix;
use serde::{Deserialize, Serialize};

/// `guardrails`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of the configuration
pub struct GuardrailKeys {
    /// Seconds; missing = `timers.min_ttl_seconds`.
    pub min_ttl_seconds: Option<u64>,
    /// Seconds; missing = `timers.max_ttl_seconds`.
    pub max_ttl_seconds: Option<u64>,
    /// Absolute, extensions included.
    pub max_lifetime_seconds: u64,
    /// After a rule reached its absolute lifetime.
    pub max_lifetime_cooldown_seconds: u64,
    /// Shortest IPv4 destination, bits.
    pub dst_prefix_minlen: u8,
    /// Longest IPv4 destination, bits.
    pub dst_prefix_maxlen: u8,
    /// Shortest IPv6 destination, bits.
    pub dst_prefix_minlen_v6: u8,
    /// Longest IPv6 destination, bits.
    pub dst_prefix_maxlen_v6: u8,
    /// Port terms of one rule.
    pub max_ports: u32,
    /// Bits per second.
    pub min_police_rate_bps: u64,
    /// Bits per second.
    pub default_police_rate_bps: u64,
    /// Control plane.
    pub protected_prefixes: Vec<Prefix>,
    /// Whether rules may match source ports.
    pub allow_src_port_match: bool,
    /// Whether rules may match TCP flags.
    pub allow_tcp_flags_match: bool,
    /// Whether rules may match fragments.
    pub allow_fragment_match: bool,
    /// Whether rules may match ICMP types.
    pub allow_icmp_type_match: bool,
    /// Whether rules may match packet lengths.
    pub allow_packet_length_match: bool,
    /// Whether rules may match DSCP.
    pub allow_dscp_match: bool,
    /// Whether rules may redirect.
    pub allow_redirect: bool,
    /// Whether rules may mark.
    pub allow_mark: bool,
    /// Whether hosts may be black-holed.
    pub allow_rtbh: bool,
    /// Only false: sources are never matched.
    pub allow_src_prefix_match: bool,
    /// Only true: every rule expires.
    pub require_ttl: bool,
    /// Two-person approval.
    pub approval: ApprovalKeys,
}

impl Default for GuardrailKeys {
    fn default() -> Self {
        Self {
            min_ttl_seconds: None,
            max_ttl_seconds: None,
            max_lifetime_seconds: 86_400,
            max_lifetime_cooldown_seconds: 300,
            dst_prefix_minlen: 32,
            dst_prefix_maxlen: 32,
            dst_prefix_minlen_v6: 128,
            dst_prefix_maxlen_v6: 128,
            max_ports: 8,
            min_police_rate_bps: 8000,
            default_police_rate_bps: 10_000_000,
            protected_prefixes: Vec::new(),
            allow_src_port_match: true,
            allow_tcp_flags_match: true,
            allow_fragment_match: true,
            allow_icmp_type_match: true,
            allow_packet_length_match: false,
            allow_dscp_match: false,
            allow_redirect: false,
            allow_mark: false,
            allow_rtbh: false,
            allow_src_prefix_match: false,
            require_ttl: true,
            approval: ApprovalKeys::default(),
        }
    }
}

/// `guardrails.approval`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalKeys {
    /// Whether two people are needed.
    pub enabled: bool,
    /// How long a request waits.
    pub expires_seconds: u64,
    /// What needs it.
    pub required_for: Vec<ApprovalCase>,
}

impl Default for ApprovalKeys {
    fn default() -> Self {
        use ApprovalCase::{AnyProtocolDiscard, BroadPrefix, LongTtl, Rtbh, SafelistRemove};
        Self {
            enabled: false,
            expires_seconds: 900,
            required_for: vec![BroadPrefix, AnyProtocolDiscard, LongTtl, Rtbh, SafelistRemove],
        }
    }
}

/// What can need two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalCase {
    /// A destination shorter than a host.
    BroadPrefix,
    /// Discarding every protocol.
    AnyProtocolDiscard,
    /// More than half of the longest time to live.
    LongTtl,
    /// A black hole.
    Rtbh,
    /// Taking an entry off the safelist.
    SafelistRemove,
}

/// `quotas`: rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaKeys {
    /// Of one customer, over all pops.
    pub max_active_per_customer: u32,
    /// Of one pop.
    pub max_active_per_pop: u32,
    /// In all.
    pub max_active_global: u32,
    /// New ones of one pop within any minute.
    pub max_new_per_minute: u32,
    /// Toward each peer.
    pub max_announcements_per_peer: u32,
}

impl Default for QuotaKeys {
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

/// `timers`: seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimerKeys {
    /// Of a rule that names none.
    pub default_ttl_seconds: u64,
    /// Shortest time to live.
    pub min_ttl_seconds: u64,
    /// Longest time to live.
    pub max_ttl_seconds: u64,
    /// Between two comparisons of storage and speaker.
    pub reconciliation_interval_seconds: u64,
    /// After an operator's withdraw.
    pub quiet_period_after_withdraw_seconds: u64,
    /// Accepted for old files, ignored.
    #[serde(skip_serializing)]
    pub correlation_window_seconds: Option<u64>,
}

impl Default for TimerKeys {
    fn default() -> Self {
        Self {
            default_ttl_seconds: 120,
            min_ttl_seconds: 30,
            max_ttl_seconds: 1800,
            reconciliation_interval_seconds: 30,
            quiet_period_after_withdraw_seconds: 120,
            correlation_window_seconds: None,
        }
    }
}

/// `escalation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EscalationKeys {
    /// Whether steps are climbed.
    pub enabled: bool,
    /// Whether steps are descended while the attack lasts.
    pub step_down: bool,
    /// Of steps that do not say, seconds.
    pub min_persistence_seconds: u64,
    /// Of steps that do not say, 0..=1.
    pub min_confidence: f64,
    /// Longest time above the first step, seconds.
    pub max_escalated_duration_seconds: u64,
}

impl Default for EscalationKeys {
    fn default() -> Self {
        Self {
            enabled: true,
            step_down: false,
            min_persistence_seconds: 120,
            min_confidence: 0.7,
            max_escalated_duration_seconds: 1800,
        }
    }
}
