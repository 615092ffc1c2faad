//! An event: what was reported, what became of it, and why.

use crate::explain::decision::{decision, rule_line};
use crate::explain::group::{facts as group_facts, needs};
use crate::explain::mitigation::{advice as mitigation_advice, headline as mitigation_headline};
use crate::explain::next::{Next, after_refusal, by_hand, wait_for_agreement};
use crate::explain::words::{status, stopped_by, until};
use crate::human::age;
use crate::output::{Eyes, Prose, Tone};
use crate::views::attacked;
use prefix_client::{
    Event, EventAction, EventMatch, EventStatus, GroupStatus, Guardrail, Mitigation, MitigationStatus,
    SignalGroup, Stage, StageResult,
};

/// An event with what it led to, as far as that could be read.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) event: Event,
    /// The mitigation that it made or touched.
    pub(crate) mitigation: Option<Mitigation>,
    /// The group that it joined.
    pub(crate) group: Option<SignalGroup>,
}

impl From<Event> for Reported {
    fn from(event: Event) -> Self {
        Self { event, mitigation: None, group: None }
    }
}

/// The one sentence: is the address mitigated because of this report, and if not, why not.
pub(crate) fn answer(reported: &Reported, eyes: Eyes) -> (Tone, String) {
    let Reported { event, mitigation, group } = reported;
    let ip = attacked(event);
    let why = event.decision.as_ref().and_then(stopped_by);
    let not = |why: &str| (Tone::Warn, format!("{ip} is not mitigated: {why}"));
    let now_there = |did: &str| match mitigation {
        Some(mitigation) => {
            let (tone, text) = mitigation_headline(mitigation, eyes);
            (tone, format!("{text}; {did}"))
        }
        None => (Tone::Plain, format!("{ip}: {did}")),
    };
    match event.status.as_ref() {
        Some(EventStatus::Accepted) => now_there("this report made the rule"),
        Some(EventStatus::Extended) => now_there("this report renewed a rule that was there already"),
        Some(EventStatus::Queued) => match mitigation {
            Some(_) => now_there("this report asked for the rule"),
            None => not(&format!("the rule waits: {}", why.unwrap_or("a limit is reached"))),
        },
        Some(EventStatus::Held) => held(reported, eyes, why),
        Some(EventStatus::AcceptedNoPlaybook) => not(why.unwrap_or("no playbook asks for a rule")),
        Some(EventStatus::AcceptedNoMitigation) => not(why.unwrap_or("this report alone never mitigates")),
        Some(EventStatus::Rejected) => {
            let code = event.decision.as_ref().and_then(|decision| decision.guardrail.clone());
            let code = code.or_else(|| mitigation.as_ref()?.guardrail.clone());
            let code = code.map(|code| format!(" {code}")).unwrap_or_default();
            let text = why.or_else(|| mitigation.as_ref()?.reason.as_deref());
            not(&format!("guardrail{code} refused the rule: {}", text.unwrap_or("it gave no reason")))
        }
        Some(EventStatus::Withdrawn) => {
            now_there("this report called the attack over, and nobody else reported it")
        }
        Some(EventStatus::Released) => {
            // the decision knows whether others report it, or the rule is kept because it flaps
            let kept = event.decision.as_ref().and_then(|decision| decision.trace.first());
            let kept = kept.map_or("the rule stays for now", |entry| entry.detail.as_str());
            now_there(&format!("this detector called the attack over: {kept}"))
        }
        Some(word @ (EventStatus::NoActiveMitigation | EventStatus::NotFound)) => {
            let (source, why) = (&event.source, status(word, None));
            let text = format!("{source}'s report that an attack on {ip} is over changed nothing: {why}");
            (Tone::Plain, text)
        }
        Some(word @ EventStatus::Other(_)) => (Tone::Plain, format!("{ip}: {}", status(word, None))),
        None => match group {
            Some(_) => held(reported, eyes, why),
            None => not(why.unwrap_or("nothing is known of the outcome")),
        },
    }
}

fn held(reported: &Reported, eyes: Eyes, why: Option<&str>) -> (Tone, String) {
    let ip = attacked(&reported.event);
    let Some(group) = &reported.group else {
        let why = why.unwrap_or("it waits for another detector to agree");
        return (Tone::Warn, format!("{ip} is not mitigated: {why}"));
    };
    match &group.status {
        GroupStatus::Open => {
            let (source, needs) = (&reported.event.source, needs(group, eyes));
            (Tone::Warn, format!("{ip} is not mitigated: {source} reports it, and the rule needs {needs}"))
        }
        GroupStatus::Resolved => match &reported.mitigation {
            Some(mitigation) => {
                let (tone, text) = mitigation_headline(mitigation, eyes);
                (tone, format!("{text}; this report was held until others agreed"))
            }
            None => {
                (Tone::Plain, format!("{ip}: this report was held until others agreed; then a rule was made"))
            }
        },
        _ => {
            let end = group.window_expires_at.map(|end| format!(" at {}", until(end, eyes.now)));
            let end = end.unwrap_or_default();
            let why = "not enough detectors agreed before the window ended";
            (Tone::Warn, format!("{ip} is not mitigated: {why}{end}"))
        }
    }
}

