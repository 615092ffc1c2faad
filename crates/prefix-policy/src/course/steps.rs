//! Steps of a playbook: up while the attack lasts, down when it eases, always in place and never past a guardrail.

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::confidence::Confidence;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, FormerRule, Mitigation};
use serde_json::json;

use super::desk::Desk;
use super::ending::{end_with_companions, is_inherited};
use super::note::Note;
use super::row::{Entry, Origin, new_row};
use crate::verdict::{Plan, StepPlan, StepVerdict};

/// A report came: notes whether its confidence is enough for the running step, then looks whether a step is due.
pub(super) fn after_report(desk: &mut Desk<'_>, id: MitigationId, confidence: Confidence) {
    let Some(row) = desk.row(id) else { return };
    // what is weighed together counts as a whole, whoever reported last
    let is_weighed = row.correlation.is_some() && desk.policy.correlates();
    let confidence = if is_weighed { desk.policy.confidence_of(row, desk.now) } else { confidence };
    let below_since = desk.policy.below_since(row, confidence, desk.now);
    if row.progress.below_since != below_since {
        desk.edit(id, |row| row.progress.below_since = below_since);
    }
    step_if_due(desk, id);
}

/// Takes the next step up or down if it is due and no guardrail objects.
pub fn step_if_due(desk: &mut Desk<'_>, id: MitigationId) {
    let Some(row) = desk.row(id) else { return };
    if !row.lives() || row.parent_id.is_some() || row.progress.manual || row.expires_at <= desk.now {
        return;
    }
    match desk.policy.next_step(row, desk.standing()) {
        StepVerdict::Stay => {}
        StepVerdict::Escalate(plan) => take(desk, id, *plan, AuditAction::Escalate),
        StepVerdict::StepDown(plan) => take(desk, id, *plan, AuditAction::StepDown),
        StepVerdict::Refused { step, refusal } => refuse(desk, id, step, &refusal),
    }
}

fn stepped(row: &Mitigation, plan: StepPlan, now: chrono::DateTime<chrono::Utc>) -> Mitigation {
    let mut next = row.clone();
    if row.key().is_some_and(|key| key != plan.route.key()) {
        let former = FormerRule { matching: row.matching.clone(), action: row.action };
        next.progress.former = Some(former);
        next.speaker.announced = false;
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
        let to = if plan.step == 0 {
            prefix_core::mitigation::Status::Active
        } else {
            prefix_core::mitigation::Status::Escalated
        };
        next.status = to;
        next.progress.from_step = None;
        next.progress.former = None;
    }
    next.updated_at = now;
    next
}

fn take(desk: &mut Desk<'_>, id: MitigationId, mut plan: StepPlan, action: AuditAction) {
    let Some(row) = desk.row(id) else { return };
    let step = plan.step;
    let companion = plan.companion.take();
    let why = std::mem::take(&mut plan.reason);
    let next = stepped(row, plan, desk.now);
    // a step changes what was checked when the mitigation was let in, so it is checked again
    if let Err(refusal) = desk.policy.revalidate(&next, desk.standing()) {
        refuse(desk, id, step, &refusal);
        return;
    }
    let key = next.key();
    let claims = |other: &Mitigation| other.mitigation_id != id && other.status.claims_rule();
    let taken = key.as_ref().map(|key| desk.of_route(key, claims)).unwrap_or_default();
    if !taken.is_empty() {
        let detail = format!("another mitigation ({}) already has this rule", taken[0]);
        let refusal =
            prefix_core::guardrail::Refusal::new(prefix_core::guardrail::Guardrail::Semantic, detail);
        refuse(desk, id, step, &refusal);
        return;
    }
    let before = row.action.action_type().as_str();
    let details = json!({
        "reason": why,
        "before": { "step": row.progress.step, "action": row.action, "flow": flow(row) },
        "after": { "step": step, "action": next.action, "flow": flow(&next) },
    });
    let entry = AuditEntry::new(desk.now, Actor::SYSTEM, action, details).on("mitigation", id);
    // where another one is still withdrawing this rule, it is taken over as by a new mitigation
    if let Some(key) = &key {
        desk.take_over(key, id);
    }
    desk.note(Note::Step { from: before, row: Box::new(next.clone()) });
    desk.edit(id, |row| *row = next);
    desk.audit(entry);
    follow_with_companion(desk, id, companion);
}

/// The companion for fragments becomes what the new step says: changed in place, added, or ended.
fn follow_with_companion(desk: &mut Desk<'_>, parent: MitigationId, plan: Option<Plan>) {
    let now = desk.now;
    let key = plan.as_ref().and_then(|plan| plan.route.as_ref()).map(prefix_core::announcer::Route::key);
    let mut kept = false;
    let mut companions = desk.companions(parent);
    // one that is withdrawing already is taken over by a new one of the same rule
    companions.retain(|id| desk.row(*id).is_some_and(|row| row.status.claims_rule()));
    for id in companions {
        let same = key.is_some() && desk.row(id).and_then(Mitigation::key) == key;
        match plan.as_ref().filter(|_| same) {
            Some(plan) => {
                kept = true;
                desk.edit(id, |row| {
                    if row.action != plan.action {
                        row.action = plan.action;
                        row.progress.step_confirmed_at = row.dry_run.then_some(now);
                    }
                    row.ttl = plan.ttl;
                    row.updated_at = now;
                });
            }
            None if is_inherited(desk, id) => {}
            None => end_with_companions(desk, id, EndReason::Revalidation),
        }
    }
    let claims = |row: &Mitigation| row.status.claims_rule();
    let taken = key.as_ref().is_some_and(|key| !desk.of_route(key, claims).is_empty());
    let (Some(plan), false, false) = (plan, kept, taken) else { return };
    let Some(row) = desk.row(parent).cloned() else { return };
    let id = desk.fresh.mitigation();
    let make = |desk: &Desk<'_>, entry: &Entry<'_>| {
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
        let mut companion = new_row(desk, plan.clone(), origin, entry);
        companion.parent_id = Some(parent);
        companion.lifetime_ends_at = row.lifetime_ends_at;
        companion.follow_leases();
        companion
    };
    // the step itself needs no room, but this is one rule more
    let companion = make(desk, &Entry::Admitted);
    match desk.decide(row.victim_ip, None, |policy, facts| policy.admit(&companion, facts)) {
        Ok(()) => desk.insert(companion),
        Err(refusal) if refusal.guardrail.is_temporary() => {
            let companion = make(desk, &Entry::Queued(&refusal));
            desk.insert(companion);
        }
        Err(refusal) => desk.note(Note::Refused { refusal, about: Box::new(companion) }),
    }
}

fn flow(row: &Mitigation) -> Option<String> {
    row.route.as_ref().map(ToString::to_string)
}

fn refuse(desk: &mut Desk<'_>, id: MitigationId, step: u16, refusal: &prefix_core::guardrail::Refusal) {
    if desk.row(id).is_none_or(|row| row.progress.refused_step == Some(step)) {
        return;
    }
    desk.edit(id, |row| row.progress.refused_step = Some(step));
    let details = json!({ "step": step, "guardrail": refusal.guardrail, "reason": refusal.detail });
    if let Some(row) = desk.row(id).cloned() {
        desk.note(Note::Refused { refusal: refusal.clone(), about: Box::new(row) });
    }
    desk.audit(AuditEntry::new(desk.now, Actor::SYSTEM, AuditAction::Reject, details).on("mitigation", id));
}
