//! An operator's rule: taken literally, past playbooks and correlation, but not past the guardrails.

use std::sync::Arc;

use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::confidence::Confidence;
use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::lease::Lease;
use prefix_core::mitigation::Mitigation;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::{ManualRequest, ManualVerdict, Plan};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::reply;
use crate::alerts::RefusalSubject;
use crate::answer::Answer;
use crate::caller::Caller;
use crate::commit_queue::{Command, LONG_WAIT};
use crate::error::EngineError;
use crate::shared::Shared;
use crate::telemetry;
use prefix_policy::use_cases::{Entry, Origin, UnitOfWork, admit_row, new_row, put_rejected};

/// What became of the request, as it is stored for a repetition of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Made { row: Box<Mitigation>, replaced: bool },
    Refused { refusal: Refusal, mitigation_id: Option<MitigationId> },
}

type Reply = Result<Answer<Outcome>, EngineError>;

/// See the module.
pub(crate) struct Create {
    request: ManualRequest,
    caller: Caller,
    id: MitigationId,
    arrived: Instant,
    reply: oneshot::Sender<Reply>,
    result: Option<Reply>,
}

impl Create {
    pub(crate) fn new(request: ManualRequest, caller: Caller) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let (id, arrived) = (MitigationId::generate(), Instant::now());
        (Self { request, caller, id, arrived, reply, result: None }, receiver)
    }

    fn key(&self) -> Option<prefix_core::flowspec::RouteKey> {
        Mitigation::route_for(&self.request.matching, &self.request.action).ok().map(|route| route.key())
    }

    fn decide(&self, uow: &mut UnitOfWork<'_>) -> Outcome {
        let key = self.key();
        let victim = self.request.victim_ip;
        let verdict =
            uow.decide(victim, key.as_ref(), |policy, facts| policy.decide_manual(&self.request, facts));
        match verdict {
            ManualVerdict::Mitigate { plan, mut decision } => {
                uow.conclude(&mut decision);
                let origin = self.origin(vec![self.lease(uow, &plan)], &decision);
                let row = new_row(uow, plan, origin, &Entry::Admitted);
                self.put(uow, row)
            }
            ManualVerdict::Replace { mitigation, plan, mut decision } => {
                uow.conclude(&mut decision);
                self.replace(uow, mitigation, plan, decision)
            }
            ManualVerdict::Refuse { refusal, plan, decision } => {
                let mitigation_id = plan.map(|plan| {
                    let origin = self.origin(Vec::new(), &decision);
                    put_rejected(uow, new_row(uow, plan, origin, &Entry::Rejected(&refusal)))
                });
                // without a row the refusal is audited like any other, by whoever answers
                if let Some(id) = mitigation_id {
                    let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
                    self.audit(uow, AuditAction::Reject, id, details);
                }
                Outcome::Refused { refusal, mitigation_id }
            }
        }
    }

    fn origin<'a>(&'a self, leases: Vec<Lease>, decision: &'a prefix_core::decision::Decision) -> Origin<'a> {
        Origin {
            id: self.id,
            victim_ip: self.request.victim_ip,
            vector: &self.request.vector,
            event: None,
            leases,
            correlation: None,
            reason: Some(self.request.reason.clone()),
            decision,
        }
    }

    fn lease(&self, uow: &UnitOfWork<'_>, plan: &Plan) -> Lease {
        let until = plan.ttl.after(uow.now);
        Lease::new(self.request.operator.clone(), None, Confidence::ONE, false, uow.now, until)
    }

    fn put(&self, uow: &mut UnitOfWork<'_>, mut row: Mitigation) -> Outcome {
        row.progress.manual = true;
        let details = json!({
            "reason": self.request.reason,
            "after": { "flow": row.route.as_ref().map(ToString::to_string), "action": row.action },
        });
        self.audit(uow, AuditAction::Announce, row.mitigation_id, details);
        let shown = Box::new(row.clone());
        uow.insert(row);
        Outcome::Made { row: shown, replaced: false }
    }

    /// The same rule lives or waits already: the operator's wish replaces its action, rate and TTL in place.
    fn replace(
        &self,
        uow: &mut UnitOfWork<'_>,
        id: MitigationId,
        plan: Plan,
        decision: prefix_core::decision::Decision,
    ) -> Outcome {
        let now = uow.now;
        let lease = self.lease(uow, &plan);
        if let Some(key) = uow.row(id).and_then(Mitigation::key) {
            uow.take_over(&key, id);
        }
        let before = uow.row(id).map(|row| json!({ "action": row.action, "expires_at": row.expires_at }));
        let shown = uow.edit(id, |row| {
            admit_row(row, now);
            if row.action != plan.action {
                row.progress.step_confirmed_at = row.dry_run.then_some(now);
            }
            row.action = plan.action;
            row.ttl = plan.ttl;
            row.warnings = plan.warnings;
            row.progress.manual = true;
            row.reason = Some(self.request.reason.clone());
            row.leases.retain(|held| held.source != self.request.operator);
            row.leases.push(lease);
            row.follow_leases();
            row.updated_at = now;
            row.decision = decision;
            row.clone()
        });
        let Some(row) = shown else {
            let refusal = Refusal::new(
                prefix_core::guardrail::Guardrail::Semantic,
                "the mitigation of this rule is gone; send the request again",
            );
            return Outcome::Refused { refusal, mitigation_id: Some(id) };
        };
        let details = json!({
            "reason": self.request.reason,
            "before": before,
            "after": { "action": row.action, "expires_at": row.expires_at },
        });
        self.audit(uow, AuditAction::Extend, id, details);
        Outcome::Made { row: Box::new(row), replaced: true }
    }

    fn audit(
        &self,
        uow: &mut UnitOfWork<'_>,
        action: AuditAction,
        id: MitigationId,
        details: serde_json::Value,
    ) {
        let mut details = details;
        if let Some(details) = details.as_object_mut() {
            details.insert("request_id".into(), json!(self.caller.request_id));
        }
        let entry = AuditEntry::new(uow.now, self.caller.actor.clone(), action, details).on("mitigation", id);
        uow.audit(entry);
    }
}

