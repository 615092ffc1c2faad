//! What the speaker confirmed is written down.

use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::Mitigation;
use prefix_core::ports::{ReadSet, StoreError};
use prefix_core::speakers::SpeakerId;
pub(crate) use prefix_policy::use_cases::Confirmed;
use prefix_policy::use_cases::{UnitOfWork, confirm, confirm_withdrawn};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext, RETRY};
use crate::intent_table::IntentTable;
use crate::shared::Shared;

/// True if a confirmation of this row by this speaker says something that is not written down yet: of the row itself, or of
/// another one that is giving the same rule up and need not wait for it to leave.
pub(crate) fn is_news(row: &Mitigation, key: &RouteKey, intents: &IntentTable, by: SpeakerId) -> bool {
    prefix_policy::use_cases::is_news(row, &intents.speakers, by) || intents.is_given_up(key)
}

/// Writes down which paths are in a speaker's table, and which rules have left it.
pub(crate) struct Settle {
    pub(crate) speaker: SpeakerId,
    pub(crate) confirmed: Vec<Confirmed>,
    pub(crate) gone: Vec<RouteKey>,
}

impl Settle {
    /// Nothing yet of what this speaker confirms.
    pub(crate) fn by(speaker: SpeakerId) -> Self {
        Self { speaker, confirmed: Vec::new(), gone: Vec::new() }
    }
}

impl Command for Settle {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.mitigations.extend(self.confirmed.iter().map(|confirmed| confirmed.id));
        let is_shared = |confirmed: &Confirmed| context.intents.of_route(&confirmed.key).len() > 1;
        // what the speaker has concerns no quota, unless it ends a row
        reads.admission |= !self.gone.is_empty() || self.confirmed.iter().any(is_shared);
        for row in self.gone.iter().flat_map(|key| context.intents.of_route(key)) {
            reads.mitigations.insert(row.mitigation_id);
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        self.confirmed.iter().for_each(|confirmed| confirm(uow, confirmed));
        self.gone.iter().for_each(|key| confirm_withdrawn(uow, self.speaker, key));
    }

    fn after(self, result: Result<&(), &StoreError>, shared: &Shared) {
        if result.is_err() {
            // doing it again is harmless, and it is confirmed again
            let keys = self.confirmed.into_iter().map(|confirmed| confirmed.key).chain(self.gone).collect();
            shared.route_queue.of(self.speaker).enqueue_later(keys, RETRY * 4);
        }
    }

    fn weight(&self) -> usize {
        (self.confirmed.len() + self.gone.len()) / 4 + 1
    }
}
