//! Route targets of redirect actions (RFC 8955 §7.4): they name the VRF that receives the traffic.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use thiserror::Error;

/// The text is no route target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is no route target, write for instance \"65000:100\" or \"192.0.2.1:100\"")]
pub struct RouteTargetError(pub String);

/// A route target in one of its three forms. Text and JSON are `65000:100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteTarget {
    /// 2-octet AS number and 4-octet number, `65000:100`.
    As2(u16, u32),
    /// IPv4 address and 2-octet number, `192.0.2.1:100`.
    Ipv4(Ipv4Addr, u16),
    /// 4-octet AS number and 2-octet number, `4200000000:100`; with a small AS number `65000L:100`.
    As4(u32, u16),
}

impl FromStr for RouteTarget {
    type Err = RouteTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || RouteTargetError(text.to_owned());
        let (global, local) = text.split_once(':').ok_or_else(error)?;
        if !local.bytes().all(|b| b.is_ascii_digit()) || global.starts_with('+') {
            return Err(error());
        }
        if let Ok(address) = global.parse::<Ipv4Addr>() {
            return local.parse().map(|local| Self::Ipv4(address, local)).map_err(|_| error());
        }
        if let Ok(asn) = global.parse::<u16>() {
            return local.parse().map(|local| Self::As2(asn, local)).map_err(|_| error());
        }
        let asn = global.strip_suffix('L').unwrap_or(global).parse::<u32>().map_err(|_| error())?;
        local.parse().map(|local| Self::As4(asn, local)).map_err(|_| error())
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As2(asn, local) => write!(f, "{asn}:{local}"),
            Self::Ipv4(address, local) => write!(f, "{address}:{local}"),
            Self::As4(asn, local) if u16::try_from(*asn).is_ok() => write!(f, "{asn}L:{local}"),
            Self::As4(asn, local) => write!(f, "{asn}:{local}"),
        }
    }
}

serde_as_text!(RouteTarget);
