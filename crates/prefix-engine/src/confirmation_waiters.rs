//! Requests that wait for the speaker's confirmation of what they have just committed.

use std::collections::HashMap;

use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use tokio::sync::oneshot;

use crate::mutex::Mutex;

/// The requests that wait for a mitigation to leave `pending` or `withdrawing`.
#[derive(Default)]
pub(crate) struct ConfirmationWaiters {
    waiters: Mutex<HashMap<MitigationId, Vec<oneshot::Sender<Status>>>>,
}

impl ConfirmationWaiters {
    /// Waits for a mitigation. To be called before its status is read, so that no confirmation is missed in between.
    pub(crate) fn register(&self, id: MitigationId) -> oneshot::Receiver<Status> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = self.waiters.lock();
        let waiting = waiters.entry(id).or_default();
        waiting.retain(|waiter| !waiter.is_closed());
        waiting.push(sender);
        receiver
    }

    /// A committed row reached this status.
    pub(crate) fn reached(&self, id: MitigationId, status: Status) {
        if matches!(status, Status::Pending | Status::Withdrawing) {
            return;
        }
        let waiting = self.waiters.lock().remove(&id);
        for waiter in waiting.into_iter().flatten() {
            // a request that gave up waiting is fine
            let _ = waiter.send(status);
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
