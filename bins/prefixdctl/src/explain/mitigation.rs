//! A mitigation: what it does, where it is, how long it stays, who asked for it, and why.

use crate::explain::group::agreement;
use crate::explain::next::{Next, after_refusal, by_hand};
use crate::explain::words::ending;
use crate::explain::{decision, guardrail};
use crate::human::age;
use crate::output::{Eyes, Prose, Tone};
use crate::views::{action, mitigation_tone};
use chrono::{DateTime, Utc};
use prefix_client::{EndReason, Guardrail, Mitigation, MitigationStatus, Role, Victims};

/// So many hosts of a carpet are named.
const NAMED: usize = 8;

/// The one sentence: is it filtering, and if not, why not?
pub(crate) fn headline(mitigation: &Mitigation, eyes: Eyes) -> (Tone, String) {
    let victim = protected(mitigation);
    let vector = mitigation.vector.as_deref().unwrap_or("unknown");
    let tone = mitigation_tone(&mitigation.status);
    let text = match &mitigation.status {
        MitigationStatus::Active | MitigationStatus::Escalated => return living(mitigation, tone),
        MitigationStatus::Pending => {
            let problem = mitigation.bgp.error.as_ref().map(|error| format!(" ({error})"));
            format!(
                "{victim} is about to be mitigated against {vector}: the speaker has not confirmed the rule yet{}",
                problem.unwrap_or_default()
            )
        }
        MitigationStatus::Queued => {
            format!("{victim} is not mitigated yet: the rule against {vector} waits{}", why(mitigation))
        }
        MitigationStatus::Withdrawing => {
            format!("the rule for {victim} against {vector} is being taken away{}", because(mitigation))
        }
        MitigationStatus::Withdrawn | MitigationStatus::Expired => {
            let when = mitigation.withdrawn_at.map(|time| format!(" {}", age(time, eyes.now)));
            format!(
                "{victim} is no longer mitigated against {vector} by this rule: it ended{}{}",
                when.unwrap_or_default(),
                because(mitigation)
            )
        }
        MitigationStatus::Rejected => {
            let code = mitigation.guardrail.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
            format!("{victim} was not mitigated: guardrail{code} refused the rule{}", why(mitigation))
        }
        MitigationStatus::Other(word) => format!("{victim}: {word}"),
    };
    (tone, text)
}

/// What a rule protects: an address, or the prefix of a carpet.
fn protected(mitigation: &Mitigation) -> String {
    let prefix = mitigation.dst_prefix.filter(|_| mitigation.victims.is_some());
    prefix.map_or_else(|| mitigation.victim_ip.to_string(), |prefix| prefix.to_string())
}

/// A rule that lives may still be in no router.
fn living(mitigation: &Mitigation, tone: Tone) -> (Tone, String) {
    let victim = protected(mitigation);
    let vector = mitigation.vector.as_deref().unwrap_or("unknown");
    if mitigation.dry_run {
        let text = format!(
            "{victim} would be mitigated against {vector}, but prefixd runs in dry-run: nothing is announced"
        );
        return (tone, text);
    }
    if mitigation.bgp.peers_established == 0 {
        let text = format!(
            "{victim} has a rule against {vector}, but no router has it: no BGP session carries it, so nothing is filtered"
        );
        return (Tone::Bad, text);
    }
    let sources: Vec<_> = mitigation.leases.iter().map(|lease| lease.source.as_str()).collect();
    let because = match sources.as_slice() {
        // its unban was put off
        [] => ", although nobody reports it any more: it flaps, so its end waits (timers.flap_hold_seconds)"
            .to_owned(),
        [one] => format!(", because {one} reports it"),
        [first @ .., last] => format!(", because {} and {last} report it", first.join(", ")),
    };
    (tone, format!("{victim} is mitigated against {vector}{because}: {}", action(mitigation)))
}

/// Why a rule waits or was refused: what the server says, or what its guardrail means.
fn why(mitigation: &Mitigation) -> String {
    let meant = || mitigation.guardrail.as_ref().map(|code| guardrail(code.as_str()));
    mitigation.reason.as_deref().or_else(meant).map(|why| format!(": {why}")).unwrap_or_default()
}

