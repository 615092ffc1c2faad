//! A decision, stage by stage.

use crate::explain::guardrail;
use crate::human::span;
use crate::output::{Eyes, Prose, Tone};
use crate::views::action;
use prefix_client::{
    ActionType, DecidedRule, Decision, DecisionOutcome, Mitigation, Role, StageResult, TraceEntry,
};

/// What the outcome of a decision means.
fn outcome(word: &str, waits: bool) -> &str {
    match word {
        "refuse" if waits => "let the rule wait",
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
    let ttl =
        rule.ttl_seconds.map(|ttl| format!(" (for {} unless renewed)", span(ttl.into()))).unwrap_or_default();
    format!("{}{flow}{ttl}", words.join(" "))
}

fn trace(prose: &mut Prose, line: &TraceEntry, outcome: &DecisionOutcome) {
    let (mark, tone) = match line.result {
        // where nothing more was to be done, because a rule does the work already
        StageResult::Stop if *outcome == DecisionOutcome::Extend => ("✓", Tone::Good),
        StageResult::Pass => ("✓", Tone::Good),
        StageResult::Stop => ("✗", Tone::Bad),
        StageResult::Skip => ("-", Tone::Dim),
        StageResult::Info | StageResult::Other(_) => ("·", Tone::Plain),
    };
    prose.item(tone, mark, &format!("{:<14} {}", line.stage.as_str().replace('_', " "), line.detail));
}

/// A decision; a refusal that is one for a time only makes the rule wait.
pub(crate) fn decision(eyes: Eyes, decision: &Decision, waits: bool) -> String {
    let mut prose = Prose::new(eyes);
    prose.heading(&format!("The decision was to {}", outcome(decision.outcome.as_str(), waits)));
    prose.fact_of("customer", decision.customer_id.as_ref());
    prose.fact_of("service", decision.service_id.as_ref());
    prose.fact_of("profile", decision.profile.as_ref());
    if let Some(playbook) = &decision.playbook {
        let step = decision.step.map(|step| format!(", step {step}")).unwrap_or_default();
        prose.fact("playbook", &format!("{playbook}{step}"));
    }
    prose.fact_of("rule", decision.rule.as_ref().map(rule));
    for companion in decision.companions.iter().flatten() {
        let role = companion.role.as_ref().map_or("further", Role::as_str);
        prose.fact(if role == "main" { "further" } else { role }, &rule(companion));
    }
    if let Some(code) = &decision.guardrail {
        let label = if waits { "waits" } else { "refused" };
        prose.fact(label, &format!("{code}: {}", guardrail(code.as_str())));
    }
    if !decision.trace.is_empty() {
        prose.heading("Step by step");
        for line in &decision.trace {
            trace(&mut prose, line, &decision.outcome);
        }
    }
    prose.finish()
}

/// What the rule of a mitigation does.
pub(crate) fn rule_line(mitigation: &Mitigation) -> String {
    match &mitigation.flow {
        Some(flow) => format!("{}: {flow}", action(mitigation)),
        None => "no rule could be built".to_owned(),
    }
}
