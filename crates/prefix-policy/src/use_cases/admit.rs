//! Queued mitigations are admitted, oldest first, as soon as no guardrail refuses them any more.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::decision::{Decision, Outcome, Stage, StageResult};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::name::CustomerId;
use serde_json::json;

use super::ending::end_with_companions;
use super::merging;
use super::row::admit_row;
use super::unit_of_work::UnitOfWork;

/// What trying queued mitigations has shown about those that were not tried.
#[derive(Debug, Default)]
pub struct Tried {
    /// None of them can be admitted now.
    pub is_over: bool,
    /// Those of these customers cannot.
    pub full: HashSet<CustomerId>,
    /// These need not be tried before then.
    pub quiet: Vec<(MitigationId, DateTime<Utc>)>,
}

/// Admits a queued mitigation and the companions that wait with it, if no guardrail refuses it any more.
pub fn try_queued(uow: &mut UnitOfWork<'_>, id: MitigationId, tried: &mut Tried) {
    let now = uow.now;
    merging::forget_ended(uow, id);
    let waits = |row: &&Mitigation| row.status == Status::Queued && row.expires_at > now;
    let Some(row) = uow.row(id).filter(waits).cloned() else { return };
    if row.customer_id.as_ref().is_some_and(|id| tried.full.contains(id)) {
        return;
    }
    // a companion is let in with its mitigation, or follows one that lives
    let parent = row.parent_id.and_then(|parent| uow.row(parent));
    if parent.is_some_and(|parent| parent.status == Status::Queued) {
        return;
    }
    let companions = waiting_companions(uow, id);
    let verdict = uow.decide(row.victim_ip, None, None, |policy, facts| {
        let companions: Vec<&Mitigation> = companions.iter().collect();
        policy.admit_set(&row, &companions, facts)
    });
    match verdict {
        Ok(()) => {
            admit_one(uow, row);
            companions.into_iter().for_each(|companion| admit_one(uow, companion));
        }
        Err(refusal) if refusal.guardrail.is_temporary() => {
            match refusal.guardrail {
                // another victim may have room
                Guardrail::QuotaVictim => {}
                Guardrail::QuotaCustomer => tried.full.extend(row.customer_id.clone()),
                Guardrail::QuietPeriod => {
                    let rest = refusal.retry_after_seconds.and_then(|rest| i64::try_from(rest).ok());
                    tried.quiet.extend(rest.map(|rest| (id, now + TimeDelta::seconds(rest))));
                }
                _ => tried.is_over = true,
            }
            if row.guardrail != Some(refusal.guardrail) {
                uow.edit(id, |row| {
                    row.guardrail = Some(refusal.guardrail);
                    row.reason = Some(refusal.detail);
                    row.updated_at = now;
                });
            }
        }
        Err(refusal) => {
            let reason = match refusal.guardrail {
                Guardrail::Safelisted => EndReason::Safelist,
                Guardrail::Frozen => EndReason::Panic,
                _ => EndReason::Revalidation,
            };
            end_with_companions(uow, id, reason);
            let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
            uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Withdraw, id, details);
        }
    }
}

/// The companions that wait with a mitigation, without those that a guardrail refuses by now: these end.
fn waiting_companions(uow: &mut UnitOfWork<'_>, id: MitigationId) -> Vec<Mitigation> {
    let mut waiting = Vec::new();
    for companion in uow.companions(id) {
        let Some(row) = uow.row(companion).filter(|row| row.status == Status::Queued).cloned() else {
            continue;
        };
        match uow.policy.check_companion(&row, uow.check_context()) {
            Ok(()) => waiting.push(row),
            Err(refusal) => {
                end_with_companions(uow, companion, EndReason::Revalidation);
                let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
                uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Withdraw, companion, details);
            }
        }
    }
    waiting
}

fn admit_one(uow: &mut UnitOfWork<'_>, row: Mitigation) {
    let (id, now) = (row.mitigation_id, uow.now);
    if let Some(key) = row.key() {
        uow.take_over(&key, id);
    }
    let mut decision = row.decision;
    note_admission(&mut decision, (now - row.created_at).num_seconds());
    uow.conclude(&mut decision);
    uow.edit(id, |row| {
        admit_row(row, now);
        row.decision = decision;
    });
    let details = json!({ "after": { "status": "pending" }, "queued_at": row.created_at });
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Announce, id, details);
}

/// The refusal that a decision ended with was a temporary one: it becomes a note, so that nobody takes the rule for
/// refused.
fn note_admission(decision: &mut Decision, seconds: i64) {
    for entry in decision.trace.iter_mut().filter(|entry| entry.result == StageResult::Stop) {
        entry.result = StageResult::Info;
        entry.detail = format!("queued at first: {}", entry.detail);
    }
    decision.outcome = Outcome::Mitigate;
    decision.guardrail = None;
    decision.pass(
        Stage::Guardrails,
        format!("admitted after {seconds} s in the queue: no guardrail refuses it any more"),
    );
}
