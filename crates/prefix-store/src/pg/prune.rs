//! Deletes what is too old, a few rows at a time.

use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use prefix_core::store::{Retention, StoreError};
use tokio::time::timeout;

use super::begin::begin;
use super::pool::Pool;
use crate::error::from_diesel;
use crate::sql_type::{Instant, Micros};
use crate::writes::tally;

#[derive(QueryableByName)]
struct Gone {
    #[diesel(sql_type = BigInt)]
    total: i64,
}

const EVENTS: &str = "WITH gone AS (DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events AS e WHERE ingested_at < $1 AND NOT EXISTS (
        SELECT FROM mitigations AS m WHERE m.mitigation_id = e.mitigation_id AND m.phase <> 'final')
    ORDER BY ingested_at LIMIT $2) RETURNING '' AS name)";

const MITIGATIONS: &str = "WITH gone AS (DELETE FROM mitigations WHERE mitigation_id IN (
    SELECT mitigation_id FROM mitigations WHERE created_at < $1 AND closed_at < $1
    ORDER BY created_at LIMIT $2) RETURNING pop AS name)";

const REPLIES: &str = "WITH gone AS (DELETE FROM replies WHERE reply_id IN (
    SELECT reply_id FROM replies WHERE created_at < $1 ORDER BY created_at LIMIT $2) RETURNING '' AS name)";

const GROUPS: &str = "WITH gone AS (DELETE FROM signal_groups WHERE group_id IN (
    SELECT group_id FROM signal_groups AS g WHERE window_ends_at < $1 AND status <> 'open' AND NOT EXISTS (
        SELECT FROM mitigations AS m WHERE m.mitigation_id = g.mitigation_id AND m.phase <> 'final')
    ORDER BY window_ends_at LIMIT $2) RETURNING '' AS name)";

const CORROBORATIONS: &str = "WITH gone AS (DELETE FROM corroborations WHERE signal_id IN (
    SELECT signal_id FROM corroborations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2) RETURNING '' AS name)";

/// At most `limit` rows in all.
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
    let mut left = limit;
    let steps = [
        (EVENTS, retention.events_before, tally::EVENTS),
        (MITIGATIONS, retention.mitigations_before, tally::MITIGATIONS),
        (REPLIES, retention.replies_before, ""),
        (GROUPS, retention.groups_before, ""),
        (CORROBORATIONS, retention.corroborations_before, ""),
    ];
    for (sql, before, kind) in steps {
        let Some(before) = before else { continue };
        // the others are not tallied, and no tally has an empty kind
        let sql = format!(
            "{sql}, counts AS (SELECT name, count(*) AS total FROM gone GROUP BY name), uncount AS (
                INSERT INTO tallies (kind, name, shard, total) SELECT $3, name, 0, -total FROM counts WHERE $3 <> ''
                ORDER BY name ON CONFLICT (kind, name, shard) DO UPDATE SET total = tallies.total + EXCLUDED.total)
             SELECT coalesce(sum(total), 0)::bigint AS total FROM counts"
        );
        let gone: Gone = diesel::sql_query(sql)
            .bind::<Instant, _>(Micros::from(before))
            .bind::<BigInt, _>(left)
            .bind::<Text, _>(kind)
            .get_result(client)
            .await?;
        left -= gone.total;
    }
    client.batch_execute("COMMIT").await?;
    Ok(u64::try_from(limit - left).unwrap_or(0))
}