/// What was said, in one line.
pub(crate) fn said(event: &Event, eyes: Eyes) -> String {
    let source = &event.source;
    let vector = event.vector.as_deref().unwrap_or("an attack");
    let said = match &event.action {
        Some(EventAction::Unban) => format!("{source} reported that {vector} on {} is over", attacked(event)),
        _ => format!("{source} reported {vector} on {}", attacked(event)),
    };
    let when = event.ingested_at.map(|time| format!(", {}", age(time, eyes.now))).unwrap_or_default();
    format!("{said}{when}")
}

fn facts(prose: &mut Prose, event: &Event) {
    let mut size = Vec::new();
    size.extend(event.bps.map(|rate| rate.to_string()));
    size.extend(event.pps.map(|rate| rate.to_string()));
    if !event.top_dst_ports.is_empty() {
        let ports: Vec<_> = event.top_dst_ports.iter().map(ToString::to_string).collect();
        size.push(format!("ports {}", ports.join(", ")));
    }
    size.extend(event.matches.as_ref().and_then(shared));
    size.extend(event.confidence.map(|confidence| format!("confidence {confidence}")));
    if !size.is_empty() {
        prose.fact("attack", &size.join(", "));
    }
    let outcome = event.status.as_ref().map(|word| format!("{word}: {}", status(word, None)));
    prose.fact_of("outcome", outcome);
    prose.fact_of("rule", event.mitigation_id.map(|id| format!("mitigation {id}")));
}

/// What else its packets share, in the words of a rule.
fn shared(matches: &EventMatch) -> Option<String> {
    let EventMatch { src_ports, packet_length, tcp_flags, fragment, icmp_type } = matches;
    let list = |word: &str, values: Vec<String>| {
        (!values.is_empty()).then(|| format!("{word} {}", values.join(", ")))
    };
    let length = packet_length.as_ref().map(|length| {
        if length.min == length.max {
            format!("length {}", length.min)
        } else {
            format!("length {}-{}", length.min, length.max)
        }
    });
    let said = [
        list("source ports", src_ports.iter().map(ToString::to_string).collect()),
        list("ICMP types", icmp_type.iter().map(ToString::to_string).collect()),
        list("flags", tcp_flags.clone()),
        length,
        list("fragments", fragment.clone()),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// What helps, after this report.
pub(crate) fn advice(next: &mut Next, reported: &Reported, eyes: Eyes) {
    let Reported { event, mitigation, group } = reported;
    let decision = event.decision.as_ref();
    let why = decision.and_then(stopped_by).unwrap_or_default();
    match event.status.as_ref() {
        Some(EventStatus::Rejected) => {
            let code = decision.and_then(|decision| decision.guardrail.as_ref());
            let code = code.or_else(|| mitigation.as_ref()?.guardrail.as_ref()).map(Guardrail::as_str);
            let customer = decision.and_then(|decision| decision.customer_id.as_deref());
            after_refusal(next, code.unwrap_or_default(), why, event.victim_ip, customer, false);
        }
        Some(EventStatus::Held) => match group {
            Some(group) if group.status == GroupStatus::Open => wait_for_agreement(next, group, eyes),
            Some(group) if group.mitigation_id.is_some() => {}
            _ => {
                next.add("it is weighed anew with the next report: the other detectors have to report within one window");
                next.add(by_hand(event.victim_ip));
            }
        },
        Some(EventStatus::AcceptedNoPlaybook) => {
            if decision.is_some_and(|decision| {
                decision
                    .trace
                    .iter()
                    .any(|line| line.stage == Stage::AllowedPorts && line.result == StageResult::Stop)
            }) {
                next.add("to police its own ports instead, set on_allowed_ports: police in the step of the playbook");
            } else {
                next.add("add a playbook for this vector, or a default_playbook, to playbooks.yaml, then `prefixdctl reload`");
            }
            next.add(by_hand(event.victim_ip));
        }
        Some(EventStatus::AcceptedNoMitigation) => {
            let ours = decision.is_some_and(|decision| decision.customer_id.is_some())
                || why.contains("is an address of customer")
                || why.contains("does not mitigate alone");
            if !ours {
                next.add("if the address is ours, add it to inventory.yaml, then `prefixdctl config check` and `prefixdctl reload`");
            }
        }
        _ => {}
    }
    if let Some(mitigation) = mitigation.as_ref().filter(|_| event.status != Some(EventStatus::Rejected)) {
        mitigation_advice(next, mitigation);
    }
}

/// An event in full.
pub(crate) fn event(eyes: Eyes, reported: &Reported) -> String {
    let mut prose = Prose::new(eyes);
    let (tone, text) = answer(reported, eyes);
    prose.toned(tone, &text);
    prose.line("");
    steps(&mut prose, reported);
    let mut next = Next::default();
    advice(&mut next, reported, eyes);
    next.show(&mut prose);
    prose.finish()
}

/// What was reported, and how that was decided.
pub(crate) fn steps(prose: &mut Prose, reported: &Reported) {
    let eyes = prose.eyes;
    let event = &reported.event;
    prose.toned(Tone::Strong, &said(event, eyes));
    facts(prose, event);
    if let Some(group) = &reported.group {
        group_facts(prose, group);
    }
    if let Some(mitigation) = &reported.mitigation {
        let label = if mitigation.status == MitigationStatus::Rejected { "wanted" } else { "does" };
        prose.fact(label, &rule_line(mitigation));
    }
    if let Some(made) = &event.decision {
        prose.line("");
        prose.line(decision(eyes, made, event.status == Some(EventStatus::Queued)));
    }
}
