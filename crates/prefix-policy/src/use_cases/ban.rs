//! An address is under attack: a new mitigation, a renewed one, one that waits, or the reason why there is none.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::audit::AuditAction;
use prefix_core::confidence::Confidence;
use prefix_core::decision::{Decision, Stage, StageResult};
use prefix_core::event::{EventStatus, Report, Reports};
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::lease::Lease;
use prefix_core::mitigation::{Mitigation, ReportedMatch, Status};
use prefix_core::name::VectorName;
use prefix_core::signal::GroupStatus;
use prefix_core::ttl::Ttl;
use serde_json::json;

use super::domain_event::{DomainEvent, RefusedRule};
use super::flapping::raised_again;
use super::groups::{self, Joined};
use super::ingest::{AuditTarget, Intake};
use super::merging;
use super::outcome::{EventOutcome, RefusedEvent};
use super::row::{Entry, Origin, new_row};
use super::steps;
use super::unit_of_work::UnitOfWork;
use crate::policy::Policy;
use crate::verdict::{BanVerdict, Plan};

/// Repeats of a lease are audited once in this time, with a count.
const AUDIT_REPEATS: TimeDelta = TimeDelta::seconds(60);

/// How long repeats of a refusal update its rejected row, instead of adding another one.
pub(crate) const REJECTED_COUNTS: TimeDelta = TimeDelta::hours(1);

/// Decides over a ban and changes the rows.
pub(super) fn ban(uow: &mut UnitOfWork<'_>, intake: Intake<'_>) -> EventOutcome {
    // a late copy holds like the report of a source that repeats: it ends by itself unless it comes again
    let lapsing = uow
        .is_late_copy(intake.report)
        .then(|| Report { reports: Some(Reports::Repeat), ..intake.report.clone() });
    let intake = Intake { report: lapsing.as_ref().unwrap_or(intake.report), ..intake };
    let report = intake.report;
    let joined = groups::join(uow, &intake);
    let verdict =
        uow.decide(report.victim_ip, None, joined.as_ref().map(|joined| &joined.group), |policy, facts| {
            policy.decide_ban(report, facts)
        });
    let completes = joined.as_ref().is_some_and(Joined::completes);
    let is_first = joined.as_ref().is_none_or(|joined| joined.group.status == GroupStatus::Open);
    let renews = matches!(verdict, BanVerdict::Extend { .. } | BanVerdict::NotMitigated(_));
    let group = joined.and_then(|joined| groups::keep(uow, joined, renews));
    let intake = Intake { group, ..intake };
    match verdict {
        BanVerdict::NotMitigated(decision) => {
            unmitigated(uow, &intake, EventStatus::AcceptedNoMitigation, decision)
        }
        BanVerdict::Hold(decision) => held(uow, &intake, decision, completes),
        BanVerdict::NoPlaybook(decision) => {
            unmitigated(uow, &intake, EventStatus::AcceptedNoPlaybook, decision)
        }
        BanVerdict::Extend { mitigation, decision } => {
            if let Some(group) = group.filter(|_| completes) {
                groups::hand_on(uow, group, mitigation);
            }
            let outcome = extend(uow, &intake, mitigation, decision);
            if let Some(group) = group.filter(|_| completes) {
                groups::join_carpet(uow, group, mitigation, report.victim());
            }
            outcome
        }
        BanVerdict::Mitigate { waits, plan, companions, decision } => {
            let leases = first_leases(uow, report, plan.ttl, group.filter(|_| is_first));
            mitigate(uow, &intake, (plan, companions), waits, decision, leases)
        }
        BanVerdict::Refuse { refusal, plan, decision } => refuse(uow, &intake, *plan, refusal, decision),
    }
}

