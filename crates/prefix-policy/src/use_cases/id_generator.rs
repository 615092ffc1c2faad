//! Identifiers of new rows: random in the daemon, sequential in a simulation, whose answers are the same every time.

use prefix_core::id::{GroupId, MitigationId, SignalId};

/// Makes the identifiers of new rows.
pub trait IdGenerator {
    /// For a mitigation. Ids are ordered by time of creation.
    fn mitigation(&self) -> MitigationId;

    /// For a signal group.
    fn group(&self) -> GroupId;

    /// For a corroborating signal.
    fn signal(&self) -> SignalId;
}

/// Unique without asking anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdGenerator for RandomIds {
    fn mitigation(&self) -> MitigationId {
        MitigationId::generate()
    }

    fn group(&self) -> GroupId {
        GroupId::generate()
    }

    fn signal(&self) -> SignalId {
        SignalId::generate()
    }
}
