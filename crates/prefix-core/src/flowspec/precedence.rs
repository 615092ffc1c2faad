//! The order in which routers apply rules.
//!
//! RFC 8955 §5.1 for IPv4, RFC 8956 §4 for IPv6, where the lowest prefix offset comes first; prefixd's is always 0.

use std::cmp::Ordering;

use super::nlri::encode_components;
use super::{Component, Rule, WireComponent};
use crate::address::{Family, Prefix};

impl Rule {
    /// Whether routers apply this rule before `other` to a packet that both match. Never true for equal rules or across
    /// families.
    pub fn precedes(&self, other: &Self) -> bool {
        self.family() == other.family()
            && compare(self.family(), &self.wire_components(), &other.wire_components()).is_lt()
    }
}

/// `Less` comes first. Components are compared pairwise in the order of the wire; where one rule has none left, or
/// one of a higher type, it says less about the packet and comes later.
fn compare(family: Family, ours: &[WireComponent], theirs: &[WireComponent]) -> Ordering {
    for (our, their) in ours.iter().zip(theirs) {
        let by_component = component_of(our).cmp(&component_of(their));
        let order = by_component.then_with(|| match (our, their) {
            (WireComponent::Prefix(_, our), WireComponent::Prefix(_, their)) => compare_prefixes(our, their),
            _ => compare_values(&encode(family, our), &encode(family, their)),
        });
        if order.is_ne() {
            return order;
        }
    }
    theirs.len().cmp(&ours.len())
}

/// The more specific of two nested prefixes comes first, else the lower address.
fn compare_prefixes(our: &Prefix, their: &Prefix) -> Ordering {
    if our.overlaps(their) { their.len().cmp(&our.len()) } else { our.network().cmp(&their.network()) }
}

/// Like `memcmp` over the bytes that both have; if those are equal the longer value comes first.
fn compare_values(our: &[u8], their: &[u8]) -> Ordering {
    let common = our.len().min(their.len());
    our[..common].cmp(&their[..common]).then_with(|| their.len().cmp(&our.len()))
}

fn component_of(component: &WireComponent) -> Component {
    match component {
        WireComponent::Prefix(component, _) | WireComponent::Items(component, _) => *component,
    }
}

fn encode(family: Family, component: &WireComponent) -> Vec<u8> {
    encode_components(family, std::slice::from_ref(component))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[track_caller]
    fn assert_first(first: &str, second: &str) {
        assert!(rule(first).precedes(&rule(second)), "{first} comes before {second}");
        assert!(!rule(second).precedes(&rule(first)), "{second} does not come before {first}");
    }

    #[test]
    fn a_more_specific_prefix_comes_first() {
        assert_first("dst 203.0.113.10/32", "dst 203.0.113.0/24");
        assert_first("dst 203.0.113.10/32", "dst 203.0.113.0/24 proto udp dport =53");
        assert_first("dst 203.0.113.0/24 src 192.0.2.1/32", "dst 203.0.113.0/24 src 192.0.2.0/24");
        assert_first("dst 2001:db8::a/128", "dst 2001:db8::/32");
    }

    #[test]
    fn of_disjoint_prefixes_the_lower_address_comes_first_whatever_its_length() {
        assert_first("dst 192.0.2.0/24", "dst 203.0.113.10/32");
        assert_first("dst 2001:db8:1::/48", "dst 2001:db8:2::1/128");
    }

    #[test]
    fn the_lower_component_type_comes_first() {
        assert_first("dst 203.0.113.10/32 proto udp", "dst 203.0.113.10/32 dport =53");
        assert_first("dst 203.0.113.10/32 proto udp dport =53", "dst 203.0.113.10/32 proto udp sport =1");
    }

    #[test]
    fn a_rule_that_goes_on_comes_before_one_that_has_ended() {
        assert_first("dst 203.0.113.10/32 proto udp", "dst 203.0.113.10/32");
        assert_first("dst 203.0.113.10/32 proto udp dport =53", "dst 203.0.113.10/32 proto udp");
        assert_first("dst 203.0.113.10/32 frag is_fragment", "dst 203.0.113.10/32");
    }

    #[test]
    fn values_compare_byte_by_byte() {
        assert_first("dst 203.0.113.10/32 proto tcp", "dst 203.0.113.10/32 proto udp");
        assert_first("dst 203.0.113.10/32 dport =53", "dst 203.0.113.10/32 dport =80");
    }

    #[test]
    fn the_operator_byte_counts_before_the_value_it_belongs_to() {
        // 81 35 against 91 01 bb: the length bits make the operator of the longer value greater
        assert_first("dst 203.0.113.10/32 dport =53", "dst 203.0.113.10/32 dport =443");
        // 01 35 81 50 against 81 19: a list that goes on lacks the end-of-list bit in its first operator
        assert_first("dst 203.0.113.10/32 dport =53|=80", "dst 203.0.113.10/32 dport =25");
    }

    #[test]
    fn of_values_with_a_common_head_the_longer_comes_first() {
        let bytes = |hex| hex::decode(hex).unwrap();
        let (longer, shorter) = (bytes("05013581"), bytes("050135"));
        assert_eq!(compare_values(&longer, &shorter), Ordering::Less);
        assert_eq!(compare_values(&shorter, &longer), Ordering::Greater);
    }

    #[test]
    fn equal_rules_and_rules_of_two_families_have_no_order() {
        let udp = rule("dst 203.0.113.10/32 proto udp dport =53");
        assert!(!udp.precedes(&udp.clone()));
        let v6 = rule("dst 2001:db8::1/128");
        assert!(!udp.precedes(&v6) && !v6.precedes(&udp));
    }
}
