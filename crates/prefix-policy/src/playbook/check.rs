//! The rules of playbooks (configuration.md §4), all broken ones at once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use prefix_core::flowspec::{Action, ActionParts, ActionType};
use prefix_core::matching::PacketLength;
use prefix_core::name::VectorName;
use prefix_core::protocol::{Protocol, number};

use super::document::{FragmentsOption, MatchDocument, PlaybookDocument, PlaybooksDocument, StepDocument};
use super::{OneOrMany, Playbook, Step};
use crate::finding::{Finding, Findings, Severity, token};
use crate::intersect::{self, PACKET_LENGTHS};
use crate::inventory::Inventory;
use crate::settings::Guardrails;
use crate::vector::Vectors;

/// The longest persistence.
const LONGEST_PERSISTENCE: u32 = 86_400;

/// Own vectors.
pub(super) fn vectors(document: &PlaybooksDocument, guardrails: &Guardrails, findings: &mut Findings) {
    for (name, vector) in &document.vectors {
        let pointer = format!("/vectors/{}", token(name.as_str()));
        if Vectors::is_builtin(name) {
            findings.error(
                &pointer,
                format!("vector \"{name}\" is built in and cannot be redefined, choose another name"),
            );
        }
        let has_ports = !(vector.dst_ports.is_empty() && vector.src_ports.is_empty());
        let is = |numbers: &[u8], word: Protocol| {
            vector.protocol == Some(word)
                || matches!(vector.protocol, Some(Protocol::Number(number)) if numbers.contains(&number))
        };
        let (tcp, udp) = (is(&[number::TCP], Protocol::Tcp), is(&[number::UDP], Protocol::Udp));
        if has_ports && !tcp && !udp {
            findings.error(
                &pointer,
                format!("vector \"{name}\" names ports, which exist with protocol udp or tcp only"),
            );
        }
        if !vector.tcp_flags.is_empty() && !tcp {
            findings.error(&pointer, format!("vector \"{name}\" names TCP flags, which need protocol tcp"));
        }
        if !vector.icmp_type.is_empty() && !is(&[number::ICMP, number::ICMPV6], Protocol::Icmp) {
            findings.error(&pointer, format!("vector \"{name}\" names ICMP types, which need protocol icmp"));
        }
        for (key, ports) in [("dst_ports", &vector.dst_ports), ("src_ports", &vector.src_ports)] {
            no_port_zero(ports, &format!("{pointer}/{key}"), findings);
        }
        let terms = vector.dst_ports.len() + vector.src_ports.len();
        if terms > guardrails.max_ports {
            findings.warning(
                &pointer,
                format!(
                    "vector \"{name}\" names {terms} ports, guardrails.max_ports is {}: its rules will be refused \
                     unless events name fewer",
                    guardrails.max_ports
                ),
            );
        }
        values(&pointer, vector.packet_length, &vector.dscp, findings);
    }
}

/// The playbooks, as far as they can be built.
pub(super) fn playbooks(
    document: &PlaybooksDocument,
    vectors: &Vectors,
    guardrails: &Guardrails,
    inventory: Option<&Inventory>,
    findings: &mut Findings,
) -> Vec<Playbook> {
    if document.playbooks.is_empty() {
        findings.error("/playbooks", "at least one playbook is needed");
    }
    let mut names = HashSet::new();
    let mut built = Vec::with_capacity(document.playbooks.len());
    for (index, playbook) in document.playbooks.iter().enumerate() {
        let pointer = format!("/playbooks/{index}");
        if !names.insert(&playbook.name) {
            findings.error(
                format!("{pointer}/name"),
                format!("playbook \"{}\" stands here a second time", playbook.name),
            );
        }
        keys(&playbook.matches, &pointer, vectors, inventory, findings);
        if playbook.correlation.as_ref().and_then(|terms| terms.min_sources) == Some(0) {
            findings.error(format!("{pointer}/correlation/min_sources"), "min_sources must be at least 1");
        }
        let steps = steps(playbook, &pointer, vectors, guardrails, findings);
        built.push(Playbook {
            name: playbook.name.clone(),
            matches: playbook.matches.clone(),
            correlation: playbook.correlation.clone(),
            steps,
        });
    }
    if let Some(name) = document.default_playbook.as_ref().filter(|name| !names.contains(name)) {
        findings.error("/default_playbook", format!("there is no playbook \"{name}\""));
    }
    built
}

