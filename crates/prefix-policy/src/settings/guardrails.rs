//! The numbers and switches of `guardrails`.

use prefix_core::address::{Family, Prefix};
use prefix_core::rate::BitsPerSecond;
use prefix_core::ttl::Ttl;

use super::Timers;

/// The lengths a destination prefix may have, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// The shortest, which is the widest rule.
    pub min: u8,
    /// The longest.
    pub max: u8,
}

/// Which components a rule may match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of the configuration")]
pub struct MatchSwitches {
    /// `allow_src_port_match`
    pub src_port: bool,
    /// `allow_tcp_flags_match`
    pub tcp_flags: bool,
    /// `allow_fragment_match`
    pub fragment: bool,
    /// `allow_icmp_type_match`
    pub icmp_type: bool,
    /// `allow_packet_length_match`
    pub packet_length: bool,
    /// `allow_dscp_match`
    pub dscp: bool,
}

/// Which components a match has, in the order of [`MatchSwitches`].
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

impl MatchSwitches {
    /// The used components that are switched off: the key of the component and the name of its switch.
    pub(crate) fn missing(self, uses: Uses) -> Vec<(&'static str, &'static str)> {
        [
            ("src_ports", "allow_src_port_match", self.src_port, uses.src_ports),
            ("tcp_flags", "allow_tcp_flags_match", self.tcp_flags, uses.tcp_flags),
            ("fragment", "allow_fragment_match", self.fragment, uses.fragment),
            ("icmp_type", "allow_icmp_type_match", self.icmp_type, uses.icmp_type),
            ("packet_length", "allow_packet_length_match", self.packet_length, uses.packet_length),
            ("dscp", "allow_dscp_match", self.dscp, uses.dscp),
        ]
        .into_iter()
        .filter(|(.., allowed, used)| *used && !*allowed)
        .map(|(key, switch, ..)| (key, switch))
        .collect()
    }
}

impl Default for MatchSwitches {
    fn default() -> Self {
        Self {
            src_port: true,
            tcp_flags: true,
            fragment: true,
            icmp_type: true,
            packet_length: false,
            dscp: false,
        }
    }
}

/// The bounds that every rule keeps, automatic or manual.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches of the configuration")]
pub struct Guardrails {
    /// The shortest TTL.
    pub min_ttl: Ttl,
    /// The longest TTL.
    pub max_ttl: Ttl,
    /// The absolute lifetime, extensions included.
    pub max_lifetime_seconds: u32,
    /// How long a rule that reached it may not come back by itself.
    pub max_lifetime_cooldown_seconds: u32,
    /// Lengths of IPv4 destinations.
    pub dst_prefix_v4: PrefixLengths,
    /// Lengths of IPv6 destinations.
    pub dst_prefix_v6: PrefixLengths,
    /// Port terms of a rule: source + destination, exclusions counted as merged ranges.
    pub max_ports: usize,
    /// The lowest rate that is policing rather than dropping.
    pub min_police_rate: BitsPerSecond,
    /// The rate where a step that must police names none.
    pub default_police_rate: BitsPerSecond,
    /// The control plane: no rule goes there.
    pub protected_prefixes: Vec<Prefix>,
    /// Components that may be matched.
    pub matches: MatchSwitches,
    /// Whether `redirect` may be used.
    pub allow_redirect: bool,
    /// Whether `mark` may be used.
    pub allow_mark: bool,
    /// Whether `rtbh` may be used.
    pub allow_rtbh: bool,
}

impl Guardrails {
    /// The defaults of the contract, with the TTL bounds of the timers.
    pub fn with_timers(timers: &Timers) -> Self {
        Self {
            min_ttl: timers.min_ttl,
            max_ttl: timers.max_ttl,
            max_lifetime_seconds: 86_400,
            max_lifetime_cooldown_seconds: 300,
            dst_prefix_v4: PrefixLengths { min: 32, max: 32 },
            dst_prefix_v6: PrefixLengths { min: 128, max: 128 },
            max_ports: 8,
            min_police_rate: BitsPerSecond::saturating(8_000),
            default_police_rate: BitsPerSecond::saturating(10_000_000),
            protected_prefixes: Vec::new(),
            matches: MatchSwitches::default(),
            allow_redirect: false,
            allow_mark: false,
            allow_rtbh: false,
        }
    }

    /// The lengths that a destination of this family may have.
    pub fn dst_prefix(&self, family: Family) -> PrefixLengths {
        match family {
            Family::Ipv4 => self.dst_prefix_v4,
            Family::Ipv6 => self.dst_prefix_v6,
        }
    }

    /// The nearest TTL within the bounds.
    pub fn clamp_ttl(&self, ttl: Ttl) -> Ttl {
        ttl.min(self.max_ttl).max(self.min_ttl)
    }
}

impl Default for Guardrails {
    fn default() -> Self {
        Self::with_timers(&Timers::default())
    }
}
