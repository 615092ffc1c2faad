//! Whether storage answers, how it is used, and how it is kept small.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;

/// What is to be deleted because of its age. Each `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events received before this time go, unless the mitigation they belong to is not final. A store may keep them by day:
    /// then a day goes when all of it is before this time, unless an unfinished mitigation was triggered in it.
    pub events_before: Option<DateTime<Utc>>,
    /// Final mitigations that ended before this time go.
    pub mitigations_before: Option<DateTime<Utc>>,
    /// Stored replies of before this time go.
    pub replies_before: Option<DateTime<Utc>>,
    /// Signal groups whose window ended before this time go, unless they are open or the mitigation that they were
    /// handed on to is not final.
    pub groups_before: Option<DateTime<Utc>>,
    /// Corroborating signals that were over before this time go.
    pub corroborations_before: Option<DateTime<Utc>>,
}

/// The connections of the adapter to its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// In use.
    pub active: usize,
    /// Open and waiting.
    pub idle: usize,
}

impl std::ops::Add for PoolState {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { active: self.active + other.active, idle: self.idle + other.idle }
    }
}

/// The care of the database itself.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Cheap proof that storage answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// How far retention has come: it has deleted what was too old at this time. `None` before it was first moved.
    async fn retention_horizon(&self) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Moves the horizon of retention, if it is still at `from`. Returns false if somebody else has moved it.
    async fn move_retention_horizon(
        &self,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Deletes at most `limit` rows that are too old, and of each kind as many as of the others if there are so many; events that are
    /// kept by day go besides. Returns how many went. Zero means that nothing is left to do, or that another instance is at it.
    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError>;

    /// The state of the connections.
    fn pool(&self) -> PoolState;

    /// The stored rows that were left out because they cannot be read, since this process began: table and id, at most a
    /// hundred. A store that holds values instead of rows has none.
    fn unreadable(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