fn keys(
    keys: &MatchDocument,
    pointer: &str,
    vectors: &Vectors,
    inventory: Option<&Inventory>,
    findings: &mut Findings,
) {
    let pointer = format!("{pointer}/match");
    for (place, vector) in keys.vector.placed() {
        if vectors.get(vector).is_none() {
            findings.error(
                format!("{pointer}/vector{place}"),
                format!("vector \"{vector}\" is not defined: it is neither built in nor under vectors"),
            );
        }
    }
    let lists = [
        ("vector", Some(keys.vector.as_slice().len())),
        ("source", keys.source.as_ref().map(|list| list.as_slice().len())),
        ("customer_id", keys.customer_id.as_ref().map(|list| list.as_slice().len())),
        ("service_id", keys.service_id.as_ref().map(|list| list.as_slice().len())),
    ];
    for (key, _) in lists.into_iter().filter(|(_, length)| *length == Some(0)) {
        findings.error(
            format!("{pointer}/{key}"),
            "an empty list matches nothing; name something, or leave the key out",
        );
    }
    let Some(inventory) = inventory else { return };
    let customers = keys.customer_id.as_ref().map(OneOrMany::placed).into_iter().flatten();
    for (place, id) in customers {
        if !inventory.customers().iter().any(|customer| customer.customer_id == *id) {
            findings.warning(
                format!("{pointer}/customer_id{place}"),
                format!("the inventory has no customer \"{id}\""),
            );
        }
    }
    let services = keys.service_id.as_ref().map(OneOrMany::placed).into_iter().flatten();
    for (place, id) in services {
        let mut known = inventory.customers().iter().flat_map(|customer| customer.services.iter());
        if !known.any(|service| service.service_id == *id) {
            findings.warning(
                format!("{pointer}/service_id{place}"),
                format!("the inventory has no service \"{id}\""),
            );
        }
    }
}

fn steps(
    playbook: &PlaybookDocument,
    pointer: &str,
    vectors: &Vectors,
    guardrails: &Guardrails,
    findings: &mut Findings,
) -> Vec<Step> {
    if playbook.steps.is_empty() {
        findings.error(
            format!("{pointer}/steps"),
            format!("playbook \"{}\" needs at least one step", playbook.name),
        );
    }
    if u16::try_from(playbook.steps.len()).is_err() {
        findings.error(format!("{pointer}/steps"), "a playbook has at most 65535 steps");
    }
    if let Some(first) = playbook.steps.first() {
        let required = [
            ("require_confidence_at_least", first.require_confidence_at_least.is_some()),
            ("require_persistence_seconds", first.require_persistence_seconds.is_some()),
        ];
        for (key, _) in required.into_iter().filter(|(_, given)| *given) {
            findings.error(
                format!("{pointer}/steps/0/{key}"),
                format!("the first step starts at once, it cannot have {key}"),
            );
        }
    }
    let mut built = Vec::with_capacity(playbook.steps.len());
    for (number, step) in playbook.steps.iter().enumerate() {
        let place = format!("{pointer}/steps/{number}");
        bounds(step, &place, guardrails, findings);
        for vector in playbook.matches.vector.as_slice() {
            meets(vector, step, &place, vectors, findings);
        }
        let Some(action) = action(step, &place, findings) else { continue };
        built.push(Step {
            action,
            ttl: step.ttl_seconds,
            require_confidence_at_least: step.require_confidence_at_least,
            require_persistence_seconds: step.require_persistence_seconds,
            on_allowed_ports: step.on_allowed_ports,
            on_unknown_ports: step.on_unknown_ports,
            fragments: step.fragments,
            allowed_ports_rate: step.allowed_ports_rate_bps,
            matches: step.matches.clone(),
        });
    }
    built
}

fn action(step: &StepDocument, place: &str, findings: &mut Findings) -> Option<Action> {
    let parts = ActionParts {
        action_type: step.action,
        rate_bps: step.rate_bps,
        rate_pps: step.rate_pps,
        redirect_to: step.redirect_to,
        dscp_mark: step.dscp_mark,
    };
    let key = match step.action {
        ActionType::Police if step.rate_pps.is_some_and(|rate| rate.get() == 0) => "/rate_pps",
        ActionType::Police if step.rate_bps.is_some() => "/rate_bps",
        _ => "",
    };
    Action::try_from(parts).map_err(|error| findings.error(format!("{place}{key}"), error.to_string())).ok()
}

