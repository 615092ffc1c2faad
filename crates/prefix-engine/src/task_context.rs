//! The handles that nearly every task of the engine uses.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::{Clock, Store};

use crate::commit_queue::CommitQueue;
use crate::dispatcher::RouteQueue;
use crate::intent_table::IntentTable;
use crate::leadership::Leadership;
use crate::policy_in_force::PolicyInForce;
use crate::settings::Settings;
use crate::storage_clock::StorageClock;

/// What a task reads: intents, leadership, policy, storage and the time; and the queues it writes to: that of the
/// dispatcher, and the commit queue.
#[derive(Clone)]
pub(crate) struct TaskContext {
    pub(crate) clock: Arc<StorageClock>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: Arc<PolicyInForce>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) intents: Arc<IntentTable>,
    pub(crate) route_queue: RouteQueue,
    pub(crate) commit_queue: CommitQueue,
}

impl TaskContext {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}