fn because(mitigation: &Mitigation) -> String {
    let Some(reason) = &mitigation.end_reason else { return String::new() };
    let said = mitigation.reason.as_ref().filter(|_| *reason == EndReason::Operator);
    format!(", because {}{}", ending(reason), said.map(|text| format!(" ({text})")).unwrap_or_default())
}

/// What helps, as this mitigation stands.
pub(crate) fn advice(next: &mut Next, mitigation: &Mitigation) {
    let (id, ip) = (mitigation.mitigation_id, mitigation.victim_ip);
    let code = mitigation.guardrail.as_ref().map_or("", Guardrail::as_str);
    let said = mitigation.reason.as_deref().unwrap_or_default();
    match &mitigation.status {
        MitigationStatus::Rejected | MitigationStatus::Queued => {
            let waits = mitigation.status == MitigationStatus::Queued;
            after_refusal(next, code, said, ip, mitigation.customer_id.as_deref(), waits);
        }
        MitigationStatus::Pending => next.add("see why the speaker does not confirm it: `prefixdctl status`"),
        MitigationStatus::Active | MitigationStatus::Escalated => {
            if !mitigation.dry_run && mitigation.bgp.peers_established == 0 {
                next.add("see which session is down: `prefixdctl peers`");
            }
            next.add(format!("to end it: `prefixdctl mitigations withdraw {id} --reason …`"));
        }
        MitigationStatus::Withdrawing => {
            if mitigation.bgp.announced {
                next.add("the removal is repeated until the speaker confirms it; see `prefixdctl status`");
            }
        }
        MitigationStatus::Withdrawn | MitigationStatus::Expired => match &mitigation.end_reason {
            Some(EndReason::Operator) => {
                next.add(
                    "detectors cannot raise it again before timers.quiet_period_after_withdraw_seconds is over (they get \
                     `queued`)",
                );
                next.add(by_hand(ip));
            }
            Some(EndReason::MaxLifetime) => {
                next.add("detectors wait for guardrails.max_lifetime_cooldown_seconds; then the next report makes it again");
                next.add(by_hand(ip));
            }
            Some(EndReason::Panic) => next.add("see whether it is still frozen: `prefixdctl panic status`"),
            Some(EndReason::Safelist) => next.add("see the entry: `prefixdctl safelist list`"),
            Some(EndReason::Ttl | EndReason::DetectorUnban) => {
                next.add("nothing, if the attack is over: the next report makes a new rule");
            }
            _ => {}
        },
        MitigationStatus::Other(_) => {}
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
    let place = match (bgp.intended, bgp.announced) {
        (true, true) => format!("{pop}: in the speaker, {sessions}"),
        (true, false) => format!("{pop}: wanted, but the speaker does not have it yet"),
        (false, true) => format!("{pop}: no longer wanted, but the speaker still has it"),
        (false, false) => format!("{pop}: not announced"),
    };
    let speakers = bgp.speakers.iter().flatten().map(|speaker| {
        let has = if speaker.announced { "has it" } else { "does not have it" };
        let why = speaker.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("{} {has}{why}", speaker.name)
    });
    [place].into_iter().chain(speakers).collect::<Vec<_>>().join("; ")
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
    let (tone, text) = headline(mitigation, eyes);
    prose.toned(tone, &text);
    prose.line("");
    steps(&mut prose, mitigation);
    let mut next = Next::default();
    advice(&mut next, mitigation);
    next.show(&mut prose);
    prose.finish()
}

/// What it does, where it is, who asked for it, and how that was decided.
pub(crate) fn steps(prose: &mut Prose, mitigation: &Mitigation) {
    let eyes = prose.eyes;
    rule_facts(prose, mitigation);
    people_facts(prose, mitigation);
    if !mitigation.warnings.is_empty() {
        prose.heading("What the rule may miss");
        for warning in &mitigation.warnings {
            prose.item(Tone::Warn, "!", warning);
        }
    }
    if let Some(made) = &mitigation.decision {
        prose.line("");
        prose.line(decision(eyes, made, mitigation.status != MitigationStatus::Rejected));
    }
}

/// What it does, where it is, and how long it stays.
fn rule_facts(prose: &mut Prose, mitigation: &Mitigation) {
    prose.fact("id", &mitigation.mitigation_id.to_string());
    let step =
        if mitigation.playbook.is_some() { format!(", step {}", mitigation.step) } else { String::new() };
    prose.fact("status", &format!("{}{step}", mitigation.status));
    if let Some(code) = &mitigation.guardrail {
        let label = if mitigation.status == MitigationStatus::Queued { "waits" } else { "refused" };
        prose.fact(label, &format!("{code}: {}", guardrail(code.as_str())));
    }
    let flow = mitigation.flow.as_ref();
    prose.fact_of("rule", flow.map(|flow| format!("{}: {flow}", action(mitigation))));
    prose.fact("where", &place(mitigation));
    prose.fact_of("problem", mitigation.bgp.error.as_ref());
    let now = prose.eyes.now;
    prose.fact("when", &times(mitigation, now));
    prose.fact_of("ended", mitigation.end_reason.as_ref().map(ending));
    let parent = mitigation.parent_id;
    prose.fact_of("part of", parent.map(|id| format!("mitigation {id}, {}", purpose(mitigation))));
    let took =
        if mitigation.end_reason == Some(EndReason::Superseded) { "its place" } else { "the rule over" };
    prose.fact_of("heir", mitigation.superseded_by.map(|id| format!("mitigation {id} took {took}")));
    prose.fact_of("carpet", mitigation.victims.as_ref().map(carpet));
    let other = mitigation.shadowed_by;
    prose.fact_of("behind", other.map(|id| format!("mitigation {id}, which routers apply first")));
}

/// How many attacked hosts a carpet holds, and the first of them.
fn carpet(victims: &Victims) -> String {
    let named: Vec<String> = victims.addresses.iter().take(NAMED).map(ToString::to_string).collect();
    let more = victims.count.saturating_sub(u64::try_from(named.len()).unwrap_or(u64::MAX));
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    match victims.count {
        0 => "one rule for the whole prefix, which was reported as a whole".to_owned(),
        count => {
            format!("one rule in the place of those of {count} attacked hosts: {}{rest}", named.join(", "))
        }
    }
}

/// What a companion does for its mitigation.
fn purpose(mitigation: &Mitigation) -> &'static str {
    match &mitigation.role {
        Some(Role::Served) => "whose rule leaves these served ports out: here they are bounded",
        Some(Role::Answers) => "whose rule leaves these answers out: here they are bounded",
        Some(Role::Fragments) => "whose fragments it handles",
        _ => "whose rule it goes on with",
    }
}

