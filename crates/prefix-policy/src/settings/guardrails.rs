//! `guardrails` of prefixd.yaml: the numbers and switches that bound every rule.

use prefix_core::address::{Family, Prefix};
use prefix_core::rate::BitsPerSecond;
use prefix_core::rtbh::RtbhTargets;
use prefix_core::ttl::Ttl;
use prefix_core::{section, words};

use super::{Timers, ttl};
use crate::intersect::Uses;

section! {
    /// The bounds that every rule keeps, automatic or manual. The fields have the names of their keys; rates are in bits per
    /// second, lengths of prefixes in bits.
    #[derive(Eq)]
    #[allow(clippy::struct_excessive_bools, reason = "independent switches of the configuration")]
    pub struct Guardrails {
        /// The shortest TTL; missing = that of the timers. See [`Self::min_ttl`].
        pub min_ttl_seconds: Option<u64> = None,
        /// The longest TTL; missing = that of the timers. See [`Self::max_ttl`].
        pub max_ttl_seconds: Option<u64> = None,
        /// The absolute lifetime, extensions included.
        pub max_lifetime_seconds: u64 = 86_400,
        /// How long a rule that reached it may not come back by itself.
        pub max_lifetime_cooldown_seconds: u64 = 300,
        /// The shortest IPv4 destination, which is the widest rule.
        pub dst_prefix_minlen: u8 = 32,
        /// The longest IPv4 destination.
        pub dst_prefix_maxlen: u8 = 32,
        /// The shortest IPv6 destination.
        pub dst_prefix_minlen_v6: u8 = 128,
        /// The longest IPv6 destination.
        pub dst_prefix_maxlen_v6: u8 = 128,
        /// Port terms of a rule: source + destination, exclusions counted as merged ranges.
        pub max_ports: usize = 8,
        /// The lowest rate that is policing rather than dropping.
        #[serde(rename = "min_police_rate_bps")]
        pub min_police_rate: BitsPerSecond = BitsPerSecond::saturating(8_000),
        /// The rate where a step that must police names none.
        #[serde(rename = "default_police_rate_bps")]
        pub default_police_rate: BitsPerSecond = BitsPerSecond::saturating(10_000_000),
        /// The control plane: no rule goes there.
        pub protected_prefixes: Vec<Prefix> = Vec::new(),
        /// Whether rules may match source ports.
        pub allow_src_port_match: bool = true,
        /// Whether rules may match TCP flags.
        pub allow_tcp_flags_match: bool = true,
        /// Whether rules may match fragments.
        pub allow_fragment_match: bool = true,
        /// Whether rules may match ICMP types.
        pub allow_icmp_type_match: bool = true,
        /// Whether rules may match packet lengths.
        pub allow_packet_length_match: bool = false,
        /// Whether rules may match DSCP.
        pub allow_dscp_match: bool = false,
        /// Whether `redirect` may be used.
        pub allow_redirect: bool = false,
        /// Whether `mark` may be used.
        pub allow_mark: bool = false,
        /// Whether `rtbh` may be used.
        pub allow_rtbh: bool = false,
        /// Only false: sources are never matched.
        pub allow_src_prefix_match: bool = false,
        /// Only true: every rule expires.
        pub require_ttl: bool = true,
        /// Two-person approval.
        pub approval: Approval = Approval::default(),
        /// Where black holes may go (`bgp.rtbh_targets`), communities as text; `None` = not known, not checked.
        #[serde(skip)]
        pub rtbh_targets: Option<RtbhTargets<String>> = None,
    }
}

section! {
    /// `guardrails.approval`.
    #[derive(Eq)]
    pub struct Approval {
        /// Whether two people are needed.
        pub enabled: bool = false,
        /// How long a request waits.
        pub expires_seconds: u64 = 900,
        /// What needs it.
        pub required_for: Vec<ApprovalCase> = ApprovalCase::ALL.to_vec(),
    }
}

words! {
    /// What can need two people.
    pub enum ApprovalCase {
        /// A destination shorter than a host.
        BroadPrefix = "broad_prefix",
        /// Discarding every protocol.
        AnyProtocolDiscard = "any_protocol_discard",
        /// More than half of the longest time to live.
        LongTtl = "long_ttl",
        /// A black hole.
        Rtbh = "rtbh",
        /// Taking an entry off the safelist.
        SafelistRemove = "safelist_remove",
    }
}

/// The lengths a destination prefix may have, bits, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// The shortest, which is the widest rule.
    pub min: u8,
    /// The longest.
    pub max: u8,
}

impl Guardrails {
    /// With the TTL bounds of the timers where it names none.
    #[must_use]
    pub fn with_timers(mut self, timers: &Timers) -> Self {
        self.min_ttl_seconds.get_or_insert(timers.min_ttl_seconds);
        self.max_ttl_seconds.get_or_insert(timers.max_ttl_seconds);
        self
    }

    /// With the targets of black holes that are configured.
    #[must_use]
    pub fn with_targets(self, targets: RtbhTargets<String>) -> Self {
        Self { rtbh_targets: Some(targets), ..self }
    }

    /// Lets everything pass that any configuration could allow.
    pub fn unbounded() -> Self {
        Self {
            min_ttl_seconds: Some(1),
            max_ttl_seconds: Some(Ttl::MAX.seconds().into()),
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
    pub(crate) fn missing(&self, matching: &impl Uses) -> Vec<(&'static str, &'static str)> {
        let switches = [
            ("src_ports", "allow_src_port_match", self.allow_src_port_match),
            ("tcp_flags", "allow_tcp_flags_match", self.allow_tcp_flags_match),
            ("fragment", "allow_fragment_match", self.allow_fragment_match),
            ("icmp_type", "allow_icmp_type_match", self.allow_icmp_type_match),
            ("packet_length", "allow_packet_length_match", self.allow_packet_length_match),
            ("dscp", "allow_dscp_match", self.allow_dscp_match),
        ];
        let used = switches.into_iter().zip(matching.uses()).filter(|(_, is_used)| *is_used);
        used.filter(|((.., allowed), _)| !allowed).map(|((key, switch, _), _)| (key, switch)).collect()
    }
}
