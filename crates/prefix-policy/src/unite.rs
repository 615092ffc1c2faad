//! Two rules as one: the same packets in fewer rules, while rules wait for room.

use std::collections::BTreeSet;

use prefix_core::matching::{DestinationPorts, Matching, PacketLength};
use prefix_core::port::PortSet;

/// The match of exactly the packets that one of these matches takes, if they differ in one component at most: with two,
/// one rule would take packets that neither asks for. `None` as well where the values of the component are no list.
pub(crate) fn united(one: &Matching, other: &Matching) -> Option<Matching> {
    if one == other {
        return Some(one.clone());
    }
    let differs_in = |replaced: Matching| replaced == *other;
    if differs_in(Matching { dst_ports: other.dst_ports.clone(), ..one.clone() }) {
        return Some(Matching { dst_ports: dst_ports(&one.dst_ports, &other.dst_ports), ..one.clone() });
    }
    if differs_in(Matching { src_ports: other.src_ports.clone(), ..one.clone() }) {
        let any = one.src_ports.is_empty() || other.src_ports.is_empty();
        let src_ports = if any { PortSet::default() } else { one.src_ports.union(&other.src_ports) };
        return Some(Matching { src_ports, ..one.clone() });
    }
    if differs_in(Matching { packet_length: other.packet_length, ..one.clone() }) {
        let packet_length = match (one.packet_length, other.packet_length) {
            (Some(a), Some(b)) => Some(lengths(a, b)?),
            _ => None,
        };
        return Some(Matching { packet_length, ..one.clone() });
    }
    if differs_in(Matching { dscp: other.dscp.clone(), ..one.clone() }) {
        return Some(Matching { dscp: values(&one.dscp, &other.dscp), ..one.clone() });
    }
    if differs_in(Matching { icmp_type: other.icmp_type.clone(), ..one.clone() }) {
        return Some(Matching { icmp_type: values(&one.icmp_type, &other.icmp_type), ..one.clone() });
    }
    None
}

fn dst_ports(one: &DestinationPorts, other: &DestinationPorts) -> DestinationPorts {
    use DestinationPorts::{Any, Except, Only};
    let except = |ports: PortSet| if ports.is_empty() { Any } else { Except(ports) };
    match (one, other) {
        (Any, _) | (_, Any) => Any,
        (Only(a), Only(b)) => Only(a.union(b)),
        (Except(a), Except(b)) => except(a.intersection(b)),
        (Except(spared), Only(named)) | (Only(named), Except(spared)) => except(spared.difference(named)),
    }
}

/// The lengths of both, if there is none between them that neither has.
fn lengths(a: PacketLength, b: PacketLength) -> Option<PacketLength> {
    let (first, second) = if a.min <= b.min { (a, b) } else { (b, a) };
    let touch = first.max.saturating_add(1) >= second.min;
    touch.then(|| PacketLength { min: first.min, max: first.max.max(second.max) })
}

/// The values of both lists, of which an empty one holds all.
fn values(one: &BTreeSet<u8>, other: &BTreeSet<u8>) -> BTreeSet<u8> {
    if one.is_empty() || other.is_empty() { BTreeSet::new() } else { one | other }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ports() -> impl Strategy<Value = PortSet> {
        proptest::collection::vec(1_u16..12, 1..4).prop_map(|ports| ports.into_iter().collect())
    }

    fn destination() -> impl Strategy<Value = DestinationPorts> {
        prop_oneof![
            Just(DestinationPorts::Any),
            ports().prop_map(DestinationPorts::Only),
            ports().prop_map(DestinationPorts::Except),
        ]
    }

    fn length() -> impl Strategy<Value = Option<PacketLength>> {
        proptest::option::of(
            (20_u16..30, 0_u16..5).prop_map(|(min, more)| PacketLength { min, max: min + more }),
        )
    }

    fn matching() -> impl Strategy<Value = Matching> {
        let few = prop_oneof![4 => Just(PortSet::default()), 1 => ports()];
        let lists =
            prop_oneof![4 => Just(BTreeSet::new()), 1 => proptest::collection::btree_set(0_u8..4, 1..3)];
        (destination(), few, length(), lists).prop_map(|(dst_ports, src_ports, packet_length, icmp_type)| {
            Matching {
                dst_ports,
                src_ports,
                packet_length,
                icmp_type,
                ..Matching::everything_to("203.0.113.10/32".parse().unwrap())
            }
        })
    }

    /// Destination port, source port, length and ICMP type of a packet, compared one by one.
    fn takes(rule: &Matching, (dst, src, length, icmp): (u16, u16, u16, u8)) -> bool {
        rule.dst_ports.matches(dst)
            && (rule.src_ports.is_empty() || rule.src_ports.contains(src))
            && rule.packet_length.is_none_or(|range| (range.min..=range.max).contains(&length))
            && (rule.icmp_type.is_empty() || rule.icmp_type.contains(&icmp))
    }

    proptest! {
        #[test]
        fn one_rule_takes_what_two_took_and_nothing_else(one in matching(), other in matching(), part in 0..5_usize) {
            // most pairs of random rules differ in everything: here all but one component is the same
            let other = match part {
                0 => Matching { dst_ports: other.dst_ports, ..one.clone() },
                1 => Matching { src_ports: other.src_ports, ..one.clone() },
                2 => Matching { packet_length: other.packet_length, ..one.clone() },
                3 => Matching { icmp_type: other.icmp_type, ..one.clone() },
                _ => other,
            };
            let Some(both) = united(&one, &other) else {
                prop_assert!(!(0..=1).contains(&part) && part != 3, "{one:?} and {other:?} are one list");
                return Ok(());
            };
            let again = united(&other, &one);
            prop_assert_eq!(Some(&both), again.as_ref());
            for dst in [0, 1, 5, 11, 12, 65_535] {
                for src in [0, 1, 6, 11, 40_000] {
                    for length in 19..36 {
                        for icmp in 0..5 {
                            let packet = (dst, src, length, icmp);
                            let either = takes(&one, packet) || takes(&other, packet);
                            prop_assert_eq!(takes(&both, packet), either, "{:?}", packet);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rules_that_differ_in_two_components_or_in_one_that_is_no_list_stay_two() {
        let base = Matching::everything_to("203.0.113.10/32".parse().unwrap());
        let udp = Matching { protocol: Some(17), ..base.clone() };
        let length = |min, max| Matching { packet_length: Some(PacketLength { min, max }), ..base.clone() };
        let only = |port: u16| Matching {
            dst_ports: DestinationPorts::Only([port].into_iter().collect()),
            ..base.clone()
        };
        let both = Matching { src_ports: [53_u16].into_iter().collect(), ..only(53) };
        assert_eq!(united(&udp, &Matching { protocol: Some(6), ..base.clone() }), None);
        assert_eq!(united(&length(20, 100), &length(102, 200)), None);
        assert_eq!(united(&length(20, 100), &length(101, 200)), Some(length(20, 200)));
        assert_eq!(united(&only(80), &both), None);
    }
}
