//! What waits is tried again when room was made, and each second: oldest first, and no further than it can help.
//!
//! A refusal that concerns the whole pop ends the round, one that concerns a customer ends it for that customer, and a
//! quiet period is known to last. So ten thousand that wait cost hardly more than one.

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

use crate::command::admit::{self, Admit};
use crate::commit_queue::CommitQueue;
use crate::shared::Shared;

/// A command that was dropped is tried again like any other.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two rounds, however fast room is made.
const PAUSE: Duration = Duration::from_millis(50);

/// Lets in what may come in, until it is told to stop.
pub(crate) async fn queue(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    let mut quiet = Quiet::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.queue_moved.notified() => {}
            () = sleep(Duration::from_secs(1)) => {}
        }
        let Some(epoch) = shared.leadership.leading().filter(|_| shared.intents.has_queued()) else {
            continue;
        };
        quiet.follow(&shared);
        if !round(&shared, &commit_queue.led_by(epoch), &mut quiet).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Until when rows of a quiet period need not be tried.
#[derive(Default)]
struct Quiet {
    until: HashMap<MitigationId, DateTime<Utc>>,
    policy_of: Option<DateTime<Utc>>,
}

impl Quiet {
    /// Forgets what is over, and everything when the policy is another one.
    fn follow(&mut self, shared: &Shared) {
        let (now, policy_of) = (shared.now(), Some(shared.policy_loaded_at()));
        if self.policy_of != policy_of {
            self.until.clear();
            self.policy_of = policy_of;
        }
        self.until.retain(|_, until| *until > now);
    }
}

/// Returns false once the engine stops.
async fn round(shared: &Shared, commit_queue: &CommitQueue, quiet: &mut Quiet) -> bool {
    let mut rows = shared.intents.rows();
    rows.retain(|row| row.status == Status::Queued && !quiet.until.contains_key(&row.mitigation_id));
    rows.sort_by_key(|row| (row.created_at, row.mitigation_id));
    let mut full: HashSet<CustomerId> = HashSet::new();
    let mut waiting = rows.into_iter();
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
