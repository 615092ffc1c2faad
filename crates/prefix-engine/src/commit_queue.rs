//! The commit queue: every change of the written intent, one transaction at a time, many commands each.
//!
//! Commands that arrive while a transaction is under way are committed together by the next one, so throughput follows
//! the load and an idle system answers at once. A command is pure over its unit of work; it may run again after a
//! conflict, and it answers only after the commit.

mod after_commit;
mod commit;
mod request;

use std::sync::Arc;
use std::time::Duration;

use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::Mitigation;
use prefix_core::ports::{Epoch, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::error::EngineError;
use crate::shared::Shared;
use after_commit::follow_others;
use commit::commit_batch;
use request::{AnyRequest, request};

pub(crate) use request::{Command, CommandContext, Reply, RequestClaim};

/// The most commands in one transaction.
const BATCH: usize = 256;

/// How long the daemon's own commands wait before they are handed over again after a failure of storage.
pub(crate) const RETRY: Duration = Duration::from_millis(500);

/// How long what may wait for the next transaction waits for one.
const LINGER: Duration = Duration::from_millis(25);

/// The most requests that wait for their transaction.
const WAITING: usize = 4096;

struct Entry {
    request: Box<dyn AnyRequest>,
    /// Taken before it is carried out, unless whoever waits has given it up.
    claim: RequestClaim,
    /// Work of the leader: it counts only in this epoch.
    leader: Option<Epoch>,
    /// Its permit among the waiting requests, free again when it leaves the queue.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The routes of rows that are not what they were, or why nobody knows.
pub(crate) type Reloaded = Result<Vec<RouteKey>, StoreError>;

/// What the intent table is read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The storage that was read before.
    Known,
    /// Another one, or one that went back in time.
    Replaced,
}

enum Work {
    Entry(Entry),
    /// The intent table is to be read anew; from storage that is not the one that was read before.
    Reload(oneshot::Sender<Reloaded>, Source),
    /// Rows that other instances have changed.
    Follow(Vec<Mitigation>),
    /// What waits for the next transaction is to be written now.
    Flush(oneshot::Sender<()>),
}

/// Takes commands.
#[derive(Clone)]
pub(crate) struct CommitQueue {
    sender: mpsc::UnboundedSender<Work>,
    urgent: mpsc::UnboundedSender<Work>,
    following: mpsc::UnboundedSender<Entry>,
    permits: Arc<Semaphore>,
    leader: Option<Epoch>,
}

/// The side of the commit queue that [`run`] reads.
pub(crate) struct Commands {
    urgent: mpsc::UnboundedReceiver<Work>,
    other: mpsc::UnboundedReceiver<Work>,
    following: mpsc::UnboundedReceiver<Entry>,
}

impl CommitQueue {
    /// Both sides.
    pub(crate) fn new() -> (Self, Commands) {
        let (sender, other) = mpsc::unbounded_channel();
        let (urgent_sender, urgent) = mpsc::unbounded_channel();
        let (following_sender, following) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(WAITING));
        let queue =
            Self { sender, urgent: urgent_sender, following: following_sender, permits, leader: None };
        (queue, Commands { urgent, other, following })
    }

    /// The same commit queue for work of the leader: once another epoch has begun, it is dropped as
    /// [`Deposed`](StoreError::Deposed).
    pub(crate) fn led_by(&self, epoch: Epoch) -> Self {
        Self { leader: Some(epoch), ..self.clone() }
    }

    /// Hands over what has to be written about the speaker or the time. Never waits: rules leave on time however slow
    /// storage is, and there is no more of it than there are rules.
    pub(crate) fn submit<C: Command>(&self, command: C) -> Result<Reply<C::Output>, EngineError> {
        self.send(&self.sender, command, RequestClaim::default(), None)
    }

    /// The same for what nobody waits for: it goes with the next transaction, and has one of its own only if none comes
    /// within 25 ms.
    pub(crate) fn submit_to_follow<C: Command>(&self, command: C) -> Result<Reply<C::Output>, EngineError> {
        let (request, reply) = request(command);
        let entry = Entry { request, claim: RequestClaim::default(), leader: self.leader, _permit: None };
        self.following.send(entry).map_err(|_| EngineError::ShuttingDown)?;
        Ok(reply)
    }

    /// Returns when everything that was handed over to follow has been written, or has failed.
    pub(crate) async fn flush(&self) -> Result<(), EngineError> {
        let (done, flushed) = oneshot::channel();
        self.sender.send(Work::Flush(done)).map_err(|_| EngineError::ShuttingDown)?;
        flushed.await.map_err(|_| EngineError::ShuttingDown)
    }

    /// Hands over what takes rules away by somebody's will: it comes before everything that waits.
    pub(crate) fn submit_urgent<C: Command>(&self, command: C) -> Result<Reply<C::Output>, EngineError> {
        self.send(&self.urgent, command, RequestClaim::default(), None)
    }

    /// Hands a request over; waits while too many are waiting already.
    pub(crate) async fn submit_request<C: Command>(
        &self,
        command: C,
    ) -> Result<Reply<C::Output>, EngineError> {
        self.submit_claimed(command, RequestClaim::default()).await
    }

    /// The same; dropped unless its claim is still there to be taken when it is to be carried out.
    pub(crate) async fn submit_claimed<C: Command>(
        &self,
        command: C,
        claim: RequestClaim,
    ) -> Result<Reply<C::Output>, EngineError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| EngineError::ShuttingDown)?;
        self.send(&self.sender, command, claim, Some(permit))
    }

    /// Reads the intent table anew, between two transactions: nothing that is committed meanwhile is missed. The routes
    /// are the caller's to look at. If storage did not answer, the commit queue tries again by itself.
    pub(crate) async fn reload(&self) -> Result<Vec<RouteKey>, EngineError> {
        self.read_anew(Source::Known).await
    }

    /// The same from storage that is not the one that was read before.
    pub(crate) async fn replace(&self) -> Result<Vec<RouteKey>, EngineError> {
        self.read_anew(Source::Replaced).await
    }

    async fn read_anew(&self, source: Source) -> Result<Vec<RouteKey>, EngineError> {
        let (done, reloaded) = oneshot::channel();
        self.sender.send(Work::Reload(done, source)).map_err(|_| EngineError::ShuttingDown)?;
        Ok(reloaded.await.map_err(|_| EngineError::ShuttingDown)??)
    }

    /// The intent table is to follow rows that other instances have changed: in turn with everything else that changes
    /// it, so that a table which is read anew at this moment does not lose them.
    pub(crate) fn follow(&self, rows: Vec<Mitigation>) -> Result<(), EngineError> {
        self.sender.send(Work::Follow(rows)).map_err(|_| EngineError::ShuttingDown)
    }

    fn send<C: Command>(
        &self,
        sender: &mpsc::UnboundedSender<Work>,
        command: C,
        claim: RequestClaim,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Reply<C::Output>, EngineError> {
        let (request, reply) = request(command);
        let entry = Entry { request, claim, leader: self.leader, _permit: permit };
        sender.send(Work::Entry(entry)).map_err(|_| EngineError::ShuttingDown)?;
        Ok(reply)
    }
}

