//! Audit entries that belong to no other change.

use std::sync::Arc;

use prefix_core::audit::AuditEntry;
use prefix_core::store::{ReadSet, StoreError};
use tokio::sync::oneshot;

use crate::commit_queue::Command;
use crate::error::EngineError;
use crate::shared::Shared;
use prefix_policy::use_cases::UnitOfWork;

/// See the module.
pub(crate) struct Record {
    entries: Vec<AuditEntry>,
    reply: oneshot::Sender<Result<(), EngineError>>,
}

impl Record {
    pub(crate) fn new(entries: Vec<AuditEntry>) -> (Self, oneshot::Receiver<Result<(), EngineError>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { entries, reply }, receiver)
    }
}

impl Command for Record {
    fn reads(&self, _shared: &Shared, _reads: &mut ReadSet) {}

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        self.entries.iter().cloned().for_each(|entry| uow.audit(entry));
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let _ = self.reply.send(result.map_err(EngineError::from));
    }
}