/// Adds the row of a plan, and those of its companions, which share its leases: admitted, or queued until a guardrail
/// refuses it no more. The first row of an open group is what the group is handed on to.
pub(super) fn mitigate(
    uow: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    (plan, companions): (Plan, Vec<Plan>),
    queued: Option<Refusal>,
    mut decision: Decision,
    leases: Vec<Lease>,
) -> EventOutcome {
    let entry = queued.as_ref().map_or(Entry::Admitted, Entry::Queued);
    if queued.is_none() {
        uow.conclude(&mut decision);
    }
    let (id, vector) = (intake.ids.mitigation, vector_of(intake.report));
    if let Some(refusal) = queued.as_ref().filter(|refusal| refusal.guardrail != Guardrail::QuietPeriod)
        && let Some((into, flow)) = merging::into_queued(uow, intake, (&plan, &companions), &vector, &leases)
    {
        let text = format!("waits as one rule with mitigation {into}: {flow}");
        decision.note(Stage::Guardrails, StageResult::Info, text);
        let refusal = refusal.clone();
        return waiting(uow, intake, into, &refusal, decision);
    }
    let origin = origin(uow, intake, &vector, leases, &decision);
    let accompany = |plan: Plan| {
        let origin = Origin { id: uow.id_generator.next().into(), ..origin.clone() };
        Mitigation { parent_id: Some(id), ..new_row(uow, plan, origin, &entry) }
    };
    let companions: Vec<Mitigation> = companions.into_iter().map(accompany).collect();
    let row = new_row(uow, plan, origin, &entry);
    let status = row.status;
    uow.insert(row);
    companions.into_iter().for_each(|row| uow.insert(row));
    if let Some(group) = intake.group {
        groups::hand_on(uow, group, id);
    }
    let Some(refusal) = queued else {
        let details = json!({ "mitigation_status": status });
        intake.audit(uow, AuditAction::Announce, AuditTarget::Mitigation(id), details);
        return intake.accepted(EventStatus::Accepted, Some((id, status)), decision).into();
    };
    waiting(uow, intake, id, &refusal, decision)
}

/// What is answered about a mitigation that waits.
fn waiting(
    uow: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    id: MitigationId,
    refusal: &Refusal,
    decision: Decision,
) -> EventOutcome {
    let mut why = intake.words_of(refusal);
    why["status"] = json!("queued");
    intake.audit(uow, AuditAction::Ingest, AuditTarget::Mitigation(id), why);
    let mut answer = intake.accepted(EventStatus::Queued, Some((id, Status::Queued)), decision);
    answer.guardrail = Some(refusal.guardrail);
    answer.retry_after_seconds = refusal.retry_after_seconds.or(Some(1));
    answer.into()
}

/// Writes the refusal down: one row per rule and guardrail within an hour, repeats update it.
pub(super) fn refuse(
    uow: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    plan: Plan,
    refusal: Refusal,
    decision: Decision,
) -> EventOutcome {
    let report = intake.report;
    let vector = vector_of(report);
    let origin = origin(uow, intake, &vector, Vec::new(), &decision);
    let row = new_row(uow, plan, origin, &Entry::Rejected(&refusal));
    let mitigation_id = put_rejected(uow, row);
    let why = intake.words_of(&refusal);
    intake.audit(uow, AuditAction::Reject, AuditTarget::Mitigation(mitigation_id), why);
    if let Some(mut rule) = uow.row(mitigation_id).map(RefusedRule::of) {
        let is_reported = intake.because.is_none();
        if is_reported {
            rule.flow = decision.rule.as_ref().map(|rule| rule.flow.clone());
        }
        let source = is_reported.then(|| report.source.clone());
        uow.emit(DomainEvent::Refused { refusal: refusal.clone(), rule, source });
    }
    EventOutcome::Refused(Box::new(RefusedEvent {
        event_id: intake.ids.event,
        external_event_id: report.external_event_id.clone(),
        mitigation_id,
        signal_group_id: intake.group,
        refusal,
        decision,
    }))
}

/// Its sources do not agree enough, or it is a report that triggers nothing by itself: then it may still have completed
/// the quorum of those that do.
fn held(uow: &mut UnitOfWork<'_>, intake: &Intake<'_>, decision: Decision, completes: bool) -> EventOutcome {
    let because = format!("{} completes the quorum", intake.report.source);
    let completed = intake.group.filter(|_| completes);
    let made = completed.and_then(|group| groups::trigger(uow, group, intake.author, &because));
    let Some((mitigation, status, decision)) = made else {
        return unmitigated(uow, intake, EventStatus::Held, decision);
    };
    let details = json!({ "status": "accepted", "mitigation_id": mitigation });
    intake.audit(uow, AuditAction::Ingest, AuditTarget::Event, details);
    let became = if status == Status::Queued { EventStatus::Queued } else { EventStatus::Accepted };
    let mut answer = intake.accepted(became, Some((mitigation, status)), decision);
    if status == Status::Queued {
        answer.guardrail = uow.row(mitigation).and_then(|row| row.guardrail);
        answer.retry_after_seconds = Some(1);
    }
    answer.into()
}

