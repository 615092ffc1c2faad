//! Errors of rules.

use thiserror::Error;

use super::{BitmaskError, Component, NumericError};
use crate::address::Prefix;

/// Why a rule cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A value that the field of a packet cannot have (port 70000, DSCP 64, protocol 256).
    #[error("{component} {value} is out of range, the largest is {}", .component.max_value())]
    OutOfRange {
        /// The component.
        component: Component,
        /// The value.
        value: u64,
    },
    /// A component whose conditions exclude every packet.
    #[error("the {0} of the rule matches nothing")]
    MatchesNothing(Component),
    /// Source and destination are of different families.
    #[error("destination {destination} and source {source_prefix} are of different families")]
    MixedFamilies {
        /// The destination.
        destination: Prefix,
        /// The source.
        source_prefix: Prefix,
    },
    /// IPv4 has no flow label.
    #[error("a flow label exists in IPv6 only, the destination is IPv4")]
    FlowLabelOnIpv4,
    /// IPv6 has no don't-fragment bit (RFC 8956 §3.6).
    #[error("dont_fragment exists in IPv4 only, the destination is IPv6")]
    DontFragmentOnIpv6,
    /// The encoding has 240 bytes or more, which common routers mishandle.
    #[error("the rule needs {bytes} bytes, at most 239 are announced; use fewer ports")]
    TooLong {
        /// Bytes of the encoding, without the length octets.
        bytes: usize,
    },
    /// A list of values that is empty or leaves nothing.
    #[error(transparent)]
    Numeric(#[from] NumericError),
    /// Flags that exclude each other.
    #[error(transparent)]
    Bitmask(#[from] BitmaskError),
}

impl RuleError {
    /// Whether no such match exists (guardrail `semantic`), as opposed to one that is too long (`nlri_size`).
    pub fn is_semantic(&self) -> bool {
        !matches!(self, Self::TooLong { .. })
    }
}
