//! The guard: whatever becomes of the daemon, own paths leave when their not-after time and a small grace are over.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::TryStreamExt;
use prefix_core::announcer::RibPath;
use prefix_core::ownership::Ownership;
use prefix_core::{Announcer, Clock};
use prefix_testkit::fakes::{MemoryAnnouncer, ScriptedClock};

use crate::observer::Observer;

/// Takes own paths away that are over.
pub(crate) struct Guard;

impl Guard {
    /// `bgp.guard.grace_seconds`.
    pub(crate) const GRACE: TimeDelta = TimeDelta::seconds(10);
    /// So long after a step of the deciding clock it withdraws nothing.
    pub(crate) const HELD: Duration = Duration::from_secs(45);
    /// Between two looks at the table.
    pub(crate) const EVERY: Duration = Duration::from_secs(10);

    /// Works until the end of the schedule.
    pub(crate) fn start(
        speaker: Arc<MemoryAnnouncer>,
        clock: Arc<ScriptedClock>,
        observer: Arc<Observer>,
    ) -> Self {
        let trace = observer.trace.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Self::EVERY).await;
                // its time is that of the daemon, who does not follow a clock that was set a moment ago
                if observer.since_step() < Self::HELD {
                    continue;
                }
                let Ok(table) = speaker.table().await else { continue };
                let Ok(paths) = table.try_collect::<Vec<RibPath>>().await else { continue };
                let limit = clock.now() - Self::GRACE;
                let is_overdue = |path: &&RibPath| match path.ownership {
                    Ownership::Own { not_after: Some(not_after), .. } => {
                        path.local && not_after.time() < limit
                    }
                    _ => false,
                };
                for path in paths.iter().filter(is_overdue) {
                    let done = speaker.withdraw(std::slice::from_ref(&path.key)).await;
                    let answer = if done.iter().all(Result::is_ok) { "done" } else { "not done" };
                    trace
                        .tell("guard", format!("withdraws {}, which is overdue ({answer})", path.key.flow()));
                }
            }
        });
        Self
    }
}
