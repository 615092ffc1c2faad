//! The check of every second: mitigations for which time alone may have made a step due.

use prefix_core::id::MitigationId;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{UnitOfWork, step_if_due};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Takes the steps that are due. What fails is found due again in the next second.
pub(crate) struct Steps(pub(crate) Vec<MitigationId>);

impl Command for Steps {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        for row in context.rows(&self.0) {
            // a step that changes the match must see every other rule of the victim
            reads.victims.insert(row.victim_ip);
            // its companion may be one rule more
            reads.customers.extend(row.customer_id.clone());
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        self.0.iter().for_each(|id| step_if_due(uow, *id));
    }

    fn weight(&self) -> usize {
        self.0.len()
    }
}
