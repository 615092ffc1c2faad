//! Matches that are well-formed, but that no packet can match or that routers refuse.

use thiserror::Error;

use super::{Fragment, Rule};
use crate::address::Family;
use crate::protocol::number;

/// The lengths of IP packets that a rule may match, in bytes.
const PACKET_LENGTHS: std::ops::RangeInclusive<u64> = 20..=9216;

/// Why no packet can match. Such rules can be encoded, but are never announced (guardrail `semantic`). Don't-fragment
/// with IPv6 is not among them: no such rule can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unmatchable {
    /// Ports without TCP or UDP.
    #[error("ports exist with TCP and UDP only, name one as protocol")]
    PortsWithoutTcpOrUdp,
    /// TCP flags without TCP.
    #[error("TCP flags exist with TCP only, name it as protocol")]
    FlagsWithoutTcp,
    /// Outside 20..=9216 bytes.
    #[error("packet lengths are from 20 to 9216 bytes")]
    PacketLength,
    /// ICMP components with another protocol than ICMP.
    #[error("ICMP types and codes exist with ICMP only, name protocol {expected}")]
    IcmpWithoutIcmp {
        /// The ICMP protocol number of the rule's family: 1 or 58.
        expected: u8,
    },
    /// ICMP (1) on IPv6 or ICMPv6 (58) on IPv4.
    #[error("protocol {found} is ICMP of the other address family, here it is {expected}")]
    IcmpOfOtherFamily {
        /// The protocol of the rule.
        found: u8,
        /// The protocol it should be.
        expected: u8,
    },
}

impl Rule {
    /// The first reason why no packet can match; `None` for a rule that packets can match.
    pub fn unmatchable(&self) -> Option<Unmatchable> {
        let (icmp, foreign_icmp) = match self.family() {
            Family::Ipv4 => (number::ICMP, number::ICMPV6),
            Family::Ipv6 => (number::ICMPV6, number::ICMP),
        };
        if self.only_protocols(&[foreign_icmp]) {
            return Some(Unmatchable::IcmpOfOtherFamily { found: foreign_icmp, expected: icmp });
        }
        if self.names_ports() && !self.only_protocols(&[number::TCP, number::UDP]) {
            return Some(Unmatchable::PortsWithoutTcpOrUdp);
        }
        if self.tcp_flags().is_some() && !self.only_protocols(&[number::TCP]) {
            return Some(Unmatchable::FlagsWithoutTcp);
        }
        let names_icmp = self.icmp_type().is_some() || self.icmp_code().is_some();
        if names_icmp && !self.only_protocols(&[icmp]) {
            return Some(Unmatchable::IcmpWithoutIcmp { expected: icmp });
        }
        let possible = |(first, last)| PACKET_LENGTHS.contains(&first) && PACKET_LENGTHS.contains(&last);
        let lengths = self.packet_length().map(|length| length.intervals(u16::MAX.into()));
        if lengths.is_some_and(|lengths| !lengths.into_iter().all(possible)) {
            return Some(Unmatchable::PacketLength);
        }
        None
    }

    /// Whether the rule names ports, but matches only fragments that have none, so that routers that follow RFC 8955
    /// match nothing (§4.2.2.4, §4.2.2.12).
    pub fn ports_miss_its_fragments(&self) -> bool {
        self.names_ports() && self.is_of_later_fragments()
    }

    /// Whether the rule matches only fragments other than the first.
    pub(super) fn is_of_later_fragments(&self) -> bool {
        let wanted = self.fragment().and_then(Fragment::from_bitmask);
        let all = Fragment::IS_FRAGMENT.union(Fragment::LAST_FRAGMENT);
        wanted.is_some_and(|wanted| !wanted.is_empty() && all.contains(wanted))
    }

    /// Whether the rule names protocols, and only such as are listed.
    fn only_protocols(&self, allowed: &[u8]) -> bool {
        self.protocol().is_some_and(|protocol| {
            protocol.intervals(u8::MAX.into()).into_iter().all(|(first, last)| {
                (first..=last).all(|number| allowed.iter().any(|allowed| u64::from(*allowed) == number))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Unmatchable> {
        text.parse::<Rule>().unwrap().unmatchable()
    }

    fn of_v4(text: &str) -> Option<Unmatchable> {
        of(&format!("dst 203.0.113.10/32 {text}"))
    }

    fn of_v6(text: &str) -> Option<Unmatchable> {
        of(&format!("dst 2001:db8::1/128 {text}"))
    }

    #[test]
    fn ports_need_tcp_or_udp() {
        let refused = Some(Unmatchable::PortsWithoutTcpOrUdp);
        assert_eq!(of_v4("dport =53"), refused);
        assert_eq!(of_v4("proto gre sport =53"), refused);
        assert_eq!(of_v4("proto >=6&<=17 port =53"), refused);
        assert_eq!(of_v4("proto tcp|udp port =53"), None);
        assert_eq!(of_v4("proto udp dport =53"), None);
    }

    #[test]
    fn flags_need_tcp() {
        let refused = Some(Unmatchable::FlagsWithoutTcp);
        assert_eq!(of_v4("flags syn"), refused);
        assert_eq!(of_v4("proto udp flags syn"), refused);
        assert_eq!(of_v4("proto tcp|udp flags syn"), refused);
        assert_eq!(of_v4("proto tcp flags syn"), None);
    }

    #[test]
    fn packets_have_20_to_9216_bytes() {
        let refused = Some(Unmatchable::PacketLength);
        for text in ["len =19", "len =9217", "len >=20&<=9217", "len >100", "len <100", "len =100|=19"] {
            assert_eq!(of_v4(text), refused, "{text}");
        }
        assert_eq!(of_v4("len >=20&<=9216"), None);
    }

    #[test]
    fn icmp_is_that_of_the_family() {
        assert_eq!(of_v4("proto icmp icmp-type =8"), None);
        assert_eq!(of_v6("proto icmpv6 icmp-type =128"), None);
        let other = |found, expected| Some(Unmatchable::IcmpOfOtherFamily { found, expected });
        assert_eq!(of_v6("proto icmp"), other(1, 58));
        assert_eq!(of_v4("proto icmpv6 icmp-type =8"), other(58, 1));
        assert_eq!(of_v4("icmp-type =8"), Some(Unmatchable::IcmpWithoutIcmp { expected: 1 }));
        assert_eq!(of_v6("proto udp icmp-code =0"), Some(Unmatchable::IcmpWithoutIcmp { expected: 58 }));
    }

    #[test]
    fn ports_of_later_fragments_are_noticed() {
        let misses = |text: &str| text.parse::<Rule>().unwrap().ports_miss_its_fragments();
        assert!(misses("dst 203.0.113.10/32 proto udp dport =53 frag is_fragment"));
        assert!(!misses("dst 203.0.113.10/32 proto udp dport =53 frag first_fragment|is_fragment"));
        assert!(!misses("dst 203.0.113.10/32 proto udp frag is_fragment"));
    }
}
