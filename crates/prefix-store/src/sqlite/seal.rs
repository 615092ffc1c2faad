//! Seals audit entries on the thread that writes, in the order in which they were written.

use diesel::RunQueryDsl;
use prefix_core::ports::Epoch;

use super::writer::{End, Slot};
use super::{execute, fetch_all, fetch_one};
use crate::error::Failure;
use crate::leadership::check_epoch;
use crate::queries::{self, audit};
use crate::row::define::Insert;
use crate::row::{NewHead, Sealed};

/// So many positions go into one statement: SQLite takes no more than 32,766 values.
const AT_ONCE: usize = 1000;

/// Up to `limit` of them; returns how many.
pub(super) fn run(slot: &mut Slot, pop: &str, leader: Epoch, limit: u32) -> Result<u32, Failure> {
    slot.transaction(|connection| {
        check_epoch(Some(leader), fetch_one(connection, queries::epoch(pop))?.map(|row| row.epoch))?;
        let waiting = fetch_all(connection, audit::unsealed(pop, limit.into()))?;
        if waiting.is_empty() {
            return Ok((0, End::Rollback));
        }
        let sealed = Sealed::new(pop, fetch_one(connection, audit::chain_head(pop))?, waiting);
        for row in &sealed.seals {
            Insert(row).execute(connection)?;
        }
        for positions in sealed.positions.chunks(AT_ONCE) {
            execute(connection, audit::dequeue(pop, positions.to_vec()))?;
        }
        if let Some(head) = &sealed.head {
            let row = NewHead { pop, seq: head.seq, hash: head.hash.as_bytes() };
            Insert(&row).execute(connection)?;
        }
        Ok((u32::try_from(sealed.positions.len()).unwrap_or(limit), End::Commit))
    })
}
