//! Decodes the protobuf form of NLRI, attributes and communities, which the watch stream uses, into core types.
//!
//! The messages have the same fields in both versions of the API; [`v4`] decodes them, and [`v3`] unwraps them first.

use std::net::Ipv4Addr;

use prefix_core::address::Prefix;
use prefix_core::flowspec::{
    Component, ExtendedCommunity, RouteKey, RouteKind, Rule, WireComponent, WireItem,
};

pub(crate) mod v3;
pub(crate) mod v4;

/// Components of a rule, in the order of the message.
#[derive(Default)]
struct Components(Vec<WireComponent>);

impl Components {
    /// A prefix (RFC 8955 §4.2.2.1, RFC 8956 §3.1). `None` if it is no prefix, or has an offset.
    fn prefix(&mut self, component: u32, length: u32, address: &str, offset: u32) -> Option<()> {
        let prefix = Prefix::new(address.parse().ok()?, u8::try_from(length).ok()?).ok()?;
        self.0.push(WireComponent::Prefix(component_of(component)?, prefix));
        (offset == 0).then_some(())
    }

    /// A list of operators and values (RFC 8955 §4.2.1). `None` if it is empty.
    fn list(&mut self, component: u32, items: impl ExactSizeIterator<Item = (u32, u64)>) -> Option<()> {
        let last = items.len().checked_sub(1)?;
        let item = |(at, (operator, value)): (usize, (u32, u64))| {
            Some(WireItem::new(u8::try_from(operator & 0xff).ok()?, value, at == last))
        };
        let items = items.enumerate().map(item).collect::<Option<_>>()?;
        self.0.push(WireComponent::Items(component_of(component)?, items));
        Some(())
    }

    /// `None` if it is no rule that prefixd can announce, or is not in canonical form: the speaker keeps such a rule
    /// beside the canonical one.
    fn key(self, kind: RouteKind) -> Option<RouteKey> {
        let rule = Rule::from_wire_components(kind.family(), self.0.iter().cloned()).ok()?;
        (rule.wire_components() == self.0).then(|| RouteKey::for_rule(&rule))
    }
}

fn component_of(code: u32) -> Option<Component> {
    Component::from_code(u8::try_from(code).ok()?)
}

/// `None` for a prefix of another family than the table's, an IPv4-mapped one included.
fn unicast_key(kind: RouteKind, length: u32, address: &str) -> Option<RouteKey> {
    let prefix = Prefix::new(address.parse().ok()?, u8::try_from(length).ok()?).ok()?;
    Some(RouteKey::blackhole(prefix)).filter(|key| key.kind() == kind)
}

/// 0x8006, RFC 8955 §7.1.
fn traffic_rate(asn: u32, rate: f32) -> Option<ExtendedCommunity> {
    community([0x80, 0x06], &u16::try_from(asn).ok()?.to_be_bytes(), &rate.to_be_bytes())
}

/// 0x8007, RFC 8955 §7.3.
fn traffic_action(terminal: bool, sample: bool) -> Option<ExtendedCommunity> {
    community([0x80, 0x07], &[0; 5], &[u8::from(terminal) | u8::from(sample) << 1])
}

/// 0x8008, RFC 8955 §7.4.
fn redirect_as2(asn: u32, local: u32) -> Option<ExtendedCommunity> {
    community([0x80, 0x08], &u16::try_from(asn).ok()?.to_be_bytes(), &local.to_be_bytes())
}

/// 0x8108, RFC 8955 §7.4.
fn redirect_ipv4(address: &str, local: u32) -> Option<ExtendedCommunity> {
    let address: Ipv4Addr = address.parse().ok()?;
    community([0x81, 0x08], &address.octets(), &u16::try_from(local).ok()?.to_be_bytes())
}

/// 0x8208, RFC 8955 §7.4.
fn redirect_as4(asn: u32, local: u32) -> Option<ExtendedCommunity> {
    community([0x82, 0x08], &asn.to_be_bytes(), &u16::try_from(local).ok()?.to_be_bytes())
}

