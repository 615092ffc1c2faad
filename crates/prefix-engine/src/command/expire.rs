//! The time of mitigations is over. Their rules leave the speaker by the same deadline, whether or not this is written
//! down yet.

use prefix_core::id::MitigationId;
use prefix_core::ports::{ReadSet, StoreError};
use prefix_policy::use_cases::{UnitOfWork, expire};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext, RETRY};
use crate::shared::Shared;

/// Ends mitigations whose time is over.
pub(crate) struct Expire(pub(crate) Vec<MitigationId>);

impl Command for Expire {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, _context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(&self.0);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        self.0.iter().for_each(|id| expire(uow, *id));
    }

    fn after(self, _result: Result<&(), &StoreError>, shared: &Shared) {
        let now = shared.now();
        for id in self.0 {
            shared.intents.expire_ended(id, now, now + RETRY);
        }
    }

    fn weight(&self) -> usize {
        self.0.len() / 4 + 1
    }
}
