//! The commit_queue: every change of the written intent, one transaction at a time, many commands each.
//!
//! Commands that arrive while a transaction is under way are committed together by the next one, so throughput follows
//! the load and an idle system answers at once. A command is pure over its [`UnitOfWork`]; it may run again after a
//! conflict, and it answers only after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::Mitigation;
use prefix_core::safelist::Safelist;
use prefix_core::store::{ChangeSet, Epoch, GroupChange, MitigationChange, ReadSet, Snapshot, StoreError};
use prefix_policy::SafelistIndex;
use prefix_policy::use_cases::{DomainEvent, RandomIds, UnitOfWork, UnitOfWorkContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tracing::{debug, error, warn};

use crate::error::EngineError;
use crate::shared::Shared;
use crate::telemetry;

/// The most commands in one transaction.
const BATCH: usize = 256;

/// From this age on a command that nobody waits for was answered "not stored" at the border, and is dropped.
pub(crate) const LONG_WAIT: Duration = Duration::from_secs(25);

/// One change of the written intent.
pub(crate) trait Command: Send {
    /// Names the facts it needs.
    fn reads(&self, shared: &Shared, reads: &mut ReadSet);

    /// Decides and changes; the uow holds the facts, `shared` only what this instance is and has sent. Must give the same answer when it is run again on the same facts.
    fn run(&mut self, shared: &Shared, uow: &mut UnitOfWork<'_>);

    /// The transaction was committed, or was not.
    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>);

    /// True if nobody waits for the answer any more: it was told that nothing is stored, so nothing shall be.
    fn is_abandoned(&self) -> bool {
        false
    }

    /// True if nothing may be written: it then runs in a transaction of its own, whose changes are dropped.
    fn is_dry_run(&self) -> bool {
        false
    }

    /// How many commands of average size it stands for.
    fn weight(&self) -> usize {
        1
    }
}

/// The most requests that wait for their transaction.
const WAITING: usize = 4096;

/// A request's claim: the commit_queue takes it, or whoever waits for it gives it up, whichever is first. What was given up
/// is never stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestClaim(Arc<AtomicBool>);

impl RequestClaim {
    /// True for the first who asks.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

struct Entry {
    command: Box<dyn Command>,
    /// Taken when it is its claim, unless nobody waits for it any more.
    claim: RequestClaim,
    /// Work of the leader: it counts only in this epoch.
    leader: Option<Epoch>,
    /// Its permit among the waiting requests, free again when it leaves the queue.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The routes of rows that are not what they were, or why nobody knows.
pub(crate) type Reloaded = Result<Vec<RouteKey>, StoreError>;

enum Work {
    Entry(Entry),
    /// The intents is to be read anew.
    Reload(oneshot::Sender<Reloaded>),
    /// Rows that other instances have changed.
    Follow(Vec<Mitigation>),
}

/// Takes commands.
#[derive(Clone)]
pub(crate) struct CommitQueue {
    sender: mpsc::UnboundedSender<Work>,
    urgent: mpsc::UnboundedSender<Work>,
    permits: Arc<Semaphore>,
    leader: Option<Epoch>,
}

/// The side of the commit_queue that [`run`] reads.
pub(crate) struct Commands {
    urgent: mpsc::UnboundedReceiver<Work>,
    other: mpsc::UnboundedReceiver<Work>,
}

impl CommitQueue {
    /// Both sides.
    pub(crate) fn new() -> (Self, Commands) {
        let (sender, other) = mpsc::unbounded_channel();
        let (urgent_sender, urgent) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(WAITING));
        (Self { sender, urgent: urgent_sender, permits, leader: None }, Commands { urgent, other })
    }

    /// The same commit_queue for work of the leader: once another epoch has begun, it is dropped as
    /// [`Deposed`](StoreError::Deposed).
    pub(crate) fn led_by(&self, epoch: Epoch) -> Self {
        Self { leader: Some(epoch), ..self.clone() }
    }

    /// Hands over what has to be written about the speaker or the time. Never waits: rules leave on time however slow
    /// storage is, and there is no more of it than there are rules.
    pub(crate) fn submit(&self, command: Box<dyn Command>) -> Result<(), EngineError> {
        self.send(Entry { command, claim: RequestClaim::default(), leader: self.leader, _permit: None })
    }

    /// Hands over what takes rules away by somebody's will: it comes before everything that waits.
    pub(crate) fn submit_urgent(&self, command: Box<dyn Command>) -> Result<(), EngineError> {
        let entry = Entry { command, claim: RequestClaim::default(), leader: self.leader, _permit: None };
        self.urgent.send(Work::Entry(entry)).map_err(|_| EngineError::ShuttingDown)
    }

    /// Hands a request over; waits while too many are waiting already.
    pub(crate) async fn submit_request(&self, command: Box<dyn Command>) -> Result<(), EngineError> {
        self.submit_claimed(command, RequestClaim::default()).await
    }

    /// The same; dropped unless its claim is still there to be taken when it comes.
    pub(crate) async fn submit_claimed(
        &self,
        command: Box<dyn Command>,
        claim: RequestClaim,
    ) -> Result<(), EngineError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| EngineError::ShuttingDown)?;
        self.send(Entry { command, claim, leader: self.leader, _permit: Some(permit) })
    }

    /// Reads the intents anew, between two transactions: nothing that is committed meanwhile is missed. The routes are the
    /// caller's to look at. If storage did not answer, the commit_queue tries again by itself.
    pub(crate) async fn reload(&self) -> Result<Vec<RouteKey>, EngineError> {
        let (done, reloaded) = oneshot::channel();
        self.sender.send(Work::Reload(done)).map_err(|_| EngineError::ShuttingDown)?;
        Ok(reloaded.await.map_err(|_| EngineError::ShuttingDown)??)
    }

    /// The intents is to follow rows that other instances have changed. In claim with everything else that changes it, so
    /// that a intents which is read anew at this moment does not lose them.
    pub(crate) fn follow(&self, rows: Vec<Mitigation>) -> Result<(), EngineError> {
        self.sender.send(Work::Follow(rows)).map_err(|_| EngineError::ShuttingDown)
    }

    fn send(&self, entry: Entry) -> Result<(), EngineError> {
        self.sender.send(Work::Entry(entry)).map_err(|_| EngineError::ShuttingDown)
    }
}

