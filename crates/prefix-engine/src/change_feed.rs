//! What other instances commit: this instance's intent table follows, and whoever waits for it here is told.
//!
//! Rows are read by what changed, not by who changed it; the revision of a row keeps an answer that comes late from
//! undoing what was committed here meanwhile.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::store::{Changed, FeedCursor, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::commit_queue::CommitQueue;
use crate::shared::Shared;

/// Between two looks at the feed.
const LOOK: Duration = Duration::from_millis(200);
/// Rows read at once.
const ROWS: usize = 500;

/// Follows the feed until it is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    if !shared.store.is_shared() {
        return stop.cancelled().await;
    }
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cursor = None;
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            read = look(&shared, &commit_queue, cursor) => match read {
                Ok(next) => {
                    cursor = Some(next);
                    failing = false;
                }
                Err(error) => {
                    // the same changes are read again
                    if !failing {
                        warn!(%error, "what other instances take in cannot be read, so it is not announced from here; tried again 5 times a second");
                    }
                    failing = true;
                }
            }
        }
    }
}

async fn look(
    shared: &Shared,
    commit_queue: &CommitQueue,
    since: Option<FeedCursor>,
) -> Result<FeedCursor, StoreError> {
    let instance = shared.leadership.instance();
    let changes = shared.store.changes(&shared.settings.pop, instance, since).await?;
    let ids = match changes.changed {
        Changed::Only(ids) => ids,
        Changed::Anything => {
            let reloaded = commit_queue.reload().await;
            let keys = reloaded.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            shared.route_queue.enqueue(keys);
            shared.confirmation_waiters.ids()
        }
    };
    for ids in ids.chunks(ROWS) {
        let rows = shared.store.by_ids(ids).await?;
        commit_queue.follow(rows).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    }
    Ok(changes.cursor)
}
