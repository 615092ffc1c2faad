//! A vector and the match of a step meet: each only narrows, and nothing in common is an error, never "any packet".

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use prefix_core::matching::{Matching, PacketLength, PacketMatch};
use prefix_core::port::PortSet;

use crate::vector::VectorTemplate;

/// The lengths an IP packet can have for us, in bytes: a header at least, a jumbo frame at most.
pub(crate) const PACKET_LENGTHS: RangeInclusive<u16> = 20..=9_216;

/// The intersection of a vector and the match of a step.
pub(crate) fn parts(vector: &VectorTemplate, step: &PacketMatch) -> Result<PacketMatch, String> {
    narrowed(&vector.packets(), step, "vector and step")
}

/// The intersection of two matches; `whose` names both for the error.
pub(crate) fn narrowed(one: &PacketMatch, other: &PacketMatch, whose: &str) -> Result<PacketMatch, String> {
    let nothing = |what: &str| format!("{whose} have no {what} in common");
    let tcp_flags = one.tcp_flags.and(other.tcp_flags);
    let fragment = one.fragment.intersection(other.fragment);
    Ok(PacketMatch {
        src_ports: ports(&one.src_ports, &other.src_ports).ok_or_else(|| nothing("source port"))?,
        tcp_flags: tcp_flags.map_err(|_| format!("the TCP flags of {whose} exclude each other"))?,
        fragment: fragment.map_err(|_| nothing("kind of fragment"))?,
        packet_length: lengths(one.packet_length, other.packet_length)
            .map_err(|Empty| nothing("packet length"))?,
        dscp: both(&one.dscp, &other.dscp).ok_or_else(|| nothing("DSCP"))?,
        icmp_type: both(&one.icmp_type, &other.icmp_type).ok_or_else(|| nothing("ICMP type"))?,
    })
}

/// The values in both lists, of which an empty one holds all; `None` if there are none.
fn both<T: Ord + Copy>(one: &BTreeSet<T>, other: &BTreeSet<T>) -> Option<BTreeSet<T>> {
    if one.is_empty() || other.is_empty() {
        return Some(if one.is_empty() { other.clone() } else { one.clone() });
    }
    Some(one.intersection(other).copied().collect()).filter(|common: &BTreeSet<T>| !common.is_empty())
}

/// The same for ports.
fn ports(one: &PortSet, other: &PortSet) -> Option<PortSet> {
    if one.is_empty() || other.is_empty() {
        return Some(if one.is_empty() { other.clone() } else { one.clone() });
    }
    Some(one.intersection(other)).filter(|common| !common.is_empty())
}

/// Nothing is in common.
struct Empty;

/// The same for lengths.
fn lengths(one: Option<PacketLength>, other: Option<PacketLength>) -> Result<Option<PacketLength>, Empty> {
    let (Some(a), Some(b)) = (one, other) else { return Ok(one.or(other)) };
    let common = PacketLength { min: a.min.max(b.min), max: a.max.min(b.max) };
    if common.min <= common.max { Ok(Some(common)) } else { Err(Empty) }
}

/// Which components a match has, of those that a switch allows: in the order of [`crate::Guardrails::missing`].
pub(crate) trait Uses {
    /// Whether each is there.
    fn uses(&self) -> [bool; 6];
}

macro_rules! uses {
    ($($matching:ty $(, $also:ident)?);+) => {$(
        impl Uses for $matching {
            fn uses(&self) -> [bool; 6] {
                [
                    !self.src_ports.is_empty() $(|| !self.$also.is_empty())?,
                    !self.tcp_flags.is_empty(),
                    !self.fragment.is_empty(),
                    !self.icmp_type.is_empty(),
                    self.packet_length.is_some(),
                    !self.dscp.is_empty(),
                ]
            }
        }
    )+};
}

uses!(PacketMatch; VectorTemplate; Matching, excluded_src_ports);

#[cfg(test)]
mod tests {
    use prefix_core::flowspec::{Fragment, TcpFlags};

    use super::*;

    #[test]
    fn nothing_in_common_is_an_error_and_never_any_packet() {
        let template = VectorTemplate {
            src_ports: [53].into(),
            tcp_flags: TcpFlags::from_words(["syn"]).unwrap(),
            fragment: Fragment::IS_FRAGMENT,
            packet_length: Some(PacketLength { min: 20, max: 100 }),
            dscp: BTreeSet::from([1]),
            icmp_type: BTreeSet::from([8]),
            ..VectorTemplate::default()
        };
        let steps = [
            PacketMatch { src_ports: [123].into(), ..PacketMatch::default() },
            PacketMatch { tcp_flags: TcpFlags::from_words(["!syn"]).unwrap(), ..PacketMatch::default() },
            PacketMatch { fragment: Fragment::FIRST_FRAGMENT, ..PacketMatch::default() },
            PacketMatch {
                packet_length: Some(PacketLength { min: 101, max: 200 }),
                ..PacketMatch::default()
            },
            PacketMatch { dscp: BTreeSet::from([2]), ..PacketMatch::default() },
            PacketMatch { icmp_type: BTreeSet::from([0]), ..PacketMatch::default() },
        ];
        for step in steps {
            assert!(parts(&template, &step).is_err(), "{step:?}");
        }
        assert!(parts(&template, &PacketMatch::default()).is_ok());
    }

    #[test]
    fn both_conditions_hold_where_both_name_one() {
        let template = VectorTemplate {
            tcp_flags: TcpFlags::from_words(["syn", "!ack"]).unwrap(),
            packet_length: Some(PacketLength { min: 20, max: 100 }),
            ..VectorTemplate::default()
        };
        let step = PacketMatch {
            tcp_flags: TcpFlags::from_words(["!rst"]).unwrap(),
            packet_length: Some(PacketLength { min: 60, max: 1_500 }),
            ..PacketMatch::default()
        };
        let parts = parts(&template, &step).unwrap();
        assert_eq!(parts.tcp_flags.to_string(), "syn&!rst&!ack");
        assert_eq!(parts.packet_length, Some(PacketLength { min: 60, max: 100 }));
    }
}
