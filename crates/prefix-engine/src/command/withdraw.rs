//! An operator ends mitigations.

use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{UnitOfWork, UseCaseError, withdraw};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Ends mitigations, each on its own.
pub(crate) struct Withdraw {
    pub(crate) ids: Vec<MitigationId>,
    pub(crate) reason: String,
    pub(crate) caller: Caller,
}

impl Command for Withdraw {
    /// One per id: the row after the change, or why there is none.
    type Output = Vec<Result<Box<Mitigation>, UseCaseError>>;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(&self.ids);
        // companions are found by their victim
        reads.victims.extend(context.rows(&self.ids).map(|row| row.victim_ip));
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        self.ids.iter().map(|id| withdraw(uow, *id, &self.reason, &self.caller.author())).collect()
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
