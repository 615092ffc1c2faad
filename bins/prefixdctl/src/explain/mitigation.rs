//! A mitigation: what it does, where it is, how long it stays, who asked for it, and why.

use crate::explain::{decision, guardrail};
use crate::human::age;
use crate::output::{Eyes, Prose, Tone};
use crate::views::{action, mitigation_tone};
use chrono::{DateTime, Utc};
use prefix_client::{EndReason, Mitigation, MitigationStatus};

/// Is it filtering? The first thing anybody wants to know.
fn headline(mitigation: &Mitigation) -> String {
    let victim = mitigation.victim_ip;
    let vector = mitigation.vector.as_deref().unwrap_or("unknown");
    match &mitigation.status {
        MitigationStatus::Active | MitigationStatus::Escalated if mitigation.dry_run => {
            format!(
                "{victim} would be mitigated against {vector}, but prefixd runs in dry-run: nothing is announced"
            )
        }
        MitigationStatus::Active | MitigationStatus::Escalated => {
            format!("{victim} is mitigated against {vector}")
        }
        MitigationStatus::Pending => format!("{victim} is about to be mitigated against {vector}"),
        MitigationStatus::Queued => format!("{victim} is not mitigated yet: the rule against {vector} waits"),
        MitigationStatus::Withdrawing => format!("the rule for {victim} is being taken away"),
        MitigationStatus::Withdrawn => format!("the rule for {victim} was taken away"),
        MitigationStatus::Expired => format!("the rule for {victim} ran out"),
        MitigationStatus::Rejected => format!("{victim} was not mitigated: the rule was refused"),
        MitigationStatus::Other(word) => format!("{victim}: {word}"),
    }
}

fn place(mitigation: &Mitigation) -> String {
    let bgp = &mitigation.bgp;
    let pop = &mitigation.pop;
    let sessions = match bgp.peers_established {
        0 => "but no BGP session carries it: no router has it".to_owned(),
        1 => "carried by 1 BGP session".to_owned(),
        count => format!("carried by {count} BGP sessions"),
    };
    match (bgp.intended, bgp.announced) {
        (true, true) => format!("{pop}: in the speaker, {sessions}"),
        (true, false) => format!("{pop}: wanted, but the speaker does not have it yet"),
        (false, true) => format!("{pop}: no longer wanted, but the speaker still has it"),
        (false, false) => format!("{pop}: not announced"),
    }
}

/// Why it ended, in words.
fn ending(reason: &EndReason) -> &str {
    match reason {
        EndReason::Ttl => "nobody reported the attack any more",
        EndReason::MaxLifetime => "it had lived as long as a rule may",
        EndReason::Operator => "an operator withdrew it",
        EndReason::DetectorUnban => "the last detector called the attack over",
        EndReason::Panic => "the kill switch was used",
        EndReason::Safelist => "its destination was safelisted",
        EndReason::Revalidation => "it no longer passed the checks after a change of configuration",
        EndReason::DryRunEnded => "it was only rehearsed, and the rehearsal ended",
        EndReason::Other(word) => word,
    }
}

fn times(mitigation: &Mitigation, now: DateTime<Utc>) -> String {
    let mut parts = Vec::new();
    parts.extend(mitigation.created_at.map(|time| format!("since {}", age(time, now))));
    if mitigation.status.is_final() {
        parts.extend(mitigation.withdrawn_at.map(|time| format!("gone {}", age(time, now))));
    } else if let Some(time) = mitigation.expires_at {
        parts.push(format!("ends {} unless somebody reports again", age(time, now)));
    }
    parts.join(", ")
}

/// A mitigation.
pub(crate) fn mitigation(eyes: Eyes, mitigation: &Mitigation) -> String {
    let mut prose = Prose::new(eyes);
    prose.toned(mitigation_tone(&mitigation.status), &headline(mitigation));
    prose.line("");
    rule_facts(&mut prose, mitigation);
    people_facts(&mut prose, mitigation);
    if !mitigation.warnings.is_empty() {
        prose.heading("What the rule may miss");
        for warning in &mitigation.warnings {
            prose.item(Tone::Warn, "!", warning);
        }
    }
    if let Some(made) = &mitigation.decision {
        prose.line("");
        prose.line(decision(eyes, made));
    }
    prose.finish()
}

/// What it does, where it is, and how long it stays.
fn rule_facts(prose: &mut Prose, mitigation: &Mitigation) {
    prose.fact("id", &mitigation.mitigation_id.to_string());
    let step =
        if mitigation.playbook.is_some() { format!(", step {}", mitigation.step) } else { String::new() };
    prose.fact("status", &format!("{}{step}", mitigation.status));
    if let Some(code) = &mitigation.guardrail {
        let label = if mitigation.status == MitigationStatus::Queued { "waits" } else { "refused" };
        prose.fact(label, &format!("{code}: {}", guardrail(code)));
    }
    if let Some(flow) = &mitigation.flow {
        prose.fact("rule", &format!("{}: {flow}", action(mitigation)));
    }
    prose.fact("where", &place(mitigation));
    if let Some(error) = &mitigation.bgp.error {
        prose.fact("problem", error);
    }
    let now = prose.eyes().now;
    prose.fact("when", &times(mitigation, now));
    if let Some(reason) = &mitigation.end_reason {
        prose.fact("ended", ending(reason));
    }
    if let Some(parent) = mitigation.parent_id {
        prose.fact("part of", &format!("mitigation {parent}, whose fragments it handles"));
    }
    if let Some(heir) = mitigation.superseded_by {
        prose.fact("heir", &format!("mitigation {heir} took the rule over"));
    }
    if let Some(other) = mitigation.shadowed_by {
        prose.fact("behind", &format!("mitigation {other}, which routers apply first"));
    }
}

/// Who asked for it, whom it protects, and what people said of it.
fn people_facts(prose: &mut Prose, mitigation: &Mitigation) {
    let now = prose.eyes().now;
    for lease in &mitigation.leases {
        let last =
            lease.last_event_at.map(|time| format!(" reported {}", age(time, now))).unwrap_or_default();
        let until = lease.expires_at.map(|time| format!(", its claim ends {}", age(time, now)));
        prose.fact("source", &format!("{}{last}{}", lease.source, until.unwrap_or_default()));
    }
    if let Some(customer) = &mitigation.customer_id {
        let service = mitigation.service_id.as_ref().map(|service| format!(", service {service}"));
        prose.fact("for", &format!("customer {customer}{}", service.unwrap_or_default()));
    }
    if let Some(reason) = &mitigation.reason {
        prose.fact("reason", reason);
    }
    if let Some(person) = &mitigation.acknowledged_by {
        let when = mitigation.acknowledged_at.map(|time| format!(", {}", age(time, now)));
        prose.fact("noted by", &format!("{person}{}", when.unwrap_or_default()));
    }
}
