//! Queued rows are tried again when a quota was freed, and each second: oldest first, and no further than it can help.
//!
//! A refusal that concerns the whole pop ends the round, one that concerns a customer ends it for that customer, and the
//! end of a quiet period is known. So ten thousand that wait cost hardly more than one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::CustomerId;
use prefix_policy::use_cases::Tried;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::carpets::Carpets;
use crate::command::admit::{self, Admit};
use crate::commit_queue::CommitQueue;
use crate::task_context::TaskContext;

/// A command that was dropped is tried again like any other.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two rounds, however fast quotas are freed.
const PAUSE: Duration = Duration::from_millis(50);

/// Tends the carpets, and admits the queued rows that no guardrail holds back any more, until `stop`.
pub(crate) async fn admission(context: TaskContext, stop: CancellationToken) {
    let TaskContext { policy, leadership, intents, commit_queue, .. } = &context;
    let (mut quiet, mut carpets) = (QuietPeriods::default(), Carpets::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = intents.admission_due.notified() => {}
            () = sleep(Duration::from_secs(1)) => {}
        }
        let Some(epoch) = leadership.leading() else { continue };
        let commit_queue = commit_queue.led_by(epoch);
        if !carpets.round(&context, &commit_queue).await {
            return;
        }
        if !intents.has_queued() {
            continue;
        }
        quiet.update(context.now(), policy.loaded_at());
        let mut queued = intents.rows();
        queued.retain(|row| row.status == Status::Queued);
        if !round(queued, &commit_queue, &mut quiet).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Until when rows of a quiet period need not be tried.
#[derive(Default)]
struct QuietPeriods {
    until: HashMap<MitigationId, DateTime<Utc>>,
    policy_loaded_at: Option<DateTime<Utc>>,
}

impl QuietPeriods {
    /// Forgets what is over, and everything when the policy is another one.
    fn update(&mut self, now: DateTime<Utc>, policy_loaded_at: DateTime<Utc>) {
        if self.policy_loaded_at.replace(policy_loaded_at) != Some(policy_loaded_at) {
            self.until.clear();
        }
        self.until.retain(|_, until| *until > now);
    }
}

/// Returns false once the engine stops.
async fn round(
    mut queued: Vec<Arc<Mitigation>>,
    commit_queue: &CommitQueue,
    quiet: &mut QuietPeriods,
) -> bool {
    queued.retain(|row| !quiet.until.contains_key(&row.mitigation_id));
    queued.sort_by_key(|row| (row.created_at, row.mitigation_id));
    let mut full: HashSet<CustomerId> = HashSet::new();
    let mut waiting = queued.into_iter();
    loop {
        let has_room = |row: &Arc<Mitigation>| row.customer_id.as_ref().is_none_or(|id| !full.contains(id));
        let ids: Vec<MitigationId> =
            waiting.by_ref().filter(has_room).take(admit::MOST).map(|row| row.mitigation_id).collect();
        if ids.is_empty() {
            return true;
        }
        let Ok(answer) = commit_queue.submit_request(Admit(ids)).await else { return false };
        let Ok(Ok(Tried { is_over: false, full: customers, quiet: rest })) = timeout(PATIENCE, answer).await
        else {
            return true;
        };
        full.extend(customers);
        quiet.until.extend(rest);
    }
}
