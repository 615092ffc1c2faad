//! The tasks of a running engine: how they start, wait for one another, and stop.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use prefix_core::announcer::{AnnounceError, RibPath};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::SpeakerName;
use prefix_core::pacing::Burst;
use serde_json::json;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::EngineParts;
use super::succession::{Checked, prepare, record_start, succession};
use crate::audit_chain;
use crate::caller::IdempotencyKey;
use crate::command::record::Record;
use crate::commit_queue::{self, CommitQueue};
use crate::confirmation_waiters::awaits_speaker;
use crate::error::EngineError;
use crate::shared::Shared;
use crate::speaker::SpeakerState;
use crate::timers::last_written;
use crate::{panic_state, telemetry};

/// The tasks of a running engine, and what its facade needs of them.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    pub(super) started: Instant,
    commit_queue: Mutex<Option<CommitQueue>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(super) stop: CancellationToken,
    /// Renews the lease until everything else has stopped.
    renewal: Mutex<Option<JoinHandle<()>>>,
    end_of_renewal: CancellationToken,
    pub(super) failure: CancellationToken,
    /// Held by a simulation until it has ended, whoever waits for it.
    pub(super) simulating: Arc<tokio::sync::Mutex<()>>,
    claims: Mutex<HashMap<IdempotencyKeyName, Arc<tokio::sync::Mutex<()>>>>,
}

/// Notices a task that ends although nobody stopped it.
struct Watch {
    shared: Arc<Shared>,
    failure: CancellationToken,
}

impl Watch {
    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let (shared, failure) = (self.shared.clone(), self.failure.clone());
        tokio::spawn(async move {
            let ended = tokio::spawn(work).await;
            if ended.is_err() || !shared.stopping.load(Ordering::Acquire) {
                error!(task = name, "a task of the engine ended by itself");
                failure.cancel();
            }
        })
    }
}

type IdempotencyKeyName = (String, String, String);

/// How long a stop waits for its tasks and for storage before it turns to the speaker.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long a look at what is written waits for what was answered and is not written yet.
const WRITTEN: Duration = Duration::from_millis(250);

impl Running {
    pub(super) async fn start(parts: EngineParts) -> Result<Arc<Self>, EngineError> {
        let (instance, direct) = (parts.instance, parts.frozen.clone());
        let (shared, routes) = Shared::new(parts);
        let shared = Arc::new(shared);
        telemetry::initial_series(&shared.policy());
        panic_state::load(&shared.panic_scopes, &*shared.store, direct).await?;
        shared.withdraw_frozen();
        let last_written = last_written(&*shared.store, &shared.settings.pop).await?;
        shared.retention.begin_at(last_written);
        if let Some(problem) = shared.candidate().join(last_written).await? {
            return Err(EngineError::NotAllowed(problem));
        }
        let (commit_queue, commands) = CommitQueue::new();
        let failure = CancellationToken::new();
        let watch = Watch { shared: shared.clone(), failure: failure.clone() };
        let writer = watch.spawn("commit queue", commit_queue::run(shared.clone(), commands));

        let (stop, end_of_renewal) = (CancellationToken::new(), CancellationToken::new());
        let renewal = watch.spawn("leadership", shared.candidate().run(end_of_renewal.clone()));
        let prepared = async {
            match shared.leadership.to_prepare() {
                Some(epoch) => prepare(&shared, &commit_queue, epoch).await,
                None => {
                    commit_queue.reload().await?;
                    Ok(Checked { rules: shared.intents.rows().len(), withdrawn: 0 })
                }
            }
        };
        let checked = match prepared.await {
            Ok(checked) => checked,
            Err(error) => {
                end_of_renewal.cancel();
                shared.candidate().resign().await;
                return Err(error);
            }
        };
        record_start(&shared, &commit_queue, checked).await?;
        let tasks = shared.tasks(&commit_queue, routes, &stop);
        let mut tasks: Vec<_> = tasks.into_iter().map(|(name, task)| watch.spawn(name, task)).collect();
        let succession = succession(shared.clone(), commit_queue.clone(), stop.clone());
        tasks.push(watch.spawn("succession", succession));
        let leads = shared.leadership.epoch().is_some();
        info!(
            pop = %shared.settings.pop, mode = shared.settings.mode.as_str(), rules = checked.rules, leads,
            %instance, "engine started"
        );
        Ok(Arc::new(Self {
            shared,
            started: Instant::now(),
            commit_queue: Mutex::new(Some(commit_queue)),
            writer: Mutex::new(Some(writer)),
            tasks: Mutex::new(tasks),
            stop,
            renewal: Mutex::new(Some(renewal)),
            end_of_renewal,
            failure,
            simulating: Arc::default(),
            claims: Mutex::new(HashMap::new()),
        }))
    }

