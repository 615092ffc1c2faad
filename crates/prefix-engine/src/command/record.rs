//! An audit entry that belongs to no other change.

use std::sync::Arc;

use prefix_core::audit::AuditEntry;
use prefix_core::store::{ReadSet, StoreError};
use tokio::sync::oneshot;

use crate::desk::Desk;
use crate::error::EngineError;
use crate::journal::Command;
use crate::shared::Shared;

/// See the module.
pub(crate) struct Record {
    entry: AuditEntry,
    reply: oneshot::Sender<Result<(), EngineError>>,
}

impl Record {
    pub(crate) fn new(entry: AuditEntry) -> (Self, oneshot::Receiver<Result<(), EngineError>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { entry, reply }, receiver)
    }
}

impl Command for Record {
    fn reads(&self, _shared: &Shared, _reads: &mut ReadSet) {}

    fn run(&mut self, desk: &mut Desk<'_>) {
        desk.audit(self.entry.clone());
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let _ = self.reply.send(result.map_err(EngineError::from));
    }
}
