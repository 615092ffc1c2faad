//! Seals audit entries on the thread that writes, in the order in which they were written.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::audit::AuditEntry;
use prefix_core::chain;
use prefix_core::store::Epoch;

use super::queries;
use super::writer::{End, Slot};
use crate::error::Failure;
use crate::leadership::check_epoch;
use crate::row::{AuditRow, SealRow, head, vanished};
use crate::schema::{audit_chain, audit_queue, audit_seals};

/// Up to `limit` of them; returns how many.
pub(super) fn run(slot: &mut Slot, pop: &str, leader: Epoch, limit: u32) -> Result<u32, Failure> {
    slot.transaction(|connection| {
        check_epoch(Some(leader), queries::epoch(connection, pop)?)?;
        let waiting = queries::unsealed(connection, pop, limit.into())?;
        if waiting.is_empty() {
            return Ok((0, End::Rollback));
        }
        let before = queries::chain_head(connection, pop)?.map(head);
        let (positions, rows): (Vec<i64>, Vec<Option<AuditRow>>) = waiting.into_iter().unzip();
        let mut entries: Vec<AuditEntry> = rows.into_iter().flatten().map(|row| row.parse(None)).collect();
        if entries.len() < positions.len() {
            vanished(pop, positions.len() - entries.len());
        }
        let after = chain::seal(before, &mut entries);
        write(connection, pop, &entries, &positions)?;
        if let Some(after) = after {
            let (seq, hash) =
                (audit_chain::seq.eq(after.seq), audit_chain::hash.eq(after.hash.as_bytes().as_slice()));
            let values = (audit_chain::pop.eq(pop), seq, hash);
            diesel::replace_into(audit_chain::table).values(values).execute(connection)?;
        }
        Ok((u32::try_from(positions.len()).unwrap_or(limit), End::Commit))
    })
}

fn write(
    connection: &mut SqliteConnection,
    pop: &str,
    entries: &[AuditEntry],
    positions: &[i64],
) -> QueryResult<()> {
    for row in entries.iter().filter_map(|entry| SealRow::of(entry, pop)) {
        diesel::insert_into(audit_seals::table).values(row).execute(connection)?;
    }
    for position in positions {
        diesel::delete(audit_queue::table.filter(audit_queue::position.eq(position))).execute(connection)?;
    }
    Ok(())
}
