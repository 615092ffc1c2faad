//! A source says that the attack is over: it lets go of its own leases, and of nobody else's.

use std::collections::BTreeSet;

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::audit::AuditAction;
use prefix_core::decision::{Decision, Outcome, Stage, StageResult};
use prefix_core::event::{EventStatus, Report, note_of_fragments};
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::{EndReason, Mitigation, ReportedMatch};
use prefix_core::name::VectorName;
use serde_json::json;

use super::ending::end_with_companions;
use super::flapping;
use super::groups;
use super::ingest::{AuditTarget, Intake};
use super::merging;
use super::outcome::{EventOutcome, Touched};
use super::unit_of_work::UnitOfWork;

/// Releases what the source holds, for the episode if it names one.
pub(super) fn unban(uow: &mut UnitOfWork<'_>, intake: Intake<'_>) -> EventOutcome {
    let Intake { report, ids, author, .. } = intake;
    uow.note_end(report);
    let episode = report.external_event_id.as_ref();
    let holds = |row: &Mitigation, victim: Prefix| {
        let lease = row.lease_on(victim, &report.source);
        let claimed = lease.is_some_and(|lease| episode.is_none_or(|id| lease.claims_episode(id)));
        let is_it = |vector: &VectorName| {
            let parts = &row.progress.parts;
            row.is_about(vector)
                || (parts.is_empty() && counted_as_fragments(&row.progress.reported, vector))
                || parts.iter().any(|part| counted_as_fragments(&part.reported, vector))
        };
        let vector = episode.is_some() || report.vector.as_ref().is_none_or(is_it);
        row.status.claims_rule() && row.parent_id.is_none() && claimed && vector
    };
    let victims = uow.victims_of_end(report);
    let mut found: Vec<(MitigationId, Prefix)> = Vec::new();
    for victim in &victims {
        // the one that it names may be a prefix
        let prefix = if *victim == report.victim_ip { report.victim() } else { victim.host_prefix() };
        let of_host = uow.of_victim(*victim, |row| row.carpet.is_none() && report.victim_prefix.is_none());
        let rows = of_host.into_iter().chain(uow.carpets_over(prefix, None));
        found.extend(
            rows.filter(|id| uow.row(*id).is_some_and(|row| holds(row, prefix))).map(|id| (id, prefix)),
        );
    }
    found.sort();
    let left = groups::leave(uow, report, &victims, author);
    let intake = Intake { group: left, ..intake };
    let released: Vec<_> =
        found.iter().filter_map(|(id, victim)| release(uow, *id, *victim, report, ids.event)).collect();
    let Some((newest, kept)) = released.last().cloned() else { return nothing_held(uow, &intake) };
    let mut touched: Vec<Touched> = Vec::new();
    for (more, _) in released {
        // of a carpet that held several of the victims the last word counts
        touched.retain(|known| known.mitigation_id != more.mitigation_id);
        touched.push(more);
    }
    let withdrawn = newest.status == EventStatus::Withdrawn;
    let mut decision = Decision::open();
    decision.outcome = if withdrawn { Outcome::Withdraw } else { Outcome::Release };
    let detail = if withdrawn {
        format!("{} held the last lease; the rule is withdrawn", report.source)
    } else if let Some(why) = &kept {
        format!("{} held the last lease; {why}", report.source)
    } else {
        let others = uow.row(newest.mitigation_id).into_iter().flat_map(|row| row.leases.iter());
        let others: Vec<String> = others
            .map(|lease| format!("{} until {}", lease.source, lease.expires_at().format("%H:%M:%S UTC")))
            .collect();
        format!("{} reports no more; the rule is still held by {}", report.source, others.join(", "))
    };
    decision.note(Stage::Identity, StageResult::Info, detail);
    let elsewhere = found.iter().filter(|(_, victim)| *victim != report.victim());
    let elsewhere: BTreeSet<VictimIp> = elsewhere.map(|(_, victim)| victim.network().into()).collect();
    for victim in elsewhere {
        let text = format!("the same attack was reported for {victim}, and ends there too");
        decision.note(Stage::Identity, StageResult::Info, text);
    }
    name_unread(report, &mut decision);
    let action = if withdrawn { AuditAction::Withdraw } else { AuditAction::Release };
    let details = json!({
        "reason": EndReason::DetectorUnban.as_str(),
        "mitigations": touched.iter().map(|t| t.mitigation_id).collect::<Vec<_>>(),
    });
    intake.audit(uow, action, AuditTarget::Mitigation(newest.mitigation_id), details);
    let standing = Some((newest.mitigation_id, newest.mitigation_status));
    let mut answer = intake.accepted(newest.status, standing, decision);
    answer.expires_at = newest.expires_at;
    if touched.len() > 1 {
        answer.mitigations = touched;
    }
    answer.into()
}

