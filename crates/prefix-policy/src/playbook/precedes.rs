//! Whether a playbook is ever reached: the first one that matches wins.

use prefix_core::protocol::Protocol;

use super::document::MatchDocument;
use super::one_or_many::OneOrMany;
use crate::vector::Vectors;

impl MatchDocument {
    /// Whether every attack that `later` matches is matched by this one. A `true` is always right.
    pub(super) fn precedes(&self, later: &Self, vectors: &Vectors) -> bool {
        holds_all(Some(&self.vector), Some(&later.vector))
            && holds_all(self.source.as_ref(), later.source.as_ref())
            && holds_all(self.customer_id.as_ref(), later.customer_id.as_ref())
            && holds_all(self.service_id.as_ref(), later.service_id.as_ref())
            && self.protocol.is_none_or(|protocol| is_always(protocol, later, vectors))
            && (!self.require_top_ports || later.require_top_ports)
    }
}

/// Whether the first takes all that the second takes; a key that is left out takes everything.
fn holds_all<T: PartialEq>(first: Option<&OneOrMany<T>>, second: Option<&OneOrMany<T>>) -> bool {
    match (first, second) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(first), Some(second)) => second.as_slice().iter().all(|value| first.contains(value)),
    }
}

/// Whether every attack that a match is for has this protocol.
fn is_always(protocol: Protocol, later: &MatchDocument, vectors: &Vectors) -> bool {
    let fixed = |name| vectors.get(name).and_then(|vector| vector.protocol) == Some(protocol);
    protocol == Protocol::Any || later.protocol == Some(protocol) || later.vector.as_slice().iter().all(fixed)
}
