//! An operator has seen mitigations. That changes no status.

use std::sync::Arc;

use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_core::store::{ReadSet, StoreError};
use serde_json::json;
use tokio::sync::oneshot;

use crate::answer::BulkItem;
use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::error::EngineError;
use crate::shared::Shared;
use prefix_policy::use_cases::UnitOfWork;

type Reply = Result<Vec<BulkItem>, EngineError>;

/// See the module.
pub(crate) struct Acknowledge {
    ids: Vec<MitigationId>,
    caller: Caller,
    reply: oneshot::Sender<Reply>,
    result: Vec<BulkItem>,
}

impl Acknowledge {
    pub(crate) fn new(ids: Vec<MitigationId>, caller: Caller) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        (Self { ids, caller, reply, result: Vec::new() }, receiver)
    }

    fn acknowledge(&self, uow: &mut UnitOfWork<'_>, id: MitigationId) -> Result<Status, String> {
        let row = uow.row(id).ok_or_else(|| format!("there is no mitigation {id}"))?;
        if row.status == Status::Rejected {
            return Err("a rejected mitigation cannot be acknowledged: nothing was announced".into());
        }
        if let (Some(by), Some(at)) = (&row.acknowledged_by, row.acknowledged_at) {
            return Err(format!("already acknowledged by {by} at {}", at.to_rfc3339()));
        }
        let (now, status) = (uow.now, row.status);
        uow.edit(id, |row| {
            row.acknowledged_at = Some(now);
            row.acknowledged_by = Some(self.caller.actor.name().to_owned());
            row.updated_at = now;
        });
        let details = json!({ "request_id": self.caller.request_id });
        let actor = self.caller.actor.clone();
        uow.audit(AuditEntry::new(now, actor, AuditAction::Acknowledge, details).on("mitigation", id));
        Ok(status)
    }
}

impl Command for Acknowledge {
    fn reads(&self, _shared: &Shared, reads: &mut ReadSet) {
        reads.mitigations.extend(self.ids.iter().copied());
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        let items = self.ids.iter().map(|id| (*id, self.acknowledge(uow, *id)));
        self.result = items.map(|(mitigation_id, result)| BulkItem { mitigation_id, result }).collect();
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let Self { reply, result: answer, .. } = *self;
        let _ = reply.send(result.map(|()| answer).map_err(EngineError::from));
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