impl Commands {
    async fn recv(&mut self) -> Option<Work> {
        tokio::select! {
            biased;
            // both end together, but what is left in the other one is still to be done
            Some(work) = self.urgent.recv() => Some(work),
            work = self.other.recv() => work.map(Work::taken),
        }
    }

    fn try_recv(&mut self) -> Option<Work> {
        let urgent = self.urgent.try_recv().ok();
        urgent.or_else(|| self.other.try_recv().ok().map(Work::taken))
    }
}

impl Work {
    /// Leaves the queue.
    fn taken(self) -> Self {
        match self {
            Self::Entry(entry) => Self::Entry(Entry { _permit: None, ..entry }),
            other => other,
        }
    }
}

/// Works until every sender is gone.
pub(crate) async fn run(shared: Arc<Shared>, mut commands: Commands) {
    let mut held: Option<Work> = None;
    let mut stale = false;
    let mut reloaded: Option<Instant> = None;
    loop {
        let first = match held.take() {
            Some(work) => work,
            None if stale => match timeout(RETRY, commands.recv()).await {
                Ok(Some(work)) => work,
                Ok(None) => return,
                Err(_) => {
                    // nobody may ever ask again, and what is stored is to be announced all the same
                    stale = !reload(&shared).await;
                    continue;
                }
            },
            None => match commands.recv().await {
                Some(work) => work,
                None => return,
            },
        };
        let first = match first {
            Work::Entry(entry) => entry,
            Work::Reload(done) => {
                let reloaded = read_book(&shared).await;
                stale = reloaded.is_err();
                let _ = done.send(reloaded);
                continue;
            }
            Work::Follow(rows) => {
                // whoever committed them has counted them
                let counted = |row: &Mitigation| {
                    shared.intents.get(row.mitigation_id).is_some_and(|held| held.counts())
                };
                shared.follow_rows(rows.into_iter().map(|row| (counted(&row), row)));
                continue;
            }
        };
        let alone = first.command.is_dry_run();
        let mut weight = first.command.weight();
        let mut batch = vec![first];
        while !alone && weight < BATCH {
            match commands.try_recv() {
                Some(Work::Entry(entry)) if !entry.command.is_dry_run() => {
                    weight += entry.command.weight();
                    batch.push(entry);
                }
                Some(work) => {
                    held = Some(work);
                    break;
                }
                None => break,
            }
        }
        // where everything is read and nothing written, reading all of it before each attempt would be all it does
        if stale && reloaded.is_none_or(|at| at.elapsed() >= RETRY) {
            // after an unanswered commit nobody knows what is stored: the intents is read anew before it is believed
            stale = !reload(&shared).await;
            reloaded = (!stale).then(Instant::now);
        }
        batch.retain(|entry| entry.claim.take());
        stale |= commit_batch(&shared, batch, !alone).await;
    }
}

