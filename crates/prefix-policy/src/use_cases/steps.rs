//! Steps of a playbook: up while the attack lasts, down when it eases, always in place and never past a guardrail.

use chrono::{DateTime, Utc};
use prefix_core::announcer::Route;
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::confidence::Confidence;
use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, FormerRule, Mitigation, Status};
use serde_json::json;

use super::domain_event::{DomainEvent, RefusedRule};
use super::ending::end_with_companions;
use super::row::{Entry, Origin, new_row, set_action};
use super::unit_of_work::UnitOfWork;
use crate::verdict::{Plan, StepPlan, StepVerdict};

/// A report came: notes whether its confidence is enough for the running step, then looks whether a step is due.
pub(super) fn after_report(uow: &mut UnitOfWork<'_>, id: MitigationId, confidence: Confidence) {
    let Some(row) = uow.row(id) else { return };
    // what is weighed together counts as a whole, whoever reported last
    let is_weighed = row.correlation.is_some() && uow.policy.correlates();
    let confidence = if is_weighed { uow.policy.confidence_of(row, uow.now) } else { confidence };
    let below_since = uow.policy.below_since(row, confidence, uow.now);
    if row.progress.below_since != below_since {
        uow.edit(id, |row| row.progress.below_since = below_since);
    }
    step_if_due(uow, id);
}

/// Takes the next step up or down if it is due and no guardrail objects.
pub fn step_if_due(uow: &mut UnitOfWork<'_>, id: MitigationId) {
    let Some(row) = uow.row(id) else { return };
    if !row.lives() || row.parent_id.is_some() || row.progress.manual || row.expires_at <= uow.now {
        return;
    }
    // one of several speakers may still have the rule of the step before the running one: a row remembers one former rule
    if row.progress.former.is_some() {
        return;
    }
    match uow.policy.next_step(row, uow.check_context()) {
        StepVerdict::Stay => {}
        StepVerdict::Escalate(plan) => take(uow, id, *plan, AuditAction::Escalate),
        StepVerdict::StepDown(plan) => take(uow, id, *plan, AuditAction::StepDown),
        StepVerdict::Refused { step, refusal } => refuse(uow, id, step, &refusal),
    }
}

fn stepped(row: &Mitigation, plan: StepPlan, now: DateTime<Utc>) -> Mitigation {
    let mut next = row.clone();
    if row.key().is_some_and(|key| key != plan.route.key()) {
        let former = FormerRule { matching: row.matching.clone(), action: row.action };
        next.progress.former = Some(former);
        next.speaker.route_changed();
    }
    next.matching = plan.matching;
    next.route = Some(plan.route);
    next.action = plan.action;
    next.ttl = plan.ttl;
    next.warnings = plan.warnings;
    next.progress.from_step = Some(row.progress.step);
    next.progress.step = plan.step;
    next.progress.step_confirmed_at = row.dry_run.then_some(now);
    next.progress.below_since = None;
    next.progress.refused_step = None;
    let down = plan.step < row.progress.step;
    next.progress.escalated_since = match row.progress.escalated_since {
        _ if plan.step == 0 => None,
        // the longest time counts anew at the former step, or one step down would lead straight to the bottom
        Some(since) if !down => Some(since),
        _ => Some(now),
    };
    if row.dry_run {
        next.status = if plan.step == 0 { Status::Active } else { Status::Escalated };
        next.progress.from_step = None;
        next.progress.former = None;
    }
    next.updated_at = now;
    next
}

