//! Whether a rule covers another: it matches every packet that the other matches.

use super::{Bitmask, Component, Fragment, Numeric, Rule};
use crate::address::Family;

impl Rule {
    /// Whether every packet that `other` matches is matched by `self`. A `true` is always right; a `false` may overlook
    /// that several components together cover.
    ///
    /// A rule with ports never covers one without: no port match reaches fragments other than the first
    /// (RFC 8955 §4.2.2.12 and §4.2.2.4).
    pub fn covers(&self, other: &Self) -> bool {
        self.destination().covers(&other.destination())
            && self.source().is_none_or(|source| other.source().is_some_and(|theirs| source.covers(&theirs)))
            && self.components().into_iter().all(|component| self.covers_component(component, other))
    }

    fn covers_component(&self, component: Component, other: &Self) -> bool {
        let narrower = |inner: Option<&Numeric>, outer: &Numeric| {
            inner.is_some_and(|inner| inner.is_subset_of(outer, component.max_value()))
        };
        match component {
            // compared by the caller
            Component::Destination | Component::Source => true,
            Component::TcpFlags => self
                .tcp_flags()
                .is_none_or(|outer| other.tcp_flags().is_some_and(|inner| inner.is_subset_of(outer))),
            Component::Fragment => self.fragment().is_none_or(|outer| {
                other.fragment().is_some_and(|inner| self.covers_fragments(outer, inner))
            }),
            // the port component matches as soon as one of the two ports does
            Component::Port => self.port().is_none_or(|outer| {
                narrower(other.port(), outer)
                    || narrower(other.destination_port(), outer)
                    || narrower(other.source_port(), outer)
            }),
            _ => self.numeric(component).is_none_or(|outer| narrower(other.numeric(component), outer)),
        }
    }

    fn covers_fragments(&self, outer: &Bitmask, inner: &Bitmask) -> bool {
        fragment_states(self.family()).all(|bits| !inner.matches(bits) || outer.matches(bits))
    }
}

/// The combinations of fragment bits that a packet can have (RFC 8955 §4.2.2.12): the last fragment is one
/// other than the first, and the first is not.
fn fragment_states(family: Family) -> impl Iterator<Item = u16> {
    let (is, first, last) = (Fragment::IS_FRAGMENT, Fragment::FIRST_FRAGMENT, Fragment::LAST_FRAGMENT);
    let positions = [0, first.bits(), is.bits(), is.union(last).bits()];
    let dont_fragment = match family {
        Family::Ipv4 => [0, Fragment::DONT_FRAGMENT.bits()],
        Family::Ipv6 => [0, 0],
    };
    dont_fragment.into_iter().flat_map(move |dont| positions.map(|position| position | dont))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[track_caller]
    fn covers(outer: &str, inner: &str) -> bool {
        rule(&format!("dst 203.0.113.10/32 {outer}")).covers(&rule(&format!("dst 203.0.113.10/32 {inner}")))
    }

    #[test]
    fn a_missing_component_covers_any() {
        assert!(covers("", "proto udp dport =53 frag is_fragment"));
        assert!(!covers("proto udp", ""));
        assert!(!covers("proto udp dport >=0", "proto udp"));
    }

    #[test]
    fn destinations_and_sources_cover_their_more_specifics() {
        assert!(rule("dst 203.0.113.0/24").covers(&rule("dst 203.0.113.10/32")));
        assert!(!rule("dst 203.0.113.10/32").covers(&rule("dst 203.0.113.0/24")));
        assert!(!rule("dst 0.0.0.0/0").covers(&rule("dst 2001:db8::/32")));
        assert!(covers("src 198.51.100.0/24", "src 198.51.100.7/32"));
        assert!(!covers("src 198.51.100.7/32", "src 198.51.100.0/24"));
        assert!(!covers("src 198.51.100.0/24", ""));
    }

    #[test]
    fn values_are_compared_not_spellings() {
        assert!(covers("dport <53|>53", "dport =80|=443"));
        assert!(!covers("dport <53|>53", "dport =53|=80"));
        assert!(covers("dport >=80&<=81", "dport =80|=81"));
        assert!(covers("len >=1000&<=65535", "len >1000"));
    }

    #[test]
    fn either_port_covers_each_of_the_two() {
        assert!(covers("port =53", "dport =53"));
        assert!(covers("port =53", "sport =53"));
        assert!(covers("port =53|=80", "port =53"));
        assert!(!covers("dport =53", "port =53"));
    }

    #[test]
    fn flags_are_compared_by_what_they_match() {
        assert!(covers("flags syn", "flags syn&!ack"));
        assert!(!covers("flags syn&!ack", "flags syn"));
        assert!(covers("flags syn|ack", "flags syn&!fin"));
        assert!(covers("flags !(syn&ack)", "flags syn&!ack"));
    }

    #[test]
    fn a_last_fragment_is_a_fragment() {
        assert!(covers("frag is_fragment", "frag last_fragment"));
        assert!(!covers("frag last_fragment", "frag is_fragment"));
        assert!(!covers("frag is_fragment", "frag first_fragment"));
        assert!(covers("frag !first_fragment", "frag is_fragment"));
        assert!(!covers("frag is_fragment", "frag is_fragment|dont_fragment"));
    }
}
