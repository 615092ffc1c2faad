//! The parts of the events: one for each day (UTC), made a week ahead and dropped whole. See docs/adr/0026-events-by-day.md.
//!
//! Which parts there are stands in `event_days`, together with the time that each is for. A part is made and attached in one
//! transaction; it is detached beside everything that reads, which no transaction can do, and dropped in another one.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use diesel::result::QueryResult;
use diesel_async::SimpleAsyncConnection;
use prefix_core::event::Event;
use prefix_core::ports::StoreError;

use super::begin::{Session, begin};
use super::pool::Pool;
use crate::error::{Failure, from_diesel};
use crate::executor::Executor;
use crate::key;
use crate::queries::NumberRow;
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Micros;
use crate::writes::tally;

/// The part that holds what was there before events were kept by day: its rows are deleted one by one.
pub(super) const BEFORE: &str = "events_before";

/// So many days are made ahead.
const AHEAD: i64 = 7;

/// What the name of every other part begins with.
const PREFIX: &str = "events_";

record! {
    /// A part that is too old, and how far it has come.
    PartRow { part: String, state: String }
}

/// Makes the parts for the day of `time` and a week after it, unless there are some.
pub(super) async fn provide(pool: &Pool, time: DateTime<Utc>) -> Result<(), StoreError> {
    provide_days(pool, time, AHEAD).await
}

/// Makes the parts for these events, whatever their days are.
pub(super) async fn provide_for(pool: &Pool, events: &[Event]) -> Result<(), StoreError> {
    let days: BTreeSet<NaiveDate> = events.iter().map(|event| event.ingested_at.date_naive()).collect();
    for day in days {
        provide_days(pool, day.and_time(NaiveTime::MIN).and_utc(), 0).await?;
    }
    Ok(())
}

/// Nothing is made `PARTITION OF`: that would wait for everybody who reads.
async fn provide_days(pool: &Pool, time: DateTime<Utc>, ahead: i64) -> Result<(), StoreError> {
    let first = time.timestamp();
    let missing: Sql<NumberRow> = Sql::new(
        "SELECT count(*) AS number FROM generate_series(?, ?, 86400) AS t (second) WHERE NOT EXISTS (
             SELECT 1 FROM event_days AS d WHERE d.begins <= to_timestamp(t.second) AND d.ends > to_timestamp(t.second))",
    );
    let missing = missing.bind(first).bind(first + ahead * 86_400);
    if pool.fetch(missing).await.map_err(|failure| failure.error)?.is_none_or(|row| row.number == 0) {
        return Ok(());
    }
    let make = format!(
        "DO $$
         DECLARE
             today TIMESTAMPTZ := date_trunc('day', to_timestamp({first}) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
             day TIMESTAMPTZ;
             part TEXT;
         BEGIN
             PERFORM pg_advisory_xact_lock({lock});
             FOR number IN 0..{last} LOOP
                 day := today + number * INTERVAL '24 hours';
                 CONTINUE WHEN EXISTS (SELECT 1 FROM event_days AS d
                     WHERE d.begins < day + INTERVAL '24 hours' AND d.ends > day);
                 part := '{PREFIX}' || to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD');
                 EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL, PRIMARY KEY (event_id)) WITH \
                     (toast_tuple_target = 8160)', part);
                 EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, day,
                     day + INTERVAL '24 hours');
                 INSERT INTO event_days (part, begins, ends) VALUES (part, day, day + INTERVAL '24 hours');
             END LOOP;
         END $$",
        lock = key::of_event_days(),
        last = ahead,
    );
    alone(pool, &make).await
}

/// The same for now by the server's clock, if less than a few days are left.
pub(super) async fn provide_more(pool: &Pool) -> Result<(), StoreError> {
    let soon: Sql<NumberRow> = Sql::new(
        "SELECT extract(epoch FROM clock_timestamp())::bigint AS number WHERE NOT EXISTS (
             SELECT 1 FROM event_days WHERE ends > clock_timestamp() + INTERVAL '6 days')",
    );
    let Some(row) = pool.fetch(soon).await.map_err(|failure| failure.error)? else { return Ok(()) };
    let now = DateTime::from_timestamp(row.number, 0);
    provide(pool, now.unwrap_or_default()).await
}

