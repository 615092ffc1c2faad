//! `Rule::covers` against packets: a rule that covers another matches every packet of the other.

use std::net::IpAddr;

use prefix_core::address::{Family, VictimIp};
use prefix_core::flowspec::{Component, Rule};
use proptest::prelude::*;
use proptest::sample::select;

use super::strategies;

/// A packet as a router sees it. `transport` is none in a fragment other than the first.
#[derive(Debug, Clone)]
struct Packet {
    destination: VictimIp,
    source: VictimIp,
    protocol: u64,
    transport: Option<Transport>,
    length: u64,
    dscp: u64,
    fragment: u16,
    label: u64,
}

#[derive(Debug, Clone)]
struct Transport {
    source_port: u64,
    destination_port: u64,
    icmp_type: u64,
    icmp_code: u64,
    flags: u16,
}

impl Packet {
    /// What RFC 8955 §4.2.2 says, without looking at other components.
    fn matches(&self, rule: &Rule) -> bool {
        rule.destination().contains(self.destination)
            && rule.source().is_none_or(|source| source.contains(self.source))
            && rule.components().into_iter().all(|component| self.meets(rule, component))
    }

    fn meets(&self, rule: &Rule, component: Component) -> bool {
        let transport = self.transport.as_ref();
        let number = |value: Option<u64>| {
            value.is_some_and(|value| rule.numeric(component).is_some_and(|numeric| numeric.matches(value)))
        };
        let with_ports = transport.filter(|_| matches!(self.protocol, 6 | 17));
        match component {
            Component::Destination | Component::Source => true,
            Component::Protocol => number(Some(self.protocol)),
            Component::Port => {
                number(with_ports.map(|t| t.source_port)) || number(with_ports.map(|t| t.destination_port))
            }
            Component::DestinationPort => number(with_ports.map(|t| t.destination_port)),
            Component::SourcePort => number(with_ports.map(|t| t.source_port)),
            Component::IcmpType => number(transport.map(|t| t.icmp_type)),
            Component::IcmpCode => number(transport.map(|t| t.icmp_code)),
            Component::TcpFlags => transport
                .filter(|_| self.protocol == 6)
                .is_some_and(|t| rule.tcp_flags().is_some_and(|flags| flags.matches(t.flags))),
            Component::PacketLength => number(Some(self.length)),
            Component::Dscp => number(Some(self.dscp)),
            Component::Fragment => rule.fragment().is_some_and(|states| states.matches(self.fragment)),
            Component::FlowLabel => number(Some(self.label)),
        }
    }
}

fn address(family: Family) -> impl Strategy<Value = VictimIp> {
    let texts = match family {
        Family::Ipv4 => ["203.0.113.10", "203.0.113.11", "203.0.112.1", "198.51.100.1"],
        Family::Ipv6 => ["2001:db8::a", "2001:db8::b", "2001:db8:1::", "2001:db9::1"],
    };
    select(texts.to_vec()).prop_map(|text| VictimIp::from(text.parse::<IpAddr>().unwrap()))
}

fn packet(family: Family) -> BoxedStrategy<Packet> {
    use Component as C;
    let transport = (
        strategies::value(C::SourcePort),
        strategies::value(C::DestinationPort),
        strategies::value(C::IcmpType),
        strategies::value(C::IcmpCode),
        prop_oneof![Just(0_u16), 0..=0x0fff_u16, Just(0x0fff)],
    );
    let dont_fragment = if family == Family::Ipv4 { vec![0, 1] } else { vec![0] };
    let header = (
        prop_oneof![select(vec![6_u64, 17]), strategies::value(C::Protocol)],
        strategies::value(C::PacketLength),
        strategies::value(C::Dscp),
        strategies::value(C::FlowLabel),
    );
    // Not fragmented, first, in the middle, last.
    let state = (select(vec![0_u16, 0x04, 0x02, 0x0a]), select(dont_fragment));
    (address(family), address(family), header, transport, state)
        .prop_map(|(destination, source, header, transport, (position, dont_fragment))| {
            let (source_port, destination_port, icmp_type, icmp_code, flags) = transport;
            let transport = Transport { source_port, destination_port, icmp_type, icmp_code, flags };
            Packet {
                destination,
                source,
                protocol: header.0,
                transport: (position & 0x02 == 0).then_some(transport),
                length: header.1,
                dscp: header.2,
                fragment: position | dont_fragment,
                label: header.3,
            }
        })
        .boxed()
}

