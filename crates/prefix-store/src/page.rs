//! From rows to pages, the same for both databases.

use prefix_core::mitigation::Mitigation;
use prefix_core::page::{Cursor, Page};
use prefix_core::store::StoreError;

use crate::row::MitigationRow;

/// How many rows at a time are read of a list that is wanted whole: what is parsed and what is not are never both in
/// memory.
pub(crate) const CHUNK: i64 = 1000;

/// A page of mitigations from the pages of one or more bands.
pub(crate) fn of_mitigations(
    mut rows: Vec<MitigationRow>,
    limit: u16,
) -> Result<Page<Mitigation>, StoreError> {
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.mitigation_id)));
    rows.truncate(usize::from(limit) + 1);
    let items = rows.into_iter().map(MitigationRow::parse).collect::<Result<_, _>>()?;
    Ok(Page::from_overfull(items, limit, |row: &Mitigation| Cursor {
        at: row.created_at,
        id: row.mitigation_id.as_uuid(),
    }))
}
