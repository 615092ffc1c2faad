//! The rules of playbooks (configuration.md §4), all broken ones at once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Display;

use prefix_core::flowspec::{Action, ActionParts, ActionType};
use prefix_core::matching::PacketLength;
use prefix_core::name::{CustomerId, VectorName};
use prefix_core::port::PortSet;
use prefix_core::protocol::{Protocol, number};
use prefix_core::rtbh::TargetSet;
use prefix_core::ttl::Ttl;
use prefix_diagnostics::{Diagnostic, Diagnostics, KeyPath};

use super::document::{FragmentsOption, MatchDocument, PlaybookDocument, PlaybooksDocument, StepDocument};
use super::{OneOrMany, Playbook, Step, never};
use crate::intersect::{self, PACKET_LENGTHS};
use crate::inventory::{Customer, Inventory};
use crate::settings::Guardrails;
use crate::vector::{VectorTemplate, Vectors};

/// The longest persistence, seconds.
const LONGEST_PERSISTENCE: u64 = 86_400;

/// What a document is checked against, and what was found.
pub(super) struct Check<'a> {
    pub(super) vectors: &'a Vectors,
    pub(super) guardrails: &'a Guardrails,
    pub(super) inventory: Option<&'a Inventory>,
    pub(super) found: Diagnostics,
}