/// Drops every part whose time is over at `before`; returns how many events went with them. A day in which the trigger of an
/// unfinished mitigation came stays.
pub(super) async fn drop_old(pool: &Pool, before: Option<DateTime<Utc>>) -> Result<u64, StoreError> {
    let Some(before) = before else { return Ok(0) };
    let old: Sql<PartRow> = Sql::new(
        "SELECT d.part AS part, CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'pending' \
         ELSE 'attached' END AS state
         FROM event_days AS d LEFT JOIN pg_inherits AS i ON i.inhrelid = to_regclass(quote_ident(d.part))
         WHERE d.ends <= ? AND NOT EXISTS (SELECT 1 FROM mitigations AS m WHERE m.phase <> 'final'
             AND m.created_at >= d.begins AND m.created_at < d.ends + INTERVAL '24 hours')
         ORDER BY d.begins",
    );
    let old = pool.fetch_all(old.bind(Micros::from(before))).await.map_err(|failure| failure.error)?;
    let mut gone = 0;
    for PartRow { part, state } in old {
        if !is_name(&part) || (part == BEFORE && !is_empty(pool).await?) {
            continue;
        }
        let detach = match state.as_str() {
            "attached" => Some("CONCURRENTLY"),
            // somebody has not come to the end of it
            "pending" => Some("FINALIZE"),
            _ => None,
        };
        if let Some(how) = detach {
            alone(pool, &format!("ALTER TABLE events DETACH PARTITION {part} {how}")).await?;
        }
        gone += drop_detached(pool, &part).await?;
    }
    Ok(gone)
}

/// True for a name that was made here.
fn is_name(part: &str) -> bool {
    part == BEFORE
        || part
            .strip_prefix(PREFIX)
            .is_some_and(|day| day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()))
}

async fn is_empty(pool: &Pool) -> Result<bool, StoreError> {
    let any: Sql<NumberRow> = Sql::new("SELECT 1::bigint AS number FROM events_before LIMIT 1");
    Ok(pool.fetch(any).await.map_err(|failure| failure.error)?.is_none())
}

/// Drops a part, and what was counted of it; returns how many events it had.
async fn drop_detached(pool: &Pool, part: &str) -> Result<u64, StoreError> {
    let mut transaction = pool.get().await?.begin();
    let begin = begin(transaction.session(), pool.statement_timeout());
    let day = part.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let drop = format!("DROP TABLE {part}");
    let client = transaction.client();
    let work = async {
        client.batch_execute(&begin).await?;
        // of several that are at it the others find no table
        client.batch_execute(&drop).await?;
        let counted: Sql<NumberRow> = Sql::new(
            "WITH added AS (DELETE FROM tallies WHERE kind = ? AND name = ? RETURNING total), \
             noted AS (DELETE FROM tally_log WHERE kind = ? AND name = ? RETURNING total), \
             day AS (DELETE FROM event_days WHERE part = ?) \
             SELECT coalesce(sum(total), 0)::bigint AS number \
             FROM (SELECT total FROM added UNION ALL SELECT total FROM noted) AS counts",
        );
        let counted = counted.bind(tally::EVENTS).bind(day.clone()).bind(tally::EVENTS).bind(day).bind(part);
        let counted = client.fetch_one(counted).await?.map_or(0, |row| row.number);
        client.batch_execute("COMMIT").await?;
        QueryResult::Ok(counted)
    };
    let dropped = pool.within(async { work.await.map_err(Failure::from) }).await;
    match dropped {
        Ok(counted) => {
            transaction.ended();
            tracing::info!(part, events = counted, "a day of events was dropped");
            Ok(u64::try_from(counted).unwrap_or(0))
        }
        Err(failure) => {
            transaction.roll_back(pool.patience()).await;
            Err(failure.error)
        }
    }
}

/// One statement in no transaction but its own.
async fn alone(pool: &Pool, statement: &str) -> Result<(), StoreError> {
    let mut lease = pool.get().await?;
    let is_kept = lease.session() == Session::Kept;
    let done = tokio::time::timeout(pool.patience(), lease.client().batch_execute(statement)).await;
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            if !is_kept {
                lease.discard();
            }
            Err(from_diesel(&error))
        }
        Err(_) => {
            lease.discard();
            Err(StoreError::Unavailable("the database did not answer in time".into()))
        }
    }
}
