//! What can be read while storage is away: the unfinished mitigations of the own pop, as storage would list them.

use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::Pop;
use prefix_core::page::{Cursor, Page};
use prefix_core::ports::MitigationQuery;

use crate::intent_table::IntentTable;

/// The page that storage would answer with; `None` if it may hold rows that are not in the intent table.
pub(super) fn mitigations(
    intents: &IntentTable,
    own: &Pop,
    query: &MitigationQuery,
) -> Option<Page<Mitigation>> {
    let unfinished = !query.status.is_empty() && !query.status.iter().copied().any(Status::is_final);
    if !unfinished || query.pop.as_ref() != Some(own) {
        return None;
    }
    let mut rows = intents.all_answered();
    rows.retain(|row| is_listed(row, query));
    rows.sort_by_key(|row| std::cmp::Reverse(cursor(row)));
    rows.truncate(usize::from(query.page.limit) + 1);
    let rows = rows.iter().map(|row| Mitigation::clone(row)).collect();
    Some(Page::from_overfull(rows, query.page.limit, cursor))
}

/// Makes a page of storage what was answered before it was written: rows that are pending there and active here. Returns
/// which rows may be missing from it.
pub(super) fn as_answered(
    intents: &IntentTable,
    ahead: &[MitigationId],
    query: &MitigationQuery,
    page: &mut Page<Mitigation>,
) -> Vec<MitigationId> {
    if ahead.is_empty() {
        return Vec::new();
    }
    page.items.iter_mut().for_each(|row| intents.as_answered(row));
    page.items.retain(|row| query.status.is_empty() || query.status.contains(&row.status));
    let end = page.next_cursor;
    let is_missing = |row: &Mitigation| {
        let is_on_page = is_listed(row, query) && end.is_none_or(|end| cursor(row) > end);
        is_on_page && page.items.iter().all(|listed| listed.mitigation_id != row.mitigation_id)
    };
    let answered = ahead.iter().filter_map(|id| intents.answered(*id));
    answered.filter(|row| is_missing(row)).map(|row| row.mitigation_id).collect()
}

/// The page with these rows, which were missing from it.
pub(super) fn completed(
    intents: &IntentTable,
    query: &MitigationQuery,
    mut page: Page<Mitigation>,
    mut missing: Vec<Mitigation>,
) -> Page<Mitigation> {
    missing.iter_mut().for_each(|row| intents.as_answered(row));
    page.items.extend(missing.into_iter().filter(|row| is_listed(row, query)));
    page.items.sort_by_key(|row| std::cmp::Reverse(cursor(row)));
    if page.items.len() > usize::from(query.page.limit) {
        return Page::from_overfull(page.items, query.page.limit, cursor);
    }
    page
}

fn is_listed(row: &Mitigation, query: &MitigationQuery) -> bool {
    let (page, cursor) = (&query.page, cursor(row));
    query.matches(row)
        && page.start.is_none_or(|start| cursor.at >= start)
        && page.end.is_none_or(|end| cursor.at < end)
        && page.cursor.is_none_or(|last| cursor < last)
}

fn cursor(row: &Mitigation) -> Cursor {
    Cursor { at: row.created_at, id: row.mitigation_id.as_uuid() }
}