/// Whoever holds a new mitigation: everybody who made its group enough, or whoever reports a further rule of it.
fn first_leases(uow: &UnitOfWork<'_>, report: &Report, ttl: Ttl, group: Option<GroupId>) -> Vec<Lease> {
    match group.and_then(|id| uow.group(id)) {
        Some(group) => groups::leases(&uow.policy, group, ttl, uow.now),
        None => vec![lease_for(uow, report, ttl)],
    }
}

/// The vector of a ban; the border lets none pass without.
fn vector_of(report: &Report) -> VectorName {
    report.vector.clone().unwrap_or_else(crate::vector::unknown_vector)
}

fn lease_for(uow: &UnitOfWork<'_>, report: &Report, ttl: Ttl) -> Lease {
    let (until, edge) = uow.policy.lease_until_by(&report.source, report.reports, ttl, uow.now);
    let id = report.external_event_id.clone();
    Lease::new(report.source.clone(), id, confidence(uow, report), edge, uow.now, until)
}

fn confidence(uow: &UnitOfWork<'_>, report: &Report) -> Confidence {
    report.confidence.unwrap_or_else(|| uow.policy.default_confidence(&report.source))
}

fn origin<'a>(
    uow: &UnitOfWork<'_>,
    intake: &Intake<'_>,
    vector: &'a VectorName,
    leases: Vec<Lease>,
    decision: &'a Decision,
) -> Origin<'a> {
    let group = intake.group.and_then(|id| uow.group(id));
    Origin {
        id: intake.ids.mitigation,
        victim_ip: intake.report.victim_ip,
        vector,
        event: Some(intake.ids.event),
        leases,
        correlation: group.map(|group| uow.policy.correlation_of(group, uow.now)),
        reason: None,
        decision,
    }
}

/// Puts a rejected row, or updates the one that is less than an hour old.
pub(super) fn put_rejected(uow: &mut UnitOfWork<'_>, mut row: Mitigation) -> MitigationId {
    // without a rule there is no identity: the match then stands for it
    let same = |other: &Mitigation| {
        other.status == Status::Rejected
            && other.guardrail == row.guardrail
            && other.vector == row.vector
            && other.matching == row.matching
            && other.created_at > row.created_at - REJECTED_COUNTS
    };
    let earlier = uow.of_victim(row.victim_ip, same).pop();
    if let Some(id) = earlier {
        let now = uow.now;
        uow.edit(id, |old| {
            old.updated_at = now;
            old.last_event_id = row.last_event_id;
            old.reason = row.reason.take();
            old.decision = row.decision.clone();
            old.correlation = row.correlation.take();
        });
        return id;
    }
    let id = row.mitigation_id;
    uow.insert(row);
    id
}

/// Renews or adds leases of a running mitigation, and of the companions that live and die with it. Returns the one that
/// the leases are on, and what `renew` returned for that.
pub(super) fn hold<R>(
    uow: &mut UnitOfWork<'_>,
    mitigation: MitigationId,
    mut renew: impl FnMut(&mut Mitigation, DateTime<Utc>) -> R,
) -> (MitigationId, Option<R>) {
    let (target, members) = members(uow, mitigation);
    let now = uow.now;
    let mut of_target = None;
    for id in members {
        let renewed = uow.edit(id, |row| {
            let renewed = renew(row, now);
            row.settle_leases(now);
            row.updated_at = now;
            row.progress.refused_step = None;
            raised_again(row);
            renewed
        });
        if id == target {
            of_target = renewed;
        }
    }
    (target, of_target)
}

/// A mitigation or, for a companion, its parent; and all that share the leases of that.
fn members(uow: &UnitOfWork<'_>, mitigation: MitigationId) -> (MitigationId, Vec<MitigationId>) {
    // a companion lives and dies with its parent, whose leases it shares
    let parent = uow.row(mitigation).and_then(|row| row.parent_id).unwrap_or(mitigation);
    let target = if uow.row(parent).is_some() { parent } else { mitigation };
    let mut members = uow.companions(target);
    members.insert(0, target);
    (target, members)
}