impl Command for Create {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.victims.insert(self.request.victim_ip);
        reads.routes.extend(self.key());
        if let Some(owned) = shared.policy().lookup(self.request.victim_ip) {
            reads.customers.insert(owned.customer_id().clone());
        }
        reply::reads(&self.caller, reads);
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        if let Some(stored) = reply::stored::<Outcome>(uow, &self.caller) {
            let restored = stored.map(|mut value| {
                if let Outcome::Made { row, .. } = &mut value {
                    row.restore_route();
                }
                Answer { value, replayed: true }
            });
            self.result = Some(restored);
            return;
        }
        let outcome = self.decide(uow);
        let final_answer = match &outcome {
            Outcome::Refused { refusal, .. } => refusal.retry_after_seconds.is_none(),
            Outcome::Made { .. } => true,
        };
        if final_answer {
            reply::store(uow, &self.caller, &outcome, uow.now);
        }
        self.result = Some(Ok(Answer::first(outcome)));
    }

    fn is_abandoned(&self) -> bool {
        // a client that hung up early may not ask again; one that waited this long was told to
        self.reply.is_closed() && self.arrived.elapsed() > LONG_WAIT
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let answer = match result {
            Ok(()) => {
                self.result.unwrap_or_else(|| Err(EngineError::Internal("a command did not run".into())))
            }
            Err(error) => Err(error.into()),
        };
        if let Ok(Answer { value: Outcome::Refused { refusal, mitigation_id }, replayed: false }) = &answer {
            telemetry::refused(refusal);
            if !self.caller.dry_run {
                let route = Mitigation::route_for(&self.request.matching, &self.request.action).ok();
                let about = RefusalSubject {
                    mitigation_id: *mitigation_id,
                    victim_ip: self.request.victim_ip,
                    vector: &self.request.vector,
                    flow: route.as_ref().map(ToString::to_string),
                };
                shared.alerts.rejected(refusal, &about);
            }
        }
        let _ = self.reply.send(answer);
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