/// What comes next.
enum Next {
    Work(Work),
    /// What follows has waited long enough.
    Following,
    /// Nothing came, and the intent table is to be read anew.
    Stale,
    /// Every sender is gone.
    End,
}

/// What goes with the next transaction.
#[derive(Default)]
struct Following {
    entries: Vec<Entry>,
    /// When it waits no longer.
    due: Option<Instant>,
    /// Who wants to know when it is written.
    flushed: Vec<oneshot::Sender<()>>,
}

impl Following {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.due.get_or_insert_with(|| Instant::now() + LINGER);
    }

    fn take(&mut self, commands: &mut Commands) -> Vec<Entry> {
        while let Ok(entry) = commands.following.try_recv() {
            self.entries.push(entry);
        }
        self.due = None;
        std::mem::take(&mut self.entries)
    }
}

impl Commands {
    async fn next(&mut self, following: &mut Following, patience: Option<Duration>) -> Next {
        let stale_at = patience.map(|patience| Instant::now() + patience);
        let never = || Instant::now() + Duration::from_hours(1);
        loop {
            tokio::select! {
                biased;
                // all end together, but what is left in the other ones is still to be done
                Some(work) = self.urgent.recv() => return Next::Work(work),
                work = self.other.recv() => return work.map_or_else(
                    || {
                        while let Ok(entry) = self.following.try_recv() {
                            following.push(entry);
                        }
                        Next::End
                    },
                    |work| Next::Work(work.taken()),
                ),
                Some(entry) = self.following.recv() => following.push(entry),
                () = sleep_until(following.due.unwrap_or_else(never)), if following.due.is_some() => {
                    return Next::Following;
                }
                () = sleep_until(stale_at.unwrap_or_else(never)), if stale_at.is_some() => return Next::Stale,
            }
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
    let mut following = Following::default();
    let mut stale = false;
    let mut reloaded: Option<Instant> = None;
    loop {
        let next = match held.take() {
            Some(work) => Next::Work(work),
            None => commands.next(&mut following, stale.then_some(RETRY)).await,
        };
        let mut batch = Vec::new();
        let mut weight = 0;
        let alone = match next {
            Next::End if following.is_empty() => return,
            Next::End | Next::Following => false,
            Next::Stale => {
                // nobody may ever ask again, and what is stored is to be announced all the same
                stale = !reload(&shared).await;
                continue;
            }
            Next::Work(Work::Reload(done, source)) => {
                let reloaded = read_intents(&shared, source).await;
                stale = reloaded.is_err();
                let _ = done.send(reloaded);
                continue;
            }
            Next::Work(Work::Follow(rows)) => {
                follow_others(&shared, rows);
                continue;
            }
            Next::Work(Work::Flush(done)) => {
                following.flushed.push(done);
                false
            }
            Next::Work(Work::Entry(entry)) => {
                weight += entry.request.weight();
                let alone = entry.request.is_dry_run();
                batch.push(entry);
                alone
            }
        };
        while !alone && weight < BATCH {
            match commands.try_recv() {
                Some(Work::Entry(entry)) if !entry.request.is_dry_run() => {
                    weight += entry.request.weight();
                    batch.push(entry);
                }
                Some(work) => {
                    held = Some(work);
                    break;
                }
                None => break,
            }
        }
        let mut flushed = Vec::new();
        if !alone {
            // what the speaker has confirmed comes before what is wanted now
            let mut all = following.take(&mut commands);
            flushed = std::mem::take(&mut following.flushed);
            all.append(&mut batch);
            batch = all;
        }
        // where everything is read and nothing written, reading all of it before each attempt would be all it does
        if stale && !batch.is_empty() && reloaded.is_none_or(|at| at.elapsed() >= RETRY) {
            // after an unanswered commit nobody knows what is stored: the intent table is read anew first
            stale = !reload(&shared).await;
            reloaded = (!stale).then(Instant::now);
        }
        batch.retain(|entry| entry.claim.take());
        stale |= commit_batch(&shared, batch, !alone).await;
        for done in flushed {
            let _ = done.send(());
        }
    }
}

async fn read_intents(shared: &Shared, source: Source) -> Reloaded {
    let rows = shared.store.unfinished(&shared.settings.pop).await?;
    Ok(match source {
        Source::Known => shared.intents.reload(rows),
        Source::Replaced => {
            shared.outage.was_replaced(shared.now());
            shared.intents.replace(rows)
        }
    })
}

async fn reload(shared: &Shared) -> bool {
    match read_intents(shared, Source::Known).await {
        Ok(keys) => {
            shared.route_queue.enqueue(keys);
            true
        }
        Err(error) => {
            debug!(%error, "the intent table cannot be read anew yet");
            false
        }
    }
}
