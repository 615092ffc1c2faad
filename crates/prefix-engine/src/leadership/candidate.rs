//! The claims of this instance: to be elected, to stay elected, and to resign. Each brings the time of storage along.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::clock::{Anchor, ClockFrame};
use prefix_core::ports::{Candidacy, StoreError};
use prefix_core::{Clock, Store};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Leadership, Role, TERM, incompatibility};
use crate::dispatcher::RouteQueue;
use crate::intent_table::IntentTable;
use crate::settings::Settings;
use crate::storage_clock::StorageClock;

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
    pub(crate) clock: Arc<StorageClock>,
    pub(crate) anchor: Option<Anchor>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) intents: Arc<IntentTable>,
    pub(crate) route_queue: RouteQueue,
}

impl Candidate {
    /// Claims once, and takes the time of storage from the answer. The lease is counted from before the question.
    async fn claim(&self, wants_to_lead: bool) -> Result<(), StoreError> {
        self.claim_in(wants_to_lead, self.clock.frame()).await
    }

    async fn claim_in(&self, wants_to_lead: bool, frame: Option<ClockFrame>) -> Result<(), StoreError> {
        let Self { leadership, store, settings, clock, .. } = self;
        let held = leadership.epoch();
        let wants_to_lead = held.is_some() || wants_to_lead;
        let candidacy = Candidacy {
            pop: settings.pop.clone(),
            instance: leadership.instance,
            speaker: settings.speaker_address.clone(),
            mode: settings.mode.as_str().to_owned(),
            configuration: settings.configuration.clone(),
            clock: clock.host(),
            held,
            term: TERM,
            wants_to_lead,
            unrenewed: leadership.unrenewed(),
            frame,
        };
        let asked = clock.since_boot();
        let answer = timeout(PATIENCE, store.claim(&candidacy)).await;
        let answered = clock.since_boot();
        let answer = answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer to a claim".into())));
        let election = answer.inspect_err(|error| leadership.unanswered(error))?;
        let pop_frame = election.frame;
        if clock.frame().is_none() {
            clock.begin(self.anchor.as_ref(), pop_frame);
            self.intents.reframe(|| pop_frame);
        }
        if store.is_shared() {
            clock.sampled(&election.clock, asked, answered);
        } else {
            clock.sample_here();
        }
        leadership.follow(election, asked, store.is_shared(), wants_to_lead);
        if leadership.epoch().is_none()
            && let Some(frame) = clock.settle(pop_frame, leadership.leader_seen())
        {
            self.go_over(|| {
                clock.set_frame(frame);
                frame
            });
        }
        Ok(())
    }

    /// Goes over to another frame of time, in memory: everything is looked at anew.
    fn go_over(&self, take: impl FnOnce() -> ClockFrame) {
        self.route_queue.enqueue(self.intents.reframe(take));
    }

    /// Takes a step of storage's clock, once it is due. A leader stores its frame first: rows of that frame must not be
    /// there before the frame is.
    async fn take_step(&self) {
        let Some(step) = self.clock.due_step() else { return };
        let leads = self.leadership.epoch().is_some();
        if leads {
            let frame = self.clock.frame().map(|frame| frame.after(step));
            if self.claim_in(true, frame).await.is_err() || self.leadership.epoch().is_none() {
                // it is still due
                return;
            }
        }
        let clock = &self.clock;
        self.go_over(|| clock.take_step(leads).1);
        warn!(
            seconds = step.num_seconds(),
            leads, "the clock of storage was set: the new time is taken over, and every deadline moves along"
        );
        if leads {
            // as it was measured last
            let _ = self.claim(true).await;
        }
    }

    /// The first claim of a start: it asks for the time first, because nobody leads without. `last_written` is
    /// the time of what was stored last, which counts if nothing of this boot knows the time. Returns why this instance cannot work beside the living leader, if it cannot.
    pub(crate) async fn join(
        &self,
        last_written: Option<DateTime<Utc>>,
    ) -> Result<Option<String>, StoreError> {
        self.claim(false).await?;
        if let Some(time) = last_written.filter(|_| !self.store.is_shared() && self.anchor.is_none()) {
            self.clock.begin_after(time);
        }
        if self.clock.is_valid() {
            self.claim(true).await?;
        }
        let leader = self.leadership.pop().leader;
        let problem = leader.and_then(|leader| incompatibility(&leader, &self.settings));
        if problem.is_some() {
            self.resign().await;
        }
        Ok(problem)
    }

    /// Renews the lease, or waits for the end of another instance's, and follows the time of storage, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut asked = Instant::now();
        loop {
            let leads = self.leadership.epoch().is_some();
            let period = if leads || !self.store.is_shared() { RENEWAL } else { FOLLOWER_PERIOD };
            if stop.run_until_cancelled(sleep_until(asked + period)).await.is_none() {
                return;
            }
            asked = Instant::now();
            if stop.run_until_cancelled(self.step()).await.is_none() {
                return;
            }
        }
    }

    /// One renewal, or one look at who leads.
    async fn step(&self) {
        let leads = self.leadership.epoch().is_some();
        if self.stopping.load(Ordering::Acquire) && !leads {
            return;
        }
        if !self.store.is_shared() && leads {
            // nobody else can lead, and storage has the clock of this machine
            self.clock.sample_here();
        } else if self.claim(self.leadership.is_candidate()).await.is_err() {
            return;
        }
        self.take_step().await;
        if leads && self.store.is_shared() && !self.clock.is_valid() {
            warn!("the time of storage is not known well enough: this instance leads no longer");
            self.resign().await;
        } else if self.store.is_shared() && self.leadership.gives_way() {
            warn!(
                ahead_seconds = self.clock.host_ahead().num_seconds(),
                "the clock of this machine is wrong: an instance whose clock is right shall lead"
            );
            self.resign().await;
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
