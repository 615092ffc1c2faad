//! Old rows are deleted in small steps, and safelist entries whose time is over leave the list.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::Clock;
use prefix_core::ports::{Retention, StoreError};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::retention::RetentionState;
use crate::command::safelist::{ChangeSafelist, SafelistChange};
use crate::commit_queue::CommitQueue;
use crate::settings::Settings;
use crate::task_context::TaskContext;

/// Rows deleted in one step of retention.
const PRUNE_AT_ONCE: u32 = 500;
/// Between two steps of retention.
const PAUSE: Duration = Duration::from_millis(20);
/// The activity of corroborating sources can be asked for so far back.
const ACTIVITY: Duration = Duration::from_hours(24);

/// Cleans up each minute, until `stop`.
pub(crate) async fn housekeeping(context: TaskContext, state: Arc<RetentionState>, stop: CancellationToken) {
    let TaskContext { store, leadership, intents, commit_queue, .. } = &context;
    let mut tick = interval(Duration::from_mins(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        intents.confirmation_waiters.sweep();
        let Some(epoch) = leadership.leading() else {
            // whoever begins to lead does it at once
            if stop.run_until_cancelled(leadership.changed(Duration::from_secs(1))).await.is_none() {
                return;
            }
            tick.reset_immediately();
            continue;
        };
        sweep_safelist(&context, &commit_queue.led_by(epoch)).await;
        let horizon = match horizon(&context, &state).await {
            Ok(Some(horizon)) => horizon,
            Ok(None) => continue,
            Err(error) => {
                warn!(%error, "it is not known how far retention has come");
                continue;
            }
        };
        let retention = retention(&context.settings, horizon);
        let mut pruned = 0;
        while leadership.leading().is_some() {
            match store.prune(&retention, PRUNE_AT_ONCE).await {
                Ok(0) => break,
                Ok(rows) => pruned += rows,
                Err(error) => {
                    warn!(%error, "old rows could not be deleted");
                    break;
                }
            }
            if stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                return;
            }
        }
        if pruned > 0 {
            info!(rows = pruned, "old rows deleted");
        }
    }
}

async fn sweep_safelist(context: &TaskContext, commit_queue: &CommitQueue) {
    let now = context.now();
    let Ok(list) = context.store.safelist().await else { return };
    if list.entries.iter().any(|entry| !entry.counts(now)) {
        let _ = commit_queue.submit_request(ChangeSafelist::new(SafelistChange::Sweep)).await;
    }
}

/// Moves the horizon of retention on; `None` while it waits.
async fn horizon(context: &TaskContext, state: &RetentionState) -> Result<Option<DateTime<Utc>>, StoreError> {
    let store = &context.store;
    let stored = store.retention_horizon().await?;
    let Some(next) = state.next(stored, context.now(), context.clock.since_boot()) else {
        return Ok(None);
    };
    let moved = stored == Some(next) || store.move_retention_horizon(stored, next).await?;
    // another instance was faster, and is at it
    Ok(moved.then_some(next))
}

fn retention(settings: &Settings, now: DateTime<Utc>) -> Retention {
    let before = |keep: Option<Duration>| {
        keep.and_then(|keep| TimeDelta::from_std(keep).ok()).and_then(|keep| now.checked_sub_signed(keep))
    };
    Retention {
        events_before: before(settings.retain_events),
        mitigations_before: before(settings.retain_mitigations),
        replies_before: now.checked_sub_signed(TimeDelta::hours(24)),
        groups_before: before(settings.retain_events),
        // a simulation reads them beside the events
        corroborations_before: before(settings.retain_events.map(|keep| keep.max(ACTIVITY))),
    }
}
