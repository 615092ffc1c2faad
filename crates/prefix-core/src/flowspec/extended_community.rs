//! Actions on the wire are extended communities (RFC 4360, RFC 8955 §7): eight octets each.

use std::fmt;

/// An extended community, as eight octets in network order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// The traffic-action community 0x8007 (RFC 8955 §7.3). prefixd never sends it; foreign rules may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TrafficAction {
    /// S: sample and log matching packets.
    pub sample: bool,
    /// T: go on with the rules after this one. The bit is *set* for "not terminal".
    pub terminal: bool,
}
