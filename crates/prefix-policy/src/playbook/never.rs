//! What can never work, though each part of it is well-formed: `--check` says so before the night on which it matters.

use prefix_core::address::Family;
use prefix_core::flowspec::ActionType;
use prefix_core::name::VectorName;
use prefix_core::port::PortSet;
use prefix_core::protocol::Protocol;
use prefix_diagnostics::{Diagnostics, KeyPath};

use super::document::{PlaybookDocument, StepDocument};
use crate::vector::{VectorTemplate, Vectors};

/// The port of BGP, which no rule may name with TCP.
const BGP: u16 = 179;

/// Whether two protocols are the same toward some address family.
fn meet(one: Protocol, other: Protocol) -> bool {
    let number = |protocol: Protocol, family| protocol.number(family);
    [Family::Ipv4, Family::Ipv6].into_iter().any(|family| number(one, family) == number(other, family))
}

/// Whether packets of a vector can be of a protocol.
fn can_be(vector: &VectorTemplate, protocol: Protocol) -> bool {
    vector.protocol.is_none_or(|fixed| meet(fixed, protocol))
}

/// Warns of vectors of a playbook that its `match.protocol` keeps away.
pub(super) fn together(
    playbook: &PlaybookDocument,
    is_default: bool,
    vectors: &Vectors,
    at: &KeyPath,
    found: &mut Diagnostics,
) {
    let Some(protocol) = playbook.matches.protocol.filter(|protocol| *protocol != Protocol::Any) else {
        return;
    };
    let named = playbook.matches.vector.as_slice();
    let apart: Vec<String> = named
        .iter()
        .filter_map(|name| {
            let fixed = vectors.get(name)?.protocol?;
            (!meet(fixed, protocol)).then(|| format!("{name} is of {fixed}"))
        })
        .collect();
    if apart.is_empty() {
        return;
    }
    let all = apart.join(", ");
    let text = match (apart.len() == named.len(), is_default) {
        (true, false) => {
            format!("playbook \"{}\" is never used: match.protocol is {protocol}, and {all}", playbook.name)
        }
        _ => format!("match.protocol is {protocol}, so these never come here: {all}"),
    };
    found.warning(at.key("protocol"), text);
}

/// Warns of members of a step's match that exist with other protocols only.
pub(super) fn components(
    name: &VectorName,
    vector: &VectorTemplate,
    step: &StepDocument,
    at: &KeyPath,
    found: &mut Diagnostics,
) {
    let Some(fixed) = vector.protocol.filter(|_| step.action != ActionType::Rtbh) else { return };
    let has_ports = can_be(vector, Protocol::Tcp) || can_be(vector, Protocol::Udp);
    for (key, needed, is_wrong) in [
        ("tcp_flags", "tcp", !step.matches.tcp_flags.is_empty() && !can_be(vector, Protocol::Tcp)),
        ("icmp_type", "icmp", !step.matches.icmp_type.is_empty() && !can_be(vector, Protocol::Icmp)),
        ("src_ports", "tcp or udp", !step.matches.src_ports.is_empty() && !has_ports),
    ] {
        if is_wrong {
            let text = format!(
                "{key} needs protocol {needed}, and vector \"{name}\" is of {fixed}: the rule will be refused"
            );
            found.warning(at.key("match").key(key), text);
        }
    }
}

/// Warns of ports that no rule may name.
pub(super) fn bgp(ports: &PortSet, protocol: Option<Protocol>, at: KeyPath, found: &mut Diagnostics) {
    let may_be_tcp = protocol.is_none_or(|fixed| fixed == Protocol::Any || meet(fixed, Protocol::Tcp));
    if ports.contains(BGP) && may_be_tcp {
        let text = format!(
            "port {BGP} carries BGP, which is never filtered: a TCP rule that names it will be refused (control_plane)"
        );
        found.warning(at, text);
    }
}
