//! What other instances commit: the intent table of this instance follows it, and requests that wait here are answered.
//!
//! Rows are read by what changed, not by who changed it; the revision of a row keeps an answer that comes late from
//! undoing what was committed here meanwhile.

use std::time::Duration;

use prefix_core::ports::{ChangedRows, FeedCursor, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::task_context::TaskContext;

/// Between two reads of the feed.
const PERIOD: Duration = Duration::from_millis(200);
/// Rows read at once.
const ROWS: usize = 500;

/// Hands the rows that other instances have changed to the commit queue, until `stop`.
pub(crate) async fn run(context: TaskContext, stop: CancellationToken) {
    if !context.store.is_shared() {
        return stop.cancelled().await;
    }
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cursor = None;
    let mut failing = false;
    loop {
        let next = async {
            tick.tick().await;
            read(&context, cursor).await
        };
        let Some(result) = stop.run_until_cancelled(next).await else { return };
        // after a failure the same changes are read again
        match &result {
            Ok(next) => cursor = Some(*next),
            Err(error) if !failing => {
                warn!(%error, "changes of other instances cannot be read, so they are not announced from here; tried again 5 times a second");
            }
            Err(_) => {}
        }
        failing = result.is_err();
    }
}

async fn read(context: &TaskContext, since: Option<FeedCursor>) -> Result<FeedCursor, StoreError> {
    let TaskContext { settings, store, leadership, intents, route_queue, commit_queue, .. } = context;
    let changes = store.changes(&settings.pop, leadership.instance(), since).await?;
    let ids = match changes.changed {
        ChangedRows::Only(ids) => ids,
        changed @ (ChangedRows::Anything | ChangedRows::Replaced) => {
            let reloaded = match changed {
                ChangedRows::Replaced => commit_queue.replace().await,
                _ => commit_queue.reload().await,
            };
            let keys = reloaded.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            route_queue.enqueue(keys);
            intents.confirmation_waiters.ids()
        }
    };
    for ids in ids.chunks(ROWS) {
        let rows = store.by_ids(ids).await?;
        commit_queue.follow(rows).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    }
    Ok(changes.cursor)
}
