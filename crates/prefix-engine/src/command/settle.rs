//! What the speaker confirmed is written down.

use prefix_core::flowspec::RouteKey;
use prefix_core::ports::{ReadSet, StoreError};
use prefix_core::speakers::SpeakerId;
pub(crate) use prefix_policy::use_cases::{Confirmed, is_news};
use prefix_policy::use_cases::{UnitOfWork, confirm, confirm_withdrawn};

use crate::commit_queue::{Command, CommandContext, RETRY};
use crate::shared::Shared;

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

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        // what the speaker has concerns no quota
        reads.admission |= !self.gone.is_empty();
        reads.mitigations.extend(self.confirmed.iter().map(|confirmed| confirmed.id));
        for row in self.gone.iter().flat_map(|key| context.intents.of_route(key)) {
            reads.mitigations.insert(row.mitigation_id);
            reads.victims.extend(row.parent_id.map(|_| row.victim_ip));
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
