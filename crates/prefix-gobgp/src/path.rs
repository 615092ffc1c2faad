//! Paths as both versions of the API have them: table, NLRI and attributes.

use bytes::Bytes;
use prefix_core::flowspec::{RouteKey, RouteKind};

use crate::attributes::Attributes;

/// A change of one path, encoded. It always names a route: there is no change of a whole family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: RouteKind,
    pub(crate) nlri: Bytes,
    pub(crate) attributes: Vec<Bytes>,
    pub(crate) is_withdraw: bool,
}

impl Change {
    /// The approximate size in a message, in octets.
    pub(crate) fn size(&self) -> usize {
        self.nlri.len() + self.attributes.iter().map(|a| a.len() + 2).sum::<usize>() + 24
    }
}

/// A path in the speaker's table, or one that left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RibEntry {
    pub(crate) key: RouteKey,
    pub(crate) attributes: Attributes,
    /// Whether it was injected over the API: a change of the same route replaces it.
    pub(crate) local: bool,
    pub(crate) is_withdraw: bool,
}

/// The tables that prefixd announces in.
pub(crate) const KINDS: [RouteKind; 4] =
    [RouteKind::FlowSpecV4, RouteKind::FlowSpecV6, RouteKind::UnicastV4, RouteKind::UnicastV6];

/// The table of an address family and subsequent address family, if prefixd uses it.
pub(crate) fn kind_of(afi: i32, safi: i32) -> Option<RouteKind> {
    KINDS.into_iter().find(|kind| i32::from(kind.family().afi()) == afi && i32::from(kind.safi()) == safi)
}

/// Whether a path was injected over the API. Its neighbor is `<nil>` in version 3, empty in version 4.
pub(crate) fn is_local(neighbor: &str) -> bool {
    matches!(neighbor, "" | "<nil>" | "invalid IP")
}
