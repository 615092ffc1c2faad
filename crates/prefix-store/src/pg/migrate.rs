//! Migrations on PostgreSQL: all missing ones in one transaction, under a lock that ends with it. So several instances
//! can start at once, and a transaction pooler in between does no harm.

use chrono::DateTime;
use diesel::QueryableByName;
use diesel::dsl::sql;
use diesel::result::{Error, QueryResult};
use diesel::sql_types::{BigInt, Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::pool::Lease;
use crate::migrate::{Migration, POSTGRES, missing};
use crate::migrations::Found;
use crate::{OpenError, PostgresUrl};

/// `SELECT hashtext('prefixd migrations')`, more or less: any number that nobody else uses.
const LOCK: i64 = 8_955_000_133;

/// Brings the schema up to date, and returns what was missing.
pub(super) async fn run(lease: &mut Lease, url: &PostgresUrl) -> Result<&'static [Migration], OpenError> {
    let failed = |error: Error| OpenError::Unavailable { url: url.to_string(), problem: error.to_string() };
    let preamble = lease.session().preamble();
    let begin =
        format!("BEGIN; {preamble}SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})");
    let connection = lease.client();
    connection.batch_execute(&begin).await.map_err(failed)?;
    let result = migrate(connection, failed).await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch_execute(end).await.map_err(failed);
    result.and_then(|applied| ended.map(|()| applied))
}

/// What the database has, without changing it.
pub(super) async fn found(connection: &mut AsyncPgConnection) -> QueryResult<Found> {
    if !exists(connection).await? {
        return Ok(Found { version: 0, times: Vec::new() });
    }
    let applied: Vec<Applied> = diesel::sql_query(
        "SELECT version, (extract(epoch FROM applied_at) * 1000000)::bigint AS applied_at FROM prefixd_schema",
    )
    .load(connection)
    .await?;
    let time = |row: &Applied| Some((row.version, DateTime::from_timestamp_micros(row.applied_at)?));
    Ok(Found {
        version: applied.iter().map(|row| row.version).max().unwrap_or(0),
        times: applied.iter().filter_map(time).collect(),
    })
}

/// A row of `prefixd_schema`.
#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = BigInt)]
    version: i64,
    /// Microseconds since 1970.
    #[diesel(sql_type = BigInt)]
    applied_at: i64,
}

async fn migrate(
    connection: &mut AsyncPgConnection,
    failed: impl Fn(Error) -> OpenError,
) -> Result<&'static [Migration], OpenError> {
    let found = version(connection).await.map_err(&failed)?;
    let missing = missing(POSTGRES, found)?;
    for migration in missing {
        let (version, name) = (migration.version, migration.name);
        let note = format!("INSERT INTO prefixd_schema (version, name) VALUES ({version}, '{name}')");
        let applied = async {
            connection.batch_execute(migration.sql).await?;
            connection.batch_execute(&note).await
        };
        applied.await.map_err(|error| OpenError::Migration { version, name, problem: error.to_string() })?;
        tracing::info!(version, name, "the database was migrated");
    }
    Ok(missing)
}

async fn exists(connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    diesel::select(sql::<Bool>("to_regclass('prefixd_schema') IS NOT NULL")).get_result(connection).await
}

async fn version(connection: &mut AsyncPgConnection) -> QueryResult<i64> {
    // asked before creating: a daemon without the right to create tables can use a migrated database
    if !exists(connection).await? {
        connection
            .batch_execute(
                "CREATE TABLE prefixd_schema (version BIGINT PRIMARY KEY, name TEXT NOT NULL,
                 applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
            )
            .await?;
    }
    diesel::select(sql::<BigInt>("(SELECT coalesce(max(version), 0) FROM prefixd_schema)"))
        .get_result(connection)
        .await
}
