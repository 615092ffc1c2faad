//! An address is under attack: a new mitigation, a renewed one, one that waits, or the reason why there is none.

use chrono::TimeDelta;
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::confidence::Confidence;
use prefix_core::decision::Decision;
use prefix_core::event::{EventStatus, Report};
use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::lease::Lease;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::VectorName;
use prefix_policy::{BanVerdict, Plan};
use serde_json::json;

use super::ingest::{Effect, Ids, audit_entry};
use super::row::{Entry, Origin, new_row};
use super::steps;
use crate::answer::{Ingested, RefusedEvent};
use crate::caller::Caller;
use crate::desk::Desk;

/// Repeats of a lease are audited once in this time, with a count.
const AUDIT_REPEATS: TimeDelta = TimeDelta::seconds(60);

/// Decides over a ban and changes the rows.
pub(super) fn ban(desk: &mut Desk<'_>, report: &Report, ids: &Ids, caller: &Caller) -> Effect {
    let verdict = desk.decide(report.victim_ip, None, |policy, facts| policy.decide_ban(report, facts));
    match verdict {
        BanVerdict::NotOurs(decision) => {
            unmitigated(desk, report, ids, caller, EventStatus::AcceptedNoMitigation, decision)
        }
        BanVerdict::NoPlaybook(decision) => {
            unmitigated(desk, report, ids, caller, EventStatus::AcceptedNoPlaybook, decision)
        }
        BanVerdict::Extend { mitigation, decision } => {
            extend(desk, report, ids, caller, mitigation, decision)
        }
        BanVerdict::Mitigate { plan, companion, decision } => {
            let entry = Entry::Admitted;
            let status = insert(desk, report, ids, plan, companion, &decision, &entry);
            let row = json!({ "mitigation_status": status });
            let audit = audit_entry(desk, report, ids, caller, AuditAction::Announce, row)
                .on("mitigation", ids.mitigation);
            let answer = answer(report, ids, EventStatus::Accepted, Some((ids.mitigation, status)), decision);
            Effect::accepted(answer, Some(audit))
        }
        BanVerdict::Queue { refusal, plan, companion, decision } => {
            let entry = Entry::Queued(&refusal);
            let status = insert(desk, report, ids, plan, companion, &decision, &entry);
            let why = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail, "status": "queued" });
            let audit = audit_entry(desk, report, ids, caller, AuditAction::Ingest, why)
                .on("mitigation", ids.mitigation);
            let mut answer =
                answer(report, ids, EventStatus::Queued, Some((ids.mitigation, status)), decision);
            answer.guardrail = Some(refusal.guardrail);
            answer.retry_after_seconds = refusal.retry_after_seconds.or(Some(1));
            Effect::accepted(answer, Some(audit))
        }
        BanVerdict::Refuse { refusal, plan, decision } => {
            let mitigation_id = reject(desk, report, ids, *plan, &refusal, &decision);
            let why = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
            let audit = audit_entry(desk, report, ids, caller, AuditAction::Reject, why)
                .on("mitigation", mitigation_id);
            let refused = RefusedEvent {
                event_id: ids.event,
                external_event_id: report.external_event_id.clone(),
                mitigation_id,
                refusal,
                decision,
            };
            Effect::refused(refused, audit)
        }
    }
}

/// The vector of a ban; the border lets none pass without.
fn vector_of(report: &Report) -> VectorName {
    report.vector.clone().unwrap_or_else(prefix_policy::unknown_vector)
}

fn lease_for(desk: &Desk<'_>, report: &Report, ttl: prefix_core::ttl::Ttl) -> Lease {
    let (until, edge) = desk.policy.lease_until(&report.source, ttl, desk.now);
    let id = report.external_event_id.clone();
    Lease::new(report.source.clone(), id, confidence(desk, report), edge, desk.now, until)
}

fn confidence(desk: &Desk<'_>, report: &Report) -> Confidence {
    report.confidence.unwrap_or_else(|| desk.policy.default_confidence(&report.source))
}

fn insert(
    desk: &mut Desk<'_>,
    report: &Report,
    ids: &Ids,
    plan: Plan,
    companion: Option<Plan>,
    decision: &Decision,
    entry: &Entry<'_>,
) -> Status {
    let vector = vector_of(report);
    let lease = lease_for(desk, report, plan.ttl);
    let origin = |id, lease| Origin {
        id,
        victim_ip: report.victim_ip,
        vector: &vector,
        event: Some(ids.event),
        lease: Some(lease),
        reason: None,
        decision,
    };
    let row = new_row(desk, plan, origin(ids.mitigation, lease.clone()), entry);
    let status = row.status;
    desk.insert(row);
    if let Some(plan) = companion {
        let mut row = new_row(desk, plan, origin(ids.companion, lease), entry);
        row.parent_id = Some(ids.mitigation);
        desk.insert(row);
    }
    status
}

