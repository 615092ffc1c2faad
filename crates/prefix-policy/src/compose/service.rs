//! What a service needs left alone: its own ports, and the answers it asked for.

use prefix_core::address::Family;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::{Action, ActionError, Fragment};
use prefix_core::matching::DestinationPorts;
use prefix_core::port::{PortList, PortSet};
use prefix_core::protocol::number;

use super::{Attack, Attacked, Composed, reaches_portless_fragments};
use crate::inventory::{Service, ServicePorts};
use crate::playbook::{FragmentsOption, OnAllowedPorts, OnTooManyPorts, OnUnknownPorts, Step};
use crate::settings::Guardrails;

/// How far the action of the step must be weakened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weaken {
    /// Not at all.
    No,
    /// Nothing may be discarded; marking is gentler than policing and stays.
    NeverDiscard,
    /// Policed, whatever the step does.
    Police,
}

/// The rate where served ports are policed: the step's own for that case, else the one it polices with, else the
/// default.
pub(super) fn policing(step: &Step, guardrails: &Guardrails) -> Result<Action, ActionError> {
    match (step.keys.allowed_ports_rate_bps, step.action) {
        (Some(rate), _) => Action::police(Some(rate), None),
        (None, Action::Police(_)) => Ok(step.action),
        (None, _) => Action::police(Some(guardrails.default_police_rate), None),
    }
}

/// The ports under attack as far as a rule may hold them: of more than `guardrails.max_ports` the step says what becomes.
pub(super) fn bound(
    attack: &Attack<'_>,
    attacked: &Attacked,
    step: &Step,
    service: Option<&Service>,
    guardrails: &Guardrails,
    composed: &mut Composed,
) -> PortSet {
    let (most, protocol) = (guardrails.max_ports, composed.matching.protocol);
    let room = most.saturating_sub(composed.matching.src_ports.terms());
    let served = service.map(|service| of_protocol(&service.allowed_ports, protocol)).unwrap_or_default();
    let named = attacked.ports.to_set();
    let left = named.difference(&served);
    // where only served ports are attacked these are policed
    let wanted = if left.is_empty() { &named } else { &left };
    if !attacked.reported || wanted.terms() <= room {
        return named;
    }
    let too_many = format!(
        "the report names ports {}, more than a rule may hold (guardrails.max_ports is {most})",
        attacked.ports
    );
    let (ports, text) = match step.keys.on_too_many_ports {
        OnTooManyPorts::Refuse => return named,
        OnTooManyPorts::AsUnknown => {
            let text = format!("{too_many}: treated as if it named none (on_too_many_ports: as_unknown)");
            (attack.template.dst_ports.clone(), text)
        }
        OnTooManyPorts::KeepFirst => {
            let kept = first_within(&attacked.ports, wanted, room);
            if kept.is_empty() {
                return named;
            }
            let rest = wanted.difference(&kept);
            let text = format!(
                "{too_many}: the rule has the first, {kept}; ports {rest} are left out, what attacks them passes this \
                 rule (on_too_many_ports: keep_first)"
            );
            (named.difference(&rest), text)
        }
    };
    composed.note(Stage::Rule, StageResult::Info, text.as_str());
    composed.warnings.push(text);
    ports
}

/// The first ports of a report that are in a set and fit into so many terms.
fn first_within(reported: &PortList, wanted: &PortSet, room: usize) -> PortSet {
    reported.within(wanted).fold(PortSet::default(), |kept, range| {
        let more = kept.union(&[range].into_iter().collect());
        if more.terms() <= room { more } else { kept }
    })
}

/// Leaves out what the service serves, and weakens the action where that is not possible. `ports` are those under
/// attack, none if nobody named any.
pub(super) fn spare(
    ports: &PortSet,
    step: &Step,
    service: Option<&Service>,
    guardrails: &Guardrails,
    composed: &mut Composed,
) {
    if !ports.is_empty() {
        composed.matching.dst_ports = DestinationPorts::Only(ports.clone());
    }
    let mut weaken = if let Some(service) = service {
        allowed_ports(ports, step, service, composed).max(asked_sources(service, composed))
    } else {
        let text = "no service of the inventory has this address";
        composed.note(Stage::AllowedPorts, StageResult::Skip, text);
        Weaken::No
    };
    let icmp_v6 = path_mtu_discovery(composed);
    // A step that polices ICMPv6 anyway keeps its rate: nothing of it was discarded.
    if icmp_v6 && !matches!(composed.action, Action::Police(_)) {
        weaken = weaken.max(Weaken::NeverDiscard);
    }
    let gentle = matches!(step.action, Action::Mark(_));
    if weaken == Weaken::Police || (weaken == Weaken::NeverDiscard && !gentle) {
        match policing(step, guardrails) {
            Ok(action) => composed.action = action,
            Err(error) => composed.flaw(error.to_string()),
        }
    }
    if let Some(service) = service.filter(|_| composed.action == Action::Discard) {
        warn_of_lost_answers(service, composed);
    }
}

/// A discard without source port also meets the answers that the service asked for.
fn warn_of_lost_answers(service: &Service, composed: &mut Composed) {
    let asked = of_protocol(&service.allowed_source_ports, composed.matching.protocol);
    if !asked.is_empty() && composed.matching.src_ports.is_empty() {
        composed.warnings.push(format!(
            "the rule names no source port, so it also discards answers from ports {} that service {} asks for",
            asked,
            service.service_id
        ));
    }
}