impl Check<'_> {
    /// Checks own vectors and playbooks; the playbooks are there as far as they can be built.
    pub(super) fn document(&mut self, document: &PlaybooksDocument) -> Vec<Playbook> {
        for (name, vector) in &document.vectors {
            self.vector(name, vector, &KeyPath::from("vectors").key(name.as_str()));
        }
        if document.playbooks.is_empty() {
            self.found.error("playbooks", "at least one playbook is needed");
        }
        let mut names = HashSet::new();
        let mut built = Vec::with_capacity(document.playbooks.len());
        for (index, playbook) in document.playbooks.iter().enumerate() {
            let at = KeyPath::from("playbooks").index(index);
            if !names.insert(&playbook.name) {
                let text = format!("playbook \"{}\" stands here a second time", playbook.name);
                self.found.error(at.key("name"), text);
            }
            self.keys(&playbook.matches, &at.key("match"));
            let is_default = document.default_playbook.as_ref() == Some(&playbook.name);
            never::together(playbook, is_default, self.vectors, &at.key("match"), &mut self.found);
            if playbook.correlation.as_ref().and_then(|terms| terms.min_sources) == Some(0) {
                let at = at.key("correlation").key("min_sources");
                self.found.error(at, "min_sources must be at least 1");
            }
            built.push(Playbook {
                name: playbook.name.clone(),
                matches: playbook.matches.clone(),
                correlation: playbook.correlation.clone(),
                steps: self.steps(playbook, &at.key("steps")),
            });
        }
        self.reached(document);
        if let Some(name) = document.default_playbook.as_ref().filter(|name| !names.contains(name)) {
            self.found.error("default_playbook", format!("there is no playbook \"{name}\""));
        }
        built
    }

    /// Warns of playbooks that an earlier one always precedes. The default one is used all the same.
    fn reached(&mut self, document: &PlaybooksDocument) {
        for (index, later) in document.playbooks.iter().enumerate() {
            let mut earlier = document.playbooks.iter().take(index);
            let first = earlier.find(|earlier| earlier.matches.precedes(&later.matches, self.vectors));
            let Some(first) = first.filter(|_| document.default_playbook.as_ref() != Some(&later.name))
            else {
                continue;
            };
            let at = KeyPath::from("playbooks").index(index).key("match");
            let text = format!(
                "playbook \"{}\" is never used: \"{}\" stands before it and matches all that it matches",
                later.name, first.name
            );
            self.found.warning(at, text);
        }
    }

    fn vector(&mut self, name: &VectorName, vector: &VectorTemplate, at: &KeyPath) {
        let mut error = |text: &str| self.found.error(at.clone(), format!("vector \"{name}\" {text}"));
        if Vectors::is_builtin(name) {
            error("is built in and cannot be redefined, choose another name");
        }
        let is = |numbers: &[u8], word: Protocol| {
            vector.protocol == Some(word)
                || matches!(vector.protocol, Some(Protocol::Number(number)) if numbers.contains(&number))
        };
        let (tcp, udp) = (is(&[number::TCP], Protocol::Tcp), is(&[number::UDP], Protocol::Udp));
        let terms = vector.dst_ports.terms() + vector.src_ports.terms();
        if terms > 0 && !tcp && !udp {
            error("names ports, which exist with protocol udp or tcp only");
        }
        if !vector.tcp_flags.is_empty() && !tcp {
            error("names TCP flags, which need protocol tcp");
        }
        if !vector.icmp_type.is_empty() && !is(&[number::ICMP, number::ICMPV6], Protocol::Icmp) {
            error("names ICMP types, which need protocol icmp");
        }
        self.no_port_zero(&vector.dst_ports, at.key("dst_ports"));
        self.no_port_zero(&vector.src_ports, at.key("src_ports"));
        never::bgp(&vector.dst_ports, vector.protocol, at.key("dst_ports"), &mut self.found);
        never::bgp(&vector.src_ports, vector.protocol, at.key("src_ports"), &mut self.found);
        let most = self.guardrails.max_ports;
        if terms > most {
            let text = format!(
                "vector \"{name}\" takes {terms} port terms, guardrails.max_ports is {most}: its rules will be refused \
                 unless events name fewer"
            );
            self.found.warning(at.clone(), text);
        }
        self.values(at, vector.packet_length, &vector.dscp);
    }

    fn keys(&mut self, keys: &MatchDocument, at: &KeyPath) {
        self.attacks(&keys.vector, keys.customer_id.as_ref(), at);
        self.each(keys.source.as_ref(), &at.key("source"), |_, _, _| {});
        let inventory = self.inventory;
        self.each(keys.service_id.as_ref(), &at.key("service_id"), |found, at, id| {
            if lacks(inventory, &|customer| customer.services.iter().any(|service| service.service_id == *id))
            {
                found.warning(at, format!("the inventory has no service \"{id}\""));
            }
        });
    }

    /// What every match names: vectors that are defined, and customers that there are.
    pub(super) fn attacks(
        &mut self,
        vectors: &OneOrMany<VectorName>,
        customers: Option<&OneOrMany<CustomerId>>,
        at: &KeyPath,
    ) {
        let (defined, inventory) = (self.vectors, self.inventory);
        self.each(Some(vectors), &at.key("vector"), |found, at, vector| {
            if defined.get(vector).is_none() {
                let text = "is not defined: it is neither built in nor under vectors";
                found.error(at, format!("vector \"{vector}\" {text}"));
            }
        });
        self.each(customers, &at.key("customer_id"), |found, at, id| {
            if lacks(inventory, &|customer| customer.customer_id == *id) {
                found.warning(at, format!("the inventory has no customer \"{id}\""));
            }
        });
    }

    /// Checks each value of a key, and that there is one.
    fn each<T>(
        &mut self,
        values: Option<&OneOrMany<T>>,
        at: &KeyPath,
        check: impl Fn(&mut Diagnostics, KeyPath, &T),
    ) {
        let Some(values) = values else { return };
        if values.as_slice().is_empty() {
            let text = "an empty list matches nothing; name something, or leave the key out";
            self.found.error(at.clone(), text);
        }
        for (at, value) in values.placed(at) {
            check(&mut self.found, at, value);
        }
    }

    fn steps(&mut self, playbook: &PlaybookDocument, at: &KeyPath) -> Vec<Step> {
        if playbook.steps.is_empty() {
            let text = format!("playbook \"{}\" needs at least one step", playbook.name);
            self.found.error(at.clone(), text);
        }
        if u16::try_from(playbook.steps.len()).is_err() {
            self.found.error(at.clone(), "a playbook has at most 65535 steps");
        }
        if let Some(first) = playbook.steps.first() {
            let required = [
                ("require_confidence_at_least", first.require_confidence_at_least.is_some()),
                ("require_persistence_seconds", first.require_persistence_seconds.is_some()),
            ];
            for (key, _) in required.into_iter().filter(|(_, given)| *given) {
                let text = format!("the first step starts at once, it cannot have {key}");
                self.found.error(at.index(0).key(key), text);
            }
        }
        let mut built = Vec::with_capacity(playbook.steps.len());
        for (number, step) in playbook.steps.iter().enumerate() {
            let at = at.index(number);
            self.bounds(step, &at);
            self.black_hole(step, &at);
            for vector in playbook.matches.vector.as_slice() {
                self.meets(vector, step, &at);
            }
            built.extend(self.action(step, &at).map(|action| Step { action, keys: step.clone() }));
        }
        built
    }

    /// The targets of a step: those whose route it is, where they are known.
    fn targets(&mut self, step: &StepDocument, at: &KeyPath) -> Result<Option<TargetSet>, ()> {
        let at = at.key("targets");
        if step.targets.is_empty() {
            return Ok(None);
        }
        if step.action != ActionType::Rtbh {
            let text = format!("targets belong to rtbh: {} has none", step.action);
            self.found.error(at, text);
            return Err(());
        }
        let Some(known) = &self.guardrails.rtbh_targets else {
            return Ok(TargetSet::of(step.targets.iter().cloned()));
        };
        known.complete(&step.targets).map_err(|text| self.found.error(at, text))
    }

    pub(super) fn action(&mut self, step: &StepDocument, at: &KeyPath) -> Option<Action> {
        let targets = self.targets(step, at).ok()?;
        let parts = ActionParts {
            action_type: step.action,
            rate_bps: step.rate_bps,
            rate_pps: step.rate_pps,
            redirect_to: step.redirect_to,
            dscp_mark: step.dscp_mark,
            targets,
        };
        let at = match step.action {
            ActionType::Police if step.rate_pps.is_some_and(|rate| rate.get() == 0) => at.key("rate_pps"),
            ActionType::Police if step.rate_bps.is_some() => at.key("rate_bps"),
            _ => at.clone(),
        };
        Action::try_from(parts).map_err(|error| self.found.error(at, error.to_string())).ok()
    }

    pub(super) fn bounds(&mut self, step: &StepDocument, at: &KeyPath) {
        let guardrails = self.guardrails;
        let mut error = |key: &str, text: String| self.found.error(at.key(key), text);
        let (ttl, min, max) = (step.ttl_seconds, guardrails.min_ttl(), guardrails.max_ttl());
        if !(min..=max).contains(&ttl) {
            let [ttl, min, max] = [ttl, min, max].map(Ttl::seconds);
            error("ttl_seconds", format!("ttl_seconds {ttl} is outside {min}..{max} of the guardrails"));
        }
        // of a rate that rounds to 0 the action says what is wrong
        let rate_bps = step.rate_bps.filter(|rate| step.action != ActionType::Police || rate.get() >= 8);
        for (key, rate) in [("rate_bps", rate_bps), ("allowed_ports_rate_bps", step.allowed_ports_rate_bps)] {
            let Some(rate) = rate.filter(|rate| *rate < guardrails.min_police_rate) else { continue };
            let (rate, min) = (rate.get(), guardrails.min_police_rate.get());
            error(
                key,
                format!(
                    "{key} {rate} is below guardrails.min_police_rate_bps {min}: such a rule would always be refused"
                ),
            );
        }
        if step.require_persistence_seconds.is_some_and(|seconds| seconds > LONGEST_PERSISTENCE) {
            let key = "require_persistence_seconds";
            error(key, format!("{key} must be at most {LONGEST_PERSISTENCE}"));
        }
        let mut refused = |at: KeyPath, what: &dyn Display, switch: &str| {
            self.found.warning(at, format!("{what} will be refused while guardrails.{switch} is false"));
        };
        let switch = match step.action {
            ActionType::Redirect => Some(("allow_redirect", guardrails.allow_redirect)),
            ActionType::Mark => Some(("allow_mark", guardrails.allow_mark)),
            ActionType::Rtbh => Some(("allow_rtbh", guardrails.allow_rtbh)),
            ActionType::Police | ActionType::Discard => None,
        };
        if let Some((switch, false)) = switch {
            refused(at.key("action"), &step.action, switch);
        }
        if step.fragments != FragmentsOption::None && !guardrails.allow_fragment_match {
            refused(at.key("fragments"), &"the companion rule", "allow_fragment_match");
        }
        let at = at.key("match");
        for (key, switch) in guardrails.missing(&step.matches) {
            refused(at.key(key), &"the rule", switch);
        }
        self.no_port_zero(&step.matches.src_ports, at.key("src_ports"));
        self.values(&at, step.matches.packet_length, &step.matches.dscp);
    }

    /// A black hole takes every packet to the host, whatever the step narrows.
    fn black_hole(&mut self, step: &StepDocument, at: &KeyPath) {
        if step.action == ActionType::Rtbh && !step.matches.is_empty() {
            let text =
                "has no effect: rtbh takes every packet to the host; leave it out, or let the step discard";
            self.found.warning(at.key("match"), text);
        }
    }

    /// Whether a vector and the match of a step leave anything.
    pub(super) fn meets(&mut self, vector: &VectorName, step: &StepDocument, at: &KeyPath) {
        let template = self.vectors.get(vector).filter(|_| step.action != ActionType::Rtbh);
        let Some(template) = template else { return };
        if let Err(problem) = intersect::parts(template, &step.matches) {
            let text = format!("with vector \"{vector}\" the rule will be refused: {problem}");
            self.found.warning(at.key("match"), text);
        }
        never::components(vector, template, step, at, &mut self.found);
        never::bgp(
            &step.matches.src_ports,
            template.protocol,
            at.key("match").key("src_ports"),
            &mut self.found,
        );
    }

    fn values(&mut self, at: &KeyPath, length: Option<PacketLength>, dscp: &BTreeSet<u8>) {
        if let Some(PacketLength { min, max }) = length {
            let (first, last) = (PACKET_LENGTHS.start(), PACKET_LENGTHS.end());
            if min > max {
                self.found.error(at.key("packet_length"), "min is above max");
            } else if !(PACKET_LENGTHS.contains(&min) && PACKET_LENGTHS.contains(&max)) {
                let text = format!("packet lengths are from {first} to {last} bytes");
                self.found.error(at.key("packet_length"), text);
            }
        }
        if let Some(value) = dscp.iter().find(|value| **value > 63) {
            self.found.error(at.key("dscp"), format!("DSCP values are from 0 to 63, not {value}"));
        }
    }

    fn no_port_zero(&mut self, ports: &PortSet, at: KeyPath) {
        if ports.contains(0) {
            self.found.error(at, "ports are from 1 to 65535, not 0");
        }
    }
}

/// Whether an inventory is known and none of its customers passes a test.
fn lacks(inventory: Option<&Inventory>, is_it: &dyn Fn(&Customer) -> bool) -> bool {
    inventory.is_some_and(|inventory| !inventory.customers().iter().any(is_it))
}

impl Guardrails {
    /// The vectors whose rules are refused because a component they need is switched off, one warning per switch,
    /// with paths into prefixd.yaml.
    pub fn unusable_vectors(&self, vectors: &Vectors) -> Vec<Diagnostic> {
        let mut by_switch: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        for (name, template) in vectors.iter() {
            for (_, switch) in self.missing(template) {
                by_switch.entry(switch).or_default().push(name.as_str());
            }
        }
        let warning = |(switch, names): (&str, Vec<&str>)| {
            let text =
                format!("while {switch} is false, rules of these vectors are refused: {}", names.join(", "));
            Diagnostic::warning(KeyPath::from("guardrails").key(switch), text)
        };
        by_switch.into_iter().map(warning).collect()
    }
}
