//! Rules that wait for room take less of it together: queued rules of one victim become one where that takes the same
//! packets (http-api.md §6).

use prefix_core::address::Prefix;
use prefix_core::announcer::Route;
use prefix_core::decision::{DecidedRule, Stage, StageResult};
use prefix_core::event::Report;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::lease::Lease;
use prefix_core::matching::Matching;
use prefix_core::mitigation::{MOST_PARTS, Mitigation, Part, ReportedMatch, Status};
use prefix_core::name::{ExternalEventId, SourceName, VectorName};

use super::ban::hold;
use super::groups::add_lease;
use super::ingest::Intake;
use super::unban::counted_as_fragments;
use super::unit_of_work::UnitOfWork;
use crate::guardrails::Candidate;
use crate::unite::united;
use crate::verdict::Plan;

/// Adds what is wanted to a mitigation of the victim that waits for room already, if both together are one rule with the
/// same action, rate and TTL, and the same companions. Returns which one, and the rule it has now.
pub(super) fn into_queued(
    uow: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    (plan, companions): (&Plan, &[Plan]),
    vector: &VectorName,
    leases: &[Lease],
) -> Option<(MitigationId, String)> {
    if plan.carpet.is_some() {
        return None;
    }
    let victim = intake.report.victim_ip;
    let waits = |row: &Mitigation| {
        row.is_of(victim)
            && row.status == Status::Queued
            && row.expires_at > uow.now
            && row.parent_id.is_none()
            && row.guardrail != Some(Guardrail::QuietPeriod)
            && row.customer_id == plan.customer_id
            && (row.action, row.ttl) == (plan.action, plan.ttl)
            && row.correlation.as_ref().map(|known| known.signal_group_id) == intake.group
    };
    let waiting = uow.of_victim(victim, waits);
    let added = Part {
        vector: vector.clone(),
        playbook: plan.playbook.clone(),
        matching: plan.matching.clone(),
        reported: plan.reported.clone(),
        warnings: plan.warnings.clone(),
        reporters: reporters(leases),
    };
    let (id, parts, rule) = waiting.into_iter().find_map(|id| {
        if !has_companions(uow, id, companions) {
            return None;
        }
        let parts = with(uow.row(id)?, &added)?;
        let rule = rule_of(uow, id, &parts)?;
        Some((id, parts, rule))
    })?;
    let flow = rule.1.to_string();
    let _ = hold(uow, id, |row, now| {
        leases.iter().cloned().for_each(|lease| add_lease(&mut row.leases, lease, now));
        row.last_event_id = Some(intake.ids.event);
    });
    let text = format!("what {vector} wants was added while it waited: {flow}");
    uow.edit(id, |row| set_parts(row, parts, rule, text));
    Some((id, flow))
}

/// A report renews a mitigation: it is one of those who report the parts that it is about.
pub(super) fn note_reporter(row: &mut Mitigation, report: &Report) {
    let names = |part: &Part| {
        let (named, known) = (&report.top_dst_ports, &part.reported.dst_ports);
        named.is_empty() || known.is_empty() || named.as_slice().iter().any(|p| known.as_slice().contains(p))
    };
    let is_about = |part: &Part| report.vector.as_ref().is_none_or(|vector| part.vector == *vector);
    let parts = &mut row.progress.parts;
    let exact = parts.iter().any(|part| is_about(part) && names(part));
    let known = parts.iter().any(is_about);
    let meant = parts.iter_mut().filter(|part| match (exact, known) {
        (true, _) => is_about(part) && names(part),
        (_, true) => is_about(part),
        // all of them together do what it asks for
        _ => true,
    });
    meant.for_each(|part| part.add_reporter(&report.source, report.external_event_id.as_ref()));
}

