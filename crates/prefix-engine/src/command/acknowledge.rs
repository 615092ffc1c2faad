//! An operator has seen mitigations.

use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{UnitOfWork, UseCaseError, acknowledge};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Marks mitigations as seen, each on its own.
pub(crate) struct Acknowledge {
    pub(crate) ids: Vec<MitigationId>,
    pub(crate) caller: Caller,
}

impl Command for Acknowledge {
    type Output = Vec<Result<Status, UseCaseError>>;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, _context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.mitigations.extend(&self.ids);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        self.ids.iter().map(|id| acknowledge(uow, *id, &self.caller.author())).collect()
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
