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
use crate::alarms::{self, Refused};
use crate::answer::Answer;
use crate::caller::Caller;
use crate::error::EngineError;
use crate::journal::{Command, LONG_WAIT};
use crate::report;
use crate::shared::Shared;
use prefix_policy::course::{Desk, Entry, Origin, admit_row, new_row, put_rejected};

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

    fn decide(&self, desk: &mut Desk<'_>) -> Outcome {
        let key = self.key();
        let victim = self.request.victim_ip;
        let verdict =
            desk.decide(victim, key.as_ref(), |policy, facts| policy.decide_manual(&self.request, facts));
        match verdict {
            ManualVerdict::Mitigate { plan, mut decision } => {
                desk.conclude(&mut decision);
                let origin = self.origin(vec![self.lease(desk, &plan)], &decision);
                let row = new_row(desk, plan, origin, &Entry::Admitted);
                self.put(desk, row)
            }
            ManualVerdict::Replace { mitigation, plan, mut decision } => {
                desk.conclude(&mut decision);
                self.replace(desk, mitigation, plan, decision)
            }
            ManualVerdict::Refuse { refusal, plan, decision } => {
                let mitigation_id = plan.map(|plan| {
                    let origin = self.origin(Vec::new(), &decision);
                    put_rejected(desk, new_row(desk, plan, origin, &Entry::Rejected(&refusal)))
                });
                // without a row the refusal is audited like any other, by whoever answers
                if let Some(id) = mitigation_id {
                    let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
                    self.audit(desk, AuditAction::Reject, id, details);
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

    fn lease(&self, desk: &Desk<'_>, plan: &Plan) -> Lease {
        let until = plan.ttl.after(desk.now);
        Lease::new(self.request.operator.clone(), None, Confidence::ONE, false, desk.now, until)
    }

    fn put(&self, desk: &mut Desk<'_>, mut row: Mitigation) -> Outcome {
        row.progress.manual = true;
        let details = json!({
            "reason": self.request.reason,
            "after": { "flow": row.route.as_ref().map(ToString::to_string), "action": row.action },
        });
        self.audit(desk, AuditAction::Announce, row.mitigation_id, details);
        let shown = Box::new(row.clone());
        desk.insert(row);
        Outcome::Made { row: shown, replaced: false }
    }

    /// The same rule lives or waits already: the operator's wish replaces its action, rate and TTL in place.
    fn replace(
        &self,
        desk: &mut Desk<'_>,
        id: MitigationId,
        plan: Plan,
        decision: prefix_core::decision::Decision,
    ) -> Outcome {
        let now = desk.now;
        let lease = self.lease(desk, &plan);
        if let Some(key) = desk.row(id).and_then(Mitigation::key) {
            desk.take_over(&key, id);
        }
        let before = desk.row(id).map(|row| json!({ "action": row.action, "expires_at": row.expires_at }));
        let shown = desk.edit(id, |row| {
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
        self.audit(desk, AuditAction::Extend, id, details);
        Outcome::Made { row: Box::new(row), replaced: true }
    }

    fn audit(&self, desk: &mut Desk<'_>, action: AuditAction, id: MitigationId, details: serde_json::Value) {
        let mut details = details;
        if let Some(details) = details.as_object_mut() {
            details.insert("request_id".into(), json!(self.caller.request_id));
        }
        let entry =
            AuditEntry::new(desk.now, self.caller.actor.clone(), action, details).on("mitigation", id);
        desk.audit(entry);
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

    fn run(&mut self, _shared: &Shared, desk: &mut Desk<'_>) {
        if let Some(stored) = reply::stored::<Outcome>(desk, &self.caller) {
            let restored = stored.map(|mut value| {
                if let Outcome::Made { row, .. } = &mut value {
                    row.restore_route();
                }
                Answer { value, replayed: true }
            });
            self.result = Some(restored);
            return;
        }
        let outcome = self.decide(desk);
        let final_answer = match &outcome {
            Outcome::Refused { refusal, .. } => refusal.retry_after_seconds.is_none(),
            Outcome::Made { .. } => true,
        };
        if final_answer {
            reply::store(desk, &self.caller, &outcome, desk.now);
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
            report::refused(refusal);
            if !self.caller.dry_run {
                let route = Mitigation::route_for(&self.request.matching, &self.request.action).ok();
                let about = Refused {
                    mitigation_id: *mitigation_id,
                    victim_ip: self.request.victim_ip,
                    vector: &self.request.vector,
                    flow: route.as_ref().map(ToString::to_string),
                };
                alarms::rejected(shared, refusal, &about);
            }
        }
        let _ = self.reply.send(answer);
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
