//! The NLRI: the octets that identify a route in the speaker's table.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::decode::Reader;
use super::{Component, RuleError, WireComponent};
use crate::address::{AddressError, Family, Prefix};

/// Why octets are no NLRI that prefixd can announce.
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
    /// A component that occurs twice (RFC 8955 §4.2).
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
    /// A prefix where a list is required, or a list where a prefix is required.
    #[error("the {0} is given in the form of another component")]
    WrongShape(Component),
    /// A destination of the other family than the table's.
    #[error("destination {0} is of another address family than its table")]
    WrongFamily(Prefix),
    /// A prefix length beyond the family's.
    #[error("{0}")]
    Prefix(#[from] AddressError),
    /// Well-formed, but no rule that can be built.
    #[error("{0}")]
    Rule(#[from] RuleError),
}

/// The NLRI of a rule with its length octet (RFC 8955 §4), or of a unicast prefix (RFC 4271 §4.3). Text and JSON are
/// hexadecimal.
///
/// A parsed one may be any octets; [`super::RouteKey::new`] checks whether they are a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nlri(Box<[u8]>);

impl Nlri {
    /// The NLRI of a unicast route: the length in bits and as many octets as it needs (RFC 4271 §4.3).
    pub fn unicast(prefix: Prefix) -> Self {
        let mut bytes = vec![prefix.len()];
        bytes.extend(significant_octets(prefix));
        Self(bytes.into())
    }

    /// Components behind their length octet.
    pub(super) fn with_length(components: &[u8]) -> Self {
        // A rule has at most 239 bytes of components, see `RuleBuilder::build`.
        let length = u8::try_from(components.len()).unwrap_or(u8::MAX);
        Self([&[length], components].concat().into())
    }

    /// Decodes a unicast NLRI.
    ///
    /// # Errors
    /// The octets are no prefix of this family.
    pub fn decode_unicast(family: Family, bytes: &[u8]) -> Result<Prefix, NlriError> {
        let (len, octets) = bytes.split_first().ok_or(NlriError::Truncated("prefix length"))?;
        let mut reader = Reader(octets);
        let prefix = reader.prefix_octets(family, *len)?;
        if reader.0.is_empty() { Ok(prefix) } else { Err(NlriError::Trailing(reader.0.len())) }
    }

    /// The octets, length octet(s) included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first 16 octets of the SHA-256 of the octets.
    pub fn scope_hash(&self) -> ScopeHash {
        let digest = Sha256::digest(&self.0);
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        ScopeHash(first)
    }
}

/// The components one after the other, each behind its type octet.
pub(super) fn encode_components(family: Family, components: &[WireComponent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for component in components {
        match component {
            WireComponent::Prefix(component, prefix) => {
                bytes.extend([component.code(), prefix.len()]);
                if family == Family::Ipv6 {
                    bytes.push(0); // offset: no leading bits are skipped
                }
                bytes.extend(significant_octets(*prefix));
            }
            WireComponent::Items(component, items) => {
                bytes.push(component.code());
                for item in items {
                    bytes.push(item.op);
                    bytes.extend(&item.value.to_be_bytes()[8 - item.value_len()..]);
                }
            }
        }
    }
    bytes
}

/// As many octets as the length needs.
fn significant_octets(prefix: Prefix) -> impl Iterator<Item = u8> {
    prefix.octets().into_iter().take(usize::from(prefix.len().div_ceil(8)))
}

impl fmt::Display for Nlri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for Nlri {
    type Err = NlriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match hex::decode(text) {
            Ok(bytes) if !bytes.is_empty() => Ok(Self(bytes.into())),
            _ => Err(NlriError::Hex(text.to_owned())),
        }
    }
}

/// A hash of an NLRI: 16 octets. Text and JSON are 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeHash([u8; 16]);

hex_octets!(ScopeHash(16), NlriError, NlriError::Hex);
serde_as_text!(Nlri);
