//! New rows: from a policy's plan to a mitigation, in one place for every use case.

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::decision::Decision;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::{EventId, MitigationId};
use prefix_core::lease::Lease;
use prefix_core::mitigation::{CarpetVictim, Mitigation, Progress, RowClock, SpeakerView, Status};
use prefix_core::name::VectorName;
use prefix_core::signal::Correlation;

use super::unit_of_work::UnitOfWork;
use crate::verdict::Plan;

/// What a new row is about, besides its plan.
#[derive(Clone)]
pub(super) struct Origin<'a> {
    /// Its identifier.
    pub(super) id: MitigationId,
    /// The address under attack.
    pub(super) victim_ip: VictimIp,
    /// The kind of attack.
    pub(super) vector: &'a VectorName,
    /// The event that made it.
    pub(super) event: Option<EventId>,
    /// Its first leases.
    pub(super) leases: Vec<Lease>,
    /// The signals it stands on.
    pub(super) correlation: Option<Correlation>,
    /// Why, in the words of an operator.
    pub(super) reason: Option<String>,
    /// Why.
    pub(super) decision: &'a Decision,
}

/// A row that is admitted now, waits, or was refused.
pub(super) enum Entry<'a> {
    /// It is admitted.
    Admitted,
    /// It waits for this.
    Queued(&'a Refusal),
    /// This says no.
    Rejected(&'a Refusal),
}

/// Builds the row. In dry-run an admitted one is active at once, and nothing is ever announced.
pub(super) fn new_row(uow: &UnitOfWork<'_>, plan: Plan, origin: Origin<'_>, entry: &Entry<'_>) -> Mitigation {
    let now = uow.now;
    let dry_run = uow.dry_run;
    let lifetime_ends_at = now + plan.lifetime;
    let (status, guardrail, refusal) = match entry {
        Entry::Admitted if dry_run => (Status::Active, None, None),
        Entry::Admitted => (Status::Pending, None, None),
        Entry::Queued(refusal) => (Status::Queued, Some(refusal.guardrail), Some(refusal.detail.clone())),
        Entry::Rejected(refusal) => (Status::Rejected, Some(refusal.guardrail), Some(refusal.detail.clone())),
    };
    let admitted = matches!(entry, Entry::Admitted);
    let progress = Progress { step_confirmed_at: (admitted && dry_run).then_some(now), ..plan.progress() };
    let impossible = matches!(entry, Entry::Rejected(refusal) if refusal.guardrail == Guardrail::Semantic);
    let mut row = Mitigation {
        mitigation_id: origin.id,
        revision: 0,
        pop: uow.pop.clone(),
        status,
        end_reason: None,
        superseded_by: None,
        parent_id: None,
        role: Some(plan.role),
        customer_id: plan.customer_id,
        service_id: plan.service_id,
        victim_ip: origin.victim_ip,
        vector: origin.vector.clone(),
        matching: plan.matching,
        route: plan.route.filter(|_| !impossible),
        action: plan.action,
        ttl: plan.ttl,
        playbook: plan.playbook,
        progress,
        leases: origin.leases,
        speaker: SpeakerView { attempted: admitted && !dry_run, ..SpeakerView::default() },
        created_at: now,
        updated_at: now,
        expires_at: plan.ttl.after(now).min(lifetime_ends_at),
        lifetime_ends_at,
        ended_at: None,
        withdrawn_at: None,
        triggering_event_id: origin.event,
        last_event_id: origin.event,
        reason: refusal.or(origin.reason),
        acknowledged_at: None,
        acknowledged_by: None,
        dry_run,
        warnings: plan.warnings,
        guardrail,
        correlation: origin.correlation,
        decision: origin.decision.clone(),
        clock: RowClock::of(uow.frame),
        carpet: plan.carpet.map(Box::new),
    };
    if let Some(carpet) = row.carpet.as_mut().filter(|carpet| carpet.victims.is_empty()) {
        // what is reported as a whole
        let leases = std::mem::take(&mut row.leases);
        let (reported, correlation) = (row.progress.reported.clone(), row.correlation.clone());
        let victim = CarpetVictim { leases, reported, correlation };
        carpet.victims.insert(row.matching.dst_prefix, victim);
    }
    match row.carpet {
        Some(_) => row.settle_leases(now),
        None => row.follow_leases(),
    }
    row
}

/// Another action of the same rule counts as confirmed once the speaker has said so; in dry-run it does at once.
pub(super) fn set_action(row: &mut Mitigation, action: Action, now: DateTime<Utc>) {
    if row.action != action {
        row.action = action;
        row.progress.step_confirmed_at = row.dry_run.then_some(now);
    }
}

/// A queued row is admitted: from now on its rule is to be announced.
pub(super) fn admit_row(row: &mut Mitigation, now: DateTime<Utc>) {
    if row.admit(now).is_err() {
        return;
    }
    row.speaker.attempted = !row.dry_run;
    if row.dry_run {
        row.status = Status::Active;
        row.progress.step_confirmed_at = Some(now);
    }
}
