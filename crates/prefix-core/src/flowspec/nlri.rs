//! The bytes that name a route: what the speaker keys its table with, and so the identity of a rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Component, RuleError};
use crate::address::{AddressError, Family, Prefix};

/// Why bytes are no rule of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NlriError {
    /// The bytes end early.
    #[error("the bytes end within the {0}")]
    Truncated(&'static str),
    /// More bytes than the length says.
    #[error("{0} bytes follow the rule")]
    Trailing(usize),
    /// Not even-length hexadecimal.
    #[error("\"{0}\" is no hexadecimal text")]
    Hex(String),
    /// A type octet that no component has, or not in this family.
    #[error("component type {0} is unknown")]
    UnknownComponent(u8),
    /// A component twice (RFC 8955 §4.2 allows each once).
    #[error("the {0} is given twice")]
    Duplicate(Component),
    /// No destination prefix.
    #[error("the rule has no destination prefix")]
    NoDestination,
    /// An IPv6 prefix that skips leading bits.
    #[error("the {component} has offset {offset}, only 0 is supported")]
    Offset {
        /// Destination or source.
        component: Component,
        /// The offset octet.
        offset: u8,
    },
    /// A prefix length beyond the family's.
    #[error("{0}")]
    Prefix(#[from] AddressError),
    /// Well-formed, but not a rule that can exist.
    #[error("{0}")]
    Rule(#[from] RuleError),
}

/// The NLRI of a rule with its length octet(s), or of a unicast prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nlri(Box<[u8]>);

impl Nlri {
    /// The NLRI of a unicast route: length in bits and as many octets as it needs (RFC 4271 §4.3).
    pub fn unicast(prefix: Prefix) -> Self {
        let _ = prefix;
        todo!()
    }

    /// Reads a unicast NLRI back.
    pub fn decode_unicast(family: Family, bytes: &[u8]) -> Result<Prefix, NlriError> {
        let _ = (family, bytes);
        todo!()
    }

    /// The bytes, length octet(s) included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// First 16 bytes of SHA-256 over the bytes.
    pub fn scope_hash(&self) -> ScopeHash {
        todo!()
    }
}

impl fmt::Display for Nlri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for Nlri {
    type Err = NlriError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl TryFrom<String> for Nlri {
    type Error = NlriError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Nlri> for String {
    fn from(nlri: Nlri) -> Self {
        nlri.to_string()
    }
}

/// 16 bytes, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeHash([u8; 16]);

impl ScopeHash {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ScopeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ScopeHash {
    type Err = NlriError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl TryFrom<String> for ScopeHash {
    type Error = NlriError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ScopeHash> for String {
    fn from(hash: ScopeHash) -> Self {
        hash.to_string()
    }
}
