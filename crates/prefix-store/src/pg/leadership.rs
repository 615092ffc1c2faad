//! Leadership by the server's clock, which every claim reads. A renewal changes one row that no other transaction locks; a
//! take-over first waits for the transactions of the leader before, and none of those can begin after it.

use std::time::{Duration, Instant};

use diesel::result::{Error, QueryResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures::FutureExt;
use prefix_core::clock::ClockFrame;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{
    Candidacy, ClockReading, Election, Epoch, HeldLease, Leader, OtherInstance, StoreError,
};

use super::begin::{begin, leadership_lock};
use super::pool::Pool;
use crate::error::Failure;
use crate::executor::Executor;
use crate::leadership::{GONE_AFTER, clock_reading};
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::{Id, Micros};

record! {
    /// Who led last, and whether the lease lasts.
    LeaderRow { epoch: i64, instance: Id, speaker: String, mode: String, lives: bool, lease_until: Micros, frame: i64 }
}

impl LeaderRow {
    /// The lease, unless it was given back.
    fn lease(&self) -> Option<HeldLease> {
        let until = self.lease_until.time().filter(|until| until.timestamp_micros() != 0)?;
        Some(HeldLease { epoch: Epoch(self.epoch), until })
    }
}

record! {
    /// By how much a candidate's clock is ahead, the server's clock, both in microseconds, and whether the candidate was
    /// reported a moment ago.
    ReportRow { clock_ahead: i64, now: i64, is_known: bool }
}

record! {
    /// Another instance; its clock in microseconds.
    InstanceRow { instance: Id, configuration: String, clock_ahead: i64 }
}

/// An instance is reported so often, in seconds: well within [`GONE_AFTER`].
const REPORTED_EVERY: i64 = 2;

/// One candidacy.
pub(super) async fn claim(pool: &Pool, candidacy: &Candidacy) -> Result<Election, StoreError> {
    crate::leadership::check(candidacy)?;
    let began = Instant::now();
    let mut transaction = pool.get().await?.begin();
    let begin = begin(transaction.session(), pool.statement_timeout());
    let work = async {
        let client = transaction.client();
        client.batch_execute(&begin).await?;
        let election = vote(client, candidacy, began).await?;
        client.batch_execute("COMMIT").await?;
        Ok(election)
    };
    let result = pool.within(work).await;
    if result.is_ok() {
        transaction.ended();
    }
    result.map_err(|failure: Failure| failure.error)
}

async fn vote(
    client: &mut AsyncPgConnection,
    candidacy: &Candidacy,
    began: Instant,
) -> QueryResult<Election> {
    let asked = began.elapsed();
    let ReportRow { clock_ahead, now, .. } = report(client, candidacy).await?;
    let clock = reading(now, asked, began.elapsed())?;
    if candidacy.wants_to_lead && !renew(client, candidacy).await? {
        let seen = client.fetch_one(leader(candidacy)).await?;
        if is_free(seen.as_ref(), candidacy) {
            take_over(client, candidacy).await?;
        }
    }
    let row = client.fetch_one(leader(candidacy)).await?;
    let lease = row.as_ref().and_then(LeaderRow::lease);
    let frame = ClockFrame(row.as_ref().map_or(0, |row| row.frame));
    let leader = row.filter(|row| row.lives).map(|row| Leader {
        instance: row.instance.0.into(),
        epoch: Epoch(row.epoch),
        speaker: row.speaker,
        mode: row.mode,
    });
    let clock_ahead = chrono::TimeDelta::microseconds(clock_ahead);
    Ok(Election { leader, others: others(client, candidacy).await?, clock_ahead, lease, frame, clock })
}

fn reading(now: i64, after: Duration, before: Duration) -> QueryResult<ClockReading> {
    clock_reading(now, after, Some(before)).ok_or(Error::NotFound)
}

/// Nobody leads, or the candidate itself did before it was started again. The server's clock may be set: it ends no lease
/// that the candidate has seen renewed lately.
fn is_free(row: Option<&LeaderRow>, candidacy: &Candidacy) -> bool {
    row.is_none_or(|row| {
        let lease = row.lease();
        let is_over = !row.lives && lease == candidacy.unrenewed;
        lease.is_none() || is_over || row.instance.0 == candidacy.instance.as_uuid()
    })
}

/// Notes that the candidate is there, unless that stands there from a moment ago: a follower that only looks writes
/// nothing. Reads the server's clock.
async fn report(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<ReportRow> {
    let (pop, instance) = (candidacy.pop.as_str(), Id(candidacy.instance.as_uuid()));
    let look: Sql<ReportRow> = Sql::new(
        "SELECT (extract(epoch FROM ? - clock_timestamp()) * 1000000)::bigint AS clock_ahead,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
            EXISTS (SELECT FROM instances WHERE pop = ? AND instance = ? AND configuration = ?
                AND seen > clock_timestamp() - ? * INTERVAL '1 second') AS is_known",
    );
    let look = look.bind(Micros::from(candidacy.clock)).bind(pop).bind(instance);
    let look = look.bind(candidacy.configuration.as_str()).bind(REPORTED_EVERY);
    let seen = client.fetch_one(look).await?.ok_or(Error::NotFound)?;
    if !seen.is_known {
        let report = Sql::new(
            "INSERT INTO instances (pop, instance, configuration, clock_ahead, seen)
            VALUES (?, ?, ?, ?, clock_timestamp())
            ON CONFLICT (pop, instance) DO UPDATE SET configuration = EXCLUDED.configuration,
                clock_ahead = EXCLUDED.clock_ahead, seen = EXCLUDED.seen",
        );
        let report = report.bind(pop).bind(instance).bind(candidacy.configuration.as_str());
        client.execute(report.bind(seen.clock_ahead)).await?;
    }
    Ok(seen)
}

/// The frame of the candidate's time, the first one if it has none.
fn frame(candidacy: &Candidacy) -> i64 {
    candidacy.frame.unwrap_or_default().0
}

/// A lease in microseconds.
fn term(candidacy: &Candidacy) -> i64 {
    i64::try_from(candidacy.term.as_micros()).unwrap_or(i64::MAX)
}

/// True if the candidate led already and goes on.
async fn renew(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<bool> {
    let Some(Epoch(held)) = candidacy.held else { return Ok(false) };
    let renew = Sql::new(
        "UPDATE leadership
        SET lease_until = clock_timestamp() + ? * INTERVAL '1 microsecond', speaker = ?, mode = ?,
            frame = CASE WHEN ? THEN ? ELSE frame END
        WHERE pop = ? AND instance = ? AND epoch = ? AND lease_until > TIMESTAMPTZ 'epoch'",
    );
    let renew = renew
        .bind(term(candidacy))
        .bind(candidacy.speaker.as_str())
        .bind(candidacy.mode.as_str())
        .bind(candidacy.frame.is_some())
        .bind(frame(candidacy))
        .bind(candidacy.pop.as_str())
        .bind(Id(candidacy.instance.as_uuid()))
        .bind(held);
    Ok(client.execute(renew).await? > 0)
}

/// The lease of a living leader ends within a term: one that ends later was written before the server's clock was set back,
/// and was not renewed since.
fn leader(candidacy: &Candidacy) -> Sql<LeaderRow> {
    Sql::new(
        "SELECT epoch, instance, speaker, mode, lease_until, frame, lease_until > clock_timestamp()
            AND lease_until <= clock_timestamp() + ? * INTERVAL '1 microsecond' AS lives
        FROM leadership WHERE pop = ?",
    )
    .bind(term(candidacy))
    .bind(candidacy.pop.as_str())
}

async fn take_over(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<()> {
    let pop = &candidacy.pop;
    client.batch_execute(&format!("SELECT pg_advisory_xact_lock({})", leadership_lock(pop))).await?;
    // it may have been renewed, or taken by another, while this one waited
    let seen = client.fetch_one(leader(candidacy).push(" FOR UPDATE")).await?;
    if !is_free(seen.as_ref(), candidacy) {
        return Ok(());
    }
    let take = Sql::new(
        "INSERT INTO leadership (pop, epoch, instance, speaker, mode, lease_until, frame)
        VALUES (?, 1, ?, ?, ?, clock_timestamp() + ? * INTERVAL '1 microsecond', ?)
        ON CONFLICT (pop) DO UPDATE SET epoch = leadership.epoch + 1, instance = EXCLUDED.instance,
            speaker = EXCLUDED.speaker, mode = EXCLUDED.mode, lease_until = EXCLUDED.lease_until,
            frame = CASE WHEN ? THEN EXCLUDED.frame ELSE leadership.frame END",
    );
    let take = take
        .bind(pop.as_str())
        .bind(Id(candidacy.instance.as_uuid()))
        .bind(candidacy.speaker.as_str())
        .bind(candidacy.mode.as_str())
        .bind(term(candidacy))
        .bind(frame(candidacy))
        .bind(candidacy.frame.is_some());
    client.execute(take).await?;
    let forget = "DELETE FROM instances WHERE pop = ? AND seen < clock_timestamp() - INTERVAL '1 hour'";
    client.execute(Sql::new(forget).bind(pop.as_str())).await?;
    Ok(())
}

async fn others(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<Vec<OtherInstance>> {
    let others: Sql<InstanceRow> = Sql::new(
        "SELECT instance, configuration, clock_ahead FROM instances
        WHERE pop = ? AND instance <> ? AND seen > clock_timestamp() - ? * INTERVAL '1 second' ORDER BY instance",
    );
    let others = others
        .bind(candidacy.pop.as_str())
        .bind(Id(candidacy.instance.as_uuid()))
        .bind(GONE_AFTER.num_seconds());
    let other = |row: InstanceRow| OtherInstance {
        instance: row.instance.0.into(),
        configuration: row.configuration,
        clock_ahead: chrono::TimeDelta::microseconds(row.clock_ahead),
    };
    Ok(client.fetch_all(others).await?.into_iter().map(other).collect())
}

/// Ends the lease now, and forgets the instance.
pub(super) async fn resign(
    pool: &Pool,
    pop: &Pop,
    instance: InstanceId,
    epoch: Option<Epoch>,
) -> Result<(), StoreError> {
    let (pop, instance) = (pop.as_str(), Id(instance.as_uuid()));
    let resign = Sql::new(
        "WITH gone AS (DELETE FROM instances WHERE pop = ? AND instance = ?)
        UPDATE leadership SET lease_until = TIMESTAMPTZ 'epoch' WHERE pop = ? AND instance = ? AND epoch = ?",
    );
    // no leader has an epoch below zero
    let epoch = epoch.map_or(-1, |epoch| epoch.0);
    let resign = resign.bind(pop).bind(instance).bind(pop).bind(instance).bind(epoch);
    pool.run(move |client| client.execute(resign).boxed()).await.map(drop)
}
