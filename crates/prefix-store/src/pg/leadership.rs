//! Leadership by the server's clock. A renewal changes one row that no other transaction locks; a take-over first
//! waits for the transactions of the leader before, and none of those can begin after it.

use diesel::OptionalExtension;
use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures::FutureExt;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{Candidacy, Election, Epoch, Leader, OtherInstance, StoreError};

use super::begin::{begin, leadership_lock};
use super::pool::Pool;
use crate::error::Failure;
use crate::leadership::GONE_AFTER;
use crate::sql_type::{Id, Instant, Micros, Uid};

#[derive(QueryableByName)]
struct LeaderRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Uid)]
    instance: Id,
    #[diesel(sql_type = Text)]
    speaker: String,
    #[diesel(sql_type = Text)]
    mode: String,
    #[diesel(sql_type = Bool)]
    lives: bool,
}

#[derive(QueryableByName)]
struct InstanceRow {
    #[diesel(sql_type = Uid)]
    instance: Id,
    #[diesel(sql_type = Text)]
    configuration: String,
    #[diesel(sql_type = BigInt)]
    clock_ahead: i64,
}

#[derive(QueryableByName)]
struct Ahead {
    #[diesel(sql_type = BigInt)]
    clock_ahead: i64,
}

/// One candidacy.
pub(super) async fn claim(pool: &Pool, candidacy: &Candidacy) -> Result<Election, StoreError> {
    crate::leadership::check(candidacy)?;
    let mut transaction = pool.get().await?.begin();
    let begin = begin(transaction.session(), pool.statement_timeout());
    let work = async {
        let client = transaction.client();
        client.batch_execute(&begin).await?;
        let election = vote(client, candidacy).await?;
        client.batch_execute("COMMIT").await?;
        Ok(election)
    };
    let result = pool.within(work).await;
    if result.is_ok() {
        transaction.ended();
    }
    result.map_err(|failure: Failure| failure.error)
}

