//! The kill switch: freeze, the end of what is frozen, thaw.

use prefix_core::id::{MitigationId, PanicId};
use prefix_core::panic::PanicScope;
use prefix_core::ports::{ReadSet, StoreError};
use prefix_policy::use_cases::{UnitOfWork, end_frozen, freeze, thaw};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};
use crate::shared::Shared;

/// Freezes a scope, unless it was thawed before it could be recorded.
pub(crate) struct Freeze {
    pub(crate) scope: PanicScope,
    pub(crate) caller: Caller,
}

impl Command for Freeze {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        freeze(uow, &self.scope, &self.caller.author());
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}

/// Ends what a panic found.
pub(crate) struct EndFrozen {
    pub(crate) ids: Vec<MitigationId>,
    pub(crate) caller: Caller,
}

impl Command for EndFrozen {
    /// Mitigations that nothing freezes any more.
    type Output = Vec<MitigationId>;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, _context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(&self.ids);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        let author = self.caller.author();
        self.ids.iter().copied().filter(|id| !end_frozen(uow, *id, &author)).collect()
    }

    fn after(self, result: Result<&Self::Output, &StoreError>, shared: &Shared) {
        if let Ok(spared) = result {
            shared.route_queue.enqueue(shared.intents.clear_panic_pending(spared));
        }
    }

    fn weight(&self) -> usize {
        self.ids.len() / 4 + 1
    }
}

/// Thaws one scope, or all.
pub(crate) struct Unfreeze {
    pub(crate) id: Option<PanicId>,
    pub(crate) reason: String,
    pub(crate) caller: Caller,
}

impl Command for Unfreeze {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        thaw(uow, self.id, &self.reason, &self.caller.author());
    }
}
