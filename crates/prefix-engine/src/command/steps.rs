//! The check of every second: mitigations for which time alone may have made a step due.

use std::sync::Arc;

use prefix_core::id::MitigationId;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{UnitOfWork, step_if_due};

use crate::commit_queue::Command;
use crate::shared::Shared;

/// See the module.
pub(crate) struct Steps {
    pub(crate) ids: Vec<MitigationId>,
}

impl Command for Steps {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        for row in self.ids.iter().filter_map(|id| shared.intents.get(*id)) {
            // a step that changes the match must see every other rule of the victim
            reads.victims.insert(row.victim_ip);
            // its companion may be one rule more
            reads.customers.extend(row.customer_id.clone());
        }
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        for id in &self.ids {
            step_if_due(uow, *id);
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, _result: Result<(), StoreError>) {
        // the next second looks again
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
