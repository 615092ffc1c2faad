//! A judge of packets that is written from RFC 8955 alone: it reads the bytes of a rule, says whether a packet matches, and
//! puts rules in the order of §5.1. It shares no code with `prefix_core::flowspec`, so that both would have to be wrong in
//! the same way.

use std::cmp::Ordering;

/// What a router sees of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) protocol: u8,
    /// Source and destination port; `None` without TCP and UDP and in fragments other than the first (§4.2.2.4).
    pub(crate) ports: Option<(u16, u16)>,
    /// Of TCP, unless it is a fragment other than the first.
    pub(crate) tcp_flags: Option<u8>,
    /// Of ICMP, unless it is a fragment other than the first.
    pub(crate) icmp_type: Option<u8>,
    pub(crate) length: u16,
    /// Don't fragment 0x01, is a fragment 0x02, first 0x04, last 0x08 (§4.2.2.12).
    pub(crate) fragment: u8,
}

/// A component as it stands on the wire: its type, and the bytes behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Component {
    kind: u8,
    value: Vec<u8>,
}

/// A rule read from its NLRI, with the length octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire(Vec<Component>);

impl Wire {
    /// Reads the bytes of an IPv4 rule (§4.1, §4.2).
    pub(crate) fn read(nlri: &[u8]) -> Self {
        assert!(nlri[0] < 240, "one length octet");
        let mut rest = &nlri[1..];
        assert_eq!(rest.len(), usize::from(nlri[0]));
        let mut components = Vec::new();
        while let Some((kind, behind)) = rest.split_first() {
            let length = match kind {
                1 | 2 => 1 + usize::from(behind[0]).div_ceil(8),
                _ => operators(behind).1,
            };
            components.push(Component { kind: *kind, value: behind[..length].to_vec() });
            rest = &behind[length..];
        }
        Self(components)
    }

    /// Whether a packet to the victim matches: every component does.
    pub(crate) fn matches(&self, packet: &Packet) -> bool {
        self.0.iter().all(|component| {
            let value = &component.value;
            match component.kind {
                // each packet here goes to the victim, which every rule here is about
                1 => true,
                3 => numeric(value, u64::from(packet.protocol)),
                5 => packet.ports.is_some_and(|(_, destination)| numeric(value, destination.into())),
                6 => packet.ports.is_some_and(|(source, _)| numeric(value, source.into())),
                7 => packet.icmp_type.is_some_and(|kind| numeric(value, kind.into())),
                9 => packet.tcp_flags.is_some_and(|flags| bitmask(value, flags.into())),
                10 => numeric(value, packet.length.into()),
                12 => bitmask(value, packet.fragment.into()),
                other => panic!("component {other} is none that prefixd makes"),
            }
        })
    }

    /// The order of §5.1: `Less` is applied first.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let (mut ours, mut theirs) = (self.0.iter(), other.0.iter());
        loop {
            let (one, two) = match (ours.next(), theirs.next()) {
                (None, None) => return Ordering::Equal,
                // the rule that lacks a component that the other one has comes later
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(one), Some(two)) => (one, two),
            };
            if one.kind != two.kind {
                return one.kind.cmp(&two.kind);
            }
            let order =
                if one.kind <= 2 { prefixes(&one.value, &two.value) } else { values(&one.value, &two.value) };
            if order.is_ne() {
                return order;
            }
        }
    }

    /// Another order: the plain bytes, the shorter first, which is about what Junos does with `term-order legacy`. Which
    /// order it is exactly does not matter: verdicts must not depend on any.
    pub(crate) fn legacy_order(&self, other: &Self) -> Ordering {
        let bytes = |rule: &Self| -> Vec<u8> {
            rule.0
                .iter()
                .flat_map(|part| std::iter::once(part.kind).chain(part.value.iter().copied()))
                .collect()
        };
        let (one, two) = (bytes(self), bytes(other));
        one.len().cmp(&two.len()).then_with(|| one.cmp(&two))
    }
}

