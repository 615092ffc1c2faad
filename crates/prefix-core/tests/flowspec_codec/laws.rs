//! Laws of the codec and of the text, for every rule.

use prefix_core::address::Family;
use prefix_core::flowspec::{Bitmask, BitmaskOperand, Component, Numeric, Rule, WireComponent, WireItem};
use proptest::prelude::*;
use proptest::sample::Index;

use super::strategies;

/// The bytes of components as another speaker may write them: any order, values wider than needed.
fn foreign_bytes(family: Family, components: &[WireComponent], widen: &[Index]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut widths = widen.iter().cycle();
    for component in components {
        match component {
            WireComponent::Prefix(component, prefix) => {
                bytes.extend([component.code(), prefix.len()]);
                if family == Family::Ipv6 {
                    bytes.push(0);
                }
                bytes.extend(&prefix.octets()[..usize::from(prefix.len()).div_ceil(8)]);
            }
            WireComponent::Items(component, items) => {
                bytes.push(component.code());
                for (index, item) in items.iter().enumerate() {
                    let shortest = item.value_len().ilog2();
                    let width = shortest + u32::try_from(widths.next().unwrap().index(4)).unwrap();
                    let width = width.min(3);
                    let last = if index + 1 == items.len() { 0x80 } else { 0 };
                    bytes.push(item.op & 0x4f | last | u8::try_from(width << 4).unwrap());
                    bytes.extend(&item.value.to_be_bytes()[8 - (1 << width)..]);
                }
            }
        }
    }
    bytes
}

/// The same list with its alternatives in another order, and one of them twice.
fn shuffled(items: &[WireItem], first: Index) -> Vec<WireItem> {
    let terms: Vec<_> = items.chunk_by(|_, next| next.op & 0x40 != 0).collect();
    let start = first.index(terms.len());
    let rotated = terms[start..].iter().chain(&terms[..start]).chain(&terms[start..=start]);
    rotated.flat_map(|term| term.iter().copied()).collect()
}

/// What a list means by RFC 8955 §4.2.1.1 alone.
fn numeric_meaning(items: &[WireItem], value: u64) -> bool {
    let holds = |item: &WireItem| {
        (item.op & 0x04 != 0 && value < item.value)
            || (item.op & 0x02 != 0 && value > item.value)
            || (item.op & 0x01 != 0 && value == item.value)
    };
    items.chunk_by(|_, next| next.op & 0x40 != 0).any(|term| term.iter().all(holds))
}

fn item() -> impl Strategy<Value = WireItem> {
    (0..8_u8, any::<bool>(), 0..9_u64)
        .prop_map(|(relation, and, value)| WireItem { op: relation | u8::from(and) << 6, value })
}

