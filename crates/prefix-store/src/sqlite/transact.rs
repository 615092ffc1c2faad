//! One unit of work on the thread that writes.

use std::sync::{Arc, mpsc};

use diesel::sqlite::SqliteConnection;
use prefix_core::ports::{ChangeSet, ReadSet, Snapshot};
use tokio::sync::oneshot;

use super::writer::{End, Writer};
use super::{snapshot, write};
use crate::cache::Cache;
use crate::error::Failure;
use crate::exchange::{Caller, DECISION_TIMEOUT};
use crate::writes::Writes;

/// Runs it once.
pub(super) async fn run(
    writer: &Writer,
    reads: &Arc<ReadSet>,
    cache: &Arc<Cache>,
    decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
) -> Result<(), Failure> {
    let (facts, facts_receiver) = oneshot::channel();
    let (answer, answers) = mpsc::sync_channel(1);
    let (result, result_receiver) = oneshot::channel();
    let (reads, cache) = (Arc::clone(reads), Arc::clone(cache));
    writer.submit(move |slot| {
        let work =
            |connection: &mut SqliteConnection| unit_of_work(connection, &reads, &cache, facts, &answers);
        drop(result.send(slot.transaction(work)));
    });
    let answer = move |changes| drop(answer.try_send(changes));
    Caller { facts: facts_receiver, answer, result: result_receiver }.converse(decide).await
}

fn unit_of_work(
    connection: &mut SqliteConnection,
    reads: &ReadSet,
    cache: &Cache,
    facts: oneshot::Sender<Snapshot>,
    answers: &mpsc::Receiver<ChangeSet>,
) -> Result<((), End), Failure> {
    let snapshot = snapshot::read(connection, reads, cache)?;
    if facts.send(snapshot).is_err() {
        return Ok(((), End::Rollback));
    }
    let changes = match answers.recv_timeout(DECISION_TIMEOUT) {
        Ok(changes) => changes,
        Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(((), End::Rollback)),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            return Err(Failure::unavailable("the decision took too long"));
        }
    };
    if changes.is_empty() {
        return Ok(((), End::Rollback));
    }
    let delta = changes.quota_delta();
    write::all(connection, &Writes::new(reads, &changes, &delta)?)?;
    Ok(((), End::Commit))
}