fn take(uow: &mut UnitOfWork<'_>, id: MitigationId, mut plan: StepPlan, action: AuditAction) {
    let Some(row) = uow.row(id) else { return };
    let step = plan.step;
    let companions = std::mem::take(&mut plan.companions);
    let why = std::mem::take(&mut plan.reason);
    let next = stepped(row, plan, uow.now);
    // a step changes what was checked when the mitigation was admitted, so it is checked again
    if let Err(refusal) = uow.policy.revalidate(&next, uow.check_context()) {
        refuse(uow, id, step, &refusal);
        return;
    }
    let key = next.key();
    let before = row.action.action_type().as_str();
    let details = json!({
        "reason": why,
        "before": { "step": row.progress.step, "action": row.action, "flow": flow(row) },
        "after": { "step": step, "action": next.action, "flow": flow(&next) },
    });
    // where another one is still withdrawing this rule, it is taken over as by a new mitigation
    if let Some(key) = &key {
        uow.take_over(key, id);
    }
    uow.emit(DomainEvent::Step { from: before, row: Box::new(next.clone()) });
    uow.edit(id, |row| *row = next);
    uow.audit_mitigation(&Actor::SYSTEM, action, id, details);
    follow_with_companions(uow, id, companions);
}

/// The companions become those of the new step: one whose rule stays keeps its row, the others end, new ones are added.
fn follow_with_companions(uow: &mut UnitOfWork<'_>, parent: MitigationId, mut wanted: Vec<Plan>) {
    let now = uow.now;
    let mut companions = uow.companions(parent);
    // one that is withdrawing already is taken over by a new one of the same rule
    companions.retain(|id| uow.row(*id).is_some_and(|row| row.status.claims_rule()));
    for id in companions {
        let key = uow.row(id).and_then(Mitigation::key);
        let same = |plan: &Plan| plan.route.as_ref().map(Route::key) == key;
        match wanted.iter().position(same).map(|index| wanted.remove(index)) {
            Some(plan) => {
                uow.edit(id, |row| {
                    set_action(row, plan.action, now);
                    row.role = Some(plan.role);
                    row.ttl = plan.ttl;
                    row.updated_at = now;
                });
            }
            None => end_with_companions(uow, id, EndReason::Superseded),
        }
    }
    for plan in wanted {
        accompany(uow, parent, &plan);
    }
}

/// Adds a companion to a mitigation that lives.
fn accompany(uow: &mut UnitOfWork<'_>, parent: MitigationId, plan: &Plan) {
    let Some(row) = uow.row(parent).cloned() else { return };
    let id = MitigationId::from(uow.id_generator.next());
    let make = |uow: &UnitOfWork<'_>, entry: &Entry<'_>| {
        let origin = Origin {
            id,
            victim_ip: row.victim_ip,
            vector: &row.vector,
            event: row.last_event_id,
            leases: row.leases.clone(),
            correlation: row.correlation.clone(),
            reason: None,
            decision: &row.decision,
        };
        let mut companion = new_row(uow, plan.clone(), origin, entry);
        companion.parent_id = Some(parent);
        companion.lifetime_ends_at = row.lifetime_ends_at;
        companion.follow_leases();
        companion
    };
    // the step itself counts against no quota, but this is one rule more
    let companion = make(uow, &Entry::Admitted);
    match uow.decide(row.victim_ip, None, None, |policy, facts| policy.admit(&companion, facts)) {
        Ok(()) => uow.insert(companion),
        Err(refusal) if refusal.guardrail.is_temporary() => {
            let companion = make(uow, &Entry::Queued(&refusal));
            uow.insert(companion);
        }
        Err(refusal) => {
            uow.emit(DomainEvent::Refused { refusal, rule: RefusedRule::of(&companion), source: None });
        }
    }
}

fn flow(row: &Mitigation) -> Option<String> {
    row.route.as_ref().map(ToString::to_string)
}

fn refuse(uow: &mut UnitOfWork<'_>, id: MitigationId, step: u16, refusal: &Refusal) {
    if uow.row(id).is_none_or(|row| row.progress.refused_step == Some(step)) {
        return;
    }
    uow.edit(id, |row| row.progress.refused_step = Some(step));
    let details = json!({ "step": step, "guardrail": refusal.guardrail, "reason": refusal.detail });
    if let Some(rule) = uow.row(id).map(RefusedRule::of) {
        uow.emit(DomainEvent::Refused { refusal: refusal.clone(), rule, source: None });
    }
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Reject, id, details);
}
