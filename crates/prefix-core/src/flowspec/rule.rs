//! The match of a FlowSpec rule, always toward a destination.

use thiserror::Error;

use super::{Bitmask, BitmaskError, Component, Nlri, Numeric, NumericError};
use crate::address::{Family, Prefix};

/// Why a rule can not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A value that the field of a packet can not have (port 70000, DSCP 64, protocol 256).
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
    /// Whether the match can not exist at all (guardrail `semantic`), not merely too long (`nlri_size`).
    pub fn is_semantic(&self) -> bool {
        !matches!(self, Self::TooLong { .. })
    }
}

/// The match of a rule: canonical, valid, announceable. Equality, order and hash are those of its NLRI.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    destination: Prefix,
    nlri: Nlri,
}

impl Rule {
    /// Starts a rule toward a destination; there is no other way to start one.
    pub fn to(destination: Prefix) -> RuleBuilder {
        RuleBuilder { destination }
    }

    /// The destination.
    pub fn destination(&self) -> Prefix {
        self.destination
    }

    /// The family of the destination, and so of the rule.
    pub fn family(&self) -> Family {
        self.destination.family()
    }

    /// The source prefix.
    pub fn source(&self) -> Option<Prefix> {
        todo!()
    }

    /// The numeric match on a component; none for prefixes and bitmasks.
    pub fn numeric(&self, component: Component) -> Option<&Numeric> {
        let _ = component;
        todo!()
    }

    /// The protocol.
    pub fn protocol(&self) -> Option<&Numeric> {
        self.numeric(Component::Protocol)
    }

    /// Source or destination port.
    pub fn port(&self) -> Option<&Numeric> {
        self.numeric(Component::Port)
    }

    /// The destination port.
    pub fn destination_port(&self) -> Option<&Numeric> {
        self.numeric(Component::DestinationPort)
    }

    /// The source port.
    pub fn source_port(&self) -> Option<&Numeric> {
        self.numeric(Component::SourcePort)
    }

    /// The ICMP type.
    pub fn icmp_type(&self) -> Option<&Numeric> {
        self.numeric(Component::IcmpType)
    }

    /// The ICMP code.
    pub fn icmp_code(&self) -> Option<&Numeric> {
        self.numeric(Component::IcmpCode)
    }

    /// The TCP flags.
    pub fn tcp_flags(&self) -> Option<&Bitmask> {
        todo!()
    }

    /// The packet length.
    pub fn packet_length(&self) -> Option<&Numeric> {
        self.numeric(Component::PacketLength)
    }

    /// The DSCP.
    pub fn dscp(&self) -> Option<&Numeric> {
        self.numeric(Component::Dscp)
    }

    /// The fragment states.
    pub fn fragment(&self) -> Option<&Bitmask> {
        todo!()
    }

    /// The flow label (IPv6).
    pub fn flow_label(&self) -> Option<&Numeric> {
        self.numeric(Component::FlowLabel)
    }

    /// The component types of the rule, in the order of the wire.
    pub fn components(&self) -> Vec<Component> {
        todo!()
    }

    /// Port terms for `guardrails.max_ports`: source + destination + either, exclusions as merged ranges.
    pub fn port_terms(&self) -> usize {
        todo!()
    }

    /// Whether the match names a port component at all (and so never reaches fragments but the first).
    pub fn names_ports(&self) -> bool {
        todo!()
    }

    /// The canonical bytes: the identity of the rule.
    pub fn nlri(&self) -> &Nlri {
        &self.nlri
    }
}

/// Collects components; [`RuleBuilder::build`] checks them. Setting one twice keeps the last.
#[derive(Debug, Clone)]
pub struct RuleBuilder {
    destination: Prefix,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, value: $type) -> Self {
            let _ = value;
            todo!()
        }
    )*};
}

impl RuleBuilder {
    setters! {
        /// The source prefix, of the destination's family.
        source: Prefix,
        /// The protocol, 0..=255.
        protocol: Numeric,
        /// Source or destination port, 0..=65535.
        port: Numeric,
        /// The destination port, 0..=65535.
        destination_port: Numeric,
        /// The source port, 0..=65535.
        source_port: Numeric,
        /// The ICMP type, 0..=255.
        icmp_type: Numeric,
        /// The ICMP code, 0..=255.
        icmp_code: Numeric,
        /// The TCP flags.
        tcp_flags: Bitmask,
        /// The packet length in bytes, 0..=65535.
        packet_length: Numeric,
        /// The DSCP, 0..=63.
        dscp: Numeric,
        /// The fragment states.
        fragment: Bitmask,
        /// The flow label, 0..=1048575, IPv6 only.
        flow_label: Numeric,
    }

    /// Checks the components and encodes the rule.
    pub fn build(self) -> Result<Rule, RuleError> {
        todo!()
    }
}