/// The ports of a protocol; of both where the rule is for any protocol.
fn of_protocol(ports: &ServicePorts, protocol: Option<u8>) -> PortSet {
    match protocol {
        Some(protocol) => ports.of(protocol).cloned().unwrap_or_default(),
        None => ports.udp.union(&ports.tcp),
    }
}

fn allowed_ports(ports: &PortSet, step: &Step, service: &Service, composed: &mut Composed) -> Weaken {
    let id = &service.service_id;
    let stage = Stage::AllowedPorts;
    let any_protocol = composed.matching.protocol.is_none();
    let allowed = of_protocol(&service.allowed_ports, composed.matching.protocol);
    if allowed.is_empty() {
        composed.note(stage, StageResult::Skip, format!("service {id} serves no ports of this protocol"));
        return Weaken::No;
    }
    let served = allowed.to_string();
    if reaches_portless_fragments(composed.matching.fragment) {
        return fragments(step, &format!("service {id} serves ports {served}"), composed);
    }
    if any_protocol {
        let why = format!("a rule for any protocol covers ports {served} of service {id}");
        return only_allowed_ports(step, &why, composed);
    }
    if ports.is_empty() {
        return unknown_ports(allowed, step, service, composed);
    }
    let left = ports.difference(&allowed);
    if left.is_empty() {
        let why = format!("only ports {ports} are attacked, which service {id} serves");
        return only_allowed_ports(step, &why, composed);
    }
    let spared = ports.intersection(&allowed);
    if spared.is_empty() {
        let text = format!("ports {ports} are attacked, service {id} serves {served}: nothing to leave out");
        composed.note(stage, StageResult::Pass, text);
    } else {
        let text =
            format!("ports {ports} are attacked, {spared} are left out because service {id} serves them");
        composed.note(stage, StageResult::Pass, text);
        let text = format!("ports {spared} of service {id} are left out: what attacks them passes this rule");
        composed.warnings.push(text);
    }
    composed.matching.dst_ports = DestinationPorts::Only(left);
    Weaken::No
}

/// The rule covers ports of the service and cannot be narrowed: the step says what then.
fn only_allowed_ports(step: &Step, why: &str, composed: &mut Composed) -> Weaken {
    match step.keys.on_allowed_ports {
        OnAllowedPorts::Police => {
            let text = format!("{why}: policed, never discarded (on_allowed_ports: police)");
            composed.note(Stage::AllowedPorts, StageResult::Pass, text);
            Weaken::Police
        }
        OnAllowedPorts::Skip => {
            composed.skip = Some(format!("{why}: no rule (on_allowed_ports: skip)"));
            Weaken::No
        }
    }
}

fn unknown_ports(allowed: PortSet, step: &Step, service: &Service, composed: &mut Composed) -> Weaken {
    let (id, served) = (&service.service_id, allowed.to_string());
    match step.keys.on_unknown_ports {
        OnUnknownPorts::Exclude => {
            let text = format!(
                "no attacked port is known: everything but ports {served} of service {id} (on_unknown_ports: exclude)"
            );
            composed.note(Stage::AllowedPorts, StageResult::Pass, text);
            composed.warnings.push(format!(
                "the attacked ports are not known: ports {served} of service {id} are left out, an attack on them \
                 passes this rule"
            ));
            composed.matching.dst_ports = DestinationPorts::Except(allowed);
            Weaken::No
        }
        OnUnknownPorts::PoliceAll => {
            let text = format!(
                "no attacked port is known: all ports, {served} of service {id} included, are policed, never \
                 discarded (on_unknown_ports: police_all)"
            );
            composed.note(Stage::AllowedPorts, StageResult::Pass, text);
            Weaken::Police
        }
    }
}

fn fragments(step: &Step, why: &str, composed: &mut Composed) -> Weaken {
    let portless = Fragment::IS_FRAGMENT.union(Fragment::LAST_FRAGMENT);
    let pure = portless.contains(composed.matching.fragment);
    let (text, weaken) = if pure && step.keys.fragments == FragmentsOption::Discard {
        (format!("{why}: their fragments are treated like all others (fragments: discard)"), Weaken::No)
    } else {
        (
            format!("{why}: fragments are policed, never discarded, unless the step says fragments: discard"),
            Weaken::NeverDiscard,
        )
    };
    composed.note(Stage::AllowedPorts, StageResult::Pass, text);
    weaken
}

/// Answers that the service asked for come from ports of others.
fn asked_sources(service: &Service, composed: &mut Composed) -> Weaken {
    let matching = &composed.matching;
    let asked = &service.allowed_source_ports;
    let hit = matching.src_ports.intersection(&of_protocol(asked, matching.protocol));
    if !hit.is_empty() {
        let text = format!(
            "service {} asks others on ports {} itself: the rule is policed, never discarded",
            service.service_id, hit
        );
        composed.note(Stage::AllowedPorts, StageResult::Info, text);
        return Weaken::NeverDiscard;
    }
    Weaken::No
}

/// On IPv6, Packet Too Big is an ICMP message that connections need (RFC 8201).
fn path_mtu_discovery(composed: &mut Composed) -> bool {
    let matching = &composed.matching;
    let icmp_v6 = matching.dst_prefix.family() == Family::Ipv6
        && matching.protocol == Some(number::ICMPV6)
        && matching.icmp_type.is_empty();
    if icmp_v6 && composed.action == Action::Discard {
        let text = "ICMP on IPv6 is policed, never discarded, unless the step names ICMP types: Packet Too Big must pass";
        composed.note(Stage::Rule, StageResult::Info, text);
    }
    icmp_v6
}
