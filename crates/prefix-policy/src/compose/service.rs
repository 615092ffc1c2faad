//! What a service needs left alone: its own ports, and the answers it asked for (http-api.md §5.4).

use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::{Action, ActionError, Fragment, TcpFlags};
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_core::mitigation::Role;
use prefix_core::port::PortSet;
use prefix_core::protocol::number;

use super::rule_set::{Companion, split};
use super::{Attack, Composed, describe, path_mtu_discovery, reaches_portless_fragments};
use crate::inventory::{Capacity, Service, ServicePorts};
use crate::playbook::{FragmentsOption, OnAllowedPorts, OnUnknownPorts, Step};
use crate::settings::Guardrails;
use crate::vector::is_reflected;

/// At which rate something is policed that the step would treat harder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    /// The step's.
    Step,
    /// What the service can take of answers, else the step's.
    Answers,
    /// What the service can take, else the step's.
    Served,
}

/// How far the action of the step must be weakened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weaken {
    /// Not at all.
    No,
    /// Nothing may be discarded; marking is gentler than policing and stays.
    NeverDiscard(Bound),
    /// Policed, whatever the step does.
    Police(Bound),
}

/// The rate where served ports are policed that have no capacity: the step's own for that case, else the one it polices
/// with, else the default.
pub(super) fn policing(step: &Step, guardrails: &Guardrails) -> Result<Action, ActionError> {
    match (step.keys.allowed_ports_rate_bps, step.action) {
        (Some(rate), _) => Action::police(Some(rate), None),
        (None, Action::Police(_)) => Ok(step.action),
        (None, _) => Action::police(Some(guardrails.default_police_rate), None),
    }
}

/// A step, and the service of the victim.
pub(super) struct Spare<'a> {
    pub(super) attack: &'a Attack<'a>,
    pub(super) step: &'a Step,
    pub(super) service: Option<&'a Service>,
    pub(super) guardrails: &'a Guardrails,
}

