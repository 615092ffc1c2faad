//! Audit entries that belong to no other change.

use prefix_core::audit::AuditEntry;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::UnitOfWork;

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Writes audit entries.
pub(crate) struct Record(pub(crate) Vec<AuditEntry>);

impl Command for Record {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, _context: &CommandContext<'_>, _reads: &mut ReadSet) {}

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        self.0.iter().cloned().for_each(|entry| uow.audit(entry));
    }
}
