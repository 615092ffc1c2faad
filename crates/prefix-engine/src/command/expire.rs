//! The time of mitigations is over. Their rules leave the wire by the same deadline, whether or not this is written
//! down yet.

use std::sync::Arc;

use prefix_core::id::MitigationId;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::course::{self, Desk};

use crate::journal::{Command, RETRY};
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
        let rows = self.ids.iter().filter_map(|id| shared.book.get(*id));
        reads.victims.extend(rows.filter(|row| row.parent_id.is_some()).map(|row| row.victim_ip));
    }

    fn run(&mut self, _shared: &Shared, desk: &mut Desk<'_>) {
        for id in &self.ids {
            course::expire(desk, *id);
        }
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, _result: Result<(), StoreError>) {
        let now = shared.now();
        for id in self.ids {
            shared.book.expire_ended(id, now, now + RETRY);
        }
        shared.deadline_moved.notify_one();
    }

    fn weight(&self) -> usize {
        self.ids.len() / 4 + 1
    }
}
