//! An operator's rule: taken literally, past playbooks and correlation, but not past the guardrails.

use prefix_core::audit::AuditAction;
use prefix_core::confidence::Confidence;
use prefix_core::decision::Decision;
use prefix_core::flowspec::RouteKey;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::MitigationId;
use prefix_core::lease::Lease;
use prefix_core::mitigation::Mitigation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ban::put_rejected;
use super::domain_event::{DomainEvent, RefusedRule};
use super::flapping::raised_again;
use super::ingest::Author;
use super::row::{Entry, Origin, admit_row, new_row, set_action};
use super::unit_of_work::UnitOfWork;
use crate::verdict::{ManualRequest, ManualVerdict, Plan};

/// What became of an operator's request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Creation {
    /// The rule is stored.
    Made {
        /// Its row.
        row: Box<Mitigation>,
        /// True if the same rule lived or waited already and was changed in place.
        replaced: bool,
    },
    /// A guardrail refused it.
    Refused {
        /// Which one, and why.
        refusal: Refusal,
        /// The `rejected` row; `None` if it asked for what no rule can have.
        mitigation_id: Option<MitigationId>,
    },
}

impl ManualRequest {
    /// The rule that is asked for; `None` if none can be built.
    pub fn key(&self) -> Option<RouteKey> {
        Mitigation::route_for(&self.matching, &self.action).ok().map(|route| route.key())
    }
}

/// Makes the rule that an operator asks for, under this identifier if it is a new one.
pub fn create(
    uow: &mut UnitOfWork<'_>,
    request: &ManualRequest,
    id: MitigationId,
    author: &Author<'_>,
) -> Creation {
    let key = request.key();
    let decide = |policy: &crate::Policy, facts: &crate::Facts<'_>| policy.decide_manual(request, facts);
    match uow.decide(request.victim_ip, key.as_ref(), None, decide) {
        ManualVerdict::Mitigate { plan, mut decision } => {
            uow.conclude(&mut decision);
            let origin = origin(request, id, vec![lease(uow, request, &plan)], &decision);
            let mut row = new_row(uow, plan, origin, &Entry::Admitted);
            row.progress.manual = true;
            let details = json!({
                "reason": request.reason,
                "after": { "flow": row.route.as_ref().map(ToString::to_string), "action": row.action },
            });
            author.audit(uow, AuditAction::Announce, ("mitigation", id), details);
            uow.insert(row.clone());
            Creation::Made { row: Box::new(row), replaced: false }
        }
        ManualVerdict::Replace { mitigation, plan, mut decision } => {
            uow.conclude(&mut decision);
            replace(uow, request, mitigation, plan, decision, author)
        }
        ManualVerdict::Refuse { refusal, plan, decision } => {
            let mitigation_id = plan.map(|plan| {
                let origin = origin(request, id, Vec::new(), &decision);
                put_rejected(uow, new_row(uow, plan, origin, &Entry::Rejected(&refusal)))
            });
            // without a row the refusal is audited like any other, by whoever answers
            if let Some(id) = mitigation_id {
                let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
                author.audit(uow, AuditAction::Reject, ("mitigation", id), details);
            }
            refused(uow, request, refusal, mitigation_id)
        }
    }
}

fn refused(
    uow: &mut UnitOfWork<'_>,
    request: &ManualRequest,
    refusal: Refusal,
    mitigation_id: Option<MitigationId>,
) -> Creation {
    let route = Mitigation::route_for(&request.matching, &request.action).ok();
    let flow = route.as_ref().map(ToString::to_string);
    let (victim_ip, vector) = (request.victim_ip, request.vector.clone());
    let rule = RefusedRule { mitigation_id, victim_ip, vector, flow };
    uow.emit(DomainEvent::Refused { refusal: refusal.clone(), rule, source: None });
    Creation::Refused { refusal, mitigation_id }
}

fn origin<'a>(
    request: &'a ManualRequest,
    id: MitigationId,
    leases: Vec<Lease>,
    decision: &'a Decision,
) -> Origin<'a> {
    Origin {
        id,
        victim_ip: request.victim_ip,
        vector: &request.vector,
        event: None,
        leases,
        correlation: None,
        reason: Some(request.reason.clone()),
        decision,
    }
}

fn lease(uow: &UnitOfWork<'_>, request: &ManualRequest, plan: &Plan) -> Lease {
    let until = plan.ttl.after(uow.now);
    Lease::new(request.operator.clone(), None, Confidence::ONE, false, uow.now, until)
}

/// The same rule lives or waits already: the operator's wish replaces its action, rate and TTL in place.
fn replace(
    uow: &mut UnitOfWork<'_>,
    request: &ManualRequest,
    id: MitigationId,
    plan: Plan,
    decision: Decision,
    author: &Author<'_>,
) -> Creation {
    let now = uow.now;
    let lease = lease(uow, request, &plan);
    if let Some(key) = uow.row(id).and_then(Mitigation::key) {
        uow.take_over(&key, id);
    }
    let before = uow.row(id).map(|row| json!({ "action": row.action, "expires_at": row.expires_at }));
    let changed = uow.edit(id, |row| {
        admit_row(row, now);
        raised_again(row);
        set_action(row, plan.action, now);
        row.ttl = plan.ttl;
        row.warnings = plan.warnings;
        row.progress.manual = true;
        row.reason = Some(request.reason.clone());
        row.leases.retain(|held| held.source != request.operator);
        row.leases.push(lease);
        row.follow_leases();
        row.updated_at = now;
        row.decision = decision;
        row.clone()
    });
    let Some(row) = changed else {
        let detail = "the mitigation of this rule is gone; send the request again";
        return refused(uow, request, Refusal::new(Guardrail::Semantic, detail), Some(id));
    };
    let details = json!({
        "reason": request.reason,
        "before": before,
        "after": { "action": row.action, "expires_at": row.expires_at },
    });
    author.audit(uow, AuditAction::Extend, ("mitigation", id), details);
    Creation::Made { row: Box::new(row), replaced: true }
}
