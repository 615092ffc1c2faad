//! Migrations on PostgreSQL: all missing ones in one transaction, under a lock that ends with it. So several instances
//! can start at once, and a transaction pooler in between does no harm.

use diesel::dsl::sql;
use diesel::result::{Error, QueryResult};
use diesel::sql_types::{BigInt, Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::pool::Lease;
use crate::migrate::{POSTGRES, missing};
use crate::{OpenError, PostgresUrl};

/// `SELECT hashtext('prefixd migrations')`, more or less: any number that nobody else uses.
const LOCK: i64 = 8_955_000_133;

/// Brings the schema up to date.
pub(super) async fn run(lease: &mut Lease, url: &PostgresUrl) -> Result<(), OpenError> {
    let failed = |error: Error| OpenError::Unavailable { url: url.to_string(), problem: error.to_string() };
    let preamble = lease.session().preamble();
    let begin =
        format!("BEGIN; {preamble}SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})");
    let connection = lease.client();
    connection.batch_execute(&begin).await.map_err(failed)?;
    let result = migrate(connection, failed).await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch_execute(end).await.map_err(failed);
    result.and(ended)
}

async fn migrate(
    connection: &mut AsyncPgConnection,
    failed: impl Fn(Error) -> OpenError,
) -> Result<(), OpenError> {
    let found = version(connection).await.map_err(&failed)?;
    for migration in missing(POSTGRES, found)? {
        let (version, name) = (migration.version, migration.name);
        let note = format!("INSERT INTO prefixd_schema (version, name) VALUES ({version}, '{name}')");
        let applied = async {
            connection.batch_execute(migration.sql).await?;
            connection.batch_execute(&note).await
        };
        applied.await.map_err(|error| OpenError::Migration { version, name, problem: error.to_string() })?;
        tracing::info!(version, name, "the database was migrated");
    }
    Ok(())
}

async fn version(connection: &mut AsyncPgConnection) -> QueryResult<i64> {
    let exists = diesel::select(sql::<Bool>("to_regclass('prefixd_schema') IS NOT NULL"));
    // asked before creating: a daemon without the right to create tables can use a migrated database
    if !exists.get_result::<bool>(connection).await? {
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