/// A rule like the given one, with components left out or taken from another rule: it often covers.
fn relaxed(rule: &Rule, other: &Rule, keep: &[u8]) -> Rule {
    let choose = |component: Component| keep[usize::from(component.code()) - 1] % 4;
    let from = |component| match choose(component) {
        0 => None,
        1 => Some(other),
        _ => Some(rule),
    };
    let mut builder =
        Rule::to(if choose(Component::Destination) == 1 { other.destination() } else { rule.destination() });
    macro_rules! take {
        ($($component:ident $get:ident),* $(,)?) => {$(
            if let Some(value) = from(Component::$component).and_then(|rule| rule.$get().cloned()) {
                builder = builder.$get(value);
            }
        )*};
    }
    if let Some(source) = from(Component::Source).and_then(Rule::source) {
        builder = builder.source(source);
    }
    take! {
        Protocol protocol, Port port, DestinationPort destination_port, SourcePort source_port,
        IcmpType icmp_type, IcmpCode icmp_code, TcpFlags tcp_flags, PacketLength packet_length,
        Dscp dscp, Fragment fragment, FlowLabel flow_label,
    }
    builder.build().unwrap_or_else(|_| rule.clone())
}

/// Few components each, so that packets meet all of them and a difference in one shows.
fn pair() -> BoxedStrategy<(Rule, Rule, Vec<Packet>)> {
    strategies::family()
        .prop_flat_map(|family| {
            let (drop, same, other) = (0_u8, 2, 1);
            (
                strategies::rule_of(family),
                strategies::rule_of(family),
                prop::collection::vec(select(vec![drop, drop, same]), 13),
                prop::collection::vec(select(vec![same, same, other, other, drop]), 13),
                prop::collection::vec(packet(family), 64),
            )
        })
        .prop_map(|(rule, other, few, keep, packets)| {
            let inner = relaxed(&rule, &rule, &few);
            (relaxed(&inner, &other, &keep), inner, packets)
        })
        .boxed()
}

fn chain() -> BoxedStrategy<[Rule; 3]> {
    strategies::family()
        .prop_flat_map(|family| {
            let keep = || prop::collection::vec(any::<u8>(), 13);
            (
                strategies::rule_of(family),
                strategies::rule_of(family),
                strategies::rule_of(family),
                keep(),
                keep(),
            )
                .prop_map(|(inner, one, two, first, second)| {
                    let middle = relaxed(&inner, &one, &first);
                    let outer = relaxed(&middle, &two, &second);
                    [outer, middle, inner]
                })
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_rule_covers_itself(rule in strategies::rule()) {
        prop_assert!(rule.covers(&rule));
    }

    #[test]
    fn a_rule_that_covers_matches_every_packet_of_the_other((outer, inner, packets) in pair()) {
        if outer.covers(&inner) {
            for packet in packets {
                prop_assert!(
                    !packet.matches(&inner) || packet.matches(&outer),
                    "{} should cover {}, but not for {:?}", outer, inner, packet
                );
            }
        }
    }

    #[test]
    fn covering_is_transitive([outer, middle, inner] in chain()) {
        if outer.covers(&middle) && middle.covers(&inner) {
            prop_assert!(outer.covers(&inner), "{} / {} / {}", outer, middle, inner);
        }
    }

    #[test]
    fn dropping_components_covers(rule in strategies::rule(), keep in prop::collection::vec(any::<bool>(), 13)) {
        let keep: Vec<u8> = keep.into_iter().map(|keep| if keep { 2 } else { 0 }).collect();
        prop_assert!(relaxed(&rule, &rule, &keep).covers(&rule));
    }
}
