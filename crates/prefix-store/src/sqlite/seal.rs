//! Seals audit entries on the thread that writes, in the order in which they were written.

use futures::executor::block_on;
use prefix_core::ports::Epoch;

use super::fetch_one;
use super::writer::{End, Slot};
use crate::error::Failure;
use crate::leadership::check_epoch;
use crate::queries::{self, audit};

/// Up to `limit` of them; returns how many.
pub(super) fn run(slot: &mut Slot, pop: &str, leader: Epoch, limit: u32) -> Result<u32, Failure> {
    slot.transaction(|connection| {
        check_epoch(Some(leader), fetch_one(connection, queries::epoch(pop))?.map(|row| row.epoch))?;
        let sealed = block_on(audit::seal(connection, pop, limit))?;
        Ok((sealed, if sealed == 0 { End::Rollback } else { End::Commit }))
    })
}