fn extend(
    uow: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    mitigation: MitigationId,
    decision: Decision,
) -> EventOutcome {
    let Intake { report, ids, .. } = *intake;
    let (policy, confidence) = (uow.policy.clone(), confidence(uow, report));
    let mut renew = |row: &mut Mitigation, now| renewed(&policy, row, report, ids.event, confidence, now);
    let (target, repeats) = hold(uow, mitigation, &mut renew);
    // a rule of its own under a carpet, because it is stronger or one of the two is on its way: both are held
    for carpet in uow.carpets_over(report.victim(), report.vector.as_ref()) {
        let is_held = |row: &Mitigation| row.lease_on(report.victim(), &report.source).is_some();
        let concerns = report.vector.is_some() || uow.row(carpet).is_some_and(is_held);
        // what waits does not last longer for what others say
        let lives = uow.row(carpet).is_some_and(Mitigation::lives);
        if carpet != target && concerns && lives {
            let _ = hold(uow, carpet, &mut renew);
        }
    }
    steps::after_report(uow, target, confidence);
    let row = uow.row(target);
    let status = row.map_or(Status::Active, |row| row.status);
    let expires_at = row.map(|row| row.expires_at);
    let guardrail = row.and_then(|row| row.guardrail);
    if let Some(repeats) = repeats.flatten() {
        let details = json!({ "reports": repeats, "expires_at": expires_at });
        intake.audit(uow, AuditAction::Extend, AuditTarget::Mitigation(target), details);
    }
    // also what still waits is `extended` (http-api.md §3.3): its place in the queue is renewed
    let mut answer = intake.accepted(EventStatus::Extended, Some((target, status)), decision);
    if status == Status::Queued {
        answer.guardrail = guardrail;
        answer.retry_after_seconds = Some(1);
    }
    answer.into()
}

/// Renews or adds the lease of a report. Returns how many reports the audit entry due now stands for; `None` while none is
/// due.
fn renewed(
    policy: &Policy,
    row: &mut Mitigation,
    report: &Report,
    event: EventId,
    confidence: Confidence,
    now: DateTime<Utc>,
) -> Option<u32> {
    let (until, edge) = policy.lease_until_by(&report.source, report.reports, row.ttl, now);
    row.last_event_id = Some(event);
    merging::note_reporter(row, report);
    // of all the victims of a carpet together one entry is due, and not one for each of them
    let audited_at =
        row.carpet.as_ref().and_then(|_| row.lease(&report.source)).and_then(|all| all.audited_at);
    let victim = report.victim();
    if let Some(carpet) = &mut row.carpet {
        carpet.victims.entry(victim).or_default().reported = ReportedMatch::from(report);
    }
    let leases = row.leases_on(victim);
    let episode = report.external_event_id.as_ref();
    let Some(lease) = leases.iter_mut().find(|lease| lease.source == report.source) else {
        let source = report.source.clone();
        let mut lease = Lease::new(source, episode.cloned(), confidence, edge, now, until);
        if audited_at.is_some() {
            (lease.audited_at, lease.unaudited) = (audited_at, 1);
        }
        let is_due = audited_at.is_none_or(|at| now - at >= AUDIT_REPEATS);
        leases.push(lease);
        return is_due.then_some(1);
    };
    if report.vector.is_none() && episode.is_none_or(|id| !lease.claims_episode(id)) {
        lease.go_on(confidence, now, until);
    } else {
        lease.renew(episode, confidence, now, until);
    }
    // a late copy of one episode says nothing about the others that the source reports here
    lease.edge = edge || (lease.edge && report.reports == Some(Reports::Repeat));
    lease.audited_at = lease.audited_at.max(audited_at);
    count_repeat(lease, now)
}

/// How many reports the audit entry due now stands for; `None` while none is due.
fn count_repeat(lease: &mut Lease, now: DateTime<Utc>) -> Option<u32> {
    lease.unaudited += 1;
    let due = lease.audited_at.is_none_or(|at| now - at >= AUDIT_REPEATS);
    due.then(|| {
        lease.audited_at = Some(now);
        std::mem::take(&mut lease.unaudited)
    })
}

fn unmitigated(
    uow: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    status: EventStatus,
    decision: Decision,
) -> EventOutcome {
    let details = json!({ "status": status, "signal_group_id": intake.group });
    intake.audit(uow, AuditAction::Ingest, AuditTarget::Event, details);
    intake.accepted(status, None, decision).into()
}
