//! Seals audit entries in one short transaction of the leader. Writers only add to the queue, so they never wait for it.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use prefix_core::audit::AuditEntry;
use prefix_core::chain::{self, ChainHead};
use prefix_core::name::Pop;
use prefix_core::store::{Epoch, StoreError};

use super::begin::begin_as;
use super::bulk::InsertSeals;
use super::pool::Pool;
use super::queries;
use crate::error::Failure;
use crate::key;
use crate::leadership::check_epoch;
use crate::row::{AuditRow, SealRow, head, vanished};
use crate::schema::{audit_chain, audit_queue};

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
        check_epoch(Some(leader), queries::epoch(client, pop.as_str()).await?)?;
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
    let before = queries::chain_head(client, pop).await?.map(head);
    let waiting = queries::unsealed(client, pop, limit.into()).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let (positions, rows): (Vec<i64>, Vec<Option<AuditRow>>) = waiting.into_iter().unzip();
    let mut entries: Vec<AuditEntry> = rows.into_iter().flatten().map(|row| row.parse(None)).collect();
    if entries.len() < positions.len() {
        vanished(pop, positions.len() - entries.len());
    }
    let after = chain::seal(before, &mut entries);
    let rows: Vec<SealRow> = entries.iter().filter_map(|entry| SealRow::of(entry, pop)).collect();
    let seals = InsertSeals::new(&rows);
    if !seals.is_empty() {
        seals.execute(client).await?;
    }
    let sealed =
        audit_queue::table.filter(audit_queue::pop.eq(pop)).filter(audit_queue::position.eq_any(&positions));
    diesel::delete(sealed).execute(client).await?;
    if let Some(after) = after {
        put_head(client, pop, after).await?;
    }
    Ok(u32::try_from(positions.len()).unwrap_or(limit))
}

async fn put_head(client: &mut AsyncPgConnection, pop: &str, head: ChainHead) -> QueryResult<()> {
    let (seq, hash) = (audit_chain::seq.eq(head.seq), audit_chain::hash.eq(head.hash.as_bytes().as_slice()));
    diesel::insert_into(audit_chain::table)
        .values((audit_chain::pop.eq(pop), seq, hash))
        .on_conflict(audit_chain::pop)
        .do_update()
        .set((seq, hash))
        .execute(client)
        .await
        .map(drop)
}
