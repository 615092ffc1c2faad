//! The safelist changes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::address::Prefix;
use prefix_core::mitigation::Mitigation;
use prefix_core::ports::ReadSet;
use prefix_core::safelist::SafelistEntry;
use prefix_policy::use_cases::{
    SafelistAdded, UnitOfWork, UseCaseError, add_to_safelist, configure_safelist, is_safelisted_by,
    remove_from_safelist, sweep_safelist,
};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};
use crate::intent_table::IntentTable;

/// So many rules end together with the change of the list; the others after it, in portions.
const AT_ONCE: usize = 512;

/// The rules of this pop that an entry withdraws, oldest first.
pub(crate) fn covered_by(
    intents: &IntentTable,
    entry: &SafelistEntry,
    now: DateTime<Utc>,
) -> Vec<Arc<Mitigation>> {
    if !entry.counts(now) {
        return Vec::new();
    }
    let mut rows = intents.rows();
    rows.retain(|row| is_safelisted_by(row, entry));
    rows.sort_by_key(|row| row.mitigation_id);
    rows
}

/// Puts an entry, and ends what it covers.
pub(crate) struct AddToSafelist {
    pub(crate) entry: SafelistEntry,
    pub(crate) caller: Caller,
}

impl Command for AddToSafelist {
    type Output = Result<SafelistAdded, UseCaseError>;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        // a rule that is admitted at this very moment is refused by its own transaction, which locks the safelist
        let covered = covered_by(context.intents, &self.entry, context.now).into_iter().take(AT_ONCE);
        for row in covered {
            reads.victims.insert(row.victim_ip);
            context.read_hosts(&row, reads);
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        add_to_safelist(uow, &self.entry, &self.caller.author())
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}

/// Removes entries.
pub(crate) struct ChangeSafelist {
    pub(crate) change: SafelistChange,
    pub(crate) caller: Caller,
}

/// Which entries leave the list.
pub(crate) enum SafelistChange {
    /// The one of this prefix.
    Remove(Prefix),
    /// Those that have left the configuration file, which holds these now.
    Configure(Vec<Prefix>),
    /// Those whose time is over.
    Sweep,
}

impl ChangeSafelist {
    /// A change that the daemon makes by itself.
    pub(crate) fn new(change: SafelistChange) -> Self {
        Self { change, caller: Caller::system() }
    }
}

impl Command for ChangeSafelist {
    type Output = Result<(), UseCaseError>;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        let author = self.caller.author();
        match &self.change {
            SafelistChange::Remove(prefix) => remove_from_safelist(uow, *prefix, &author)?,
            SafelistChange::Configure(prefixes) => configure_safelist(uow, prefixes, &author),
            SafelistChange::Sweep => sweep_safelist(uow, &author),
        }
        Ok(())
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
