//! Deletes what is too old, a few rows at a time, and one instance at a time.

use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use prefix_core::ports::{Retention, StoreError};
use tokio::time::timeout;

use super::begin::begin;
use super::pool::Pool;
use crate::error::from_diesel;
use crate::executor::Executor;
use crate::key;
use crate::queries::NumberRow;
use crate::queries::retention::{expired, share};
use crate::sql::Sql;

/// At most `limit` rows in all; none if another instance deletes some at this moment.
pub(super) async fn run(pool: &Pool, retention: Retention, limit: u32) -> Result<u64, StoreError> {
    let mut transaction = pool.get().await?.begin();
    let begin = begin(transaction.session(), pool.statement_timeout());
    let work = delete(transaction.client(), &begin, retention, i64::from(limit));
    match timeout(pool.patience() * 3, work).await {
        Ok(Ok(gone)) => {
            transaction.ended();
            Ok(gone)
        }
        // dropped with the transaction, the connection is closed and the server rolls back
        Ok(Err(error)) => Err(from_diesel(&error)),
        Err(_) => Err(StoreError::Unavailable("the database did not answer in time".into())),
    }
}

async fn delete(
    client: &mut AsyncPgConnection,
    begin: &str,
    retention: Retention,
    limit: i64,
) -> QueryResult<u64> {
    client.batch_execute(begin).await?;
    let lock: Sql<NumberRow> = Sql::new("SELECT pg_try_advisory_xact_lock(?)::int::bigint AS number");
    let lock = lock.bind(key::of_retention());
    if client.fetch_one(lock).await?.is_none_or(|row| row.number == 0) {
        // another instance is at it: it would delete the same rows
        client.batch_execute("ROLLBACK").await?;
        return Ok(0);
    }
    let mut left = limit;
    let kinds = expired(&retention);
    for (to_come, expired) in (1..=kinds.len()).rev().zip(&kinds) {
        // the others are not counted, and no count has an empty kind
        let kind = expired.tally.unwrap_or_default();
        let sql: Sql<NumberRow> = expired.push_to(Sql::new("WITH gone AS ("), share(left, to_come));
        let sql = sql
            .push(
                "), counts AS (SELECT name, count(*) AS total FROM gone GROUP BY name), uncount AS (
                    INSERT INTO tallies (kind, name, shard, total)
                    SELECT ?, name, 0, -total FROM counts WHERE ? <> '' ORDER BY name
                    ON CONFLICT (kind, name, shard) DO UPDATE SET total = tallies.total + EXCLUDED.total)
                 SELECT coalesce(sum(total), 0)::bigint AS number FROM counts",
            )
            .bind(kind)
            .bind(kind);
        left -= client.fetch_one(sql).await?.map_or(0, |gone| gone.number);
    }
    client.batch_execute("COMMIT").await?;
    Ok(u64::try_from(limit - left).unwrap_or(0))
}