async fn read_book(shared: &Shared) -> Reloaded {
    let rows = shared.store.unfinished(&shared.settings.pop).await?;
    let keys = shared.intents.reload(rows);
    Ok(keys)
}

async fn reload(shared: &Shared) -> bool {
    match read_book(shared).await {
        Ok(keys) => {
            shared.route_queue.enqueue(keys);
            true
        }
        Err(error) => {
            debug!(%error, "the intents cannot be read anew yet");
            false
        }
    }
}

/// Returns true if it is not known what is stored.
async fn commit_batch(shared: &Arc<Shared>, mut batch: Vec<Entry>, write: bool) -> bool {
    batch.retain(|entry| !entry.command.is_abandoned());
    let current = shared.leadership.epoch();
    let (mut batch, outdated): (Vec<Entry>, Vec<Entry>) =
        batch.into_iter().partition(|entry| entry.leader.is_none() || entry.leader == current);
    for entry in outdated {
        entry.command.done(shared, Err(StoreError::Deposed));
    }
    if batch.is_empty() {
        return false;
    }
    match commit(shared, &mut batch, write).await {
        Ok(()) => {
            for entry in batch {
                entry.command.done(shared, Ok(()));
            }
            false
        }
        // what the leader wanted is found again by the next one; requests are everybody's work
        Err(StoreError::Deposed) if shared.leadership.epoch() != current => {
            Box::pin(commit_batch(shared, batch, write)).await
        }
        Err(problem) if batch.len() > 1 && !matches!(problem, StoreError::Unavailable(_)) => {
            warn!(%problem, commands = batch.len(), "a transaction was refused, each command is tried alone");
            let mut stale = false;
            let mut lost = None;
            for entry in batch {
                let mut alone = vec![entry];
                let result = match &lost {
                    Some(failure) => Err(StoreError::clone(failure)),
                    None => commit(shared, &mut alone, write).await,
                };
                stale |= result.as_ref().is_err_and(leaves_doubt);
                lost = result.as_ref().err().filter(|e| matches!(e, StoreError::Unavailable(_))).cloned();
                for entry in alone {
                    entry.command.done(shared, result.clone());
                }
            }
            stale
        }
        Err(failure) => {
            if !matches!(failure, StoreError::Unavailable(_)) {
                error!(error = %failure, commands = batch.len(), "a transaction failed");
            }
            for entry in batch {
                entry.command.done(shared, Err(failure.clone()));
            }
            leaves_doubt(&failure)
        }
    }
}

/// True if the intents may not be what is stored: an unanswered commit, or somebody else who changed rows.
fn leaves_doubt(failure: &StoreError) -> bool {
    matches!(failure, StoreError::Unavailable(_) | StoreError::Conflict(_))
}

