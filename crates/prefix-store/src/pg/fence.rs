//! What binds every pop (the safelist, a panic) is committed first, and then each pop's log gets a row. Whoever decided
//! without knowing it is refused by that row or has been committed before it, so nothing is let in any more by the time
//! the change is answered.

use diesel_async::SimpleAsyncConnection;
use futures::future::try_join_all;
use prefix_core::ports::ReadSet;

use super::begin::{and_lock_admission, begin};
use super::log::POPS;
use super::pool::Pool;
use crate::error::Failure;
use crate::executor::Executor;
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Id;

record! {
    /// A pop.
    PopRow { pop: String }
}

/// Appends a row to the log of every pop that somebody may be at work for, each in a transaction of its own.
///
/// If that fails the change is committed all the same; doing it again is harmless.
pub(super) async fn every_pop(pool: &Pool, reads: &ReadSet) -> Result<(), Failure> {
    let pops: Sql<PopRow> = Sql::new(POPS)
        .push(" SELECT pop FROM pops WHERE pop IS NOT NULL UNION SELECT pop FROM leadership UNION SELECT ?")
        .bind(reads.pop.as_str());
    let pops = pool.fetch_all(pops).await?;
    try_join_all(pops.iter().map(|row| one(pool, reads, &row.pop))).await.map(drop)
}

async fn one(pool: &Pool, reads: &ReadSet, pop: &str) -> Result<(), Failure> {
    let mut transaction = pool.get().await?.begin();
    let begin = and_lock_admission(&begin(transaction.session(), pool.statement_timeout()), pop);
    let fence = Sql::new(
        "WITH newest AS (
            SELECT version, standing, active, granted FROM pop_log WHERE pop = ? ORDER BY version DESC LIMIT 1
        )
        INSERT INTO pop_log (pop, version, second, instance, epoch, standing, active, granted, admitted)
        SELECT ?, h.version + 1, ?, ?, 0, h.standing + 1, h.active, h.granted, 0 FROM (
            SELECT * FROM newest UNION ALL SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT FROM newest)
        ) AS h",
    )
    .bind(pop)
    .bind(pop)
    .bind(reads.now.timestamp())
    .bind(reads.instance.map(|instance| Id(instance.as_uuid())));
    let work = async {
        let client = transaction.client();
        client.batch_execute(&begin).await?;
        client.execute(fence).await?;
        client.batch_execute("COMMIT").await?;
        Ok(())
    };
    let done = pool.within(work).await;
    match &done {
        Ok(()) => transaction.ended(),
        Err(_) => transaction.roll_back(pool.patience()).await,
    }
    done
}
