//! The queue of routes that may differ from what is desired.

use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use tokio::sync::mpsc;

/// One message to the dispatcher.
pub(super) enum Enqueued {
    /// These routes may differ.
    Now(Vec<RouteKey>),
    /// The same, once this time has passed.
    Later(Vec<RouteKey>, Duration),
    /// The speaker is there again: nothing waits any longer.
    Reconnected,
}

/// Tells the dispatcher which routes to compare.
#[derive(Clone)]
pub(crate) struct RouteQueue(mpsc::UnboundedSender<Enqueued>);

/// The side of a [`RouteQueue`] that the dispatcher reads.
pub(crate) struct RouteQueueReceiver(pub(super) mpsc::UnboundedReceiver<Enqueued>);

impl RouteQueue {
    pub(crate) fn new() -> (Self, RouteQueueReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), RouteQueueReceiver(receiver))
    }

    /// These routes may differ from what is desired.
    pub(crate) fn enqueue(&self, keys: Vec<RouteKey>) {
        if !keys.is_empty() {
            self.send(Enqueued::Now(keys));
        }
    }

    /// The same, after a while.
    pub(crate) fn enqueue_later(&self, keys: Vec<RouteKey>, after: Duration) {
        self.send(Enqueued::Later(keys, after));
    }

    /// The speaker is there again.
    pub(crate) fn reconnected(&self) {
        self.send(Enqueued::Reconnected);
    }

    fn send(&self, enqueued: Enqueued) {
        // a dispatcher that has stopped needs no routes
        let _ = self.0.send(enqueued);
    }
}
