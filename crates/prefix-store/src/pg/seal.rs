//! Seals audit entries in one short transaction of the leader. Writers only add to the queue, so they never wait for it.

use diesel_async::SimpleAsyncConnection;
use prefix_core::name::Pop;
use prefix_core::ports::{Epoch, StoreError};

use super::begin::begin_as;
use super::pool::Pool;
use crate::error::Failure;
use crate::executor::Executor;
use crate::key;
use crate::leadership::check_epoch;
use crate::queries::{self, audit};

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
        let epoch = client.fetch_one(queries::epoch(pop.as_str())).await?;
        check_epoch(Some(leader), epoch.map(|row| row.epoch))?;
        let sealed = audit::seal(client, pop.as_str(), limit).await?;
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
