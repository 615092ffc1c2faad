//! One unit of work as a task of its own.
//!
//! It decides over facts that nobody holds for it, and what changes the rules of a pop is written only if the pop's log
//! is still as long as it was: see [`super::log`]. After a conflict it holds the pop's lock from the beginning.

use std::sync::Arc;

use prefix_core::name::Pop;
use prefix_core::ports::{ChangeSet, ReadSet, Snapshot};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::begin::{and_lock_admission, and_lock_people, begin_as};
use super::course::Course;
use super::log;
use super::pool::{InTransaction, Pool};
use super::{event_days, fence, grant, snapshot, write};
use crate::cache::Cache;
use crate::error::{Failure, GrantNeeded};
use crate::exchange::{Caller, DECISION_TIMEOUT};
use crate::facts::Counts;
use crate::writes::Writes;

/// Runs it once.
pub(super) async fn run(
    pool: &Pool,
    reads: &Arc<ReadSet>,
    cache: &Arc<Cache>,
    course: &mut Course,
    decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
) -> Result<(), Failure> {
    let (facts, facts_receiver) = oneshot::channel();
    let (answer, answers) = oneshot::channel();
    let (result, result_receiver) = oneshot::channel();
    let unit = Unit {
        pool: pool.clone(),
        reads: Arc::clone(reads),
        cache: Arc::clone(cache),
        course: course.clone(),
    };
    tokio::spawn(async move {
        drop(result.send(Box::pin(unit.run(facts, answers)).await));
    });
    let answer = move |changes| drop(answer.send(changes));
    let done = Caller { facts: facts_receiver, answer, result: result_receiver }.converse(decide).await;
    course.after(done)
}

struct Unit {
    pool: Pool,
    reads: Arc<ReadSet>,
    cache: Arc<Cache>,
    course: Course,
}

impl Unit {
    async fn run(
        self,
        facts: oneshot::Sender<Snapshot>,
        answers: oneshot::Receiver<ChangeSet>,
    ) -> Result<(), Failure> {
        let mut transaction = self.pool.get().await?.begin();
        let patience = self.pool.patience();
        let begin = begin_as(
            transaction.session(),
            self.pool.statement_timeout(),
            &self.reads.pop,
            self.reads.leader,
        );
        let locked = self.course.lock_first().then_some(&self.reads.pop);
        let begin = locked.map_or_else(|| begin.clone(), |pop| and_lock_admission(&begin, pop.as_str()));
        let begin = if self.reads.people { and_lock_people(&begin) } else { begin };
        let read = snapshot::read(transaction.client(), &self.reads, &self.cache, &begin);
        let (mut snapshot, counts) = match self.pool.within(read).await {
            Ok(read) => read,
            Err(failure) => {
                transaction.roll_back(patience).await;
                return Err(failure.before_commit());
            }
        };
        let held_at = (!self.reads.held.is_empty()).then_some(snapshot.access_revision);
        if let Some(ceiling) = self.course.ceiling() {
            snapshot.quota.global = snapshot.quota.global.max(ceiling);
        }
        if facts.send(snapshot).is_err() {
            transaction.roll_back(patience).await;
            return Ok(());
        }
        let changes = match timeout(DECISION_TIMEOUT, answers).await {
            Ok(Ok(changes)) if !changes.is_empty() => changes,
            Ok(_) => {
                transaction.roll_back(patience).await;
                return Ok(());
            }
            Err(_) => {
                transaction.roll_back(patience).await;
                return Err(Failure::unavailable("the decision took too long"));
            }
        };
        let delta = changes.quota_delta();
        let writes = match Writes::new(&self.reads, &changes, &delta) {
            Ok(writes) => Writes { held_at, ..writes },
            Err(error) => {
                transaction.roll_back(patience).await;
                return Err(error.into());
            }
        };
        let write = self.write(&mut transaction, &writes, counts.as_ref(), locked);
        let written = self.pool.within(write).await;
        match &written {
            Ok(()) => transaction.ended(),
            Err(_) => transaction.roll_back(patience).await,
        }
        let written = self.granted(written, writes.limits.global).await;
        if written.as_ref().is_err_and(|failure| failure.needs_day) {
            event_days::provide_for(&self.pool, &changes.events)
                .await
                .map_err(|error| Failure::from(error).before_commit())?;
        }
        if written.is_ok() && writes.touches_standing() {
            fence::every_pop(&self.pool, &self.reads).await?;
        }
        written
    }

    async fn write(
        &self,
        transaction: &mut InTransaction,
        writes: &Writes<'_>,
        counts: Option<&Counts>,
        locked: Option<&Pop>,
    ) -> Result<(), Failure> {
        let session = transaction.session();
        let client = transaction.client();
        let entries = log::entries(
            client,
            &self.reads,
            writes,
            counts,
            locked,
            self.course.is_forced(writes.limits.global),
        )
        .await?;
        write::all(client, session, writes, &entries, counts).await
    }

    /// What a grant has to be asked for is asked for now, when nothing is locked any more.
    async fn granted(&self, written: Result<(), Failure>, limit: u64) -> Result<(), Failure> {
        let Err(Failure { grant: Some(needed), .. }) = written else { return written };
        let outcome = grant::ask(&self.pool, &self.reads, &needed, self.course.is_forced(limit)).await;
        match outcome {
            Ok(ceiling) => Err(Failure::needs(GrantNeeded { ceiling, ..needed })),
            Err(failure) => Err(failure.before_commit()),
        }
    }
}
