//! The global quota without a row that every admission changes: a pop is granted a slice of it and admits from that
//! alone. What all slices make together never exceeds the quota; what a pop does not use is called back when another one
//! finds nothing left.

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use prefix_core::ports::ReadSet;

use super::begin::{and_lock_admission, begin};
use super::log::{NEWEST, POPS};
use super::pool::Pool;
use crate::error::{Failure, GrantNeeded};
use crate::executor::Executor;
use crate::key;
use crate::queries::admission::{self, HeadRow};
use crate::sql::Sql;
use crate::sql_type::Id;

/// So many more than it needs a pop takes while there are enough.
const SLICE: i64 = 16;

/// Grants a pop what it needs. If there is not as much, returns how many rules there are in all as far as this pop is
/// concerned: so many that there is room only for what it still has.
///
/// With `is_forced` the quota is no bound: whoever decided knows that it is full, and admits all the same.
pub(super) async fn ask(
    pool: &Pool,
    reads: &ReadSet,
    needed: &GrantNeeded,
    is_forced: bool,
) -> Result<Option<u64>, Failure> {
    if is_forced {
        let needed = GrantNeeded { limit: i64::MAX, ..needed.clone() };
        extend(pool, reads, &needed, 0).await?;
        return Ok(None);
    }
    for more in [SLICE, 0] {
        if extend(pool, reads, needed, more).await? {
            return Ok(None);
        }
    }
    call_back(pool, reads).await?;
    if extend(pool, reads, needed, 0).await? {
        return Ok(None);
    }
    let (in_all, head) =
        (pool.fetch(admission::row()).await?, pool.fetch(admission::head(&needed.pop)).await?);
    let left = in_all.map_or(0, |row| needed.limit - row.granted).max(0);
    let own = head.map_or(0, |row| row.granted - row.active);
    Ok(Some(u64::try_from(needed.limit - left - own).unwrap_or(0)))
}

/// The first columns of a row that a pop's log is to have next, behind its newest one `h`.
const APPEND: &str =
    "INSERT INTO pop_log (second, instance, epoch, admitted, pop, version, standing, active, granted)
    SELECT ?, ?, 0, 0, ";

fn append(sql: Sql, reads: &ReadSet) -> Sql {
    let instance = reads.instance.map(|instance| Id(instance.as_uuid()));
    sql.push(APPEND).bind(reads.now.timestamp()).bind(instance)
}

/// Takes what is missing and `more`, unless that is more than there is. True if the pop has now what it needs.
async fn extend(pool: &Pool, reads: &ReadSet, needed: &GrantNeeded, more: i64) -> Result<bool, Failure> {
    let sql = Sql::new(
        "WITH newest AS (
            SELECT version, standing, active, granted FROM pop_log WHERE pop = ? ORDER BY version DESC LIMIT 1
        ), h AS (
            SELECT * FROM newest UNION ALL SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT FROM newest)
        ), missing AS (
            SELECT ? - h.granted + ? AS rules FROM h WHERE h.granted < ?
        ), taken AS (
            UPDATE admission AS a SET granted = a.granted + m.rules FROM missing AS m
            WHERE a.granted <= ? - m.rules RETURNING m.rules
        ) ",
    )
    .bind(needed.pop.as_str())
    .bind(needed.rules)
    .bind(more)
    .bind(needed.rules)
    .bind(needed.limit);
    let sql = append(sql, reads)
        .push("?, h.version + 1, h.standing, h.active, h.granted + t.rules FROM h CROSS JOIN taken AS t")
        .bind(needed.pop.as_str());
    let taken = pool.change(|begin| and_lock_admission(begin, &needed.pop), sql).await?;
    Ok(taken > 0 || has_enough(pool, needed).await?)
}

/// Another instance may have asked at the same moment.
async fn has_enough(pool: &Pool, needed: &GrantNeeded) -> Result<bool, Failure> {
    let (in_all, head) =
        (pool.fetch(admission::row()).await?, pool.fetch(admission::head(&needed.pop)).await?);
    let is_kept = in_all.is_some_and(|row| row.granted <= needed.limit);
    Ok(is_kept && head.is_some_and(|head| head.granted >= needed.rules))
}

/// Takes back what pops do not use. One that is busy, or was granted something a moment ago, keeps it.
async fn call_back(pool: &Pool, reads: &ReadSet) -> Result<(), Failure> {
    let idle: Sql<HeadRow> = Sql::new(POPS)
        .push(" SELECT h.pop, h.version, h.standing, h.active, h.granted FROM pops AS p")
        .push(NEWEST)
        .push(" WHERE h.granted > h.active AND h.at < clock_timestamp() - INTERVAL '250 milliseconds'");
    for head in pool.fetch_all(idle).await? {
        let sql = Sql::new(
            "WITH held AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(?) AS ok), h AS (
                SELECT pop, version, standing, active, granted FROM pop_log WHERE pop = ?
                ORDER BY version DESC LIMIT 1
            ), given AS (",
        )
        .bind(key::of_admission(&head.pop))
        .bind(head.pop.as_str());
        let sql = append(sql, reads).push(
            "h.pop, h.version + 1, h.standing, h.active, h.active FROM h CROSS JOIN held
                WHERE held.ok AND h.granted > h.active RETURNING 1
            )
            UPDATE admission AS a SET granted = a.granted - (h.granted - h.active)
            FROM h WHERE EXISTS (SELECT FROM given)",
        );
        if let Err(failure) = pool.change(str::to_owned, sql).await {
            if failure.is_outage() {
                return Err(failure);
            }
            tracing::debug!(error = %failure.error, pop = head.pop, "a pop keeps what it was granted: it is at work");
        }
    }
    Ok(())
}

impl Pool {
    /// Runs a statement in a transaction of its own, whose beginning `before` may add to; returns how many rows it
    /// changed. It is committed in the same message, so that nothing is locked for a round trip.
    async fn change(&self, before: impl FnOnce(&str) -> String, sql: Sql) -> Result<usize, Failure> {
        let mut transaction = self.get().await?.begin();
        let (session, patience) = (transaction.session(), self.patience());
        let begin = before(&begin(session, self.statement_timeout()));
        let client = transaction.client();
        let done = self.within(change(client, session, &begin, sql)).await;
        match &done {
            Ok(_) => transaction.ended(),
            Err(_) => transaction.roll_back(patience).await,
        }
        done
    }
}

async fn change(
    client: &mut AsyncPgConnection,
    session: super::begin::Session,
    begin: &str,
    sql: Sql,
) -> Result<usize, Failure> {
    client.batch_execute(begin).await?;
    let changed = {
        let client = &*client;
        let (mut first, commit) = (client, super::write::commit_now(client, session));
        let (changed, committed) = futures::join!(Executor::execute(&mut first, sql), commit);
        let changed = changed?;
        committed?;
        changed
    };
    super::write::commit_later(client, session).await?;
    Ok(changed)
}
