//! The identity of a route in the speaker: its table and its NLRI.

use serde::{Deserialize, Serialize};

use super::{Nlri, NlriError, Rule, blackhole_text};
use crate::address::{Family, Prefix};

words! {
    /// The table of a route: address family and subsequent address family (RFC 4760).
    pub enum RouteKind {
        /// AFI 1, SAFI 133.
        FlowSpecV4 = "flowspec_v4",
        /// AFI 2, SAFI 133.
        FlowSpecV6 = "flowspec_v6",
        /// AFI 1, SAFI 1.
        UnicastV4 = "unicast_v4",
        /// AFI 2, SAFI 1.
        UnicastV6 = "unicast_v6",
    }
}

impl RouteKind {
    /// The address family.
    pub const fn family(self) -> Family {
        match self {
            Self::FlowSpecV4 | Self::UnicastV4 => Family::Ipv4,
            Self::FlowSpecV6 | Self::UnicastV6 => Family::Ipv6,
        }
    }

    /// The subsequent address family identifier: 133 (FlowSpec) or 1 (unicast).
    pub const fn safi(self) -> u8 {
        match self {
            Self::FlowSpecV4 | Self::FlowSpecV6 => 133,
            Self::UnicastV4 | Self::UnicastV6 => 1,
        }
    }

    /// Whether it is a FlowSpec table.
    pub const fn is_flowspec(self) -> bool {
        matches!(self, Self::FlowSpecV4 | Self::FlowSpecV6)
    }
}

/// The identity of a route: table and canonical NLRI, always with a destination. Equal octets in two tables are two
/// routes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct RouteKey {
    kind: RouteKind,
    nlri: Nlri,
    destination: Prefix,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    kind: RouteKind,
    nlri: Nlri,
}

impl RouteKey {
    /// The key of the NLRI of a table. An NLRI that is not canonical becomes so.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn new(kind: RouteKind, nlri: &Nlri) -> Result<Self, NlriError> {
        Self::decode(kind, nlri.as_bytes())
    }

    /// The key of an NLRI as an UPDATE message carries it, length octet(s) included (RFC 8955 §4.1, RFC 4271 §4.3).
    ///
    /// # Errors
    /// The octets are no NLRI of this table, or none that prefixd can announce.
    pub fn decode(kind: RouteKind, octets: &[u8]) -> Result<Self, NlriError> {
        if kind.is_flowspec() {
            return Rule::decode(kind.family(), octets).map(|rule| Self::for_rule(&rule));
        }
        let prefix = Nlri::decode_unicast(kind.family(), octets)?;
        // an IPv4-mapped prefix is IPv4 here, but not to a speaker
        if prefix.family() == kind.family() {
            Ok(Self::blackhole(prefix))
        } else {
            Err(NlriError::WrongFamily(prefix))
        }
    }

    /// The key of a FlowSpec rule.
    pub fn for_rule(rule: &Rule) -> Self {
        let kind = match rule.family() {
            Family::Ipv4 => RouteKind::FlowSpecV4,
            Family::Ipv6 => RouteKind::FlowSpecV6,
        };
        Self { kind, nlri: rule.nlri().clone(), destination: rule.destination() }
    }

    /// The key of a blackhole route (RFC 7999): unicast.
    pub fn blackhole(prefix: Prefix) -> Self {
        let kind = match prefix.family() {
            Family::Ipv4 => RouteKind::UnicastV4,
            Family::Ipv6 => RouteKind::UnicastV6,
        };
        Self { kind, nlri: Nlri::unicast(prefix), destination: prefix }
    }

    /// The table.
    pub fn kind(&self) -> RouteKind {
        self.kind
    }

    /// The NLRI.
    pub fn nlri(&self) -> &Nlri {
        &self.nlri
    }

    /// The destination.
    pub fn destination(&self) -> Prefix {
        self.destination
    }

    /// The rule of a FlowSpec route; `None` for a black hole.
    pub fn rule(&self) -> Option<Rule> {
        // the octets came from a rule, so they decode
        let rule = || Rule::decode(self.kind.family(), self.nlri.as_bytes()).ok();
        self.kind.is_flowspec().then(rule).flatten()
    }

    /// The text form: that of the rule, or `blackhole PREFIX`.
    pub fn flow(&self) -> String {
        self.rule().map_or_else(|| blackhole_text(self.destination), |rule| rule.to_string())
    }
}

impl TryFrom<Wire> for RouteKey {
    type Error = NlriError;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        Self::new(wire.kind, &wire.nlri)
    }
}

impl From<RouteKey> for Wire {
    fn from(key: RouteKey) -> Self {
        Self { kind: key.kind, nlri: key.nlri }
    }
}
