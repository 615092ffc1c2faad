//! A decision, stage by stage, and the event that led to it.

use crate::explain::{guardrail, status};
use crate::human::{age, span};
use crate::output::{Eyes, Prose, Tone};
use prefix_client::{ActionType, DecidedRule, Decision, Event, EventAction, TraceLine};

/// What the outcome of a decision means.
fn outcome(word: &str) -> &str {
    match word {
        "mitigate" => "make a rule",
        "extend" => "renew the rule that is there",
        "hold" => "wait for another detector to agree",
        "no_playbook" => "make no rule: no playbook asks for one",
        "not_mitigated" => "make no rule",
        "refuse" => "refuse the rule",
        "withdraw" => "take the rule away",
        "release" => "let this detector go; the rule stays",
        "none" => "do nothing",
        other => other,
    }
}

fn rule(rule: &DecidedRule) -> String {
    let mut words = Vec::new();
    words.extend(rule.action_type.as_ref().map(ToString::to_string));
    if rule.action_type != Some(ActionType::Discard) {
        words.extend(rule.rate_bps.map(|rate| rate.to_string()));
        words.extend(rule.rate_pps.map(|rate| rate.to_string()));
    }
    let flow = rule.flow.as_ref().map(|flow| format!(": {flow}")).unwrap_or_default();
    let ttl = rule.ttl_seconds.map(|ttl| format!(" (for {} unless renewed)", span(ttl))).unwrap_or_default();
    format!("{}{flow}{ttl}", words.join(" "))
}

fn trace(prose: &mut Prose, line: &TraceLine) {
    let (mark, tone) = match line.result.as_str() {
        "pass" => ("✓", Tone::Good),
        "stop" => ("✗", Tone::Bad),
        "skip" => ("-", Tone::Dim),
        _ => ("·", Tone::Plain),
    };
    prose.item(tone, mark, &format!("{:<14} {}", line.stage.replace('_', " "), line.detail));
}

/// A decision.
pub(crate) fn decision(eyes: Eyes, decision: &Decision) -> String {
    let mut prose = Prose::new(eyes);
    prose.heading(&format!("The decision was to {}", outcome(&decision.outcome)));
    for (label, value) in [
        ("customer", &decision.customer_id),
        ("service", &decision.service_id),
        ("profile", &decision.profile),
    ] {
        if let Some(value) = value {
            prose.fact(label, value);
        }
    }
    if let Some(playbook) = &decision.playbook {
        let step = decision.step.map(|step| format!(", step {step}")).unwrap_or_default();
        prose.fact("playbook", &format!("{playbook}{step}"));
    }
    if let Some(wanted) = &decision.rule {
        prose.fact("rule", &rule(wanted));
    }
    if let Some(code) = &decision.guardrail {
        prose.fact("refused", &format!("{code}: {}", guardrail(code)));
    }
    if !decision.trace.is_empty() {
        prose.heading("Step by step");
        for line in &decision.trace {
            trace(&mut prose, line);
        }
    }
    prose.finish()
}

/// What an event says, and what became of it.
pub(crate) fn event(eyes: Eyes, event: &Event) -> String {
    let source = &event.source;
    let vector = event.vector.as_deref().unwrap_or("an attack");
    let said = match &event.action {
        Some(EventAction::Unban) => format!("{source} reported that {vector} on {} is over", event.victim_ip),
        _ => format!("{source} reported {vector} on {}", event.victim_ip),
    };
    let when = event.ingested_at.map(|time| format!(", {}", age(time, eyes.now))).unwrap_or_default();
    let mut prose = Prose::new(eyes);
    prose.toned(Tone::Strong, &format!("{said}{when}"));
    let mut size = Vec::new();
    size.extend(event.bps.map(|rate| rate.to_string()));
    size.extend(event.pps.map(|rate| rate.to_string()));
    if !event.top_dst_ports.is_empty() {
        let ports: Vec<_> = event.top_dst_ports.iter().map(ToString::to_string).collect();
        size.push(format!("ports {}", ports.join(", ")));
    }
    size.extend(event.confidence.map(|confidence| format!("confidence {confidence}")));
    if !size.is_empty() {
        prose.fact("attack", &size.join(", "));
    }
    if let Some(word) = &event.status {
        prose.fact("outcome", &format!("{word}: {}", status(word, None)));
    }
    if let Some(id) = event.mitigation_id {
        prose.fact("rule", &format!("mitigation {id}"));
    }
    if let Some(made) = &event.decision {
        prose.line("");
        prose.line(decision(eyes, made));
    }
    prose.finish()
}
