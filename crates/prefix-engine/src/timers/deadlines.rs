//! Rules leave at their deadline, and get a later not-after time early enough.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ROWS_AT_ONCE;
use crate::command::expire::Expire;
use crate::task_context::TaskContext;

/// The longest sleep before the clock is read again: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Ends rows at their deadline and renews the not-after times of those that last, until `stop`.
pub(crate) async fn deadlines(context: TaskContext, stop: CancellationToken) {
    let TaskContext { leadership, intents, route_queue, commit_queue, .. } = &context;
    loop {
        // deadlines are kept while storage is away: only a successor takes them over
        let Some(epoch) = leadership.in_charge() else {
            match stop.run_until_cancelled(leadership.changed(LONGEST_SLEEP)).await {
                Some(()) => continue,
                None => return,
            }
        };
        let now = context.now();
        let wait = intents.next_deadline().map_or(LONGEST_SLEEP, |at| until(at, now).min(LONGEST_SLEEP));
        tokio::select! {
            () = stop.cancelled() => return,
            () = intents.deadline_moved.notified() => {}
            () = sleep(wait) => {}
        }
        let now = context.now();
        for (speaker, keys) in intents.take_renewals(now) {
            route_queue.of(speaker).enqueue(keys);
        }
        loop {
            let (ids, keys) = intents.take_expired(now, ROWS_AT_ONCE);
            // the speaker first: the deadline itself is the durable intent, storage may be down
            route_queue.enqueue(keys);
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