/// Who asked for it, whom it protects, and what people said of it.
fn people_facts(prose: &mut Prose, mitigation: &Mitigation) {
    let now = prose.eyes.now;
    for lease in &mitigation.leases {
        let last =
            lease.last_event_at.map(|time| format!(" reported {}", age(time, now))).unwrap_or_default();
        let until = lease.expires_at.map(|time| format!(", its claim ends {}", age(time, now)));
        prose.fact("source", &format!("{}{last}{}", lease.source, until.unwrap_or_default()));
    }
    if let Some(found) = &mitigation.correlation {
        let agreed = agreement(found.explanation.as_ref(), found.source_count, found.derived_confidence);
        prose.fact("agree", &agreed);
        prose.fact_of("group", found.signal_group_id);
    }
    if let Some(customer) = &mitigation.customer_id {
        let service = mitigation.service_id.as_ref().map(|service| format!(", service {service}"));
        prose.fact("for", &format!("customer {customer}{}", service.unwrap_or_default()));
    }
    prose.fact_of("reason", mitigation.reason.as_ref());
    if let Some(person) = &mitigation.acknowledged_by {
        let when = mitigation.acknowledged_at.map(|time| format!(", {}", age(time, now)));
        prose.fact("noted by", &format!("{person}{}", when.unwrap_or_default()));
    }
}