async fn commit(shared: &Arc<Shared>, batch: &mut [Entry], write: bool) -> Result<(), StoreError> {
    // facts are named and decided over under one and the same policy
    let (policy, reads) = loop {
        let policy = shared.policy();
        let mut reads = shared.read_set();
        reads.leader = batch.iter().find_map(|entry| entry.leader);
        batch.iter().for_each(|entry| entry.command.reads(shared, &mut reads));
        if Arc::ptr_eq(&policy, &shared.policy()) {
            break (policy, reads);
        }
    };
    let commands = batch.len();
    let mut committed = Committed::default();
    let mut panicked = false;
    let result = {
        let (committed, panicked, reads) = (&mut committed, &mut panicked, &reads);
        let mut decide = move |snapshot| {
            let changes = catch_unwind(AssertUnwindSafe(|| {
                let mut uow = UnitOfWork::new(setting(shared, reads, &snapshot), policy.clone(), snapshot);
                for entry in batch.iter_mut() {
                    entry.command.run(shared, &mut uow);
                }
                (uow.take_domain_events(), uow.finish())
            }));
            *panicked = changes.is_err();
            let (notes, changes) =
                if write { changes.unwrap_or_default() } else { (Vec::new(), ChangeSet::default()) };
            *committed = Committed { notes, ..Committed::of(&changes) };
            changes
        };
        shared.store.transact(reads, &mut decide).await
    };
    if let (Err(StoreError::Deposed), Some(epoch)) = (&result, reads.leader) {
        shared.leadership.deposed(epoch);
    }
    remember(shared, &result, &committed, commands);
    result?;
    if panicked {
        // one request that hits a defect must not end the daemon, and again after each restart when it is repeated
        return Err(StoreError::Invalid(
            "the decision ended in a defect of prefixd, which the log names".into(),
        ));
    }
    follow(shared, committed);
    Ok(())
}

/// Where and when a unit of work happens.
fn setting<'a>(shared: &'a Shared, reads: &ReadSet, snapshot: &Snapshot) -> UnitOfWorkContext<'a> {
    let safelist = if reads.admission {
        shared.policy_in_force.safelist_index(&snapshot.safelist)
    } else {
        Arc::new(SafelistIndex::new(&Safelist::default()))
    };
    UnitOfWorkContext {
        stores: true,
        pop: &shared.settings.pop,
        now: reads.now,
        dry_run: !shared.enforced(),
        safelist,
        frozen: shared.panic_scopes.completed(snapshot.panic.clone()),
        id_generator: &RandomIds,
    }
}

/// Keeps why nothing can be written, until something was.
fn remember(shared: &Shared, result: &Result<(), StoreError>, committed: &Committed, commands: usize) {
    match result {
        Err(failure @ StoreError::Unavailable(_)) => drop(shared.outage.failed(failure, commands)),
        Ok(()) if committed.is_something() => shared.outage.ended(),
        _ => {}
    }
}

/// What is to be followed after a commit: the rows, and of the events only what is counted.
#[derive(Default)]
struct Committed {
    events: Vec<telemetry::EventSummary>,
    mitigations: Vec<MitigationChange>,
    groups: Vec<GroupChange>,
    audited: bool,
    notes: Vec<DomainEvent>,
}

impl Committed {
    fn of(changes: &ChangeSet) -> Self {
        let events = changes.events.iter().map(telemetry::EventSummary::of).collect();
        Self {
            events,
            mitigations: changes.mitigations.clone(),
            groups: changes.groups.clone(),
            audited: !changes.audit.is_empty(),
            notes: Vec::new(),
        }
    }

    /// False for a decision that changed nothing: storage that cannot be written takes that, too.
    fn is_something(&self) -> bool {
        self.audited || !self.events.is_empty() || !self.mitigations.is_empty() || !self.groups.is_empty()
    }
}

/// Makes the intents, the speaker's dispatcher and everyone who waits follow what is committed.
fn follow(shared: &Shared, changes: Committed) {
    for event in &changes.events {
        telemetry::event(event);
        shared.liveness.reported(&event.source, event.received_at);
    }
    for change in &changes.groups {
        telemetry::group(change);
        shared.liveness.joined(&change.after);
    }
    changes.mitigations.iter().for_each(telemetry::mitigation);
    for event in &changes.notes {
        telemetry::domain_event(event, shared.now());
        shared.alerts.domain_event(event);
    }
    changes.mitigations.iter().for_each(|change| shared.alerts.changed(change));
    shared.follow_rows(changes.mitigations.into_iter().map(|change| {
        let before = change.before.as_deref();
        (before.is_some_and(Mitigation::counts), with_next_revision(*change.after, before))
    }));
    if changes.audited {
        shared.to_seal.notify_one();
    }
}

/// The row as the store holds it after the commit.
fn with_next_revision(mut row: Mitigation, before: Option<&Mitigation>) -> Mitigation {
    if let Some(before) = before {
        row.revision = before.revision + 1;
    }
    row
}

/// How long the daemon's own commands wait before they are handed over again after a failure of storage.
pub(crate) const RETRY: Duration = Duration::from_millis(500);
