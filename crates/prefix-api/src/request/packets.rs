//! What packets have in common besides destination, protocol and destination ports: members of an operator's rule
//! (http-api.md §4.1) and of `match` in an event (§3.1).

use std::collections::BTreeSet;

use prefix_core::flowspec::{BitmaskError, Fragment, TcpFlags};
use prefix_core::matching::{PacketLength, PacketMatch};
use prefix_core::port::PortSet;
use prefix_diagnostics::{Members, Node, Parsed};

use crate::value;

/// More ports than these are no "top" ports, and no rule could hold a hundredth of them.
pub(crate) const MOST_PORTS: usize = 1024;

/// A detector that counts all ports lists more: a step says which of them matter (`on_too_many_ports`).
pub(super) const MOST_REPORTED_PORTS: usize = 4096;

/// The members as they were sent. Flags can exclude each other, which each reader answers in its own way.
#[derive(Debug, Default)]
pub(super) struct Packets {
    pub(super) src_ports: PortSet,
    pub(super) tcp_flags: Vec<String>,
    pub(super) fragment: Fragment,
    pub(super) packet_length: Option<PacketLength>,
    pub(super) icmp_type: BTreeSet<u8>,
}

/// Reads the members that stand beside each other in both bodies.
pub(super) fn packets(members: &mut Members<'_>) -> Packets {
    let src_ports = ports(members, "src_ports");
    let tcp_flags = members.list("tcp_flags", 16, |node| {
        let word = value::text(node)?;
        TcpFlags::from_words([word]).map_err(|error| unknown(&error, word)).map(|_| word.to_owned())
    });
    let fragment = members.list("fragment", 8, |node| {
        let word = value::text(node)?;
        Fragment::from_words([word]).map_err(|error| unknown(&error, word))
    });
    Packets {
        src_ports,
        tcp_flags,
        fragment: fragment.into_iter().fold(Fragment::default(), Fragment::union),
        packet_length: packet_length(members),
        icmp_type: members.list("icmp_type", 256, |node| value::integer(node, 0..=255)).into_iter().collect(),
    }
}

/// Ports and ranges of ports.
pub(super) fn ports(members: &mut Members<'_>, name: &'static str) -> PortSet {
    members.list(name, MOST_PORTS, value::port).into_iter().collect()
}

/// `match` of an event, and the names of its members that are not read.
pub(super) fn event_match(members: &mut Members<'_>) -> (PacketMatch, Vec<String>) {
    let mut unread = Vec::new();
    let matches = members.object("match", |members| {
        let packets = packets(members);
        let tcp_flags = TcpFlags::from_words(&packets.tcp_flags);
        if let Err(error) = &tcp_flags {
            members.error("tcp_flags", error.to_string());
        }
        unread = members.unread_names();
        let Packets { src_ports, fragment, packet_length, icmp_type, .. } = packets;
        Some(PacketMatch {
            src_ports,
            tcp_flags: tcp_flags.ok()?,
            fragment,
            packet_length,
            icmp_type,
            ..PacketMatch::default()
        })
    });
    (matches.unwrap_or_default(), unread)
}

fn unknown(error: &BitmaskError, word: &str) -> String {
    match error {
        BitmaskError::UnknownWord { known, .. } => {
            format!("must be one of {known}, not {}", value::quoted(word))
        }
        other => other.to_string(),
    }
}

fn packet_length(members: &mut Members<'_>) -> Option<PacketLength> {
    let length = members.object("packet_length", |members| {
        let bytes = |node: &Node| -> Parsed<u16> { value::integer(node, 0..=u16::MAX) };
        let (min, max) = (members.required("min", bytes), members.required("max", bytes));
        Some(PacketLength { min: min?, max: max? })
    })?;
    if length.min > length.max {
        members.error("packet_length", format!("min {} must not be above max {}", length.min, length.max));
        return None;
    }
    Some(length)
}
