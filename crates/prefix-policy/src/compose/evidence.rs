//! What a report says of the packets, as far as a rule can hold it. Leaving a part out makes the rule as wide as it would be
//! without that part, never wider, and is named.

use prefix_core::address::Family;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::Fragment;
use prefix_core::matching::PacketMatch;
use prefix_core::protocol::number;

use super::{Attack, Attacked, Composed, reaches_portless_fragments};
use crate::intersect::{PACKET_LENGTHS, narrowed};
use crate::settings::Guardrails;

/// Leaves out what a switch forbids, what is more than a rule may hold and, where it is evidence of samples and nobody's
/// statement, what does not fit the rule. `asked` is what vector and step say.
pub(super) fn fitting(
    attack: &Attack<'_>,
    asked: &PacketMatch,
    attacked: &Attacked,
    guardrails: &Guardrails,
    composed: &mut Composed,
) -> PacketMatch {
    let mut left = attack.reported.matches.clone();
    for (key, switch) in guardrails.missing(&attack.reported.matches) {
        leave_out(&mut left, key);
        composed.warnings.push(format!(
            "match.{key} of the report is left out, because guardrails.{switch} is false: the rule is wider than the report"
        ));
    }
    let most = guardrails.max_ports;
    let too_many = left.src_ports.terms() > most && asked.src_ports.is_empty();
    let misfits =
        if attack.reported.sampled { misfits(attack, asked, attacked, &left, composed) } else { Vec::new() };
    let too_many = too_many.then(|| {
        let text = format!(
            "source ports {} are more than a rule may hold (guardrails.max_ports is {most})",
            left.src_ports
        );
        ("src_ports", text)
    });
    for (key, why) in too_many.into_iter().chain(misfits) {
        leave_out(&mut left, key);
        let text = format!("match.{key} of the report is left out, the rule is as wide as without it: {why}");
        composed.note(Stage::Rule, StageResult::Info, text.as_str());
        composed.warnings.push(text);
    }
    left
}

fn leave_out(matches: &mut PacketMatch, key: &str) {
    match key {
        "src_ports" => matches.src_ports = PacketMatch::default().src_ports,
        "tcp_flags" => matches.tcp_flags = PacketMatch::default().tcp_flags,
        "fragment" => matches.fragment = Fragment::default(),
        "icmp_type" => matches.icmp_type.clear(),
        "packet_length" => matches.packet_length = None,
        _ => matches.dscp.clear(),
    }
}

/// The parts that the rule cannot hold or that leave it nothing to match, and why.
fn misfits(
    attack: &Attack<'_>,
    asked: &PacketMatch,
    attacked: &Attacked,
    reported: &PacketMatch,
    composed: &Composed,
) -> Vec<(&'static str, String)> {
    let protocol = composed.matching.protocol;
    let is_icmp = matches!(protocol, Some(number::ICMP | number::ICMPV6));
    let names_ports = !attacked.ports.is_empty() || !reported.src_ports.is_empty();
    let impossible = |key: &str| match key {
        "src_ports" if !matches!(protocol, Some(number::TCP | number::UDP)) => {
            Some("ports exist with TCP and UDP only")
        }
        "tcp_flags" if protocol != Some(number::TCP) => Some("TCP flags exist with TCP only"),
        "icmp_type" if !is_icmp => Some("ICMP types exist with ICMP only"),
        "fragment"
            if attack.victim.family() == Family::Ipv6
                && reported.fragment.contains(Fragment::DONT_FRAGMENT) =>
        {
            Some("IPv6 has no don't-fragment bit")
        }
        "fragment" if names_ports && reaches_portless_fragments(reported.fragment) => {
            Some("fragments other than the first carry no ports, and the rule names ports")
        }
        "packet_length" => reported
            .packet_length
            .filter(|length| !PACKET_LENGTHS.contains(&length.min) || !PACKET_LENGTHS.contains(&length.max))
            .map(|_| "packets have 20 to 9216 bytes"),
        _ => None,
    };
    let alone = |key: &str| {
        let mut part = reported.clone();
        for other in KEYS.iter().filter(|other| **other != key) {
            leave_out(&mut part, other);
        }
        part
    };
    let why = |key: &'static str| {
        let part = alone(key);
        if part.is_empty() {
            return None;
        }
        let contradicts = || narrowed(asked, &part, "vector, step and report").err();
        impossible(key).map(str::to_owned).or_else(contradicts).map(|why| (key, why))
    };
    KEYS.into_iter().filter_map(why).collect()
}

const KEYS: [&str; 6] = ["src_ports", "tcp_flags", "fragment", "icmp_type", "packet_length", "dscp"];
