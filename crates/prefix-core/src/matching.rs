//! The match of a mitigation, in the form of the API. Only this module builds FlowSpec rules of mitigations.
//!
//! [`Rule`] can express all of RFC 8955; a mitigation uses a part of it. It has no source prefix, and its ports are a
//! list of ports and ranges, or all but these.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::address::Prefix;
use crate::flowspec::{Fragment, Numeric, Rule, RuleError, TcpFlags};
use crate::port::{PortRange, PortSet};

/// Destination ports of a mitigation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationPorts {
    /// The rule names no destination port.
    #[default]
    Any,
    /// Exactly these, 0..=65535; never empty.
    Only(PortSet),
    /// All but these, 0..=65535; never empty.
    Except(PortSet),
}

impl DestinationPorts {
    /// The ports of [`Self::Only`], ascending; else empty.
    pub fn only(&self) -> &[PortRange] {
        if let Self::Only(ports) = self { ports.ranges() } else { &[] }
    }

    /// The ports of [`Self::Except`], ascending; else empty.
    pub fn excluded(&self) -> &[PortRange] {
        if let Self::Except(ports) = self { ports.ranges() } else { &[] }
    }

    /// Whether a packet to this port matches.
    pub fn matches(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Only(ports) => ports.contains(port),
            Self::Except(ports) => !ports.contains(port),
        }
    }
}

/// Lengths of IP packets in bytes, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PacketLength {
    /// The shortest, in bytes.
    pub min: u16,
    /// The longest, in bytes; not below `min`.
    pub max: u16,
}

/// What packets have in common besides destination, protocol and destination ports: it narrows a rule. The parts have the
/// shapes of the mitigation object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PacketMatch {
    /// Source ports; empty = any.
    #[serde(skip_serializing_if = "PortSet::is_empty")]
    pub src_ports: PortSet,
    /// TCP flags, all of which must hold; empty = any.
    #[serde(skip_serializing_if = "TcpFlags::is_empty")]
    pub tcp_flags: TcpFlags,
    /// Kinds of fragments, any of which matches; empty = any packet.
    #[serde(skip_serializing_if = "no_fragment")]
    pub fragment: Fragment,
    /// Packet length; `None` = any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_length: Option<PacketLength>,
    /// DSCP values, 0..=63; empty = any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dscp: BTreeSet<u8>,
    /// ICMP types, 0..=255; empty = any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub icmp_type: BTreeSet<u8>,
}

impl PacketMatch {
    /// True if it narrows nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn no_fragment(fragment: &Fragment) -> bool {
    fragment.is_empty()
}

/// The match of a mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Matching {
    /// The destination prefix.
    pub dst_prefix: Prefix,
    /// IP protocol number, 0..=255; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports.
    #[serde(default)]
    pub dst_ports: DestinationPorts,
    /// Source ports, 0..=65535; empty = any, or all but those of `excluded_src_ports`.
    #[serde(default)]
    pub src_ports: PortSet,
    /// Every source port but these; empty unless `src_ports` is. Only the rules of a rule set have them.
    #[serde(default, skip_serializing_if = "PortSet::is_empty")]
    pub excluded_src_ports: PortSet,
    /// TCP flags, all of which must hold; empty = any.
    #[serde(default)]
    pub tcp_flags: TcpFlags,
    /// Kinds of fragments, any of which matches; empty = any packet.
    #[serde(default)]
    pub fragment: Fragment,
    /// Packet length; `None` = any.
    #[serde(default)]
    pub packet_length: Option<PacketLength>,
    /// DSCP values, 0..=63; empty = any.
    #[serde(default)]
    pub dscp: BTreeSet<u8>,
    /// ICMP types, 0..=255; empty = any.
    #[serde(default)]
    pub icmp_type: BTreeSet<u8>,
}

impl Matching {
    /// The match of all packets to this destination.
    pub fn everything_to(dst_prefix: Prefix) -> Self {
        Self {
            dst_prefix,
            protocol: None,
            dst_ports: DestinationPorts::Any,
            src_ports: PortSet::default(),
            excluded_src_ports: PortSet::default(),
            tcp_flags: TcpFlags::default(),
            fragment: Fragment::default(),
            packet_length: None,
            dscp: BTreeSet::new(),
            icmp_type: BTreeSet::new(),
        }
    }

