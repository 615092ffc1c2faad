//! Matches that are well-formed but that no packet can meet, or that routers refuse.

use thiserror::Error;

use super::Rule;

/// Why no packet can match. Such rules exist on the wire, but are never announced (guardrail `semantic`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Impossibility {
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
    #[error("ICMP types and codes exist with the ICMP of the address family only, name it as protocol")]
    IcmpWithoutIcmp,
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
    /// The first reason why no packet can match, if there is one.
    pub fn impossibility(&self) -> Option<Impossibility> {
        todo!()
    }
}
