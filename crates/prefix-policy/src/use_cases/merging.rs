//! Rules that wait for room take less of it together: queued rules of one victim become one where that takes the same
//! packets (http-api.md §6).

use prefix_core::announcer::Route;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::lease::Lease;
use prefix_core::matching::Matching;
use prefix_core::mitigation::{Mitigation, ReportedMatch, Status};
use prefix_core::name::VectorName;

use super::ban::hold;
use super::groups::add_lease;
use super::ingest::Intake;
use super::unit_of_work::UnitOfWork;
use crate::guardrails::Candidate;
use crate::unite::united;
use crate::verdict::Plan;

/// What a rule that is to wait has in common with the one that waits already.
struct Merged {
    matching: Matching,
    route: Route,
    /// What both reports said together; `None` where later steps cannot be made of it.
    reported: Option<ReportedMatch>,
}

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
    let (id, merged) =
        waiting.into_iter().find_map(|id| Some((id, merge(uow, id, (plan, companions), vector)?)))?;
    let flow = merged.route.to_string();
    let mut first = true;
    let _ = hold(uow, id, |row, now| {
        leases.iter().cloned().for_each(|lease| add_lease(&mut row.leases, lease, now));
        row.last_event_id = Some(intake.ids.event);
        if !std::mem::take(&mut first) {
            return;
        }
        row.matching = merged.matching.clone();
        row.route = Some(merged.route.clone());
        match &merged.reported {
            Some(reported) => row.progress.reported = reported.clone(),
            None if row.progress.merged.contains(vector) => {}
            None => row.progress.merged.push(vector.clone()),
        }
        row.progress.over.retain(|over| over != vector);
        let new = plan.warnings.iter().filter(|warning| !row.warnings.contains(warning));
        let new: Vec<String> = new.cloned().collect();
        row.warnings.extend(new);
        let text = format!("what {vector} wants was added while it waited: {flow}");
        row.decision.note(Stage::Guardrails, StageResult::Info, text);
    });
    Some((id, flow))
}

fn merge(
    uow: &UnitOfWork<'_>,
    id: MitigationId,
    (plan, companions): (&Plan, &[Plan]),
    vector: &VectorName,
) -> Option<Merged> {
    let row = uow.row(id)?;
    let matching = united(&row.matching, &plan.matching)?;
    let of_row = uow.companions(id);
    let mut of_row: Vec<(Option<RouteKey>, Action)> =
        of_row.iter().filter_map(|id| uow.row(*id)).map(|row| (row.key(), row.action)).collect();
    for companion in companions {
        let key = companion.route.as_ref().map(Route::key);
        let same = of_row.iter().position(|known| *known == (key.clone(), companion.action))?;
        of_row.remove(same);
    }
    if !of_row.is_empty() {
        return None;
    }
    let candidate = Candidate { matching: &matching, ..Candidate::of(row) };
    let route = uow.policy.check_rule(&candidate, uow.check_context()).ok()?;
    let reported = reported(row, plan, vector);
    Some(Merged { matching, route, reported })
}

/// One report of all the ports, where nothing else tells the two apart: then each later step is made of it as usual.
fn reported(row: &Mitigation, plan: &Plan, vector: &VectorName) -> Option<ReportedMatch> {
    let (one, other) = (&row.progress.reported, &plan.reported);
    let both_named = !one.dst_ports.is_empty() && !other.dst_ports.is_empty();
    let ports = one.dst_ports.as_slice().iter().chain(other.dst_ports.as_slice()).copied();
    let both = ReportedMatch { dst_ports: ports.collect(), ..one.clone() };
    let is_same = both_named
        && row.progress.merged.is_empty()
        && row.vector == *vector
        && row.playbook == plan.playbook
        && ReportedMatch { dst_ports: one.dst_ports.clone(), ..other.clone() } == *one;
    is_same.then_some(both)
}
