//! Time passes: deadlines, renewals, steps, the queue, retention. Each waits for its own moment, none polls storage.

mod groups;
mod queue;
mod safelist;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::store::Retention;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::command::expire::Expire;
use crate::command::safelist::{ChangeSafelist, SafelistChange};
use crate::command::steps::Steps;
use crate::commit_queue::CommitQueue;
use crate::shared::Shared;
use crate::telemetry;

pub(crate) use groups::groups;
pub(crate) use queue::queue;
pub(crate) use safelist::safelist;

/// The longest sleep before the clock is looked at again: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Rows written in one transaction when many expire at once.
const EXPIRE_AT_ONCE: usize = 512;
/// Rows deleted in one step of retention.
const PRUNE_AT_ONCE: u32 = 500;

/// Rules leave at their deadline and get a later not-after time in good time.
pub(crate) async fn deadlines(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    loop {
        // deadlines are kept while storage is away: only a successor takes them over
        let Some(epoch) = shared.leadership.in_charge() else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.leadership.changed(LONGEST_SLEEP) => continue,
            }
        };
        let now = shared.now();
        let wait =
            shared.intents.next_deadline().map_or(LONGEST_SLEEP, |at| until(at, now).min(LONGEST_SLEEP));
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.deadline_moved.notified() => {}
            () = sleep(wait) => {}
        }
        let now = shared.now();
        shared.route_queue.enqueue(shared.intents.take_renewals(now));
        loop {
            let (ids, keys) = shared.intents.take_expired(now, EXPIRE_AT_ONCE);
            // the wire first: the deadline itself is the durable intent, storage may be down
            shared.route_queue.enqueue(keys);
            if ids.is_empty() {
                break;
            }
            if commit_queue.led_by(epoch).submit(Expire(ids)).is_err() {
                return;
            }
        }
    }
}

fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    // a timer wakes up a little early now and then; a millisecond later it is surely due
    (at - now).to_std().map_or(Duration::ZERO, |wait| wait + Duration::from_millis(1))
}

/// Steps that time alone makes due, each second.
pub(crate) async fn steps(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let now = shared.now();
        let policy = shared.policy();
        let safelist = shared.latest_safelist();
        let context = prefix_policy::CheckContext { now, safelist: &safelist, frozen: &[] };
        let due = |row: &prefix_core::mitigation::Mitigation| {
            row.lives()
                && row.playbook.is_some()
                && row.parent_id.is_none()
                && !row.progress.manual
                && row.progress.step_confirmed_at.is_some()
                && !matches!(policy.next_step(row, context), prefix_policy::StepVerdict::Stay)
        };
        let rows = shared.intents.rows();
        let alert = TimeDelta::from_std(shared.settings.withdraw_alarm).unwrap_or_default();
        let stuck = shared.intents.counts(now - alert).withdraw_stuck;
        telemetry::standing(&rows, stuck, shared.store.pool(), shared.settings.pop.as_str());
        let Some(epoch) = shared.leadership.leading() else { continue };
        let ids: Vec<_> = rows.iter().filter(|row| due(row)).map(|row| row.mitigation_id).collect();
        for ids in ids.chunks(EXPIRE_AT_ONCE) {
            if commit_queue.led_by(epoch).submit_request(Steps(ids.to_vec())).await.is_err() {
                return;
            }
        }
    }
}

/// Old rows leave in small steps, and safelist entries whose time is over leave the list.
pub(crate) async fn housekeeping(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    let mut tick = interval(Duration::from_mins(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        shared.confirmation_waiters.sweep();
        let Some(epoch) = shared.leadership.leading() else {
            // whoever begins to lead does it at once
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.leadership.changed(Duration::from_secs(1)) => {}
            }
            tick.reset_immediately();
            continue;
        };
        sweep_safelist(&shared, &commit_queue.led_by(epoch)).await;
        let retention = retention(&shared);
        let mut pruned = 0;
        while shared.leadership.leading().is_some() {
            match shared.store.prune(&retention, PRUNE_AT_ONCE).await {
                Ok(0) => break,
                Ok(rows) => pruned += rows,
                Err(error) => {
                    warn!(%error, "old rows could not be deleted");
                    break;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
        if pruned > 0 {
            info!(rows = pruned, "old rows deleted");
        }
    }
}

async fn sweep_safelist(shared: &Arc<Shared>, commit_queue: &CommitQueue) {
    let now = shared.now();
    let expired = match shared.store.safelist().await {
        Ok(list) => list.entries.iter().any(|entry| !entry.counts(now)),
        Err(_) => return,
    };
    if expired {
        let _ = commit_queue.submit_request(ChangeSafelist::new(SafelistChange::Sweep)).await;
    }
}

/// So far back can the activity of corroborating sources be asked for.
const ACTIVITY: Duration = Duration::from_hours(24);

fn retention(shared: &Shared) -> Retention {
    let now = shared.now();
    let before = |keep: Option<Duration>| {
        keep.and_then(|keep| TimeDelta::from_std(keep).ok()).and_then(|keep| now.checked_sub_signed(keep))
    };
    Retention {
        events_before: before(shared.settings.retain_events),
        mitigations_before: before(shared.settings.retain_mitigations),
        replies_before: now.checked_sub_signed(TimeDelta::hours(24)),
        groups_before: before(shared.settings.retain_events),
        // a simulation hears them beside the events
        corroborations_before: before(shared.settings.retain_events.map(|keep| keep.max(ACTIVITY))),
    }
}
