//! The time of mitigations is over. Their rules leave the wire by the same deadline, whether or not this is written
//! down yet.

use std::sync::Arc;

use prefix_core::id::MitigationId;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{self, UnitOfWork};

use crate::commit_queue::{Command, RETRY};
use crate::shared::Shared;

/// See the module.
pub(crate) struct Expire {
    pub(crate) ids: Vec<MitigationId>,
}

impl Command for Expire {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
        // another mitigation of the victim may need a companion
        let rows = self.ids.iter().filter_map(|id| shared.intents.get(*id));
        reads.victims.extend(rows.filter(|row| row.parent_id.is_some()).map(|row| row.victim_ip));
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        for id in &self.ids {
            use_cases::expire(uow, *id);
        }
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, _result: Result<(), StoreError>) {
        let now = shared.now();
        for id in self.ids {
            shared.intents.expire_ended(id, now, now + RETRY);
        }
    }

    fn weight(&self) -> usize {
        self.ids.len() / 4 + 1
    }
}