proptest! {
    #[test]
    fn decode_undoes_encode(rule in strategies::rule()) {
        let decoded = Rule::decode(rule.family(), rule.nlri().as_bytes()).unwrap();
        prop_assert_eq!(&decoded, &rule);
        prop_assert_eq!(decoded.to_string(), rule.to_string());
        for component in Component::ALL {
            prop_assert_eq!(decoded.numeric(component), rule.numeric(component));
            prop_assert_eq!(decoded.bitmask(component), rule.bitmask(component));
        }
        prop_assert_eq!(decoded.source(), rule.source());
    }

    #[test]
    fn parse_undoes_display(rule in strategies::rule()) {
        prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule.clone()));
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_way_of_writing(
        rule in strategies::rule(),
        order in prop::collection::vec(any::<u8>(), 13),
        widen in prop::collection::vec(any::<Index>(), 8),
        rotate in any::<Index>(),
    ) {
        let mut components = rule.wire_components();
        components.sort_by_key(|component| {
            let (WireComponent::Prefix(component, _) | WireComponent::Items(component, _)) = component;
            order[usize::from(component.code()) - 1]
        });
        for component in &mut components {
            if let WireComponent::Items(_, items) = component {
                *items = shuffled(items, rotate);
            }
        }
        let read = Rule::from_wire_components(rule.family(), components.clone());
        prop_assert_eq!(read, Ok(rule.clone()));
        let bytes = foreign_bytes(rule.family(), &components, &widen);
        prop_assert_eq!(Rule::decode_components(rule.family(), &bytes), Ok(rule));
    }

    #[test]
    fn what_is_sent_never_uses_not_equal(rule in strategies::rule()) {
        for component in rule.wire_components() {
            if let WireComponent::Items(component, items) = component
                && !matches!(component, Component::TcpFlags | Component::Fragment)
            {
                for item in &items {
                    prop_assert!(matches!(item.op & 0x07, 1..=5), "{item:?}");
                }
            }
        }
    }

    #[test]
    fn a_rule_never_has_240_bytes_or_more(rule in strategies::rule()) {
        let bytes = rule.nlri().as_bytes();
        prop_assert!(bytes.len() <= 240 && usize::from(bytes[0]) == bytes.len() - 1);
    }

    #[test]
    fn a_numeric_list_keeps_its_meaning(items in prop::collection::vec(item(), 1..6), wide in any::<u64>()) {
        let mut items = items;
        items[0].op &= !0x40;
        let destination = WireComponent::Prefix(Component::Destination, "203.0.113.10".parse().unwrap());
        let list = WireComponent::Items(Component::PacketLength, items.clone());
        let rule = Rule::from_wire_components(Family::Ipv4, [destination, list]);
        for value in (0..12).chain([65_535, wide % 65_536]) {
            let matched = rule.as_ref().is_ok_and(|rule| rule.packet_length().unwrap().matches(value));
            prop_assert_eq!(matched, numeric_meaning(&items, value), "{}", value);
        }
    }

    #[test]
    fn a_bitmask_list_keeps_its_meaning(
        terms in prop::collection::vec(prop::collection::vec((0..32_u16, any::<bool>(), any::<bool>()), 1..4), 1..4),
    ) {
        let operand = |&(bits, not, all): &(u16, bool, bool)| BitmaskOperand { bits, not, all };
        let lists: Vec<Vec<_>> = terms.iter().map(|term| term.iter().map(operand).collect()).collect();
        let mask = Bitmask::any_of(lists);
        for packet in 0..32_u16 {
            let holds = |&(bits, not, all): &(u16, bool, bool)| {
                let hit = if all { packet & bits == bits } else { packet & bits != 0 };
                hit ^ not
            };
            let meant = terms.iter().any(|term| term.iter().all(holds));
            prop_assert_eq!(mask.as_ref().is_ok_and(|mask| mask.matches(packet)), meant);
        }
    }

    #[test]
    fn excluding_values_is_the_opposite_of_listing_them(values in prop::collection::btree_set(0..10_u64, 1..6)) {
        let listed = Numeric::any_of(values.iter().copied()).unwrap();
        let excluded = Numeric::none_of(values.iter().copied(), 9);
        for value in 0..10 {
            let matched = excluded.as_ref().is_ok_and(|excluded| excluded.matches(value));
            prop_assert_eq!(matched, !listed.matches(value));
        }
        if let Ok(excluded) = excluded {
            let read: Vec<u64> = excluded.excluded_values(9).unwrap();
            prop_assert_eq!(read, values.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(listed.values(), Some(values.into_iter().collect()));
            prop_assert_eq!(excluded.excluded_ranges(9), listed.intervals(9));
        }
    }

    #[test]
    fn intervals_hold_exactly_what_matches(numeric in strategies::numeric(Component::Dscp)) {
        let inside = |ranges: &[(u64, u64)], value| ranges.iter().any(|(from, to)| (*from..=*to).contains(&value));
        let (matched, excluded) = (numeric.intervals(63), numeric.excluded_ranges(63));
        for value in 0..64 {
            prop_assert_eq!(inside(&matched, value), numeric.matches(value));
            prop_assert_eq!(inside(&excluded, value), !numeric.matches(value));
        }
    }

    #[test]
    fn subsets_are_those_of_the_values(
        inner in strategies::numeric(Component::Dscp),
        outer in strategies::numeric(Component::Dscp),
    ) {
        let by_values = (0..64).all(|value| !inner.matches(value) || outer.matches(value));
        prop_assert_eq!(inner.is_subset_of(&outer, 63), by_values);
    }
}
