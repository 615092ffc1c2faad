//! Queued mitigations are tried.

use prefix_core::id::MitigationId;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{Tried, UnitOfWork, try_queued};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// The most rows looked at in one transaction.
pub(crate) const MOST: usize = 128;

/// Tries queued mitigations in this order, until none of the rest can be admitted.
pub(crate) struct Admit(pub(crate) Vec<MitigationId>);

impl Command for Admit {
    type Output = Tried;

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(&self.0);
        for row in context.rows(&self.0) {
            reads.victims.insert(row.victim_ip);
            context.read_carpets(row.victim_ip, reads);
            reads.customers.extend(row.customer_id.clone());
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Tried {
        let mut tried = Tried::default();
        for id in &self.0 {
            if tried.is_over {
                break;
            }
            try_queued(uow, *id, &mut tried);
        }
        tried
    }

    fn weight(&self) -> usize {
        self.0.len()
    }
}
