//! The claims of this instance: to be elected, to stay elected, and to resign.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prefix_core::ports::{Candidacy, StoreError};
use prefix_core::{Clock, Store};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Leadership, Role, TERM, incompatibility};
use crate::settings::Settings;

/// Between two renewals of a lease.
const RENEWAL: Duration = Duration::from_secs(1);
/// Between two claims of an instance that follows: a leader that was killed is replaced soon after its lease is over.
const FOLLOWER_PERIOD: Duration = Duration::from_millis(250);
/// The longest wait for an answer to a claim; a late one is worth nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// A living instance takes over within this time, also one that yields after an outage of storage.
const SUCCESSION: Duration = Duration::from_secs(4);

/// This instance as a candidate for the leadership of its pop.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) stopping: Arc<AtomicBool>,
}

impl Candidate {
    /// Claims once. The lease is counted from before the question.
    async fn claim(&self, wants_to_lead: bool) -> Result<(), StoreError> {
        let Self { leadership, store, settings, .. } = self;
        let held = leadership.epoch();
        let candidacy = Candidacy {
            pop: settings.pop.clone(),
            instance: leadership.instance,
            speaker: settings.speaker_address.clone(),
            mode: settings.mode.as_str().to_owned(),
            configuration: settings.configuration.clone(),
            clock: self.clock.now(),
            held,
            term: TERM,
            wants_to_lead: held.is_some() || wants_to_lead,
        };
        let asked = Instant::now();
        let answer = timeout(PATIENCE, store.claim(&candidacy)).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer to a claim".into())));
        let election = answer.inspect_err(|error| leadership.unanswered(error))?;
        leadership.follow(election, asked, store.is_shared());
        Ok(())
    }

    /// The first claim of a start. Returns why this instance cannot work beside the living leader, if it cannot.
    pub(crate) async fn join(&self) -> Result<Option<String>, StoreError> {
        self.claim(true).await?;
        let leader = self.leadership.pop().leader;
        let problem = leader.and_then(|leader| incompatibility(&leader, &self.settings));
        if problem.is_some() {
            self.resign().await;
        }
        Ok(problem)
    }

    /// Renews the lease, or waits for the end of another instance's, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if !self.store.is_shared() {
            return stop.cancelled().await;
        }
        let mut asked = Instant::now();
        loop {
            let leads = self.leadership.epoch().is_some();
            let period = if leads { RENEWAL } else { FOLLOWER_PERIOD };
            if stop.run_until_cancelled(sleep_until(asked + period)).await.is_none() {
                return;
            }
            asked = Instant::now();
            if self.stopping.load(Ordering::Acquire) && self.leadership.epoch().is_none() {
                continue;
            }
            if stop.run_until_cancelled(self.claim(self.leadership.is_candidate())).await.is_none() {
                return;
            }
        }
    }

    /// At a stop: unless it leads, the other instances learn at once that they cannot rely on this one.
    pub(crate) async fn step_aside(&self) {
        if self.store.is_shared() && self.leadership.epoch().is_none() {
            self.resign().await;
        }
    }

    /// At the end of a stop: true if no other living instance of the pop looks after its rules.
    pub(crate) async fn is_last(&self) -> bool {
        let leadership = &self.leadership;
        if !self.store.is_shared() {
            return leadership.epoch().is_some();
        }
        let is_answered = self.claim(false).await.is_ok();
        if is_answered && leadership.epoch().is_none() && leadership.pop().leader.is_none() {
            // the leader went before this one, and left the rules to it
            let _ = self.claim(!leadership.has_others()).await;
        }
        match leadership.epoch() {
            None => false,
            Some(_) if is_answered && leadership.has_others() => !self.is_succeeded().await,
            // without an answer nobody can take over, however many live
            Some(_) => true,
        }
    }

    /// Lets the others go first. An instance that lived lately may be dead: it proves that it lives by taking over.
    async fn is_succeeded(&self) -> bool {
        self.resign().await;
        let deadline = Instant::now() + SUCCESSION;
        while Instant::now() < deadline {
            sleep(FOLLOWER_PERIOD).await;
            if self.claim(false).await.is_ok() && self.leadership.pop().leader.is_some() {
                return true;
            }
        }
        let _ = self.claim(true).await;
        self.leadership.epoch().is_none()
    }

    /// Gives the leadership back, so that another instance has it at once.
    pub(crate) async fn resign(&self) {
        let Self { leadership, store, settings, .. } = self;
        let epoch = leadership.epoch();
        match timeout(PATIENCE, store.resign(&settings.pop, leadership.instance, epoch)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the leadership could not be given back, its lease runs out"),
            Err(_) => warn!("the leadership could not be given back in time, its lease runs out"),
        }
        if let Some(epoch) = epoch {
            leadership.advance(Role::Leading(epoch), Role::Following);
        }
    }
}
