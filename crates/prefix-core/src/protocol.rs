//! The IP protocol of a report or a rule, by name or number.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::address::Family;

/// The upper-layer protocol numbers prefixd treats specially (IANA protocol numbers).
pub mod number {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// Generic Routing Encapsulation.
    pub const GRE: u8 = 47;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// A protocol, by name or number. JSON is a string or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Protocol {
    /// `udp`
    Udp,
    /// `tcp`
    Tcp,
    /// `icmp`: 1 toward IPv4, 58 toward IPv6.
    Icmp,
    /// `gre`
    Gre,
    /// `any`, or the empty text.
    Any,
    /// A number, 0..=255.
    Number(u8),
}

/// The word or number is no protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("protocol must be udp, tcp, icmp, gre, any or a number from 0 to 255, not {0}")]
pub struct ProtocolError(String);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Word(String),
}

impl Protocol {
    /// The protocol number for a destination of this family (IANA, 0..=255); `None` matches any protocol.
    pub fn number(self, family: Family) -> Option<u8> {
        match self {
            Self::Udp => Some(number::UDP),
            Self::Tcp => Some(number::TCP),
            Self::Icmp => Some(match family {
                Family::Ipv4 => number::ICMP,
                Family::Ipv6 => number::ICMPV6,
            }),
            Self::Gre => Some(number::GRE),
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

impl TryFrom<Written> for Protocol {
    type Error = ProtocolError;

    fn try_from(written: Written) -> Result<Self, ProtocolError> {
        match written {
            Written::Number(number) => {
                u8::try_from(number).map(Self::Number).map_err(|_| ProtocolError(number.to_string()))
            }
            Written::Word(word) => word.parse(),
        }
    }
}

impl From<Protocol> for Written {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Number(number) => Self::Number(number.into()),
            word => Self::Word(word.to_string()),
        }
    }
}

impl std::str::FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(word: &str) -> Result<Self, ProtocolError> {
        Ok(match word {
            "udp" => Self::Udp,
            "tcp" => Self::Tcp,
            "icmp" => Self::Icmp,
            "gre" => Self::Gre,
            "any" | "" => Self::Any,
            other => Self::Number(other.parse().map_err(|_| {
                let shown: String = other.chars().take(40).collect();
                ProtocolError(format!("{shown:?}"))
            })?),
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("udp"),
            Self::Tcp => f.write_str("tcp"),
            Self::Icmp => f.write_str("icmp"),
            Self::Gre => f.write_str("gre"),
            Self::Any => f.write_str("any"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icmp_depends_on_the_family() {
        assert_eq!(Protocol::Icmp.number(Family::Ipv4), Some(1));
        assert_eq!(Protocol::Icmp.number(Family::Ipv6), Some(58));
        assert_eq!(Protocol::Any.number(Family::Ipv4), None);
    }

    #[test]
    fn words_and_numbers_are_read_and_written_as_they_came() {
        for json in [r#""udp""#, r#""any""#, "47", "0", "255"] {
            let protocol: Protocol = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&protocol).unwrap(), json);
        }
        for json in ["256", "-1", r#""sctp""#, "1.5", "null", "[]"] {
            assert!(serde_json::from_str::<Protocol>(json).is_err(), "{json}");
        }
    }
}
