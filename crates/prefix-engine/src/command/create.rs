//! An operator's rule.

use chrono::{DateTime, Utc};
use prefix_core::id::MitigationId;
use prefix_core::ports::ReadSet;
use prefix_policy::ManualRequest;
use prefix_policy::use_cases::{Creation, UnitOfWork, create};

use super::repeatable::Repeatable;
use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Makes the rule that an operator asks for.
pub(crate) struct Create {
    request: ManualRequest,
    caller: Caller,
    /// Of the new row, so that a repeated run gives the same answer.
    id: MitigationId,
}

impl Create {
    pub(crate) fn new(request: ManualRequest, caller: Caller, now: DateTime<Utc>) -> Self {
        Self { request, caller, id: MitigationId::generate_at(now) }
    }
}

impl Command for Create {
    type Output = Creation;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        context.read_victim(self.request.victim_ip, reads);
        reads.routes.extend(self.request.key());
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Creation {
        create(uow, &self.request, self.id, &self.caller.author())
    }

    fn ends_with_caller(&self) -> bool {
        true
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}

impl Repeatable for Create {
    fn encode(creation: &Creation) -> Option<serde_json::Result<String>> {
        let is_lasting = match creation {
            Creation::Refused { refusal, .. } => refusal.retry_after_seconds.is_none(),
            Creation::Made { .. } => true,
        };
        is_lasting.then(|| serde_json::to_string(creation))
    }

    fn decode(stored: &str) -> serde_json::Result<Creation> {
        let mut creation = serde_json::from_str(stored)?;
        if let Creation::Made { row, .. } = &mut creation {
            row.restore_route();
        }
        Ok(creation)
    }
}
