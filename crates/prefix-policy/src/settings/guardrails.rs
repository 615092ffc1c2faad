//! `guardrails` of prefixd.yaml: the numbers and switches that bound every rule.

use prefix_core::address::{Family, Prefix};
use prefix_core::rate::BitsPerSecond;
use prefix_core::ttl::Ttl;
use serde::{Deserialize, Serialize};

use super::{Timers, seconds, ttl};

/// The bounds that every rule keeps, automatic or manual. The fields have the names of their keys; rates are in bits per
/// second, lengths of prefixes in bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of the configuration")]
pub struct Guardrails {
    /// The shortest TTL; missing = that of the timers. See [`Self::min_ttl`].
    pub min_ttl_seconds: Option<u32>,
    /// The longest TTL; missing = that of the timers. See [`Self::max_ttl`].
    pub max_ttl_seconds: Option<u32>,
    /// The absolute lifetime, extensions included.
    #[serde(deserialize_with = "seconds")]
    pub max_lifetime_seconds: u32,
    /// How long a rule that reached it may not come back by itself.
    #[serde(deserialize_with = "seconds")]
    pub max_lifetime_cooldown_seconds: u32,
    /// The shortest IPv4 destination, which is the widest rule.
    pub dst_prefix_minlen: u8,
    /// The longest IPv4 destination.
    pub dst_prefix_maxlen: u8,
    /// The shortest IPv6 destination.
    pub dst_prefix_minlen_v6: u8,
    /// The longest IPv6 destination.
    pub dst_prefix_maxlen_v6: u8,
    /// Port terms of a rule: source + destination, exclusions counted as merged ranges.
    pub max_ports: usize,
    /// The lowest rate that is policing rather than dropping.
    #[serde(rename = "min_police_rate_bps")]
    pub min_police_rate: BitsPerSecond,
    /// The rate where a step that must police names none.
    #[serde(rename = "default_police_rate_bps")]
    pub default_police_rate: BitsPerSecond,
    /// The control plane: no rule goes there.
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
    /// Whether `redirect` may be used.
    pub allow_redirect: bool,
    /// Whether `mark` may be used.
    pub allow_mark: bool,
    /// Whether `rtbh` may be used.
    pub allow_rtbh: bool,
    /// Only false: sources are never matched.
    pub allow_src_prefix_match: bool,
    /// Only true: every rule expires.
    pub require_ttl: bool,
    /// Two-person approval.
    pub approval: Approval,
}

impl Default for Guardrails {
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
            min_police_rate: BitsPerSecond::saturating(8_000),
            default_police_rate: BitsPerSecond::saturating(10_000_000),
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
            approval: Approval::default(),
        }
    }
}

/// `guardrails.approval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// Whether two people are needed.
    pub enabled: bool,
    /// How long a request waits.
    #[serde(deserialize_with = "seconds")]
    pub expires_seconds: u32,
    /// What needs it.
    pub required_for: Vec<ApprovalCase>,
}

impl Default for Approval {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The lengths a destination prefix may have, bits, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// The shortest, which is the widest rule.
    pub min: u8,
    /// The longest.
    pub max: u8,
}

/// Which components a match has, in the order of their switches in [`Guardrails`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "one per switch")]
pub(crate) struct Uses {
    pub(crate) src_ports: bool,
    pub(crate) tcp_flags: bool,
    pub(crate) fragment: bool,
    pub(crate) icmp_type: bool,
    pub(crate) packet_length: bool,
    pub(crate) dscp: bool,
}

impl Guardrails {
    /// With the TTL bounds of the timers where it names none.
    #[must_use]
    pub fn with_timers(mut self, timers: &Timers) -> Self {
        self.min_ttl_seconds.get_or_insert(timers.min_ttl_seconds);
        self.max_ttl_seconds.get_or_insert(timers.max_ttl_seconds);
        self
    }

    /// Lets everything pass that any configuration could allow.
    pub fn unbounded() -> Self {
        Self {
            min_ttl_seconds: Some(1),
            max_ttl_seconds: Some(Ttl::MAX.seconds()),
            min_police_rate: BitsPerSecond::saturating(1),
            allow_packet_length_match: true,
            allow_dscp_match: true,
            allow_redirect: true,
            allow_mark: true,
            allow_rtbh: true,
            ..Self::default()
        }
    }

    /// The shortest TTL.
    pub fn min_ttl(&self) -> Ttl {
        ttl(self.min_ttl_seconds.unwrap_or(Timers::MIN_TTL_SECONDS))
    }

    /// The longest TTL.
    pub fn max_ttl(&self) -> Ttl {
        ttl(self.max_ttl_seconds.unwrap_or(Timers::MAX_TTL_SECONDS))
    }

    /// The nearest TTL within the bounds.
    pub fn clamp_ttl(&self, ttl: Ttl) -> Ttl {
        ttl.min(self.max_ttl()).max(self.min_ttl())
    }

    /// The lengths that a destination of this family may have.
    pub fn dst_prefix(&self, family: Family) -> PrefixLengths {
        match family {
            Family::Ipv4 => PrefixLengths { min: self.dst_prefix_minlen, max: self.dst_prefix_maxlen },
            Family::Ipv6 => PrefixLengths { min: self.dst_prefix_minlen_v6, max: self.dst_prefix_maxlen_v6 },
        }
    }

    /// The used components that are switched off: the key of the component and the name of its switch.
    pub(crate) fn missing(&self, uses: Uses) -> Vec<(&'static str, &'static str)> {
        [
            ("src_ports", "allow_src_port_match", self.allow_src_port_match, uses.src_ports),
            ("tcp_flags", "allow_tcp_flags_match", self.allow_tcp_flags_match, uses.tcp_flags),
            ("fragment", "allow_fragment_match", self.allow_fragment_match, uses.fragment),
            ("icmp_type", "allow_icmp_type_match", self.allow_icmp_type_match, uses.icmp_type),
            (
                "packet_length",
                "allow_packet_length_match",
                self.allow_packet_length_match,
                uses.packet_length,
            ),
            ("dscp", "allow_dscp_match", self.allow_dscp_match, uses.dscp),
        ]
        .into_iter()
        .filter(|(.., allowed, used)| *used && !*allowed)
        .map(|(key, switch, ..)| (key, switch))
        .collect()
    }
}
