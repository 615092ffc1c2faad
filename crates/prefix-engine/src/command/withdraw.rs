//! An operator ends mitigations. That always wins: every lease ends, whoever holds it.

use std::sync::Arc;

use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{UnitOfWork, end_with_companions};
use serde_json::json;
use tokio::sync::oneshot;

use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::error::EngineError;
use crate::shared::Shared;

/// One answer per id: the row after the change, or why there is none.
pub(crate) type Rows = Vec<Result<Box<Mitigation>, EngineError>>;

type Reply = Result<Rows, EngineError>;

/// See the module.
pub(crate) struct Withdraw {
    ids: Vec<MitigationId>,
    reason: String,
    caller: Caller,
    reply: oneshot::Sender<Reply>,
    result: Rows,
}

impl Withdraw {
    pub(crate) fn new(
        ids: Vec<MitigationId>,
        reason: &str,
        caller: Caller,
    ) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let reason = format!("{}: {reason}", caller.actor.name());
        (Self { ids, reason, caller, reply, result: Vec::new() }, receiver)
    }

    fn withdraw(&self, uow: &mut UnitOfWork<'_>, id: MitigationId) -> Result<Box<Mitigation>, EngineError> {
        let Some(row) = uow.row(id) else {
            return Err(EngineError::NotFound(format!("there is no mitigation {id}")));
        };
        if row.status.is_final() {
            let detail = format!("mitigation {id} is {} already; nothing is left to withdraw", row.status);
            return Err(EngineError::NotAllowed(detail));
        }
        if row.status != Status::Withdrawing {
            let before = json!({ "status": row.status });
            end_with_companions(uow, id, EndReason::Operator);
            uow.edit(id, |row| row.reason = Some(self.reason.clone()));
            let details =
                json!({ "request_id": self.caller.request_id, "reason": self.reason, "before": before });
            let actor = self.caller.actor.clone();
            uow.audit(AuditEntry::new(uow.now, actor, AuditAction::Withdraw, details).on("mitigation", id));
        }
        match uow.row(id) {
            Some(row) => Ok(Box::new(row.clone())),
            None => Err(EngineError::Internal("a row left the transaction".into())),
        }
    }
}

impl Command for Withdraw {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
        // companions are found by their victim
        reads
            .victims
            .extend(self.ids.iter().filter_map(|id| shared.intents.get(*id)).map(|row| row.victim_ip));
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        self.result = self.ids.iter().map(|id| self.withdraw(uow, *id)).collect();
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let Self { reply, result: answer, .. } = *self;
        let _ = reply.send(result.map(|()| answer).map_err(EngineError::from));
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
