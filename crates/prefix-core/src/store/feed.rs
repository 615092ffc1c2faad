//! The feed of changes: what other instances have committed since the last look.

use crate::id::MitigationId;

/// How far an instance has read. Opaque: only the store that gave it understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedCursor(pub u64);

/// What other instances have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Where to go on. A change may come twice, but none is left out.
    pub cursor: FeedCursor,
    /// What was changed.
    pub changed: Changed,
}

/// The changed mitigations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These, each once, and no others.
    Only(Vec<MitigationId>),
    /// The reader was away for too long, or reads for the first time: everything is to be read anew.
    Anything,
}
