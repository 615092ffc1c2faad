//! Asking storage: to be elected, to stay elected, and to go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prefix_core::store::{Candidacy, StoreError};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Role, TERM, misfit};
use crate::shared::Shared;

/// Between two renewals of a lease.
const RENEWAL: Duration = Duration::from_secs(1);
/// Between two looks at whether the leader lives: a killed one is replaced soon after its lease is over.
const LOOK: Duration = Duration::from_millis(250);
/// The longest wait for an answer to a claim; a late one is worth nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// A living instance takes over within this time, also one that yields after an outage of storage.
const SUCCESSION: Duration = Duration::from_secs(4);

/// Claims once. The lease is counted from before the question.
async fn claim(shared: &Shared, wants_to_lead: bool) -> Result<(), StoreError> {
    let leadership = &shared.leadership;
    let held = leadership.epoch();
    let candidacy = Candidacy {
        pop: shared.settings.pop.clone(),
        instance: leadership.instance,
        speaker: shared.settings.speaker_address.clone(),
        mode: shared.settings.mode.as_str().to_owned(),
        configuration: shared.settings.configuration.clone(),
        clock: shared.now(),
        held,
        term: TERM,
        wants_to_lead: held.is_some() || wants_to_lead,
    };
    let asked = Instant::now();
    let answer = timeout(PATIENCE, shared.store.claim(&candidacy)).await;
    let answer = answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer to a claim".into())));
    match answer {
        Ok(election) => leadership.follow(election, asked, shared.store.is_shared()),
        Err(error) => {
            leadership.unanswered(&error);
            return Err(error);
        }
    }
    Ok(())
}

/// The first claim of a start. Fails if this instance cannot work beside the living leader; says why.
pub(crate) async fn introduce(shared: &Shared) -> Result<Option<String>, StoreError> {
    claim(shared, true).await?;
    let pop = shared.leadership.pop();
    let misfit = pop.leader.as_ref().and_then(|leader| misfit(leader, &shared.settings));
    if misfit.is_some() {
        resign(shared).await;
    }
    Ok(misfit)
}

/// Renews the lease, or waits for the end of that of another one, until it is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    if !shared.store.is_shared() {
        return stop.cancelled().await;
    }
    let mut asked = Instant::now();
    loop {
        let period = if shared.leadership.epoch().is_some() { RENEWAL } else { LOOK };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(asked + period) => {}
        }
        asked = Instant::now();
        if shared.stopping.load(Ordering::Acquire) && shared.leadership.epoch().is_none() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = claim(&shared, shared.leadership.is_candidate()) => {}
        }
    }
}

/// At a stop: says at once that nobody shall rely on this instance, unless it leads.
pub(crate) async fn step_aside(shared: &Shared) {
    if shared.store.is_shared() && shared.leadership.epoch().is_none() {
        resign(shared).await;
    }
}

/// At a stop, before the last word: true if no other living instance of the pop looks after its rules.
pub(crate) async fn is_last(shared: &Shared) -> bool {
    let leadership = &shared.leadership;
    if !shared.store.is_shared() {
        return leadership.epoch().is_some();
    }
    // without an answer the last one counts
    if claim(shared, false).await.is_ok() && leadership.epoch().is_none() && leadership.pop().leader.is_none()
    {
        // the leader went before this one, and left the rules to it
        let _ = claim(shared, !leadership.has_others()).await;
    }
    match leadership.epoch() {
        None => false,
        Some(_) if leadership.has_others() => !is_succeeded(shared).await,
        Some(_) => true,
    }
}

/// Lets the others go first. One that was seen lately may be dead: it proves that it lives by taking over.
async fn is_succeeded(shared: &Shared) -> bool {
    let leadership = &shared.leadership;
    resign(shared).await;
    let patience = Instant::now() + SUCCESSION;
    while Instant::now() < patience {
        sleep(LOOK).await;
        if claim(shared, false).await.is_ok() && leadership.pop().leader.is_some() {
            return true;
        }
    }
    let _ = claim(shared, true).await;
    leadership.epoch().is_none()
}

/// Gives the leadership back, so that another instance has it at once.
pub(crate) async fn resign(shared: &Shared) {
    let epoch = shared.leadership.epoch();
    let resigned = shared.store.resign(&shared.settings.pop, shared.leadership.instance, epoch);
    match timeout(PATIENCE, resigned).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the leadership could not be given back, its lease runs out"),
        Err(_) => warn!("the leadership could not be given back in time, its lease runs out"),
    }
    if let Some(epoch) = epoch {
        shared.leadership.advance(Role::Leading(epoch), Role::Following);
    }
}
