//! Requests that wait for the speaker's confirmation of what they have just committed.

use std::collections::HashMap;
use std::sync::Arc;

use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use tokio::sync::oneshot;

use crate::mutex::Mutex;

/// True while the speaker has yet to confirm what was committed.
pub(crate) fn awaits_speaker(status: Status) -> bool {
    matches!(status, Status::Pending | Status::Withdrawing)
}

/// The requests that wait for a mitigation to leave `pending` or `withdrawing`.
#[derive(Default)]
pub(crate) struct ConfirmationWaiters {
    waiters: Mutex<HashMap<MitigationId, Vec<oneshot::Sender<Arc<Mitigation>>>>>,
}

impl ConfirmationWaiters {
    /// Waits for a mitigation. To be called before its status is read, so that no confirmation is missed in between.
    pub(crate) fn register(&self, id: MitigationId) -> oneshot::Receiver<Arc<Mitigation>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = self.waiters.lock();
        let waiting = waiters.entry(id).or_default();
        waiting.retain(|waiter| !waiter.is_closed());
        waiting.push(sender);
        receiver
    }

    /// A row may have reached a status that requests wait for.
    pub(crate) fn reached(&self, row: &Mitigation) {
        if awaits_speaker(row.status) {
            return;
        }
        let waiting = self.waiters.lock().remove(&row.mitigation_id);
        let Some(waiting) = waiting else { return };
        let row = Arc::new(row.clone());
        for waiter in waiting {
            // a request that gave up waiting is fine
            let _ = waiter.send(row.clone());
        }
    }

    /// The mitigations that requests wait for.
    pub(crate) fn ids(&self) -> Vec<MitigationId> {
        self.waiters.lock().keys().copied().collect()
    }

    /// Forgets the requests that gave up.
    pub(crate) fn sweep(&self) {
        let mut waiters = self.waiters.lock();
        waiters.retain(|_, waiting| {
            waiting.retain(|waiter| !waiter.is_closed());
            !waiting.is_empty()
        });
    }
}
