//! Seals audit entries in one short transaction of the leader. Writers only add to the queue, so they never wait for it.

use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use prefix_core::name::Pop;
use prefix_core::ports::{Epoch, StoreError};

use super::begin::begin_as;
use super::pool::Pool;
use crate::error::Failure;
use crate::executor::Executor;
use crate::key;
use crate::leadership::check_epoch;
use crate::queries::{self, audit};
use crate::row::define::Insert;
use crate::row::{HeadColumns, NewHead, SealColumns, Sealed};

/// Up to `limit` of them; returns how many.
pub(super) async fn run(pool: &Pool, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
    let mut transaction = pool.get().await?.begin();
    // a second call of the same leader waits, and then sees what the first one sealed
    let lock = key::of_sealing(pop);
    let begin = begin_as(transaction.session(), pool.statement_timeout(), pop, Some(leader));
    let begin = format!("{begin}; SELECT pg_advisory_xact_lock({lock})");
    let work = async {
        let client = transaction.client();
        client.batch_execute(&begin).await?;
        let epoch = client.fetch_one(queries::epoch(pop.as_str())).await?;
        check_epoch(Some(leader), epoch.map(|row| row.epoch))?;
        let sealed = seal(client, pop.as_str(), limit).await?;
        client.batch_execute("COMMIT").await?;
        Ok(sealed)
    };
    let sealed = pool.within(work).await;
    match &sealed {
        Ok(_) => transaction.ended(),
        Err(_) => transaction.roll_back(pool.patience()).await,
    }
    sealed.map_err(|failure: Failure| failure.error)
}

async fn seal(client: &mut AsyncPgConnection, pop: &str, limit: u32) -> QueryResult<u32> {
    let head = client.fetch_one(audit::chain_head(pop)).await?;
    let waiting = client.fetch_all(audit::unsealed(pop, limit.into())).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let sealed = Sealed::new(pop, head, waiting);
    if !sealed.seals.is_empty() {
        RunQueryDsl::execute(Insert(SealColumns::of(&sealed.seals)), client).await?;
    }
    let count = sealed.positions.len();
    Executor::execute(client, audit::dequeue(pop, sealed.positions)).await?;
    if let Some(head) = &sealed.head {
        let head = NewHead { pop, seq: head.seq, hash: head.hash.as_bytes() };
        RunQueryDsl::execute(Insert(HeadColumns::of([&head])), client).await?;
    }
    Ok(u32::try_from(count).unwrap_or(limit))
}