fn bounds(step: &StepDocument, place: &str, guardrails: &Guardrails, findings: &mut Findings) {
    let ttl = step.ttl_seconds;
    if !(guardrails.min_ttl..=guardrails.max_ttl).contains(&ttl) {
        findings.error(
            format!("{place}/ttl_seconds"),
            format!(
                "ttl_seconds {} is outside {}..{} of the guardrails",
                ttl.seconds(),
                guardrails.min_ttl.seconds(),
                guardrails.max_ttl.seconds()
            ),
        );
    }
    for (key, rate) in [("rate_bps", step.rate_bps), ("allowed_ports_rate_bps", step.allowed_ports_rate_bps)]
    {
        let Some(rate) = rate.filter(|rate| *rate < guardrails.min_police_rate) else { continue };
        findings.error(
            format!("{place}/{key}"),
            format!(
                "{key} {} is below guardrails.min_police_rate_bps {}: such a rule would always be refused",
                rate.get(),
                guardrails.min_police_rate.get()
            ),
        );
    }
    if step.require_persistence_seconds.is_some_and(|seconds| seconds > LONGEST_PERSISTENCE) {
        findings.error(
            format!("{place}/require_persistence_seconds"),
            format!("require_persistence_seconds must be at most {LONGEST_PERSISTENCE}"),
        );
    }
    let switch = match step.action {
        ActionType::Redirect => Some(("allow_redirect", guardrails.allow_redirect)),
        ActionType::Mark => Some(("allow_mark", guardrails.allow_mark)),
        ActionType::Rtbh => Some(("allow_rtbh", guardrails.allow_rtbh)),
        ActionType::Police | ActionType::Discard => None,
    };
    if let Some((name, false)) = switch {
        findings.warning(
            format!("{place}/action"),
            format!("{} will be refused while guardrails.{name} is false", step.action),
        );
    }
    if step.fragments != FragmentsOption::None && !guardrails.matches.fragment {
        findings.warning(
            format!("{place}/fragments"),
            "the companion rule will be refused while guardrails.allow_fragment_match is false",
        );
    }
    for (key, switch) in guardrails.matches.missing(step.matches.uses()) {
        findings.warning(
            format!("{place}/match/{key}"),
            format!("the rule will be refused while guardrails.{switch} is false"),
        );
    }
    no_port_zero(&step.matches.src_ports, &format!("{place}/match/src_ports"), findings);
    values(&format!("{place}/match"), step.matches.packet_length, &step.matches.dscp, findings);
}

/// Whether a vector and the match of a step leave anything.
fn meets(vector: &VectorName, step: &StepDocument, place: &str, vectors: &Vectors, findings: &mut Findings) {
    if step.action == ActionType::Rtbh {
        return;
    }
    let Some(template) = vectors.get(vector) else { return };
    if let Err(problem) = intersect::parts(template, &step.matches) {
        findings.warning(
            format!("{place}/match"),
            format!("with vector \"{vector}\" the rule will be refused: {problem}"),
        );
    }
}

fn values(pointer: &str, length: Option<PacketLength>, dscp: &BTreeSet<u8>, findings: &mut Findings) {
    if let Some(length) = length {
        let (first, last) = (PACKET_LENGTHS.start(), PACKET_LENGTHS.end());
        if length.min > length.max {
            findings.error(format!("{pointer}/packet_length"), "min is above max");
        } else if !(PACKET_LENGTHS.contains(&length.min) && PACKET_LENGTHS.contains(&length.max)) {
            findings.error(
                format!("{pointer}/packet_length"),
                format!("packet lengths are from {first} to {last} bytes"),
            );
        }
    }
    if let Some(value) = dscp.iter().find(|value| **value > 63) {
        findings.error(format!("{pointer}/dscp"), format!("DSCP values are from 0 to 63, not {value}"));
    }
}

fn no_port_zero(ports: &BTreeSet<u16>, pointer: &str, findings: &mut Findings) {
    if ports.contains(&0) {
        findings.error(pointer, "ports are from 1 to 65535, not 0");
    }
}

impl Guardrails {
    /// The vectors whose rules are refused because a component they need is switched off, one warning per switch,
    /// with pointers into prefixd.yaml.
    pub fn unusable_vectors(&self, vectors: &Vectors) -> Vec<Finding> {
        let mut by_switch: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        for (name, template) in vectors.iter() {
            for (_, switch) in self.matches.missing(template.uses()) {
                by_switch.entry(switch).or_default().push(name.as_str());
            }
        }
        let warning = |(switch, names): (&str, Vec<&str>)| Finding {
            severity: Severity::Warning,
            pointer: format!("/guardrails/{switch}"),
            text: format!(
                "while {switch} is false, rules of these vectors are refused: {}",
                names.join(", ")
            ),
        };
        by_switch.into_iter().map(warning).collect()
    }
}
