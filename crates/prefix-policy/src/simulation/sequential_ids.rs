//! Sequential identifiers: the same every time, and in the order of their creation, as those of the daemon are.

use std::cell::Cell;

use uuid::Uuid;

use crate::use_cases::IdGenerator;

/// Counts identifiers up from 1.
#[derive(Debug, Default)]
pub(super) struct SequentialIds(Cell<u128>);

impl IdGenerator for SequentialIds {
    fn next(&self) -> Uuid {
        let next = self.0.get() + 1;
        self.0.set(next);
        Uuid::from_u128(next)
    }
}
