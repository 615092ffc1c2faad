//! IP addresses and prefixes in canonical form: equal addresses are equal values, however they were written.
//!
//! IPv4-mapped IPv6 addresses become IPv4 when they are parsed, prefixes have no host bits, and the text is canonical
//! (RFC 5952).

mod prefix;

pub use prefix::Prefix;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// Why a text is no address or prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The text is empty.
    #[error("an address is expected, found an empty text")]
    Empty,
    /// The text has an IPv6 zone (`fe80::1%eth0`), which means nothing on another machine.
    #[error("\"{0}\" has a zone id, write the address without \"%\" and what follows")]
    Zone(String),
    /// An address was expected, the text is a prefix.
    #[error("\"{0}\" is a prefix, write one address without \"/\"")]
    PrefixNotAllowed(String),
    /// Neither an IPv4 nor an IPv6 address.
    #[error("\"{0}\" is no IPv4 or IPv6 address")]
    NotAnAddress(String),
    /// What follows the slash is no number, or more than 32 (IPv4) or 128 (IPv6).
    #[error("\"{text}\" has no valid prefix length, write a number from 0 to {max} after \"/\"")]
    Length {
        /// The text as given.
        text: String,
        /// The longest length of the family, in bits: 32 or 128.
        max: u8,
    },
    /// Bits behind the prefix length are set.
    #[error("\"{text}\" has host bits set, the prefix is {mended}")]
    HostBits {
        /// The text as given.
        text: String,
        /// The same prefix with zero host bits.
        mended: Prefix,
    },
}

words! {
    /// IPv4 or IPv6.
    pub enum Family {
        /// Internet Protocol version 4.
        Ipv4 = "ipv4",
        /// Internet Protocol version 6.
        Ipv6 = "ipv6",
    }
}

impl Family {
    /// The address family identifier of BGP (RFC 4760): 1 or 2.
    pub const fn afi(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }

    /// Length of a host prefix in bits: 32 or 128.
    pub const fn max_len(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }

    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// The address under attack: IPv4 or IPv6. Never an IPv4-mapped IPv6 address: those become IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VictimIp(IpAddr);

impl VictimIp {
    /// The address.
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// Its family.
    pub const fn family(self) -> Family {
        Family::of(self.0)
    }

    /// Reads an address, or the prefix that holds it alone: `203.0.113.10/32`, `2001:db8::1/128`.
    ///
    /// # Errors
    /// The text is neither, or a shorter prefix.
    pub fn of_host(text: &str) -> Result<Self, AddressError> {
        if !text.contains('/') {
            return text.parse();
        }
        let prefix: Prefix = text.parse()?;
        let host = prefix.is_host().then(|| prefix.network().into());
        host.ok_or_else(|| AddressError::PrefixNotAllowed(text.to_owned()))
    }

    /// The prefix that holds this address only: /32 or /128.
    pub fn host_prefix(self) -> Prefix {
        Prefix::host(self)
    }
}

impl From<IpAddr> for VictimIp {
    fn from(ip: IpAddr) -> Self {
        Self(ip.to_canonical())
    }
}

impl FromStr for VictimIp {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Err(AddressError::PrefixNotAllowed(text.to_owned()));
        }
        parse_ip(text, text).map(Self::from)
    }
}

impl fmt::Display for VictimIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(VictimIp);

/// Parses `address`; errors quote `whole`, the text it is a part of.
fn parse_ip(address: &str, whole: &str) -> Result<IpAddr, AddressError> {
    if whole.is_empty() {
        return Err(AddressError::Empty);
    }
    if address.contains('%') {
        return Err(AddressError::Zone(whole.to_owned()));
    }
    address.parse().map_err(|_| AddressError::NotAnAddress(whole.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(text: &str) -> VictimIp {
        text.parse().unwrap()
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(victim("::ffff:203.0.113.10"), victim("203.0.113.10"));
        assert_eq!(victim("::ffff:cb00:710a").to_string(), "203.0.113.10");
        assert_eq!(victim("::ffff:203.0.113.10").family(), Family::Ipv4);
    }

    #[test]
    fn ipv6_text_is_canonical() {
        assert_eq!(victim("2001:0db8:000b:0:0:0:0:0010").to_string(), "2001:db8:b::10");
        assert_eq!(victim("2001:0DB8::A").to_string(), "2001:db8::a");
    }

    #[test]
    fn zones_prefixes_and_empty_texts_are_refused_with_advice() {
        for (text, part) in [
            ("", "empty"),
            ("fe80::1%eth0", "zone id"),
            ("203.0.113.10/32", "without \"/\""),
            ("203.0.113", "no IPv4 or IPv6"),
            ("203.0.113.010", "no IPv4 or IPv6"),
            (" 203.0.113.10", "no IPv4 or IPv6"),
            ("example.net", "no IPv4 or IPv6"),
        ] {
            let message = text.parse::<VictimIp>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn the_host_prefix_holds_one_address() {
        assert_eq!(victim("203.0.113.10").host_prefix().to_string(), "203.0.113.10/32");
        assert_eq!(victim("2001:db8::a").host_prefix().to_string(), "2001:db8::a/128");
    }

    #[test]
    fn json_is_the_text() {
        let ip: VictimIp = serde_json::from_str("\"::ffff:203.0.113.10\"").unwrap();
        assert_eq!(serde_json::to_string(&ip).unwrap(), "\"203.0.113.10\"");
        assert!(serde_json::from_str::<VictimIp>("\"fe80::1%1\"").is_err());
    }
}
