//! Queued mitigations are let in, oldest first, as soon as nothing is against them any more.

use std::sync::Arc;

use prefix_core::id::MitigationId;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{Tried, UnitOfWork, try_queued};
use tokio::sync::oneshot;

use crate::commit_queue::Command;
use crate::shared::Shared;

/// The most rows looked at in one transaction.
pub(crate) const MOST: usize = 128;

/// See the module.
pub(crate) struct Admit {
    ids: Vec<MitigationId>,
    done: oneshot::Sender<Tried>,
    tried: Tried,
}

impl Admit {
    /// To be tried in this order.
    pub(crate) fn new(ids: Vec<MitigationId>, done: oneshot::Sender<Tried>) -> Self {
        Self { ids, done, tried: Tried::default() }
    }
}

impl Command for Admit {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
        for row in self.ids.iter().filter_map(|id| shared.intents.get(*id)) {
            reads.victims.insert(row.victim_ip);
            reads.customers.extend(row.customer_id.clone());
        }
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        self.tried = Tried::default();
        for id in &self.ids {
            if self.tried.is_over {
                break;
            }
            try_queued(uow, *id, &mut self.tried);
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let Self { done, tried, .. } = *self;
        let tried = if result.is_ok() { tried } else { Tried { is_over: true, ..Tried::default() } };
        let _ = done.send(tried);
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
