//! A path between the two versions of the API and the port: the table it is in, its NLRI and its attributes.

use bytes::Bytes;
use prefix_core::flowspec::{Nlri, NlriError, RouteKey, RouteKind, Rule};

use crate::attributes::Attributes;

/// A change of one path, ready to be sent. Whatever is sent names a route: there is no change of a whole family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: RouteKind,
    pub(crate) nlri: Bytes,
    pub(crate) attributes: Vec<Bytes>,
    pub(crate) is_withdraw: bool,
}

impl Change {
    /// Octets in the message, roughly.
    pub(crate) fn size(&self) -> usize {
        self.nlri.len() + self.attributes.iter().map(|a| a.len() + 2).sum::<usize>() + 24
    }
}

/// A path that the speaker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RibEntry {
    pub(crate) key: RouteKey,
    pub(crate) attributes: Attributes,
    /// Injected over the API, and so what a change of the same route replaces.
    pub(crate) local: bool,
    pub(crate) is_withdraw: bool,
}

/// All tables that prefixd announces in.
pub(crate) const KINDS: [RouteKind; 4] =
    [RouteKind::FlowSpecV4, RouteKind::FlowSpecV6, RouteKind::UnicastV4, RouteKind::UnicastV6];

/// The table of an address family and subsequent address family, if prefixd uses it.
pub(crate) fn kind_of(afi: i32, safi: i32) -> Option<RouteKind> {
    KINDS.into_iter().find(|kind| i32::from(kind.family().afi()) == afi && i32::from(kind.safi()) == safi)
}

/// Reads an NLRI as it stands in an UPDATE message.
pub(crate) fn read_key(kind: RouteKind, nlri: &[u8]) -> Result<RouteKey, NlriError> {
    if kind.is_flowspec() {
        return Rule::decode(kind.family(), nlri).map(|rule| RouteKey::for_rule(&rule));
    }
    let prefix = Nlri::decode_unicast(kind.family(), nlri)?;
    // An IPv4-mapped prefix is IPv4 to us, but not to the speaker.
    if prefix.family() == kind.family() {
        Ok(RouteKey::blackhole(prefix))
    } else {
        Err(NlriError::WrongFamily(prefix))
    }
}

/// Whether a path was injected over the API. Its neighbor is `<nil>` in version 3, empty in version 4.
pub(crate) fn is_local(neighbor: &str) -> bool {
    matches!(neighbor, "" | "<nil>" | "invalid IP")
}