/// The operators with their values, and how many bytes they are: each operator octet says how long its value is (bits 2
/// and 3), the one with bit 0 is the last.
fn operators(bytes: &[u8]) -> (Vec<(u8, u64)>, usize) {
    let (mut found, mut at) = (Vec::new(), 0);
    loop {
        let operator = bytes[at];
        let length = 1_usize << ((operator >> 4) & 0b11);
        let value = &bytes[at + 1..at + 1 + length];
        found.push((operator, value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))));
        at += 1 + length;
        if operator & 0x80 != 0 {
            return (found, at);
        }
    }
}

/// §4.2.1.1: joined by AND to the one before where bit 1 is set, else by OR.
fn evaluate(bytes: &[u8], holds: impl Fn(u8, u64) -> bool) -> bool {
    let mut any = false;
    let mut all: Option<bool> = None;
    for (operator, value) in operators(bytes).0 {
        let holds = holds(operator, value);
        all = Some(match all {
            Some(before) if operator & 0x40 != 0 => before && holds,
            before => {
                any |= before.unwrap_or(false);
                holds
            }
        });
    }
    any || all.unwrap_or(false)
}

fn numeric(bytes: &[u8], found: u64) -> bool {
    evaluate(bytes, |operator, value| {
        (operator & 0x04 != 0 && found < value)
            || (operator & 0x02 != 0 && found > value)
            || (operator & 0x01 != 0 && found == value)
    })
}

/// §4.2.1.2: bit 0 of the last three says that all bits must be set, bit 1 negates.
fn bitmask(bytes: &[u8], found: u64) -> bool {
    evaluate(bytes, |operator, value| {
        let hit = if operator & 0x01 != 0 { found & value == value } else { found & value != 0 };
        hit != (operator & 0x02 != 0)
    })
}

/// The lower address first; of two where one holds the other, the longer prefix.
fn prefixes(one: &[u8], two: &[u8]) -> Ordering {
    let common = one[0].min(two[0]);
    let head = |prefix: &[u8]| -> u64 {
        let bits = prefix[1..].iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let length = 8 * (u32::try_from(prefix.len()).unwrap() - 1);
        if common == 0 { 0 } else { bits >> (length - u32::from(common)) }
    };
    head(one).cmp(&head(two)).then_with(|| two[0].cmp(&one[0]))
}

/// The lower bytes first; of two where one is the beginning of the other, the longer.
fn values(one: &[u8], two: &[u8]) -> Ordering {
    let common = one.len().min(two.len());
    one[..common].cmp(&two[..common]).then_with(|| two.len().cmp(&one.len()))
}

#[test]
fn the_judge_reads_what_the_rfc_says() {
    let octet = |hex: &[u8]| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap();
    let read = |hex: &str| Wire::read(&hex.as_bytes().chunks(2).map(octet).collect::<Vec<u8>>());
    let to = |source, destination| Packet {
        protocol: 17,
        ports: Some((source, destination)),
        tcp_flags: None,
        icmp_type: None,
        length: 100,
        fragment: 0,
    };
    // the contract's examples
    let but_dns = read("0e0120cb00710a0381110504358235");
    assert!(but_dns.matches(&to(1, 52)) && but_dns.matches(&to(1, 54)) && !but_dns.matches(&to(1, 53)));
    let syn = read("0e0120cb00710a038106090102c210");
    let tcp = |flags| Packet { protocol: 6, tcp_flags: Some(flags), ..to(1, 80) };
    assert!(syn.matches(&tcp(0x02)) && !syn.matches(&tcp(0x12)) && !syn.matches(&tcp(0x10)));
    let later = read("090120cb00710a0c8002");
    assert!(later.matches(&Packet { fragment: 0x02, ports: None, ..to(0, 0) }) && !later.matches(&to(1, 2)));
    assert_eq!(but_dns.order(&later), Ordering::Less, "a lower component type comes first");
    assert_eq!(but_dns.order(&but_dns.clone()), Ordering::Equal);
}