    /// The FlowSpec rule of this match.
    ///
    /// # Errors
    /// A value does not fit its component, or the encoding has 240 octets or more.
    pub fn rule(&self) -> Result<Rule, RuleError> {
        let mut rule = Rule::to(self.dst_prefix);
        if let Some(protocol) = self.protocol {
            rule = rule.protocol(Numeric::any_of([u64::from(protocol)])?);
        }
        let dst_ports = match &self.dst_ports {
            DestinationPorts::Any => None,
            DestinationPorts::Only(ports) => Some(Numeric::any_of_ranges(numbers(ports))?),
            DestinationPorts::Except(ports) => Some(Numeric::none_of_ranges(numbers(ports), 65_535)?),
        };
        if let Some(ports) = dst_ports {
            rule = rule.destination_port(ports);
        }
        if !self.src_ports.is_empty() {
            rule = rule.source_port(Numeric::any_of_ranges(numbers(&self.src_ports))?);
        } else if !self.excluded_src_ports.is_empty() {
            rule = rule.source_port(Numeric::none_of_ranges(numbers(&self.excluded_src_ports), 65_535)?);
        }
        if !self.icmp_type.is_empty() {
            rule = rule.icmp_type(any_of(&self.icmp_type)?);
        }
        if !self.tcp_flags.is_empty() {
            rule = rule.tcp_flags(self.tcp_flags.bitmask());
        }
        if let Some(length) = self.packet_length {
            rule = rule.packet_length(Numeric::range(length.min.into(), length.max.into())?);
        }
        if !self.dscp.is_empty() {
            rule = rule.dscp(any_of(&self.dscp)?);
        }
        if !self.fragment.is_empty() {
            rule = rule.fragment(self.fragment.bitmask());
        }
        rule.build()
    }
}

fn numbers(ports: &PortSet) -> impl Iterator<Item = (u64, u64)> {
    ports.ranges().iter().map(|range| (range.first().into(), range.last().into()))
}

fn any_of<T: Copy + Into<u64>>(values: &BTreeSet<T>) -> Result<Numeric, RuleError> {
    Ok(Numeric::any_of(values.iter().map(|value| (*value).into()))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::number::UDP;

    fn to_host() -> Matching {
        Matching::everything_to("203.0.113.10/32".parse().unwrap())
    }

    #[test]
    fn everything_but_a_port_is_sent_as_ranges() {
        let matching =
            Matching { protocol: Some(UDP), dst_ports: DestinationPorts::Except([53].into()), ..to_host() };
        let rule = matching.rule().unwrap();
        assert_eq!(rule.to_string(), "dst 203.0.113.10/32 proto udp dport <53|>53");
        assert_eq!(rule.nlri().to_string(), "0e0120cb00710a0381110504358235");
    }

    #[test]
    fn the_order_in_which_ports_were_written_does_not_matter() {
        let ports = |list: &[u16]| Matching {
            protocol: Some(UDP),
            dst_ports: DestinationPorts::Only(list.iter().copied().collect()),
            ..to_host()
        };
        assert_eq!(ports(&[53, 80]).rule().unwrap(), ports(&[80, 53, 53]).rule().unwrap());
    }

    fn sets() -> impl Strategy<Value = PortSet> {
        let range =
            (0_u16..=60, 0_u16..=8).prop_map(|(first, more)| PortRange::new(first, first + more).unwrap());
        prop::collection::vec(range, 1..6).prop_map(|ranges| ranges.into_iter().collect())
    }

    proptest! {
        /// A range and the list of its ports are two rules for the same packets.
        #[test]
        fn a_range_and_its_list_of_ports_mean_the_same_packets(ranges in sets()) {
            let listed: PortSet = (0..=65_535_u16).filter(|port| ranges.contains(*port)).collect();
            let both: [fn(PortSet) -> DestinationPorts; 2] = [DestinationPorts::Only, DestinationPorts::Except];
            for ports in both {
                let of = |set: &PortSet| Matching { protocol: Some(UDP), dst_ports: ports(set.clone()), ..to_host() };
                let (ranged, single) = (of(&ranges), of(&listed));
                for port in (0..=80).chain([65_535]) {
                    prop_assert_eq!(ranged.dst_ports.matches(port), single.dst_ports.matches(port));
                }
                let (Ok(ranged), Ok(single)) = (ranged.rule(), single.rule()) else { continue };
                prop_assert!(ranged.covers(&single) && single.covers(&ranged), "{ranged} and {single}");
                let numbers = ranged.destination_port().unwrap();
                for port in 0..=80 {
                    prop_assert_eq!(numbers.matches(port.into()), ports(ranges.clone()).matches(port));
                }
            }
            let source = Matching { protocol: Some(UDP), src_ports: ranges.clone(), ..to_host() };
            if let Ok(rule) = source.rule() {
                prop_assert!((0..=80).all(|port| rule.source_port().unwrap().matches(port.into()) == ranges.contains(port)));
            }
        }
    }

    #[test]
    fn no_ports_left_is_an_error_and_never_any_port() {
        let matching = Matching {
            protocol: Some(UDP),
            dst_ports: DestinationPorts::Only(PortSet::default()),
            ..to_host()
        };
        assert!(matching.rule().is_err());
    }
}
