//! From rows to pages, the same for both databases.

use prefix_core::event::Event;
use prefix_core::mitigation::Mitigation;
use prefix_core::page::{Cursor, Page};

use crate::row::{self, ListedEvent, MitigationRow};
use crate::sql_type::{Id, Micros};

/// How many rows at a time are read of a list that is wanted whole: what is parsed and what is not are never both in
/// memory.
pub(crate) const CHUNK: i64 = 1000;

/// A page of mitigations from the pages of one or more bands.
pub(crate) fn of_mitigations(mut rows: Vec<MitigationRow>, limit: u16) -> Page<Mitigation> {
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.mitigation_id)));
    rows.truncate(usize::from(limit) + 1);
    readable(rows, limit, |row| (row.created_at, row.mitigation_id), row::mitigation)
}

/// A page of events.
pub(crate) fn of_events(rows: Vec<ListedEvent>, limit: u16) -> Page<Event> {
    readable(rows, limit, ListedEvent::place, row::event)
}

/// A page without the rows that cannot be read. The next page begins behind the last row, whether it could be read or
/// not.
fn readable<R, T>(
    mut rows: Vec<R>,
    limit: u16,
    place: impl Fn(&R) -> (Micros, Id),
    parse: impl Fn(R) -> Option<T>,
) -> Page<T> {
    let is_overfull = rows.len() > usize::from(limit);
    rows.truncate(usize::from(limit));
    let last = rows.last().filter(|_| is_overfull).map(place);
    let next_cursor = last.and_then(|(at, id)| Some(Cursor { at: at.time()?, id: id.0 }));
    Page { items: rows.into_iter().filter_map(parse).collect(), next_cursor }
}
