//! Deletes what is too old, a few rows at a time.

use prefix_core::ports::Retention;

use super::writer::{End, Slot};
use super::{execute, fetch_all};
use crate::error::Failure;
use crate::queries::retention::{expired, share};
use crate::row::define::record;
use crate::sql::Sql;

record! {
    /// What the count of a deleted row is kept under.
    GoneRow { name: String }
}

/// At most `limit` rows in all.
pub(super) fn run(slot: &mut Slot, retention: &Retention, limit: u32) -> Result<u64, Failure> {
    slot.transaction(|connection| {
        let mut left = i64::from(limit);
        let kinds = expired(retention);
        for (to_come, expired) in (1..=kinds.len()).rev().zip(&kinds) {
            let limit = share(left, to_come);
            let gone: Vec<GoneRow> = fetch_all(connection, expired.push_to(Sql::new(""), limit))?;
            left -= i64::try_from(gone.len()).unwrap_or(left);
            for (kind, rows) in expired
                .tally
                .iter()
                .flat_map(|kind| gone.chunk_by(|a, b| a.name == b.name).map(move |rows| (*kind, rows)))
            {
                let uncount =
                    "UPDATE tallies SET total = total - ? WHERE kind = ? AND name = ? AND shard = 0";
                let by = i64::try_from(rows.len()).unwrap_or(0);
                execute(connection, Sql::new(uncount).bind(by).bind(kind).bind(rows[0].name.as_str()))?;
            }
        }
        let gone = i64::from(limit) - left;
        Ok((u64::try_from(gone).unwrap_or(0), if gone == 0 { End::Rollback } else { End::Commit }))
    })
}