impl Spare<'_> {
    /// The ports of this protocol that the service serves.
    pub(super) fn served(&self, protocol: Option<u8>) -> PortSet {
        self.service.map(|service| of_protocol(&service.allowed_ports, protocol)).unwrap_or_default()
    }

    /// The ports of others that it asks.
    fn asked(&self, protocol: Option<u8>) -> PortSet {
        self.service.map(|service| of_protocol(&service.allowed_source_ports, protocol)).unwrap_or_default()
    }

    fn capacity(&self) -> Option<Capacity> {
        self.service.and_then(|service| service.capacity)
    }

    fn answers_capacity(&self) -> Option<Capacity> {
        self.service.and_then(|service| service.answers_capacity.or(service.capacity))
    }

    /// No step polices below what the service can take.
    fn rate(&self, bound: Bound) -> Result<Action, ActionError> {
        let capacity = match bound {
            Bound::Step => None,
            Bound::Answers => self.answers_capacity(),
            Bound::Served => self.capacity(),
        };
        capacity.map_or_else(|| policing(self.step, self.guardrails), Capacity::action)
    }

    /// What the option `fragments` of the step does with them; `None` = nothing.
    pub(super) fn with_fragments(&self, protocol: Option<u8>) -> Option<Action> {
        match self.step.keys.fragments {
            FragmentsOption::None => None,
            FragmentsOption::Discard => Some(Action::Discard),
            FragmentsOption::Police => {
                let concerned = !self.served(protocol).is_empty() || !self.asked(protocol).is_empty();
                self.rate(if concerned { Bound::Served } else { Bound::Step }).ok()
            }
        }
    }

    /// Leaves out of a rule what the service needs, in companions where it can be bounded, and weakens the action where
    /// leaving out is not possible. `ports` are those under attack, none if nobody named any.
    pub(super) fn apply(&self, ports: &PortSet, composed: &mut Composed) {
        if !ports.is_empty() {
            composed.matching.dst_ports = DestinationPorts::Only(ports.clone());
        }
        if matches!(self.step.action, Action::Redirect(_)) {
            let text = "a redirect takes the whole match: what looks at the traffic there sees all of it";
            composed.note(Stage::AllowedPorts, StageResult::Skip, text);
            return;
        }
        let mut weaken = if let Some(service) = self.service {
            self.leave_out(service, ports, composed)
        } else {
            let text = "no service of the inventory has this address";
            composed.note(Stage::AllowedPorts, StageResult::Skip, text);
            Weaken::No
        };
        // a step that polices ICMPv6 anyway keeps its rate: nothing of it was discarded
        if path_mtu_discovery(self.attack, self.step, composed)
            && !matches!(composed.action, Action::Police(_))
        {
            weaken = weaken.max(Weaken::NeverDiscard(Bound::Step));
        }
        let bound = match weaken {
            Weaken::No => return,
            Weaken::NeverDiscard(_) if self.marks() => return,
            Weaken::NeverDiscard(bound) | Weaken::Police(bound) => bound,
        };
        match self.rate(bound) {
            Ok(action) => composed.action = action,
            Err(error) => composed.flaw(error.to_string()),
        }
    }

    /// Whether source ports, and of TCP the flags of answers, may be matched, in as many rules as one may become.
    fn may_match(&self, without: &Matching) -> bool {
        let guardrails = self.guardrails;
        let flags = guardrails.allow_tcp_flags_match || without.protocol != Some(number::TCP);
        guardrails.allow_src_port_match && flags && split(without, guardrails.max_ports).is_some()
    }

    fn marks(&self) -> bool {
        matches!(self.step.action, Action::Mark(_))
    }

    fn leave_out(&self, service: &Service, ports: &PortSet, composed: &mut Composed) -> Weaken {
        let (protocol, id) = (composed.matching.protocol, &service.service_id);
        let (served, asked) = (self.served(protocol), self.asked(protocol));
        if served.is_empty() {
            let text = format!("service {id} serves no ports of this protocol");
            composed.note(Stage::AllowedPorts, StageResult::Skip, text);
        }
        if served.is_empty() && asked.is_empty() {
            return Weaken::No;
        }
        let why = if served.is_empty() {
            format!("service {id} asks others on ports {asked}")
        } else {
            format!("service {id} serves ports {served}")
        };
        if reaches_portless_fragments(composed.matching.fragment) {
            return self.portless(&why, composed);
        }
        if protocol.is_none() && served.is_empty() {
            let text =
                format!("{why}: a rule for any protocol meets the answers, it is policed, never discarded");
            composed.note(Stage::AllowedPorts, StageResult::Pass, text);
            return Weaken::NeverDiscard(Bound::Answers);
        }
        if protocol.is_none() {
            let why = format!("a rule for any protocol covers ports {served} of service {id}");
            return self.only_allowed_ports(&why, composed);
        }
        if is_reflected(self.attack.vector) {
            if !served.is_empty() {
                let text = format!(
                    "ports {served} of service {id} are not left out: of reflected traffic the attacker chooses the \
                     destination port"
                );
                composed.note(Stage::AllowedPorts, StageResult::Pass, text);
            }
            return self.reflected(service, &asked, composed);
        }
        let whole = composed.matching.clone();
        let weaken =
            if served.is_empty() { Weaken::No } else { self.allowed(service, ports, &served, composed) };
        if composed.skip.is_some() || weaken != Weaken::No {
            return weaken;
        }
        let cut = match &composed.matching.dst_ports {
            _ if served.is_empty() => PortSet::default(),
            DestinationPorts::Except(all) => all.clone(),
            _ => ports.intersection(&served),
        };
        self.bound_served(service, cut, ports.is_empty(), whole, composed);
        self.answers(service, &asked, composed)
    }

    /// Cuts served ports out of the destination ports.
    fn allowed(
        &self,
        service: &Service,
        ports: &PortSet,
        allowed: &PortSet,
        composed: &mut Composed,
    ) -> Weaken {
        let (id, stage) = (&service.service_id, Stage::AllowedPorts);
        if ports.is_empty() {
            return self.unknown_ports(allowed, service, composed);
        }
        let left = ports.difference(allowed);
        if left.is_empty() {
            let why = format!("only ports {ports} are attacked, which service {id} serves");
            return self.only_allowed_ports(&why, composed);
        }
        let spared = ports.intersection(allowed);
        let text = if spared.is_empty() {
            format!("ports {ports} are attacked, service {id} serves {allowed}: nothing to leave out")
        } else {
            format!("ports {ports} are attacked, {spared} are left out because service {id} serves them")
        };
        composed.note(stage, StageResult::Pass, text);
        composed.matching.dst_ports = DestinationPorts::Only(left);
        Weaken::No
    }

    fn unknown_ports(&self, allowed: &PortSet, service: &Service, composed: &mut Composed) -> Weaken {
        let id = &service.service_id;
        let without =
            Matching { dst_ports: DestinationPorts::Except(allowed.clone()), ..composed.matching.clone() };
        if self.capacity().is_some() && split(&without, self.guardrails.max_ports).is_none() {
            let text = format!(
                "no attacked port is known, and ports {allowed} of service {id} are too many to be left out: all ports \
                 are policed at what the service can take"
            );
            composed.note(Stage::AllowedPorts, StageResult::Pass, text.as_str());
            composed.warnings.push(text);
            return Weaken::Police(Bound::Served);
        }
        match self.step.keys.on_unknown_ports {
            OnUnknownPorts::Exclude => {
                let text = format!(
                    "no attacked port is known: everything but ports {allowed} of service {id} (on_unknown_ports: \
                     exclude)"
                );
                composed.note(Stage::AllowedPorts, StageResult::Pass, text);
                composed.matching = without;
                Weaken::No
            }
            OnUnknownPorts::PoliceAll => {
                let text = format!(
                    "no attacked port is known: all ports, {allowed} of service {id} included, are policed, never \
                     discarded (on_unknown_ports: police_all)"
                );
                composed.note(Stage::AllowedPorts, StageResult::Pass, text);
                Weaken::Police(Bound::Served)
            }
        }
    }

    /// The rule covers ports of the service and cannot be narrowed: the step says what then.
    fn only_allowed_ports(&self, why: &str, composed: &mut Composed) -> Weaken {
        match self.step.keys.on_allowed_ports {
            OnAllowedPorts::Police => {
                let text = format!("{why}: policed, never discarded (on_allowed_ports: police)");
                composed.note(Stage::AllowedPorts, StageResult::Pass, text);
                Weaken::Police(Bound::Served)
            }
            OnAllowedPorts::Skip => {
                composed.skip = Some(format!("{why}: no rule (on_allowed_ports: skip)"));
                Weaken::No
            }
        }
    }

    fn portless(&self, why: &str, composed: &mut Composed) -> Weaken {
        let portless = Fragment::IS_FRAGMENT.union(Fragment::LAST_FRAGMENT);
        let pure = portless.contains(composed.matching.fragment);
        let (text, weaken) = if pure && self.step.keys.fragments == FragmentsOption::Discard {
            (format!("{why}: their fragments are treated like all others (fragments: discard)"), Weaken::No)
        } else {
            (
                format!(
                    "{why}: fragments are policed, never discarded, unless the step says fragments: discard"
                ),
                Weaken::NeverDiscard(Bound::Served),
            )
        };
        composed.note(Stage::AllowedPorts, StageResult::Pass, text);
        weaken
    }

    /// What was cut out of the destination ports passes, or is policed at what the service can take. `whole` is the match
    /// without it.
    fn bound_served(
        &self,
        service: &Service,
        cut: PortSet,
        unknown: bool,
        whole: Matching,
        composed: &mut Composed,
    ) {
        if cut.is_empty() {
            return;
        }
        let id = &service.service_id;
        let action = self.capacity().filter(|_| !self.marks()).and_then(|capacity| capacity.action().ok());
        let Some(action) = action else {
            let passes = if unknown {
                format!(
                    "the attacked ports are not known: ports {cut} of service {id} are left out, an attack on them \
                     passes this rule"
                )
            } else {
                format!("ports {cut} of service {id} are left out: what attacks them passes this rule")
            };
            let text = format!("{passes} (no capacity of the service is declared)");
            composed.note(Stage::AllowedPorts, StageResult::Info, text);
            composed.warnings.push(passes);
            return;
        };
        let text = format!(
            "ports {cut} of service {id} have a rule of their own, at what the service can take: {}",
            describe(&action)
        );
        composed.note(Stage::AllowedPorts, StageResult::Pass, text);
        let matching = Matching { dst_ports: DestinationPorts::Only(cut), ..whole };
        composed.companions.push(Companion { role: Role::Served, matching, action });
    }

    /// Answers that the service asked for come from ports of others: they are cut out and policed at what it can take, or
    /// the whole rule is policed.
    fn answers(&self, service: &Service, asked: &PortSet, composed: &mut Composed) -> Weaken {
        let matching = &composed.matching;
        let named = !matching.src_ports.is_empty();
        let hit = if named { matching.src_ports.intersection(asked) } else { asked.clone() };
        let Some(flags) = flags_of_answers(matching).filter(|_| !hit.is_empty()) else { return Weaken::No };
        let (id, stage) = (&service.service_id, Stage::AllowedPorts);
        let rest = matching.src_ports.difference(&hit);
        let without = if named {
            Matching { src_ports: rest.clone(), ..matching.clone() }
        } else {
            Matching { excluded_src_ports: hit.clone(), ..matching.clone() }
        };
        let is_whole = named && rest.is_empty();
        let can_be_cut = !is_whole && !self.marks() && self.may_match(&without);
        let bounded = self.answers_capacity().filter(|_| can_be_cut);
        let Some(action) = bounded.and_then(|capacity| capacity.action().ok()) else {
            if named {
                let text = format!(
                    "service {id} asks others on ports {hit} itself: the rule is policed, never discarded"
                );
                composed.note(stage, StageResult::Info, text);
                return Weaken::NeverDiscard(Bound::Answers);
            }
            if self.step.action == Action::Discard {
                let why = if self.answers_capacity().is_some() {
                    "they cannot be cut out of it"
                } else {
                    "no capacity says how many of them it can take"
                };
                let text = format!(
                    "the rule meets answers from ports {hit} that service {id} asks for, and {why}: the rule is policed, \
                     never discarded"
                );
                composed.note(stage, StageResult::Info, text.as_str());
                composed.warnings.push(text);
                return Weaken::NeverDiscard(Bound::Answers);
            }
            return Weaken::No;
        };
        let text = format!(
            "answers from ports {hit} that service {id} asks for have a rule of their own, at what it can take of them: \
             {}",
            describe(&action)
        );
        let from = Matching { src_ports: hit.clone(), ..matching.clone() };
        let answers = Matching { tcp_flags: flags.answers, ..from.clone() };
        let others = flags.others.map(|tcp_flags| Matching { tcp_flags, ..from });
        composed.matching = without;
        composed.note(stage, StageResult::Pass, text);
        composed.companions.push(Companion { role: Role::Answers, matching: answers, action });
        // what comes from these ports and answers nothing is treated like the rest
        let action = self.step.action;
        composed.companions.extend(others.map(|matching| Companion { role: Role::Main, matching, action }));
        Weaken::No
    }

    /// Reflected traffic: source ports that the service asks are taken from the list, into a policed rule of their own.
    fn reflected(&self, service: &Service, asked: &PortSet, composed: &mut Composed) -> Weaken {
        let hit = composed.matching.src_ports.intersection(asked);
        let rest = composed.matching.src_ports.difference(&hit);
        let (id, stage) = (&service.service_id, Stage::AllowedPorts);
        if hit.is_empty() {
            return Weaken::No;
        }
        if rest.is_empty() || self.marks() {
            let text = format!(
                "service {id} asks others on ports {hit} itself: the rule is policed, never discarded"
            );
            composed.note(stage, StageResult::Info, text);
            return Weaken::NeverDiscard(Bound::Answers);
        }
        match self.rate(Bound::Answers) {
            Ok(action) => {
                let text = format!(
                    "service {id} asks others on ports {hit} itself: they have a rule of their own, {}",
                    describe(&action)
                );
                composed.note(stage, StageResult::Pass, text);
                let matching = Matching { src_ports: hit, ..composed.matching.clone() };
                composed.companions.push(Companion { role: Role::Answers, matching, action });
                composed.matching.src_ports = rest;
            }
            Err(error) => composed.flaw(error.to_string()),
        }
        Weaken::No
    }
}

/// The TCP flags of answers within a match, and of all else in it; `None` where none of its packets can be an answer.
struct AnswerFlags {
    answers: TcpFlags,
    others: Option<TcpFlags>,
}

/// An answer of TCP always has ACK set (RFC 9293 §3.4): what has not is a connection attempt or forged.
fn flags_of_answers(matching: &Matching) -> Option<AnswerFlags> {
    if matching.protocol != Some(number::TCP) {
        return Some(AnswerFlags { answers: matching.tcp_flags, others: None });
    }
    let with = |word: &str| TcpFlags::from_words([word]).and_then(|flag| matching.tcp_flags.and(flag)).ok();
    Some(AnswerFlags { answers: with("ack")?, others: with("!ack") })
}

/// The ports of a protocol; of both where the rule is for any protocol.
fn of_protocol(ports: &ServicePorts, protocol: Option<u8>) -> PortSet {
    match protocol {
        Some(protocol) => ports.of(protocol).cloned().unwrap_or_default(),
        None => ports.udp.union(&ports.tcp),
    }
}
