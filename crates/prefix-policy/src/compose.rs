//! From a report to a rule: vector template, step, ports of the report, and what the service needs left alone.
//!
//! Each of them only narrows (http-api.md §5). What cannot be narrowed without touching a served port is policed, never
//! discarded, and a match that names nothing any more is a flaw, never "any packet".

mod bounded;
mod carpet;
mod evidence;
mod rule_set;
mod service;

use prefix_core::address::{Family, VictimIp};
use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::{Action, Fragment};
use prefix_core::matching::{DestinationPorts, Matching, PacketMatch};
use prefix_core::mitigation::ReportedMatch;
use prefix_core::name::VectorName;
use prefix_core::port::PortList;
use prefix_core::protocol::{Protocol, number};

use crate::intersect;
use crate::inventory::Service;
use crate::playbook::{FragmentsOption, Step};
use crate::settings::Guardrails;
use crate::vector::{VectorTemplate, is_reflected};

pub(crate) use carpet::compose_carpet;
pub(crate) use rule_set::Companion;
use service::Spare;

/// What is attacked, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack<'a> {
    pub(crate) victim: VictimIp,
    pub(crate) vector: &'a VectorName,
    pub(crate) template: &'a VectorTemplate,
    pub(crate) reported: &'a ReportedMatch,
}

impl Attack<'_> {
    fn family(&self) -> Family {
        self.victim.family()
    }

    /// The protocol of the report, if it says more than "any".
    fn reported_protocol(&self) -> Option<u8> {
        self.reported.protocol.and_then(|protocol| protocol.number(self.family()))
    }

    /// The protocol of the rule: that of the vector, else of the report; `None` = any.
    pub(crate) fn protocol(&self) -> Option<u8> {
        match self.template.protocol {
            Some(protocol) => protocol.number(self.family()),
            None => self.reported_protocol(),
        }
    }
}

/// A line of the explanation, noted before it is known which decision it belongs to.
pub(crate) type DomainEvent = (Stage, StageResult, String);

/// A rule set as a step wants it: the main rule, and its companions.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    pub(crate) matching: Matching,
    pub(crate) action: Action,
    /// The further rules of the set, none of which matches a packet that another one matches.
    pub(crate) companions: Vec<Companion>,
    /// Why the match cannot exist: guardrail `semantic`.
    pub(crate) flaw: Option<String>,
    /// Why the step makes no rule.
    pub(crate) skip: Option<String>,
    pub(crate) notes: Vec<DomainEvent>,
    pub(crate) warnings: Vec<String>,
}

impl Composed {
    pub(super) fn note(&mut self, stage: Stage, result: StageResult, text: impl Into<String>) {
        self.notes.push((stage, result, text.into()));
    }

    pub(super) fn flaw(&mut self, text: impl Into<String>) {
        self.flaw.get_or_insert(text.into());
    }
}

/// Builds the rule set of a step.
pub(crate) fn compose(
    attack: &Attack<'_>,
    step: &Step,
    service: Option<&Service>,
    guardrails: &Guardrails,
) -> Composed {
    let mut composed = Composed {
        matching: Matching::everything_to(attack.victim.host_prefix()),
        action: step.action,
        companions: Vec::new(),
        flaw: None,
        skip: None,
        notes: Vec::new(),
        warnings: attack.reported.unread.clone(),
    };
    agree_on_protocol(attack, &mut composed);
    if step.action.is_rtbh() {
        take_the_host(attack, step, &mut composed);
        return composed;
    }
    composed.matching.protocol = attack.protocol();
    let asked = intersect::parts(attack.template, &step.keys.matches).unwrap_or_else(|problem| {
        composed.flaw(problem);
        PacketMatch::default()
    });
    let attacked = attacked_ports(attack, asked.fragment, &mut composed);
    let reported = evidence::fitting(attack, &asked, &attacked, guardrails, &mut composed);
    let parts = intersect::narrowed(&asked, &reported, "vector, step and report").unwrap_or_else(|problem| {
        composed.flaw(problem);
        PacketMatch::default()
    });
    if composed.flaw.is_some() {
        return composed;
    }
    let spare = Spare { attack, step, service, guardrails };
    let bounded = bounded::bounded(&spare, &attacked, &parts, &mut composed);
    composed.matching = Matching {
        src_ports: parts.src_ports,
        tcp_flags: parts.tcp_flags,
        fragment: parts.fragment,
        packet_length: parts.packet_length,
        dscp: parts.dscp,
        icmp_type: parts.icmp_type,
        ..composed.matching
    };
    spare.apply(&bounded.ports, &mut composed);
    let rule = composed.matching.rule();
    if !reported.fragment.is_empty() && rule.is_ok_and(|rule| rule.ports_miss_its_fragments()) {
        composed.flaw(
            "the report names fragments other than the first, which carry no ports, and the rule names ports",
        );
    }
    if let Some(action) = spare.with_fragments(composed.matching.protocol) {
        composed.add_fragments(action);
    }
    fragments_pass(attack, step, &mut composed);
    if !bounded.is_refused {
        composed.split_long_lists(guardrails.max_ports);
    }
    composed
}

/// A black hole takes every packet to the host: what narrows other rules is named, because it has no effect.
fn take_the_host(attack: &Attack<'_>, step: &Step, composed: &mut Composed) {
    composed.note(
        Stage::Rule,
        StageResult::Info,
        "a black hole gives the whole host up, whatever the attack",
    );
    composed.note(Stage::AllowedPorts, StageResult::Skip, "a black hole takes allowed ports too");
    let narrowing = [
        (step.keys.matches.is_empty(), "the match of the step"),
        (attack.reported.matches.is_empty(), "the match of the report"),
    ];
    for (_, what) in narrowing.into_iter().filter(|(is_empty, _)| !is_empty) {
        composed.warnings.push(format!("{what} has no effect: a black hole takes every packet to the host"));
    }
}