    pub(super) fn commit_queue(&self) -> Option<CommitQueue> {
        self.commit_queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The commit queue, for requests: none are taken once the engine stops.
    pub(super) fn open_commit_queue(&self) -> Result<CommitQueue, EngineError> {
        let is_stopping = self.shared.stopping.load(Ordering::Acquire);
        self.commit_queue().filter(|_| !is_stopping).ok_or(EngineError::ShuttingDown)
    }

    /// Lets the first of several requests with one `Idempotency-Key` pass, and the others wait until it has ended.
    pub(super) async fn claim(&self, key: Option<&IdempotencyKey>) -> Option<OwnedMutexGuard<()>> {
        let key = key?;
        let name = (key.principal.clone(), key.path.clone(), key.key.clone());
        let lock = {
            let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
            // only the map holds those that nobody waits for
            claims.retain(|_, lock| Arc::strong_count(lock) > 1);
            claims.entry(name).or_default().clone()
        };
        Some(lock.lock_owned().await)
    }

    /// Waits until the speaker confirmed what was committed for these mitigations, or the time for it is over.
    /// Returns the rows as they are then; those that were not confirmed while this waited are without explanation.
    pub(super) async fn wait(&self, ids: Vec<MitigationId>) -> HashMap<MitigationId, Arc<Mitigation>> {
        let deadline = Instant::now() + self.shared.settings.announce_timeout;
        let mut reached = HashMap::new();
        for id in ids {
            let confirmation = self.shared.intents.confirmation_waiters.register(id);
            let row = match self.known(id) {
                Some(row) if awaits_speaker(row.status) => match timeout_at(deadline, confirmation).await {
                    Ok(Ok(row)) => row,
                    _ => self.known(id).unwrap_or(row),
                },
                Some(row) => row,
                // it ended before anybody listened
                None => match self.shared.store.mitigation(id).await {
                    Ok(Some(row)) => Arc::new(row),
                    _ => continue,
                },
            };
            reached.insert(id, row);
        }
        reached
    }

    /// An unfinished row as this instance knows it: with what the speaker has told its leader, and is not written yet.
    pub(super) fn known(&self, id: MitigationId) -> Option<Arc<Mitigation>> {
        let Shared { intents, leadership, .. } = &*self.shared;
        if leadership.in_charge().is_some() { intents.answered(id) } else { intents.get(id) }
    }

    /// Waits until everything is written that was answered before, as far as storage lets it.
    pub(super) async fn wait_until_written(&self) {
        if self.shared.intents.answered_ahead().is_empty() {
            return;
        }
        if let Some(commit_queue) = self.commit_queue() {
            let _ = tokio::time::timeout(WRITTEN, commit_queue.flush()).await;
        }
    }

    /// The same for those that have not ended, by a caller who does not ask what became of them.
    pub(super) async fn wait_for_known(&self, ids: &[MitigationId]) {
        let unfinished = ids.iter().copied().filter(|id| self.shared.intents.get(*id).is_some());
        self.wait(unfinished.collect()).await;
    }

    /// Stops in the order of the flow: no new work, the timers, what is written already, the speaker.
    pub(super) async fn stop(&self) {
        if self.shared.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        self.shared.candidate().step_aside().await;
        if let Some(commit_queue) = self.commit_queue() {
            let entry = AuditEntry::new(self.shared.now(), Actor::SYSTEM, AuditAction::Stop, json!({}));
            if let Ok(answer) = commit_queue.submit(Record(vec![entry])) {
                // what was accepted before this entry is committed with it or earlier
                let _ = tokio::time::timeout(Duration::from_secs(5), answer).await;
            }
        }
        self.drain_dispatcher().await;
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let patience = Instant::now() + STOP_PATIENCE;
        for task in tasks {
            // a task that panicked has said so in the log
            if timeout_at(patience, task).await.is_err() {
                error!("a task does not end, the stop goes on without it");
            }
        }
        drop(self.commit_queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && timeout_at(patience, writer).await.is_err()
        {
            // the rules matter more: whoever supervises this process does not wait for ever
            error!("storage does not answer: what was not acknowledged yet is not written");
        }
        self.seal_rest().await;
        if self.shared.enforced() && !self.may_leave_rules() {
            self.clear_speakers().await;
        }
        // not earlier: nobody else may begin to lead while this instance withdraws
        self.end_of_renewal.cancel();
        let renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(renewal) = renewal {
            let _ = timeout_at(Instant::now() + STOP_PATIENCE, renewal).await;
        }
        // only now: whoever comes next finds everything written that was confirmed
        self.shared.candidate().resign().await;
        info!("engine stopped");
    }

    /// True if own rules stay while the daemon is away: somebody must end them in time.
    fn may_leave_rules(&self) -> bool {
        if !self.shared.settings.preserve_announcements {
            return false;
        }
        let guarded = self.shared.guard.as_ref().is_some_and(|guard| guard.status().alive);
        if guarded {
            info!("own rules stay until their not-after time, the guard is alive");
        } else {
            warn!(
                "shutdown.preserve_announcements is on, but no guard is alive that would end the rules in time"
            );
        }
        guarded
    }

    /// Gives what was just committed a moment to reach the speaker and to be confirmed.
    async fn drain_dispatcher(&self) {
        let deadline = Instant::now() + self.shared.settings.announce_timeout;
        let unconfirmed = || {
            let rows = self.shared.intents.rows();
            rows.iter().any(|row| awaits_speaker(row.status))
        };
        while self.shared.enforced() && unconfirmed() && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seals what was written last, as far as storage lets it.
    async fn seal_rest(&self) {
        let Shared { store, leadership, settings, .. } = &*self.shared;
        let sealing = audit_chain::seal_all(&**store, leadership, &settings.pop);
        let sealed = tokio::time::timeout(Duration::from_secs(2), sealing).await;
        if !matches!(sealed, Ok(Ok(()))) {
            warn!("the last audit entries are sealed after the next start");
        }
    }

    /// Withdraws every own rule, because nobody would end them while the daemon is away.
    async fn clear_speakers(&self) {
        if !self.shared.candidate().is_last().await {
            info!("own rules stay: another instance of the pop looks after them");
            return;
        }
        join_all(self.shared.speakers.iter().map(|speaker| self.clear_speaker(speaker))).await;
    }

    async fn clear_speaker(&self, speaker: &SpeakerState) {
        // a withdraw names a route, not an owner: routes of others are left alone
        let keys = self.shared.intents.rib(speaker.id).own_routes();
        if keys.is_empty() {
            return;
        }
        let name = speaker.name.as_ref().map(SpeakerName::as_str);
        warn!(
            rules = keys.len(),
            speaker = name,
            "own rules are withdrawn, because nobody would end them while the daemon is away"
        );
        let mut look = Look { ours: HashSet::new(), upto: 0, stale: Instant::now() };
        let mut sent = 0;
        while sent < keys.len() {
            if self.shared.leadership.epoch().is_none() {
                return;
            }
            let started = Instant::now();
            if look.upto <= sent || look.stale <= started {
                let upto = keys.len().min(sent + MOST_LOOKED_AT);
                look = Look { upto, ..self.look(speaker, &keys[sent..upto]).await };
            }
            let burst = Burst::of_withdrawals(&keys[sent..look.upto]);
            let ours = keys[sent..sent + burst.len()].iter().filter(|key| look.ours.contains(*key));
            let ours: Vec<_> = ours.cloned().collect();
            sent += burst.len();
            if ours.is_empty() {
                continue;
            }
            let results = speaker.announcer.withdraw(&ours).await;
            let failed = results.iter().filter_map(|result| result.as_ref().err()).count();
            if failed > 0 {
                warn!(
                    failed,
                    speaker = name,
                    "own rules could not be withdrawn; their not-after time ends them if a guard runs"
                );
            }
            if matches!(results.first(), Some(Err(AnnounceError::Unreachable(_) | AnnounceError::Unknown(_))))
            {
                return;
            }
            sleep(burst.pause(self.shared.settings.max_changes_per_second, started.elapsed())).await;
        }
    }

    /// Looks for those of the routes that nobody else has taken meanwhile: the speaker's events are followed no longer.
    /// Where it cannot be read, those on which a path of ours was confirmed.
    async fn look(&self, speaker: &SpeakerState, keys: &[RouteKey]) -> Look {
        let rib = self.shared.intents.rib(speaker.id);
        let of_others = |path: &RibPath| path.local && !path.ownership.is_own();
        let began = Instant::now();
        let (ours, counts_for) = match speaker.announcer.find(keys).await {
            Ok(found) => {
                let paths = keys.iter().zip(found);
                let ours = paths.filter(|(_, path)| !path.as_ref().is_some_and(of_others));
                (
                    ours.map(|(key, _)| key.clone()).collect(),
                    began.elapsed().saturating_mul(4).min(LONGEST_LOOK),
                )
            }
            Err(_) => {
                let seen = keys.iter().filter(|key| rib.is_owner_known(key, false));
                (seen.cloned().collect(), Duration::ZERO)
            }
        };
        Look { ours, upto: 0, stale: Instant::now() + counts_for }
    }
}

/// One look at the speaker is for so many routes at most: unicast ones are asked for by name.
const MOST_LOOKED_AT: usize = 2_000;

/// No look counts for longer.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// What the speaker held when it was last looked at.
struct Look {
    ours: HashSet<RouteKey>,
    /// Up to which of the routes, in their order.
    upto: usize,
    /// From then on it is looked at anew. Looks take no more than a fifth of the time: the speaker reads its whole table
    /// for each, so that a look before every burst of ten thousand rules would last longer than the withdrawals.
    stale: Instant,
}