/// A source says that what it reported of a victim is over: its claims leave the mitigation and the parts of it that are meant.
pub(super) fn let_go(row: &mut Mitigation, report: &Report, victim: Prefix) {
    let source = &report.source;
    let parts = &mut row.progress.parts;
    if let Some(episode) = &report.external_event_id {
        let ended = (source.clone(), Some(episode.clone()));
        parts.iter_mut().for_each(|part| part.reporters.retain(|reporter| *reporter != ended));
        if let Some(lease) = row.leases_on(victim).iter_mut().find(|lease| lease.source == *source) {
            lease.release(episode);
        }
        return;
    }
    let is_meant = |part: &Part| {
        report
            .vector
            .as_ref()
            .is_none_or(|vector| part.vector == *vector || counted_as_fragments(&part.reported, vector))
    };
    for part in parts.iter_mut().filter(|part| is_meant(part)) {
        part.reporters.retain(|(reporter, _)| reporter != source);
    }
    if !parts.iter().any(|part| part.is_reported_by(source)) {
        row.leases_on(victim).retain(|lease| lease.source != *source);
        return;
    }
    // the source reports other parts too, and has not said that these are over
    let goes_on: Vec<_> = parts.iter().flat_map(|part| part.reporters.clone()).collect();
    if let Some(lease) = row.lease_mut(source) {
        lease.claims.retain(|claim| goes_on.contains(&(source.clone(), claim.event_id.clone())));
    }
}

/// Takes out of the rule of a queued mitigation what nobody reports any more, so that it is never let in wider than
/// anybody asks. Where the rest is no single rule, each attack waits as a rule of its own.
pub(super) fn forget_ended(uow: &mut UnitOfWork<'_>, id: MitigationId) {
    let now = uow.now;
    let Some(row) = uow.row(id).filter(|row| row.status == Status::Queued) else { return };
    let (mut left, mut over) = (Vec::new(), Vec::new());
    for mut part in row.progress.parts.clone() {
        part.follow_leases(&row.leases, now);
        if part.reporters.is_empty() { over.push(part.vector) } else { left.push(part) }
    }
    if over.is_empty() || left.is_empty() {
        return;
    }
    let over: Vec<&str> = over.iter().map(VectorName::as_str).collect();
    let over = over.join(", ");
    if let Some(rule) = rule_of(uow, id, &left) {
        let text = format!("{over} is over, and left the rule while it waited: {}", rule.1);
        uow.edit(id, |row| set_parts(row, left, rule, text));
        return;
    }
    for part in left.split_off(1) {
        wait_alone(uow, id, part);
    }
    if let Some(rule) = rule_of(uow, id, &left) {
        let text = format!("{over} is over, and what is left waits as rules of their own: {}", rule.1);
        uow.edit(id, |row| {
            keep_claims(row, &left);
            set_parts(row, left, rule, text);
        });
    }
}

/// Makes a part of a queued mitigation wait as a mitigation of its own, with companions of its own.
fn wait_alone(uow: &mut UnitOfWork<'_>, id: MitigationId, part: Part) {
    let Some(mut row) = uow.row(id).cloned() else { return };
    row.vector = part.vector.clone();
    row.playbook.clone_from(&part.playbook);
    row.decision.playbook.clone_from(&part.playbook);
    let parts = vec![part];
    let Some(rule) = rule_of(uow, id, &parts) else { return };
    row.mitigation_id = uow.id_generator.next().into();
    row.revision = 0;
    let text = format!("waited as one rule with {id}: {}", rule.1);
    keep_claims(&mut row, &parts);
    set_parts(&mut row, parts, rule, text);
    for companion in uow.companions(id) {
        let Some(mut companion) = uow.row(companion).cloned() else { continue };
        companion.mitigation_id = uow.id_generator.next().into();
        companion.revision = 0;
        companion.parent_id = Some(row.mitigation_id);
        companion.leases.clone_from(&row.leases);
        companion.follow_leases();
        uow.insert(companion);
    }
    uow.insert(row);
}