/// 0x8009, RFC 8955 §7.5.
fn traffic_remark(dscp: u32) -> Option<ExtendedCommunity> {
    community([0x80, 0x09], &[0; 5], &[u8::try_from(dscp).ok()?])
}

/// A community without a message of its own: its first octet and the other seven.
fn unknown(kind: u32, value: &[u8]) -> Option<ExtendedCommunity> {
    community([u8::try_from(kind).ok()?], value, &[])
}

fn community<const N: usize>(kind: [u8; N], head: &[u8], tail: &[u8]) -> Option<ExtendedCommunity> {
    let octets = [&kind, head, tail].concat();
    octets.try_into().ok().map(ExtendedCommunity)
}

#[cfg(test)]
mod tests {
    use prefix_core::address::Family;

    use super::*;

    #[test]
    fn typed_communities_become_the_octets_of_the_rfc() {
        let cases = [
            (traffic_rate(65_010, 1_250_000.0), "0x8006fdf249989680"),
            (traffic_rate(0, 0.0), "0x8006000000000000"),
            (traffic_action(true, false), "0x8007000000000001"),
            (traffic_action(false, true), "0x8007000000000002"),
            (redirect_as2(65_000, 100), "0x8008fde800000064"),
            (redirect_ipv4("192.0.2.1", 100), "0x8108c00002010064"),
            (redirect_as4(4_200_000_000, 100), "0x8208fa56ea000064"),
            (traffic_remark(46), "0x800900000000002e"),
            (unknown(0x80, &[0x0c, 0, 0, 0x44, 0x7a, 0, 0]), "0x800c0000447a0000"),
        ];
        for (community, octets) in cases {
            assert_eq!(community.unwrap().to_string(), octets);
        }
    }

    #[test]
    fn what_does_not_fit_its_octets_is_left_out() {
        assert_eq!(traffic_rate(70_000, 1.0), None);
        assert_eq!(redirect_ipv4("x", 1), None);
        assert_eq!(redirect_as4(1, 70_000), None);
        assert_eq!(unknown(0x80, &[1]), None);
        assert_eq!(unknown(256, &[0; 7]), None);
    }

    #[test]
    fn a_typed_rule_becomes_the_key_of_the_rule() {
        let rule = Rule::decode_components(
            Family::Ipv4,
            &[1, 32, 203, 0, 113, 10, 3, 0x81, 17, 5, 0x01, 53, 0x91, 1, 187],
        );
        let mut components = Components::default();
        // The speaker lists operators with their end-of-list and length bits.
        components.prefix(1, 32, "203.0.113.10", 0).unwrap();
        components.list(3, [(0x81, 17)].into_iter()).unwrap();
        components.list(5, [(0x01, 53), (0x91, 443)].into_iter()).unwrap();
        assert_eq!(components.key(RouteKind::FlowSpecV4), Some(RouteKey::for_rule(&rule.unwrap())));
    }

    #[test]
    fn a_rule_written_in_another_way_is_not_ours() {
        let mut components = Components::default();
        components.prefix(1, 32, "203.0.113.10", 0).unwrap();
        components.list(5, [(0x01, 443), (0x81, 53)].into_iter()).unwrap();
        assert_eq!(components.key(RouteKind::FlowSpecV4), None);
    }

    #[test]
    fn an_offset_or_an_empty_list_is_no_rule_of_ours() {
        assert_eq!(Components::default().prefix(1, 64, "2001:db8::", 32), None);
        assert_eq!(Components::default().prefix(1, 33, "192.0.2.1", 0), None);
        assert_eq!(Components::default().list(5, [].into_iter()), None);
    }

    #[test]
    fn a_unicast_prefix_of_another_family_is_no_key() {
        assert_eq!(unicast_key(RouteKind::UnicastV6, 128, "::ffff:192.0.2.1"), None);
        assert_eq!(unicast_key(RouteKind::UnicastV4, 32, "2001:db8::1"), None);
        assert!(unicast_key(RouteKind::UnicastV4, 32, "192.0.2.1").is_some());
    }
}
