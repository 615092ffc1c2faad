//! Carpets are looked at each second, before the queue: one rule for a prefix leaves more room than any host rule needs.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::guardrail::Refusal;
use prefix_core::mitigation::Mitigation;
use prefix_policy::use_cases::CarpetArea;
use tokio::time::{Instant, timeout};

use crate::command::carpets::{MOST, TendCarpets};
use crate::commit_queue::CommitQueue;
use crate::task_context::TaskContext;

/// Between two looks, however often the queue is looked at.
const PAUSE: Duration = Duration::from_millis(900);
/// A command that was dropped is tried again like any other.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a quota, the rate of new rules or a quiet period refused is tried again after this time.
const SOON: Duration = Duration::from_secs(3);
/// What any other guardrail refused, unless the policy changes.
const LATER: Duration = Duration::from_mins(1);

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Carpets {
    looked: Option<Instant>,
    /// Until when what was refused is not tried again.
    refused: HashMap<CarpetArea, Instant>,
    policy_loaded_at: Option<DateTime<Utc>>,
}

impl Carpets {
    /// Does what is due. Returns false once the engine stops.
    pub(super) async fn round(&mut self, context: &TaskContext, commit_queue: &CommitQueue) -> bool {
        let TaskContext { policy: in_force, intents, .. } = context;
        if self.looked.is_some_and(|at| at.elapsed() < PAUSE) {
            return true;
        }
        let policy = in_force.get();
        if policy.parts().playbooks.carpets().is_empty() && !intents.has_carpets() {
            return true;
        }
        self.looked = Some(Instant::now());
        self.forget(in_force.loaded_at());
        let rows = intents.rows();
        let rows: Vec<&Mitigation> = rows.iter().map(AsRef::as_ref).collect();
        let mut areas = policy.carpets_due(&rows, &intents.speakers, context.now());
        areas.retain(|area| !self.refused.contains_key(area));
        for areas in areas.chunks(MOST) {
            let Ok(answer) = commit_queue.submit_request(TendCarpets(areas.to_vec())).await else {
                return false;
            };
            let Ok(Ok(refused)) = timeout(PATIENCE, answer).await else { return true };
            self.refused.extend(refused.into_iter().map(|(area, refusal)| (area, retry_at(&refusal))));
        }
        true
    }

    /// Forgets what is over, and everything when the policy is another one.
    fn forget(&mut self, policy_loaded_at: DateTime<Utc>) {
        if self.policy_loaded_at.replace(policy_loaded_at) != Some(policy_loaded_at) {
            self.refused.clear();
        }
        let now = Instant::now();
        self.refused.retain(|_, until| *until > now);
    }
}

fn retry_at(refusal: &Refusal) -> Instant {
    Instant::now() + if refusal.guardrail.is_temporary() { SOON } else { LATER }
}