fn keep_claims(row: &mut Mitigation, parts: &[Part]) {
    for lease in &mut row.leases {
        let source = lease.source.clone();
        lease.claims.retain(|claim| {
            let reporter = (source.clone(), claim.event_id.clone());
            parts.iter().any(|part| part.reporters.contains(&reporter))
        });
    }
    row.leases.retain(|lease| !lease.claims.is_empty());
    row.follow_leases();
}

/// The parts of a mitigation with one more; `None` if it has no room for it.
fn with(row: &Mitigation, added: &Part) -> Option<Vec<Part>> {
    let mut parts = row.progress.parts.clone();
    if parts.is_empty() {
        parts.push(Part {
            vector: row.vector.clone(),
            playbook: row.playbook.clone(),
            matching: row.matching.clone(),
            reported: row.progress.reported.clone(),
            warnings: row.warnings.clone(),
            reporters: reporters(&row.leases),
        });
    }
    let same = |part: &&mut Part| (&part.vector, &part.matching) == (&added.vector, &added.matching);
    match parts.iter_mut().find(same) {
        Some(part) => added.reporters.iter().for_each(|(source, id)| part.add_reporter(source, id.as_ref())),
        None => parts.push(added.clone()),
    }
    (parts.len() <= MOST_PARTS).then_some(parts)
}

fn reporters(leases: &[Lease]) -> Vec<(SourceName, Option<ExternalEventId>)> {
    let of = |lease: &Lease| {
        let source = lease.source.clone();
        lease.claims.iter().map(move |claim| (source.clone(), claim.event_id.clone())).collect::<Vec<_>>()
    };
    leases.iter().flat_map(of).collect()
}

/// Whether a mitigation has exactly these companions.
fn has_companions(uow: &UnitOfWork<'_>, id: MitigationId, wanted: &[Plan]) -> bool {
    let of_row = uow.companions(id);
    let mut of_row: Vec<(Option<RouteKey>, Action)> =
        of_row.iter().filter_map(|id| uow.row(*id)).map(|row| (row.key(), row.action)).collect();
    let found = wanted.iter().all(|companion| {
        let key = companion.route.as_ref().map(Route::key);
        let same = of_row.iter().position(|known| *known == (key.clone(), companion.action));
        same.map(|index| of_row.remove(index)).is_some()
    });
    found && of_row.is_empty()
}

/// The one rule of all these parts, if there is one that takes their packets and no others, and no guardrail refuses it.
fn rule_of(uow: &UnitOfWork<'_>, id: MitigationId, parts: &[Part]) -> Option<(Matching, Route)> {
    let row = uow.row(id)?;
    let (first, rest) = parts.split_first()?;
    let matching = rest.iter().try_fold(first.matching.clone(), |all, part| united(&all, &part.matching))?;
    let candidate = Candidate { matching: &matching, ..Candidate::of(row) };
    let route = uow.policy.check_rule(&candidate, uow.check_context()).ok()?;
    Some((matching, route))
}

/// Gives a row the rule of these parts. With its own part alone it is as if there had never been another.
fn set_parts(row: &mut Mitigation, parts: Vec<Part>, (matching, route): (Matching, Route), why: String) {
    let Some(first) = parts.first() else { return };
    row.progress.reported = first.reported.clone();
    row.warnings.clear();
    for warning in parts.iter().flat_map(|part| &part.warnings) {
        if !row.warnings.contains(warning) {
            row.warnings.push(warning.clone());
        }
    }
    row.decision.rule = Some(DecidedRule::new(row.role(), &route, &row.action, row.ttl));
    row.decision.note(Stage::Guardrails, StageResult::Info, why);
    row.matching = matching;
    row.route = Some(route);
    row.progress.parts = parts;
    if row.answers_one_attack() {
        // one report of all the ports: each later step is made of it as usual
        let ports = row.progress.parts.iter().flat_map(|part| part.reported.dst_ports.as_slice());
        let dst_ports = ports.copied().collect();
        row.progress.reported = ReportedMatch { dst_ports, ..row.progress.reported.clone() };
        if row.progress.parts.len() == 1 {
            row.progress.parts.clear();
        }
    }
}
