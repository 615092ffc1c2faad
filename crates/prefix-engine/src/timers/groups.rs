//! Windows end, signals grow old, and detectors fall silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prefix_core::id::GroupId;
use prefix_core::name::SourceName;
use prefix_core::store::StoreError;
use prefix_policy::Policy;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::alerts;
use crate::command::groups::{CloseGroups, RefreshGroups};
use crate::commit_queue::CommitQueue;
use crate::shared::Shared;
use crate::telemetry;

/// Groups looked at in one transaction.
const AT_ONCE: u32 = 512;
/// The most open groups that are looked at.
const MOST: u32 = 100_000;
/// Between two looks at windows and at who was heard.
const OFTEN: Duration = Duration::from_secs(1);
/// Between two looks at what waits, and at what is left of groups while nothing is weighed.
const SELDOM: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) async fn groups(shared: Arc<Shared>, commit_queue: CommitQueue, stop: CancellationToken) {
    let (mut seldom, mut refreshed) = (None::<Instant>, Instant::now());
    let mut terms_of = shared.policy_loaded_at();
    loop {
        let policy = shared.policy();
        let is_watchful = policy.correlates()
            || policy.parts().sources.iter().any(|(_, entry)| entry.silent_after_seconds > 0);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(if is_watchful { OFTEN } else { SELDOM }) => {}
        }
        let policy = shared.policy();
        listen(&shared, &policy).await;
        shared.liveness.expired(shared.now()).iter().for_each(telemetry::corroboration_expired);
        let is_seldom = seldom.is_none_or(|at| at.elapsed() >= SELDOM);
        if is_seldom {
            seldom = Some(Instant::now());
            cache_size(&shared, &policy).await;
        }
        let Some(epoch) = shared.leadership.leading() else { continue };
        if policy.correlates() || is_seldom {
            let commit_queue = commit_queue.led_by(epoch);
            if let Err(error) = close(&shared, &commit_queue).await {
                debug!(%error, "open groups cannot be read");
                continue;
            }
            // other terms may be enough for what is held, and edge detectors do not report again
            let loaded_at = shared.policy_loaded_at();
            let has_changed = loaded_at != terms_of;
            if has_changed || refreshed.elapsed() >= shared.settings.reconciliation_interval {
                refreshed = Instant::now();
                terms_of = loaded_at;
                if let Err(error) = refresh(&shared, &policy, &commit_queue, has_changed).await {
                    debug!(%error, "open groups cannot be read");
                }
            }
        }
    }
}

/// Groups whose window is over are closed.
async fn close(shared: &Shared, commit_queue: &CommitQueue) -> Result<(), StoreError> {
    let now = shared.now();
    let open = shared.store.open_groups(&shared.settings.pop, AT_ONCE).await?;
    let over = open.iter().filter(|group| group.window_ends_at <= now);
    let ids: Vec<GroupId> = over.map(|group| group.group_id).collect();
    if !ids.is_empty() {
        // a commit_queue that is gone has ended the engine
        let _ = commit_queue.submit(CloseGroups(ids));
    }
    Ok(())
}

/// Confidences that decay follow the time: of open groups, and of those that mitigations stand on. `all`: whether or not
/// they decay.
async fn refresh(
    shared: &Shared,
    policy: &Policy,
    commit_queue: &CommitQueue,
    all: bool,
) -> Result<(), StoreError> {
    let decays = |group_playbook: Option<&_>| policy.terms(group_playbook).half_life_seconds > 0;
    let anything_decays =
        decays(None) || policy.parts().playbooks.iter().any(|playbook| decays(Some(&playbook.name)));
    if !policy.correlates() || !(all || anything_decays) {
        return Ok(());
    }
    let open = shared.store.open_groups(&shared.settings.pop, MOST).await?;
    let open =
        open.into_iter().filter(|group| all || (decays(group.playbook.as_ref()) && group.signals.len() > 1));
    let mut groups: BTreeSet<_> = open.map(|group| (group.group_id, group.victim_ip)).collect();
    for row in shared.intents.rows() {
        if let Some(correlation) = row.correlation.as_ref().filter(|_| all || decays(row.playbook.as_ref())) {
            groups.insert((correlation.signal_group_id, row.victim_ip));
        }
    }
    let groups: Vec<_> = groups.into_iter().collect();
    for groups in groups.chunks(AT_ONCE as usize) {
        let _ = commit_queue.submit_request(RefreshGroups(groups.to_vec())).await;
    }
    Ok(())
}

/// Looks for detectors that were not heard for too long. Another instance may have heard them: storage knows.
async fn listen(shared: &Shared, policy: &Policy) {
    let watched: BTreeMap<SourceName, u32> = policy
        .parts()
        .sources
        .iter()
        .filter(|(_, entry)| entry.silent_after_seconds > 0)
        .map(|(source, entry)| (source.clone(), entry.silent_after_seconds))
        .collect();
    let now = shared.now();
    shared.liveness.watch(&watched, now);
    let seem_silent = shared.liveness.seem_silent(&watched, now);
    if !seem_silent.is_empty() {
        match shared.store.last_heard(&seem_silent).await {
            Ok(heard) => heard.iter().for_each(|(source, at)| shared.liveness.heard(source, *at)),
            // nobody can say who was heard
            Err(_) => return,
        }
    }
    let look = shared.liveness.look(&watched, now);
    if shared.leadership.in_charge().is_some() {
        look.fell_silent
            .iter()
            .for_each(|(source, silence)| alerts::detector_silent(shared, source, silence));
    }
    look.are_back.iter().for_each(telemetry::detector_is_back);
}

/// How many corroborating signals wait, by source.
async fn cache_size(shared: &Shared, policy: &Policy) {
    let sources = policy.parts().sources.iter().map(|(source, _)| source);
    let corroborating: Vec<&SourceName> =
        sources.filter(|source| policy.parts().sources.is_corroborating(source)).collect();
    if corroborating.is_empty() {
        return;
    }
    let waiting = shared.store.waiting_corroborations(&shared.settings.pop, shared.now(), None, 0).await;
    if let Ok((waiting, _)) = waiting {
        for source in corroborating {
            telemetry::corroborations_waiting(source, waiting.by_source.get(source).copied().unwrap_or(0));
        }
    }
}
