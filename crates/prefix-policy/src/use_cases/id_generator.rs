//! Identifiers of new rows: random in the daemon, sequential in a simulation, whose answers are the same every time.

use chrono::{DateTime, Utc};
use prefix_core::id::uuid_at;
use uuid::Uuid;

/// Makes the identifiers of new rows.
pub trait IdGenerator {
    /// The next one. They are ordered by time of creation.
    fn next(&self) -> Uuid;
}

/// Unique without asking anybody, and of this time.
#[derive(Clone, Copy, Debug)]
pub struct RandomIds(pub DateTime<Utc>);

impl IdGenerator for RandomIds {
    fn next(&self) -> Uuid {
        uuid_at(self.0)
    }
}
