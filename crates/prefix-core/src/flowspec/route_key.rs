//! What names a route in the speaker: the table it is in and its NLRI. Equal bytes in two tables are two routes.

use serde::{Deserialize, Serialize};

use super::{Nlri, NlriError, Rule};
use crate::address::{Family, Prefix};

/// The table of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RouteKind {
    /// AFI 1, SAFI 133.
    #[serde(rename = "flowspec_v4")]
    FlowSpecV4,
    /// AFI 2, SAFI 133.
    #[serde(rename = "flowspec_v6")]
    FlowSpecV6,
    /// AFI 1, SAFI 1.
    #[serde(rename = "unicast_v4")]
    UnicastV4,
    /// AFI 2, SAFI 1.
    #[serde(rename = "unicast_v6")]
    UnicastV6,
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

/// Identity of a route across tables. Always canonical, always with a destination.
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
    /// Reads the NLRI of a table; what is not canonical becomes so.
    pub fn new(kind: RouteKind, nlri: &Nlri) -> Result<Self, NlriError> {
        let _ = (kind, nlri);
        todo!()
    }

    /// The key of a FlowSpec rule.
    pub fn for_rule(rule: &Rule) -> Self {
        let _ = rule;
        todo!()
    }

    /// The key of a blackhole route (RFC 7999): unicast.
    pub fn blackhole(prefix: Prefix) -> Self {
        let _ = prefix;
        todo!()
    }

    /// The table.
    pub fn kind(&self) -> RouteKind {
        self.kind
    }

    /// The bytes.
    pub fn nlri(&self) -> &Nlri {
        &self.nlri
    }

    /// The destination.
    pub fn destination(&self) -> Prefix {
        self.destination
    }

    /// The rule of a FlowSpec key; none for a blackhole.
    pub fn rule(&self) -> Option<Rule> {
        todo!()
    }

    /// The text form: that of the rule, or `blackhole PREFIX`.
    pub fn flow(&self) -> String {
        todo!()
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
