//! Storage's clock was set: the leader writes down what is left to each row.

use chrono::TimeDelta;
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{UnitOfWork, shift_deadlines};
use serde_json::json;

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Writes rows as they are meant by the clock as it is set now.
pub(crate) struct ShiftDeadlines(pub(crate) Vec<MitigationId>);

impl Command for ShiftDeadlines {
    type Output = usize;

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, _context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.mitigations.extend(&self.0);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> usize {
        shift_deadlines(uow)
    }

    fn weight(&self) -> usize {
        self.0.len() / 4 + 1
    }
}

/// Audits that a step of storage's clock was taken.
pub(crate) struct RecordStep(pub(crate) TimeDelta);

impl Command for RecordStep {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, _context: &CommandContext<'_>, _reads: &mut ReadSet) {}

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a step")]
        let seconds = self.0.num_milliseconds() as f64 / 1000.0;
        let details = json!({ "set_by_seconds": seconds });
        uow.audit(AuditEntry::new(uow.now, Actor::SYSTEM, AuditAction::ClockStep, details));
    }
}
