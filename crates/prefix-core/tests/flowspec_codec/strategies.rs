//! Random rules: every component type, values mostly small so that rules and packets meet.

use prefix_core::address::{Family, Prefix};
use prefix_core::flowspec::{Bitmask, BitmaskOperand, Component, Numeric, Rule};
use proptest::prelude::*;
use proptest::sample::select;

/// Values at the edges of a component's range and a few in between.
pub(crate) fn value(component: Component) -> impl Strategy<Value = u64> {
    let max = component.max_value();
    prop_oneof![3 => 0..=7_u64, 1 => select(vec![max - 1, max]), 1 => 0..=max]
}

/// Any numeric match that the component can have, by any way of writing it.
pub(crate) fn numeric(component: Component) -> BoxedStrategy<Numeric> {
    let max = component.max_value();
    let values = || prop::collection::vec(value(component), 1..4);
    let condition = (select(vec!["<", "<=", "=", ">=", ">", "!="]), value(component))
        .prop_map(|(sign, value)| format!("{sign}{value}"));
    let text = prop::collection::vec(prop::collection::vec(condition, 1..4), 1..4)
        .prop_map(|terms| terms.into_iter().map(|term| term.join("&")).collect::<Vec<_>>().join("|"));
    let any = prop_oneof![
        values().prop_map(|values| Numeric::any_of(values).ok()),
        values().prop_map(move |values| Numeric::none_of(values, max).ok()),
        (value(component), value(component)).prop_map(|(a, b)| Numeric::range(a.min(b), a.max(b)).ok()),
        text.prop_map(|text| text.parse::<Numeric>().ok()),
    ];
    // Something of it must lie within the range.
    any.prop_filter_map("matches nothing", move |numeric| {
        numeric.filter(|numeric| !numeric.intervals(max).is_empty())
    })
    .boxed()
}

/// Any bitmask match within the given bits.
pub(crate) fn bitmask(mask: u16) -> BoxedStrategy<Bitmask> {
    let operand = (any::<u16>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        move |(bits, not, all, single)| {
            let bits = bits & mask;
            let lowest = bits & bits.wrapping_neg();
            BitmaskOperand { bits: if single { lowest } else { bits }, not, all }
        },
    );
    prop::collection::vec(prop::collection::vec(operand, 1..4), 1..4)
        .prop_filter_map("matches nothing", |terms| Bitmask::any_of(terms).ok())
        .boxed()
}

/// A prefix of the family, from a small space so that prefixes cover each other.
pub(crate) fn prefix(family: Family) -> impl Strategy<Value = Prefix> {
    let base = match family {
        Family::Ipv4 => "203.0.113.10",
        Family::Ipv6 => "2001:db8::a",
    };
    let lens = match family {
        Family::Ipv4 => vec![0, 8, 23, 31, 32],
        Family::Ipv6 => vec![0, 32, 61, 127, 128],
    };
    (select(vec![base]), select(lens))
        .prop_map(|(ip, len)| Prefix::truncated(ip.parse().unwrap(), len).unwrap())
}

pub(crate) fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::Ipv4, Family::Ipv6])
}

/// Any rule.
pub(crate) fn rule() -> BoxedStrategy<Rule> {
    family().prop_flat_map(rule_of).boxed()
}

/// Any rule of the family.
pub(crate) fn rule_of(family: Family) -> BoxedStrategy<Rule> {
    use Component as C;
    let maybe = |component| prop::option::weighted(0.35, numeric(component));
    let label = prop::option::weighted(0.35, numeric(C::FlowLabel));
    let fragment_bits = if family == Family::Ipv4 { 0x0f } else { 0x0e };
    let heads = (prefix(family), prop::option::weighted(0.3, prefix(family)), maybe(C::Protocol));
    let ports = (maybe(C::Port), maybe(C::DestinationPort), maybe(C::SourcePort));
    let icmp = (maybe(C::IcmpType), maybe(C::IcmpCode));
    let masks =
        (prop::option::weighted(0.35, bitmask(0x0fff)), prop::option::weighted(0.35, bitmask(fragment_bits)));
    let rest = (maybe(C::PacketLength), maybe(C::Dscp), label);
    (heads, ports, icmp, masks, rest)
        .prop_filter_map("too long", move |(heads, ports, icmp, masks, rest)| {
            let mut builder = Rule::to(heads.0);
            if let Some(source) = heads.1 {
                builder = builder.source(source);
            }
            macro_rules! set {
            ($($value:expr => $setter:ident),* $(,)?) => {$(
                if let Some(value) = $value { builder = builder.$setter(value); }
            )*};
        }
            set! {
                heads.2 => protocol, ports.0 => port, ports.1 => destination_port, ports.2 => source_port,
                icmp.0 => icmp_type, icmp.1 => icmp_code, masks.0 => tcp_flags, masks.1 => fragment,
                rest.0 => packet_length, rest.1 => dscp,
                rest.2.filter(|_| family == Family::Ipv6) => flow_label,
            }
            builder.build().ok()
        })
        .boxed()
}
