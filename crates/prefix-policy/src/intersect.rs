//! A vector and the match of a step meet: each only narrows, and nothing in common is an error, never "any packet".

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use prefix_core::matching::{Matching, PacketLength};

use crate::playbook::StepMatch;
use crate::vector::VectorTemplate;

/// The lengths an IP packet can have for us, in bytes: a header at least, a jumbo frame at most.
pub(crate) const PACKET_LENGTHS: RangeInclusive<u16> = 20..=9_216;

/// The intersection of both.
pub(crate) fn parts(vector: &VectorTemplate, step: &StepMatch) -> Result<StepMatch, String> {
    let tcp_flags = vector.tcp_flags.and(step.tcp_flags);
    let fragment = vector.fragment.intersection(step.fragment);
    Ok(StepMatch {
        src_ports: both(&vector.src_ports, &step.src_ports, "source port")?,
        tcp_flags: tcp_flags.map_err(|_| "the TCP flags of vector and step exclude each other".to_owned())?,
        fragment: fragment.map_err(|_| "vector and step have no kind of fragment in common".to_owned())?,
        packet_length: lengths(vector.packet_length, step.packet_length)?,
        dscp: both(&vector.dscp, &step.dscp, "DSCP")?,
        icmp_type: both(&vector.icmp_type, &step.icmp_type, "ICMP type")?,
    })
}

/// The values in both lists; an empty list holds all.
fn both<T: Ord + Copy>(one: &BTreeSet<T>, other: &BTreeSet<T>, what: &str) -> Result<BTreeSet<T>, String> {
    if one.is_empty() || other.is_empty() {
        return Ok(if one.is_empty() { other.clone() } else { one.clone() });
    }
    let common: BTreeSet<T> = one.intersection(other).copied().collect();
    if common.is_empty() { Err(format!("vector and step have no {what} in common")) } else { Ok(common) }
}

fn lengths(one: Option<PacketLength>, other: Option<PacketLength>) -> Result<Option<PacketLength>, String> {
    let (Some(a), Some(b)) = (one, other) else { return Ok(one.or(other)) };
    let common = PacketLength { min: a.min.max(b.min), max: a.max.min(b.max) };
    if common.min > common.max {
        return Err("vector and step have no packet length in common".to_owned());
    }
    Ok(Some(common))
}

/// Which components a match has, of those that a switch allows: in the order of [`crate::Guardrails::missing`].
pub(crate) trait Uses {
    /// Whether each is there.
    fn uses(&self) -> [bool; 6];
}

macro_rules! uses {
    ($($matching:ty),+) => {$(
        impl Uses for $matching {
            fn uses(&self) -> [bool; 6] {
                [
                    !self.src_ports.is_empty(),
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

uses!(StepMatch, VectorTemplate, Matching);

#[cfg(test)]
mod tests {
    use prefix_core::flowspec::{Fragment, TcpFlags};

    use super::*;

    #[test]
    fn nothing_in_common_is_an_error_and_never_any_packet() {
        let template = VectorTemplate {
            src_ports: BTreeSet::from([53]),
            tcp_flags: TcpFlags::from_words(["syn"]).unwrap(),
            fragment: Fragment::IS_FRAGMENT,
            packet_length: Some(PacketLength { min: 20, max: 100 }),
            dscp: BTreeSet::from([1]),
            icmp_type: BTreeSet::from([8]),
            ..VectorTemplate::default()
        };
        let steps = [
            StepMatch { src_ports: BTreeSet::from([123]), ..StepMatch::default() },
            StepMatch { tcp_flags: TcpFlags::from_words(["!syn"]).unwrap(), ..StepMatch::default() },
            StepMatch { fragment: Fragment::FIRST_FRAGMENT, ..StepMatch::default() },
            StepMatch { packet_length: Some(PacketLength { min: 101, max: 200 }), ..StepMatch::default() },
            StepMatch { dscp: BTreeSet::from([2]), ..StepMatch::default() },
            StepMatch { icmp_type: BTreeSet::from([0]), ..StepMatch::default() },
        ];
        for step in steps {
            assert!(parts(&template, &step).is_err(), "{step:?}");
        }
        assert!(parts(&template, &StepMatch::default()).is_ok());
    }

    #[test]
    fn both_conditions_hold_where_both_name_one() {
        let template = VectorTemplate {
            tcp_flags: TcpFlags::from_words(["syn", "!ack"]).unwrap(),
            packet_length: Some(PacketLength { min: 20, max: 100 }),
            ..VectorTemplate::default()
        };
        let step = StepMatch {
            tcp_flags: TcpFlags::from_words(["!rst"]).unwrap(),
            packet_length: Some(PacketLength { min: 60, max: 1_500 }),
            ..StepMatch::default()
        };
        let parts = parts(&template, &step).unwrap();
        assert_eq!(parts.tcp_flags.to_string(), "syn&!rst&!ack");
        assert_eq!(parts.packet_length, Some(PacketLength { min: 60, max: 100 }));
    }
}
