//! A signal group: is it enough, and if not, what is missing.

use crate::explain::next::{Next, wait_for_agreement};
use crate::explain::words::until;
use crate::output::{Eyes, Prose, Tone};
use prefix_client::{GroupStatus, SignalGroup};

/// What a group lacks: `1 more source` or `confidence 0.6 of 0.8`, or both.
fn lacks(group: &SignalGroup) -> Option<String> {
    let required = group.required?;
    let sources = group.source_count.unwrap_or_default();
    let confidence = group.derived_confidence.unwrap_or_default();
    let mut missing = Vec::new();
    match required.min_sources.saturating_sub(sources) {
        0 => {}
        1 => missing.push("one more source".to_owned()),
        more => missing.push(format!("{more} more sources")),
    }
    if confidence < required.confidence_threshold {
        missing.push(format!(
            "confidence {} (it is {})",
            short(required.confidence_threshold),
            short(confidence)
        ));
    }
    if missing.is_empty() {
        missing.push("a report of a source that can trigger".to_owned());
    }
    Some(missing.join(" and "))
}

/// What a group that is still open needs, and until when.
pub(crate) fn needs(group: &SignalGroup, eyes: Eyes) -> String {
    let missing = lacks(group).unwrap_or_else(|| "agreement".to_owned());
    let end = group.window_expires_at.map(|end| format!(" until {}", until(end, eyes.now)));
    missing + &end.unwrap_or_default()
}

/// At most three digits after the point.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn headline(group: &SignalGroup, eyes: Eyes) -> (Tone, String) {
    let attack =
        format!("the attack {} on {}", group.vector.as_deref().unwrap_or("unknown"), group.victim_ip);
    match &group.status {
        GroupStatus::Open => (Tone::Warn, format!("{attack} is held: it needs {}", needs(group, eyes))),
        GroupStatus::Resolved => {
            (Tone::Good, format!("{attack} was agreed on and handed on to a mitigation"))
        }
        GroupStatus::Expired => {
            let when = group.window_expires_at.map(|end| format!(" {}", until(end, eyes.now)));
            (Tone::Dim, format!("{attack} was not agreed on: its window ended{}", when.unwrap_or_default()))
        }
        GroupStatus::Other(word) => (Tone::Plain, format!("{attack}: {word}")),
    }
}

/// The facts of a group.
pub(crate) fn facts(prose: &mut Prose, group: &SignalGroup) {
    prose.fact("group", &format!("{}, {}", group.group_id, group.status));
    prose.fact("agree", &agreement(group.explanation.as_ref(), group.source_count, group.derived_confidence));
    let playbook = group.playbook_name.as_ref();
    prose.fact_of("playbook", playbook.map(|playbook| format!("{playbook}, whose terms count")));
    let dimensions = &group.primary_dimensions;
    for (label, values) in [
        ("customer", &dimensions.customer_ids),
        ("service", &dimensions.service_ids),
        ("at", &dimensions.interfaces),
        ("pop", &dimensions.pops),
    ] {
        if !values.is_empty() {
            prose.fact(label, &values.join(", "));
        }
    }
    prose.fact_of("rule", group.mitigation_id.map(|id| format!("mitigation {id}")));
}

/// How far the sources agree, in the words of the server if it has some.
pub(crate) fn agreement(told: Option<&String>, sources: Option<u32>, confidence: Option<f64>) -> String {
    told.cloned().unwrap_or_else(|| {
        let (sources, confidence) = (sources.unwrap_or_default(), short(confidence.unwrap_or_default()));
        format!("{sources} sources, confidence {confidence}")
    })
}

/// A group.
pub(crate) fn group(eyes: Eyes, group: &SignalGroup) -> String {
    let mut prose = Prose::new(eyes);
    let (tone, text) = headline(group, eyes);
    prose.toned(tone, &text);
    prose.line("");
    facts(&mut prose, group);
    let mut next = Next::default();
    match (&group.status, group.mitigation_id) {
        (GroupStatus::Open, _) => wait_for_agreement(&mut next, group, eyes),
        (_, Some(id)) => next.add(format!("see its mitigation: `prefixdctl explain {id}`")),
        _ => {}
    }
    next.show(&mut prose);
    prose.finish()
}
