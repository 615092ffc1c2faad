//! Identifiers of new rows: random in the daemon, sequential in a simulation, whose answers are the same every time.

use uuid::Uuid;

/// Makes the identifiers of new rows.
pub trait IdGenerator {
    /// The next one. They are ordered by time of creation.
    fn next(&self) -> Uuid;
}

/// Unique without asking anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdGenerator for RandomIds {
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
