//! The handles that nearly every task of the engine uses.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::Clock;

use crate::commit_queue::CommitQueue;
use crate::dispatcher::RouteQueue;
use crate::intent_table::IntentTable;
use crate::leadership::Leadership;
use crate::settings::Settings;

/// The intents and the leadership to read, and the two queues to write to: the commit queue, and that of the dispatcher.
#[derive(Clone)]
pub(crate) struct TaskContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Arc<Settings>,
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
