//! The change feed: which mitigations other instances have committed since the last look.

use async_trait::async_trait;

use super::StoreError;
use crate::id::{InstanceId, MitigationId};
use crate::name::Pop;

/// How far an instance has read. Opaque: only the store that gave it understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedCursor(pub u64);

/// The rows that other instances have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChanges {
    /// Where to go on. A change may come twice, but none is left out.
    pub cursor: FeedCursor,
    /// What was changed.
    pub changed: ChangedRows,
}

/// The changed mitigations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedRows {
    /// These, each once, and no others.
    Only(Vec<MitigationId>),
    /// The reader was away for too long, or reads for the first time: everything is to be read anew.
    Anything,
    /// The database is not the one that was read before, or went back in time: a restored backup, or a server that took
    /// over without the last changes. What is known may never have happened; everything is to be read anew.
    Replaced,
}

/// How a follower learns what the leader and other instances wrote.
#[async_trait]
pub trait ChangeFeed: Send + Sync {
    /// The mitigations of a pop that other instances have changed since `since`; `None` reads for the first time.
    /// Storage that is not shared has no other instances.
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError>;
}