fn agree_on_protocol(attack: &Attack<'_>, composed: &mut Composed) {
    let fixed = attack.template.protocol_number(attack.family());
    if let (Some(fixed), Some(reported)) = (fixed, attack.reported_protocol())
        && fixed != reported
    {
        composed.flaw(format!(
            "the report says protocol {}, but {} is an attack of protocol {}",
            protocol_name(reported),
            attack.vector,
            protocol_name(fixed)
        ));
    }
}

/// Destination ports under attack.
#[derive(Debug, Default)]
struct Attacked {
    /// None where nobody names any, or where they say nothing.
    ports: PortList,
    /// Whether the report named them.
    reported: bool,
}

/// The destination ports under attack. `asked` is what vector and step say of fragments.
fn attacked_ports(attack: &Attack<'_>, asked: Fragment, composed: &mut Composed) -> Attacked {
    let reported = &attack.reported.dst_ports;
    let own = &attack.template.dst_ports;
    let of_vector = || Attacked { ports: own.ranges().iter().copied().collect(), reported: false };
    let ignored = |why: &str| format!("ports {reported} of the report are ignored: {why}");
    let why = if reaches_portless_fragments(asked) {
        Some("fragments other than the first carry none")
    } else if is_reflected(attack.vector) {
        Some("reflected traffic comes from the vector's source port to any destination port")
    } else {
        match composed.matching.protocol {
            Some(number::TCP | number::UDP) | None => None,
            Some(_) => Some("the protocol has none"),
        }
    };
    if let Some(why) = why {
        if !reported.is_empty() {
            composed.note(Stage::Rule, StageResult::Info, ignored(why));
        }
        return of_vector();
    }
    if composed.matching.protocol.is_none() {
        if !reported.is_empty() {
            composed.flaw(format!(
                "the report names ports {reported} but no protocol: a rule for any protocol has no ports and would be \
                 wider than the report; let the detector send the protocol"
            ));
        }
        return Attacked::default();
    }
    match (own.is_empty(), reported.is_empty()) {
        (true, true) => Attacked::default(),
        (true, false) => Attacked { ports: reported.clone(), reported: true },
        (false, true) => of_vector(),
        (false, false) => {
            let common: PortList = reported.within(own).collect();
            if common.is_empty() {
                composed.flaw(format!(
                    "the report names ports {reported}, {} is an attack on ports {own}: nothing is left to match",
                    attack.vector
                ));
            }
            Attacked { ports: common, reported: true }
        }
    }
}

/// The ICMP type of Packet Too Big (RFC 4443 §3.2).
const PACKET_TOO_BIG: u8 = 2;

/// On IPv6, Packet Too Big is an ICMP message that connections need (RFC 8201): no report has it discarded, only a step
/// or a vector of the configuration that names it.
fn path_mtu_discovery(attack: &Attack<'_>, step: &Step, composed: &mut Composed) -> bool {
    let matching = &composed.matching;
    let icmp_v6 = matching.dst_prefix.family() == Family::Ipv6
        && matching.protocol == Some(number::ICMPV6)
        && (matching.icmp_type.is_empty() || matching.icmp_type.contains(&PACKET_TOO_BIG))
        && !step.keys.matches.icmp_type.contains(&PACKET_TOO_BIG)
        && !attack.template.icmp_type.contains(&PACKET_TOO_BIG);
    if icmp_v6 && composed.action == Action::Discard {
        let text = "ICMP on IPv6 is policed, never discarded, unless the step names ICMP types: Packet Too Big must pass";
        composed.note(Stage::Rule, StageResult::Info, text);
    }
    icmp_v6
}

/// Whether packets without port numbers are meant: fragments other than the first.
pub(super) fn reaches_portless_fragments(fragment: Fragment) -> bool {
    fragment.contains(Fragment::IS_FRAGMENT) || fragment.contains(Fragment::LAST_FRAGMENT)
}

/// Whether a match names ports, which fragments other than the first do not carry.
pub(crate) fn names_ports(matching: &Matching) -> bool {
    matching.dst_ports != DestinationPorts::Any
        || !matching.src_ports.is_empty()
        || !matching.excluded_src_ports.is_empty()
}

fn fragments_pass(attack: &Attack<'_>, step: &Step, composed: &mut Composed) {
    let passes = step.keys.fragments == FragmentsOption::None && names_ports(&composed.matching);
    if passes && is_reflected(attack.vector) {
        composed.warnings.push(
            "fragments other than the first carry no ports and pass this rule; a reflection of large packets is \
             mostly fragments: the step option fragments adds a rule for them"
                .to_owned(),
        );
    }
}

/// An action for people: `police 50000000 bit/s`.
pub(crate) fn describe(action: &Action) -> String {
    let parts = action.parts();
    let words = [
        Some(parts.action_type.to_string()),
        parts.rate_bps.map(|rate| rate.to_string()),
        parts.rate_pps.map(|rate| rate.to_string()),
        parts.redirect_to.map(|target| format!("to {target}")),
        parts.dscp_mark.map(|dscp| format!("DSCP {}", dscp.get())),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A protocol for people: `17 (udp)`.
pub(crate) fn protocol_name(protocol: u8) -> String {
    let word = match protocol {
        number::ICMP => Protocol::Icmp,
        number::TCP => Protocol::Tcp,
        number::UDP => Protocol::Udp,
        number::GRE => Protocol::Gre,
        number::ICMPV6 => return "58 (icmp of IPv6)".to_owned(),
        other => return other.to_string(),
    };
    format!("{protocol} ({word})")
}
