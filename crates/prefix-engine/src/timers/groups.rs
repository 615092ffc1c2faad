//! Windows of signal groups end, signals lose weight with age, and detectors fall silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prefix_core::id::GroupId;
use prefix_core::name::SourceName;
use prefix_core::ports::StoreError;
use prefix_policy::Policy;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::alerts::Alerts;
use crate::command::groups::{CloseGroups, RefreshGroups};
use crate::commit_queue::CommitQueue;
use crate::source_liveness::SourceLiveness;
use crate::task_context::TaskContext;
use crate::telemetry;

/// Groups of one transaction.
const AT_ONCE: u32 = 512;
/// The most open groups that are read.
const MAX_GROUPS: u32 = 100_000;
/// Between two checks of windows and of the liveness of sources.
const OFTEN: Duration = Duration::from_secs(1);
/// Between two counts of waiting signals, and between two checks of windows while the policy correlates nothing.
const SELDOM: Duration = Duration::from_secs(5);

/// Closes and refreshes signal groups, and watches for detectors that fall silent.
pub(crate) struct GroupTimer {
    pub(crate) context: TaskContext,
    pub(crate) liveness: Arc<SourceLiveness>,
    pub(crate) alerts: Arc<Alerts>,
}

impl GroupTimer {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let TaskContext { settings, policy: in_force, leadership, commit_queue, .. } = &self.context;
        let (mut seldom, mut refreshed) = (None::<Instant>, Instant::now());
        let mut refreshed_under = in_force.loaded_at();
        loop {
            let policy = in_force.get();
            let is_frequent = policy.correlates()
                || policy.parts().correlation.sources.iter().any(|(_, entry)| entry.silent_after_seconds > 0);
            let period = if is_frequent { OFTEN } else { SELDOM };
            if stop.run_until_cancelled(sleep(period)).await.is_none() {
                return;
            }
            let policy = in_force.get();
            self.check_detectors(&policy).await;
            self.liveness.expired(self.context.now()).iter().for_each(telemetry::corroboration_expired);
            let is_seldom = seldom.is_none_or(|at| at.elapsed() >= SELDOM);
            if is_seldom {
                seldom = Some(Instant::now());
                self.count_waiting(&policy).await;
            }
            let Some(epoch) = leadership.leading() else { continue };
            if policy.correlates() || is_seldom {
                let commit_queue = commit_queue.led_by(epoch);
                if let Err(error) = self.close(&commit_queue).await {
                    debug!(%error, "open groups cannot be read");
                    continue;
                }
                // another policy may be content with what is held, and edge detectors do not report again
                let loaded_at = in_force.loaded_at();
                let has_changed = loaded_at != refreshed_under;
                if has_changed || refreshed.elapsed() >= settings.reconciliation_interval {
                    refreshed = Instant::now();
                    refreshed_under = loaded_at;
                    if let Err(error) = self.refresh(&policy, &commit_queue, has_changed).await {
                        debug!(%error, "open groups cannot be read");
                    }
                }
            }
        }
    }

    /// Closes groups whose window is over.
    async fn close(&self, commit_queue: &CommitQueue) -> Result<(), StoreError> {
        let now = self.context.now();
        let open = self.context.store.open_groups(&self.context.settings.pop, AT_ONCE).await?;
        let over = open.iter().filter(|group| group.window_ends_at <= now);
        let ids: Vec<GroupId> = over.map(|group| group.group_id).collect();
        if !ids.is_empty() {
            // the commit queue ends only with the engine
            let _ = commit_queue.submit(CloseGroups(ids));
        }
        Ok(())
    }

    /// Computes confidences that decay anew: of open groups, and of those that mitigations are based on. `all`: whether
    /// or not they decay.
    async fn refresh(
        &self,
        policy: &Policy,
        commit_queue: &CommitQueue,
        all: bool,
    ) -> Result<(), StoreError> {
        let decays = |playbook: Option<&_>| policy.terms(playbook).half_life_seconds > 0;
        let anything_decays =
            decays(None) || policy.parts().playbooks.iter().any(|playbook| decays(Some(&playbook.name)));
        if !policy.correlates() || !(all || anything_decays) {
            return Ok(());
        }
        let open = self.context.store.open_groups(&self.context.settings.pop, MAX_GROUPS).await?;
        let open = open
            .into_iter()
            .filter(|group| all || (decays(group.playbook.as_ref()) && group.signals.len() > 1));
        let mut groups: BTreeSet<_> = open.map(|group| (group.group_id, group.victim_ip)).collect();
        for row in self.context.intents.rows() {
            let correlation = row.correlation.as_ref().filter(|_| all || decays(row.playbook.as_ref()));
            groups.extend(correlation.map(|correlation| (correlation.signal_group_id, row.victim_ip)));
        }
        let groups: Vec<_> = groups.into_iter().collect();
        for groups in groups.chunks(AT_ONCE as usize) {
            let _ = commit_queue.submit_request(RefreshGroups(groups.to_vec())).await;
        }
        Ok(())
    }

    /// Looks for detectors that fell silent. Another instance may have received their reports: storage knows.
    async fn check_detectors(&self, policy: &Policy) {
        let watched: BTreeMap<SourceName, u32> = policy
            .parts()
            .correlation
            .sources
            .iter()
            .filter(|(_, entry)| entry.silent_after_seconds > 0)
            .map(|(source, entry)| (source.clone(), entry.silent_after_seconds))
            .collect();
        let now = self.context.now();
        self.liveness.watch(&watched, now);
        let seem_silent = self.liveness.seem_silent(&watched, now);
        if !seem_silent.is_empty() {
            match self.context.store.last_heard(&seem_silent).await {
                Ok(last) => last.iter().for_each(|(source, at)| self.liveness.reported(source, *at)),
                // it is not known who reported
                Err(_) => return,
            }
        }
        let changes = self.liveness.update(&watched, now);
        if self.context.leadership.in_charge().is_some() {
            for (source, silence) in &changes.fell_silent {
                self.alerts.detector_silent(source, silence);
            }
        }
        changes.reports_again.iter().for_each(telemetry::detector_reports_again);
    }

    /// Counts the corroborating signals that wait, by source.
    async fn count_waiting(&self, policy: &Policy) {
        let sources = policy.parts().correlation.sources.iter().map(|(source, _)| source);
        let corroborating: Vec<&SourceName> =
            sources.filter(|source| policy.parts().correlation.sources.is_corroborating(source)).collect();
        if corroborating.is_empty() {
            return;
        }
        let (pop, now) = (&self.context.settings.pop, self.context.now());
        if let Ok((waiting, _)) = self.context.store.waiting_corroborations(pop, now, None, 0).await {
            for source in corroborating {
                let count = waiting.by_source.get(source).copied().unwrap_or(0);
                telemetry::corroborations_waiting(source, count);
            }
        }
    }
}
