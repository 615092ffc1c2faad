//! One unit of work as a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};

use prefix_core::ports::{ChangeSet, ReadSet, Snapshot};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::begin::begin_as;
use super::pool::{InTransaction, Pool};
use super::{snapshot, write};
use crate::cache::Cache;
use crate::error::Failure;
use crate::exchange::{Caller, DECISION_TIMEOUT};
use crate::writes::Writes;

/// Writers of the same count of rows meet on one of so many shards.
const SHARDS: i16 = 16;

/// Runs it once.
pub(super) async fn run(
    pool: &Pool,
    reads: &Arc<ReadSet>,
    cache: &Arc<Cache>,
    decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
) -> Result<(), Failure> {
    let (facts, facts_receiver) = oneshot::channel();
    let (answer, answers) = oneshot::channel();
    let (result, result_receiver) = oneshot::channel();
    let (pool, reads, cache) = (pool.clone(), Arc::clone(reads), Arc::clone(cache));
    tokio::spawn(async move {
        drop(result.send(unit_of_work(&pool, &reads, &cache, facts, answers).await));
    });
    let answer = move |changes| drop(answer.send(changes));
    Caller { facts: facts_receiver, answer, result: result_receiver }.converse(decide).await
}

async fn unit_of_work(
    pool: &Pool,
    reads: &ReadSet,
    cache: &Cache,
    facts: oneshot::Sender<Snapshot>,
    answers: oneshot::Receiver<ChangeSet>,
) -> Result<(), Failure> {
    let mut transaction = pool.get().await?.begin();
    let patience = pool.patience();
    let begin = begin_as(transaction.session(), pool.statement_timeout(), &reads.pop, reads.leader);
    let read = snapshot::read(transaction.client(), reads, cache, &begin);
    let snapshot = match pool.within(read).await {
        Ok(snapshot) => snapshot,
        Err(failure) => {
            transaction.roll_back(patience).await;
            return Err(failure.before_commit());
        }
    };
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
    let written = pool.within(write(&mut transaction, reads, &changes)).await;
    match written {
        Ok(()) => transaction.ended(),
        Err(_) => transaction.roll_back(patience).await,
    }
    written
}

async fn write(transaction: &mut InTransaction, reads: &ReadSet, changes: &ChangeSet) -> Result<(), Failure> {
    static NEXT_SHARD: AtomicI16 = AtomicI16::new(0);
    let shard = NEXT_SHARD.fetch_add(1, Ordering::Relaxed).rem_euclid(SHARDS);
    let delta = changes.quota_delta();
    let writes = Writes::new(reads, changes, &delta, shard)?;
    let session = transaction.session();
    write::all(transaction.client(), session, &writes).await
}
