//! The storage ports that change rows in memory, and those between instances.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{
    Candidacy, ChangeFeed, ChangeSet, Election, Epoch, FeedCursor, Leadership, Maintenance, PoolState,
    ReadSet, Retention, RowChanges, Snapshot, StoreError, Transactions,
};

use super::{MemoryStore, down};

#[async_trait]
impl Transactions for MemoryStore {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        // others get their turn, as they do while a real database works
        tokio::task::yield_now().await;
        let mut paused = self.paused.subscribe();
        if paused.wait_for(|paused| !paused).await.is_err() {
            return Err(down());
        }
        self.lock().transact(reads, decide)
    }
}

#[async_trait]
impl Leadership for MemoryStore {
    fn is_shared(&self) -> bool {
        self.lock().shared
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        self.change(|state, now| state.shared.claim(candidacy, now))
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        self.change(|state, _| state.shared.resign(pop, instance, epoch))
    }
}

#[async_trait]
impl ChangeFeed for MemoryStore {
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError> {
        self.read(|state| state.shared.changes(pop, reader, since))
    }
}

#[async_trait]
impl Maintenance for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|_| ())
    }

    async fn retention_horizon(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read(|state| state.horizon)
    }

    async fn move_retention_horizon(
        &self,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.change(|state, _| {
            let is_there = state.horizon == from;
            if is_there {
                state.horizon = Some(to);
            }
            is_there
        })
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        self.change(|state, _| state.prune(retention, limit))
    }

    fn pool(&self) -> PoolState {
        PoolState::default()
    }
}
