//! Stored intents are checked against today's policy: at start, before anything is announced, and on reload.

use std::sync::Arc;

use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{UnitOfWork, end_with_companions};
use serde_json::json;
use tokio::sync::oneshot;

use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::engine::PolicyChange;
use crate::error::EngineError;
use crate::shared::Shared;

type Reply = Result<Vec<MitigationId>, EngineError>;

/// See the module.
pub(crate) struct Revalidate {
    ids: Vec<MitigationId>,
    caller: Caller,
    reply: oneshot::Sender<Reply>,
    withdrawn: Vec<MitigationId>,
    conclusion: Option<Conclusion>,
}

/// What changed the policy, written down together with the last of what that withdraws.
pub(crate) struct Conclusion {
    pub(crate) change: PolicyChange,
    /// By whom.
    pub(crate) caller: Caller,
    /// What was withdrawn before.
    pub(crate) earlier: Vec<MitigationId>,
}

impl Revalidate {
    /// The last check after a change of the policy.
    pub(crate) fn concluding(
        ids: Vec<MitigationId>,
        conclusion: Conclusion,
    ) -> (Self, oneshot::Receiver<Reply>) {
        let (command, answer) = Self::new(ids);
        (Self { conclusion: Some(conclusion), ..command }, answer)
    }

    pub(crate) fn new(ids: Vec<MitigationId>) -> (Self, oneshot::Receiver<Reply>) {
        Self::asked_by(Caller::system(), ids)
    }

    /// The same, because of what somebody changed.
    pub(crate) fn asked_by(caller: Caller, ids: Vec<MitigationId>) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        (Self { ids, caller, reply, withdrawn: Vec::new(), conclusion: None }, receiver)
    }
}

fn end_reason(refusal: &Refusal) -> EndReason {
    match refusal.guardrail {
        Guardrail::Safelisted => EndReason::Safelist,
        Guardrail::Frozen => EndReason::Panic,
        Guardrail::MaxLifetime => EndReason::MaxLifetime,
        _ => EndReason::Revalidation,
    }
}

fn check(shared: &Shared, uow: &mut UnitOfWork<'_>, id: MitigationId, caller: &Caller) -> bool {
    let live = |row: &&Mitigation| row.lives() || row.status == Status::Queued;
    let Some(row) = uow.row(id).filter(live) else { return false };
    let (reason, detail) = if row.dry_run && shared.enforced() {
        (EndReason::DryRunEnded, "made in dry-run, which is over".to_owned())
    } else {
        match uow.policy.revalidate(row, uow.check_context()) {
            Ok(()) => return false,
            Err(refusal) => (end_reason(&refusal), refusal.detail),
        }
    };
    end_with_companions(uow, id, reason);
    let mut details = json!({ "reason": reason.as_str(), "detail": detail });
    if !caller.request_id.is_empty() {
        details["request_id"] = json!(caller.request_id);
    }
    let entry = AuditEntry::new(uow.now, caller.actor.clone(), AuditAction::Withdraw, details);
    uow.audit(entry.on("mitigation", id));
    true
}

impl Command for Revalidate {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
        // companions end with their parent, whichever command names them
        reads
            .victims
            .extend(self.ids.iter().filter_map(|id| shared.intents.get(*id)).map(|row| row.victim_ip));
    }

    fn run(&mut self, shared: &Shared, uow: &mut UnitOfWork<'_>) {
        let caller = &self.caller;
        self.withdrawn = self.ids.iter().copied().filter(|id| check(shared, uow, *id, caller)).collect();
        if let Some(Conclusion { change, caller, earlier }) = &self.conclusion {
            let withdrawn = [earlier.as_slice(), &self.withdrawn].concat();
            uow.audit(change.clone().entry(uow.now, caller, &withdrawn));
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let Self { reply, withdrawn: answer, .. } = *self;
        let _ = reply.send(result.map(|()| answer).map_err(EngineError::from));
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
