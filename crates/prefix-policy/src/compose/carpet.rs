//! The rule of a carpet: the vector and the step for a whole prefix, with what any service inside needs left alone.

use prefix_core::address::Prefix;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::Action;
use prefix_core::matching::{DestinationPorts, Matching, PacketMatch};
use prefix_core::name::ServiceId;

use super::service::{Spare, policing};
use super::{Attack, Composed, agree_on_protocol, attacked_ports, fragments_pass};
use crate::intersect;
use crate::inventory::{Service, ServicePorts};
use crate::playbook::Step;
use crate::ports::port_terms;
use crate::settings::Guardrails;

/// Builds the one rule of a carpet. `attack` is what its victims have in common.
pub(crate) fn compose_carpet(
    attack: &Attack<'_>,
    prefix: Prefix,
    step: &Step,
    services: &[&Service],
    guardrails: &Guardrails,
) -> Composed {
    let mut composed = Composed {
        matching: Matching::everything_to(prefix),
        action: step.action,
        companions: Vec::new(),
        flaw: None,
        skip: None,
        notes: Vec::new(),
        warnings: Vec::new(),
    };
    agree_on_protocol(attack, &mut composed);
    composed.matching.protocol = attack.protocol();
    let parts = intersect::parts(attack.template, &step.keys.matches).unwrap_or_else(|problem| {
        composed.flaw(problem);
        PacketMatch::default()
    });
    let attacked = attacked_ports(attack, parts.fragment, &mut composed);
    if composed.flaw.is_some() {
        return composed;
    }
    composed.matching = Matching {
        src_ports: parts.src_ports,
        tcp_flags: parts.tcp_flags,
        fragment: parts.fragment,
        packet_length: parts.packet_length,
        dscp: parts.dscp,
        icmp_type: parts.icmp_type,
        ..composed.matching
    };
    let all = all_of(services);
    let spare = Spare { attack, step, service: all.as_ref(), guardrails };
    let src_ports = composed.matching.src_ports.clone();
    spare.apply(&attacked.ports.to_set(), &mut composed);
    if !composed.companions.is_empty() {
        composed.companions.clear();
        composed.matching.src_ports = src_ports;
        let text = "a carpet has no companions: what a service inside asks for is within its rule, which is policed, never \
                    discarded";
        composed.note(Stage::AllowedPorts, StageResult::Info, text);
        never_discard(step, guardrails, &mut composed);
    }
    let terms = port_terms(&composed.matching);
    if terms > guardrails.max_ports && matches!(composed.matching.dst_ports, DestinationPorts::Except(_)) {
        composed.matching.dst_ports = DestinationPorts::Any;
        let text = format!(
            "the ports that services in {prefix} serve need {terms} port terms, guardrails.max_ports is {}: all ports are \
             policed, never discarded",
            guardrails.max_ports
        );
        composed.note(Stage::AllowedPorts, StageResult::Pass, text.as_str());
        composed.warnings = vec![text];
        never_discard(step, guardrails, &mut composed);
    }
    fragments_pass(attack, step, &mut composed);
    composed
}

fn never_discard(step: &Step, guardrails: &Guardrails, composed: &mut Composed) {
    if composed.action != Action::Discard {
        return;
    }
    match policing(step, guardrails) {
        Ok(action) => composed.action = action,
        Err(error) => composed.flaw(error.to_string()),
    }
}

/// What all of these services together need. How much each can take says nothing about a prefix, so that has no capacity.
fn all_of(services: &[&Service]) -> Option<Service> {
    let united = |of: fn(&Service) -> &ServicePorts| {
        services.iter().fold(ServicePorts::default(), |all, service| {
            let more = of(service);
            ServicePorts { udp: all.udp.union(&more.udp), tcp: all.tcp.union(&more.tcp) }
        })
    };
    let first = services.first()?;
    let names: Vec<&str> = services.iter().map(|service| service.service_id.as_str()).collect();
    let named: Result<ServiceId, _> = names.join(", ").parse();
    Some(Service {
        service_id: named.unwrap_or_else(|_| first.service_id.clone()),
        name: "".into(),
        assets: Box::default(),
        allowed_ports: united(|service| &service.allowed_ports),
        allowed_source_ports: united(|service| &service.allowed_source_ports),
        capacity: None,
        answers_capacity: None,
    })
}