/// Whether what was reported is a mitigation of fragments only because it named port 0: its end names the vector alone.
pub(super) fn counted_as_fragments(reported: &ReportedMatch, vector: &VectorName) -> bool {
    !reported.unread.is_empty() && reported.unread.contains(&note_of_fragments(vector))
}

/// What the unban did to a mitigation, and why that is kept although nobody reports it any more, if it is.
fn release(
    uow: &mut UnitOfWork<'_>,
    id: MitigationId,
    victim: Prefix,
    report: &Report,
    event: EventId,
) -> Option<(Touched, Option<String>)> {
    let now = uow.now;
    uow.edit(id, |row| {
        merging::let_go(row, report, victim);
        row.settle_leases(now);
        row.updated_at = now;
        row.last_event_id = Some(event);
    });
    merging::forget_ended(uow, id);
    let leases = uow.row(id)?.leases.clone();
    for companion in uow.companions(id) {
        uow.edit(companion, |row| {
            row.leases.clone_from(&leases);
            row.follow_leases();
            row.updated_at = now;
            row.last_event_id = Some(event);
        });
    }
    let empty = uow.row(id)?.leases.is_empty();
    let kept = empty.then(|| flapping::hold(uow, id)).flatten();
    let ends = empty && kept.is_none();
    if ends {
        end_with_companions(uow, id, EndReason::DetectorUnban);
    }
    let status = if ends { EventStatus::Withdrawn } else { EventStatus::Released };
    let (expires_at, why) = kept.unzip();
    Some((Touched { mitigation_id: id, status, mitigation_status: uow.row(id)?.status, expires_at }, why))
}

fn name_unread(report: &Report, decision: &mut Decision) {
    for unread in &report.unread {
        decision.note(Stage::Identity, StageResult::Info, unread.as_str());
    }
}

fn nothing_held(uow: &mut UnitOfWork<'_>, intake: &Intake<'_>) -> EventOutcome {
    let Intake { report, group: left, .. } = *intake;
    let known = match &report.external_event_id {
        Some(id) => uow.knows_episode(&report.source, id),
        None => uow.has_seen(&report.source, report.victim_ip),
    };
    let known = known || left.is_some();
    let (status, detail) = if known {
        (EventStatus::NoActiveMitigation, "the episode is known, but nothing of it lives")
    } else {
        (EventStatus::NotFound, "this source never reported that")
    };
    let mut decision = Decision::open();
    name_unread(report, &mut decision);
    let words = format!("{}: {detail}", report.source);
    match left {
        None => decision.note(Stage::Identity, StageResult::Stop, words),
        Some(group) => {
            decision.note(Stage::Identity, StageResult::Info, words);
            let text = format!("what {} reported of it leaves group {group}", report.source);
            decision.note(Stage::Correlation, StageResult::Stop, text);
        }
    }
    intake.audit(uow, AuditAction::Ingest, AuditTarget::Event, json!({ "status": status }));
    intake.accepted(status, None, decision).into()
}