/// Writes the refusal down: one row per rule and guardrail within an hour, repeats update it.
fn reject(
    desk: &mut Desk<'_>,
    report: &Report,
    ids: &Ids,
    plan: Plan,
    refusal: &Refusal,
    decision: &Decision,
) -> MitigationId {
    let vector = vector_of(report);
    let origin = Origin {
        id: ids.mitigation,
        victim_ip: report.victim_ip,
        vector: &vector,
        event: Some(ids.event),
        lease: None,
        reason: None,
        decision,
    };
    let row = new_row(desk, plan, origin, &Entry::Rejected(refusal));
    put_rejected(desk, row)
}

/// Puts a rejected row, or updates the one that is less than an hour old.
pub(super) fn put_rejected(desk: &mut Desk<'_>, mut row: Mitigation) -> MitigationId {
    // without a rule there is no identity: the match then stands for it
    let same = |other: &Mitigation| {
        other.status == Status::Rejected
            && other.guardrail == row.guardrail
            && other.vector == row.vector
            && other.matching == row.matching
            && other.created_at > row.created_at - TimeDelta::hours(1)
    };
    let earlier = desk.of_victim(row.victim_ip, same).pop();
    if let Some(id) = earlier {
        let now = desk.now;
        desk.edit(id, |old| {
            old.updated_at = now;
            old.last_event_id = row.last_event_id;
            old.reason = row.reason.take();
            old.decision = row.decision.clone();
        });
        return id;
    }
    let id = row.mitigation_id;
    desk.insert(row);
    id
}

fn extend(
    desk: &mut Desk<'_>,
    report: &Report,
    ids: &Ids,
    caller: &Caller,
    mitigation: MitigationId,
    decision: Decision,
) -> Effect {
    // a companion lives and dies with its parent, whose leases it shares
    let parent = desk.row(mitigation).and_then(|row| row.parent_id).unwrap_or(mitigation);
    let target = if desk.row(parent).is_some() { parent } else { mitigation };
    let confidence = confidence(desk, report);
    let now = desk.now;
    let mut members = desk.companions(target);
    members.insert(0, target);
    let mut audited = None;
    for id in members {
        let Some(ttl) = desk.row(id).map(|row| row.ttl) else { continue };
        let (until, edge) = desk.policy.lease_until(&report.source, ttl, now);
        let counted = desk.edit(id, |row| {
            let episode = report.external_event_id.as_ref();
            let repeats = match row.lease_mut(&report.source) {
                Some(lease) => {
                    lease.renew(episode, confidence, now, until);
                    lease.edge = edge;
                    count_repeat(lease, now)
                }
                None => {
                    let source = report.source.clone();
                    row.leases.push(Lease::new(source, episode.cloned(), confidence, edge, now, until));
                    Some(1)
                }
            };
            row.leases.retain(|lease| lease.lives(now));
            row.follow_leases();
            row.updated_at = now;
            row.last_event_id = Some(ids.event);
            row.progress.refused_step = None;
            repeats
        });
        if id == target {
            audited = counted.flatten();
        }
    }
    steps::after_report(desk, target, confidence);
    let row = desk.row(target);
    let status = row.map_or(Status::Active, |row| row.status);
    let expires_at = row.map(|row| row.expires_at);
    let guardrail = row.and_then(|row| row.guardrail);
    let audit: Option<AuditEntry> = audited.map(|repeats| {
        let details = json!({ "reports": repeats, "expires_at": expires_at });
        audit_entry(desk, report, ids, caller, AuditAction::Extend, details).on("mitigation", target)
    });
    // also what still waits is `extended` (http-api.md §3.3): its place in the queue is renewed
    let mut answer = answer(report, ids, EventStatus::Extended, Some((target, status)), decision);
    if status == Status::Queued {
        answer.guardrail = guardrail;
        answer.retry_after_seconds = Some(1);
    }
    Effect::accepted(answer, audit)
}

/// How many reports the audit entry due now stands for; `None` while none is due.
fn count_repeat(lease: &mut Lease, now: chrono::DateTime<chrono::Utc>) -> Option<u32> {
    lease.unaudited += 1;
    let due = lease.audited_at.is_none_or(|at| now - at >= AUDIT_REPEATS);
    due.then(|| {
        lease.audited_at = Some(now);
        std::mem::take(&mut lease.unaudited)
    })
}

fn unmitigated(
    desk: &Desk<'_>,
    report: &Report,
    ids: &Ids,
    caller: &Caller,
    status: EventStatus,
    decision: Decision,
) -> Effect {
    let details = json!({ "status": status });
    let audit = audit_entry(desk, report, ids, caller, AuditAction::Ingest, details).on("event", ids.event);
    Effect::accepted(answer(report, ids, status, None, decision), Some(audit))
}

/// The answer to an event.
pub(super) fn answer(
    report: &Report,
    ids: &Ids,
    status: EventStatus,
    mitigation: Option<(MitigationId, Status)>,
    decision: Decision,
) -> Ingested {
    Ingested {
        event_id: ids.event,
        external_event_id: report.external_event_id.clone(),
        status,
        mitigation_id: mitigation.map(|(id, _)| id),
        mitigation_status: mitigation.map(|(_, status)| status),
        signal_group_id: None,
        guardrail: None,
        retry_after_seconds: None,
        mitigations: Vec::new(),
        decision,
    }
}