async fn vote(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<Election> {
    let clock_ahead = report(client, candidacy).await?;
    if candidacy.wants_to_lead && !renew(client, candidacy).await? {
        let seen = leader(client, &candidacy.pop, "").await?;
        if is_free(seen.as_ref(), candidacy) {
            take_over(client, candidacy).await?;
        }
    }
    let leader = leader(client, &candidacy.pop, "").await?.filter(|row| row.lives).map(|row| Leader {
        instance: row.instance.0.into(),
        epoch: Epoch(row.epoch),
        speaker: row.speaker,
        mode: row.mode,
    });
    let clock_ahead = chrono::TimeDelta::microseconds(clock_ahead);
    Ok(Election { leader, others: others(client, candidacy).await?, clock_ahead })
}

/// Nobody leads, or the candidate itself did before it was started again.
fn is_free(row: Option<&LeaderRow>, candidacy: &Candidacy) -> bool {
    row.is_none_or(|row| !row.lives || row.instance.0 == candidacy.instance.as_uuid())
}

/// Notes that the candidate is there; returns how much its clock is ahead, in microseconds.
async fn report(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<i64> {
    const REPORT: &str = "INSERT INTO instances (pop, instance, configuration, clock_ahead, seen)
        VALUES ($1, $2, $3, (extract(epoch FROM $4 - clock_timestamp()) * 1000000)::bigint, clock_timestamp())
        ON CONFLICT (pop, instance) DO UPDATE SET configuration = EXCLUDED.configuration,
            clock_ahead = EXCLUDED.clock_ahead, seen = EXCLUDED.seen
        RETURNING clock_ahead";
    let row: Ahead = diesel::sql_query(REPORT)
        .bind::<Text, _>(candidacy.pop.as_str())
        .bind::<Uid, _>(Id(candidacy.instance.as_uuid()))
        .bind::<Text, _>(&candidacy.configuration)
        .bind::<Instant, _>(Micros::from(candidacy.clock))
        .get_result(client)
        .await?;
    Ok(row.clock_ahead)
}

/// A lease in microseconds.
fn term(candidacy: &Candidacy) -> i64 {
    i64::try_from(candidacy.term.as_micros()).unwrap_or(i64::MAX)
}

/// True if the candidate led already and goes on.
async fn renew(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<bool> {
    const RENEW: &str = "UPDATE leadership
        SET lease_until = clock_timestamp() + $1 * INTERVAL '1 microsecond', speaker = $2, mode = $3
        WHERE pop = $4 AND instance = $5 AND epoch = $6 AND lease_until > TIMESTAMPTZ 'epoch'";
    let Some(Epoch(held)) = candidacy.held else { return Ok(false) };
    let renewed = diesel::sql_query(RENEW)
        .bind::<BigInt, _>(term(candidacy))
        .bind::<Text, _>(&candidacy.speaker)
        .bind::<Text, _>(&candidacy.mode)
        .bind::<Text, _>(candidacy.pop.as_str())
        .bind::<Uid, _>(Id(candidacy.instance.as_uuid()))
        .bind::<BigInt, _>(held)
        .execute(client)
        .await?;
    Ok(renewed > 0)
}

/// Who led last, and whether the lease lasts.
async fn leader(client: &mut AsyncPgConnection, pop: &Pop, lock: &str) -> QueryResult<Option<LeaderRow>> {
    let sql = format!(
        "SELECT epoch, instance, speaker, mode, lease_until > clock_timestamp() AS lives FROM leadership \
         WHERE pop = $1 {lock}"
    );
    diesel::sql_query(sql).bind::<Text, _>(pop.as_str()).get_result(client).await.optional()
}

async fn take_over(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<()> {
    const TAKE: &str = "INSERT INTO leadership (pop, epoch, instance, speaker, mode, lease_until)
        VALUES ($1, 1, $2, $3, $4, clock_timestamp() + $5 * INTERVAL '1 microsecond')
        ON CONFLICT (pop) DO UPDATE SET epoch = leadership.epoch + 1, instance = EXCLUDED.instance,
            speaker = EXCLUDED.speaker, mode = EXCLUDED.mode, lease_until = EXCLUDED.lease_until";
    const FORGET: &str =
        "DELETE FROM instances WHERE pop = $1 AND seen < clock_timestamp() - INTERVAL '1 hour'";
    let pop = &candidacy.pop;
    client.batch_execute(&format!("SELECT pg_advisory_xact_lock({})", leadership_lock(pop))).await?;
    // it may have been renewed, or taken by another, while this one waited
    let seen = leader(client, pop, "FOR UPDATE").await?;
    if !is_free(seen.as_ref(), candidacy) {
        return Ok(());
    }
    diesel::sql_query(TAKE)
        .bind::<Text, _>(pop.as_str())
        .bind::<Uid, _>(Id(candidacy.instance.as_uuid()))
        .bind::<Text, _>(&candidacy.speaker)
        .bind::<Text, _>(&candidacy.mode)
        .bind::<BigInt, _>(term(candidacy))
        .execute(client)
        .await?;
    diesel::sql_query(FORGET).bind::<Text, _>(pop.as_str()).execute(client).await?;
    Ok(())
}

async fn others(client: &mut AsyncPgConnection, candidacy: &Candidacy) -> QueryResult<Vec<OtherInstance>> {
    const OTHERS: &str = "SELECT instance, configuration, clock_ahead FROM instances
        WHERE pop = $1 AND instance <> $2 AND seen > clock_timestamp() - $3 * INTERVAL '1 second' ORDER BY instance";
    let rows: Vec<InstanceRow> = diesel::sql_query(OTHERS)
        .bind::<Text, _>(candidacy.pop.as_str())
        .bind::<Uid, _>(Id(candidacy.instance.as_uuid()))
        .bind::<BigInt, _>(GONE_AFTER.num_seconds())
        .load(client)
        .await?;
    let other = |row: InstanceRow| OtherInstance {
        instance: row.instance.0.into(),
        configuration: row.configuration,
        clock_ahead: chrono::TimeDelta::microseconds(row.clock_ahead),
    };
    Ok(rows.into_iter().map(other).collect())
}

/// Ends the lease now, and forgets the instance.
pub(super) async fn resign(
    pool: &Pool,
    pop: &Pop,
    instance: InstanceId,
    epoch: Option<Epoch>,
) -> Result<(), StoreError> {
    const RESIGN: &str = "WITH gone AS (DELETE FROM instances WHERE pop = $1 AND instance = $2)
        UPDATE leadership SET lease_until = TIMESTAMPTZ 'epoch' WHERE pop = $1 AND instance = $2 AND epoch = $3";
    let (pop, instance) = (pop.clone(), Id(instance.as_uuid()));
    let resigned = pool.run(move |client| {
        let work = async move {
            diesel::sql_query(RESIGN)
                .bind::<Text, _>(pop.as_str())
                .bind::<Uid, _>(instance)
                .bind::<Nullable<BigInt>, _>(epoch.map(|epoch| epoch.0))
                .execute(client)
                .await
        };
        work.boxed()
    });
    resigned.await.map(drop)
}
