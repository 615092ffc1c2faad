//! The queues of routes that may differ from what is desired, one for each speaker.

use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use prefix_core::speakers::{SpeakerId, Speakers};
use tokio::sync::mpsc;

/// One message to a dispatcher.
#[derive(Clone)]
pub(super) enum Enqueued {
    /// These routes may differ.
    Now(Vec<RouteKey>),
    /// The same, once this time has passed.
    Later(Vec<RouteKey>, Duration),
    /// The speaker is there again: nothing waits any longer.
    Reconnected,
}

/// Tells the dispatchers which routes to compare: those of all speakers, or that of one.
#[derive(Clone)]
pub(crate) struct RouteQueue(Vec<mpsc::UnboundedSender<Enqueued>>);

/// The side of a [`RouteQueue`] that the dispatcher of one speaker reads.
pub(crate) struct RouteQueueReceiver(pub(super) mpsc::UnboundedReceiver<Enqueued>);

impl RouteQueue {
    /// A queue for each of these speakers, in their order.
    pub(crate) fn new(speakers: &Speakers) -> (Self, Vec<RouteQueueReceiver>) {
        let (senders, receivers) = speakers
            .ids()
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                (sender, RouteQueueReceiver(receiver))
            })
            .unzip();
        (Self(senders), receivers)
    }

    /// The queue of one speaker.
    pub(crate) fn of(&self, speaker: SpeakerId) -> Self {
        Self(self.0.get(speaker.0).cloned().into_iter().collect())
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
        let Some((last, others)) = self.0.split_last() else { return };
        for sender in others {
            // a dispatcher that has stopped needs no routes
            let _ = sender.send(enqueued.clone());
        }
        let _ = last.send(enqueued);
    }
}
