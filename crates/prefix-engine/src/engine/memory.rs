//! What can be read while storage is away: the unfinished mitigations of the own pop, as storage would list them.

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
    let MitigationQuery { page, status, customer_id, victim_ip, vector, pop: _, acknowledged } = query;
    let mut rows = intents.rows();
    rows.retain(|row| {
        let cursor = cursor(row);
        status.contains(&row.status)
            && (customer_id.is_none() || row.customer_id == *customer_id)
            && victim_ip.is_none_or(|victim| row.victim_ip == victim)
            && vector.as_ref().is_none_or(|vector| row.vector == *vector)
            && acknowledged.is_none_or(|wanted| row.acknowledged_at.is_some() == wanted)
            && page.start.is_none_or(|start| cursor.at >= start)
            && page.end.is_none_or(|end| cursor.at < end)
            && page.cursor.is_none_or(|last| cursor < last)
    });
    rows.sort_by_key(|row| std::cmp::Reverse(cursor(row)));
    rows.truncate(usize::from(page.limit) + 1);
    let rows = rows.iter().map(|row| Mitigation::clone(row)).collect();
    Some(Page::from_overfull(rows, page.limit, cursor))
}

fn cursor(row: &Mitigation) -> Cursor {
    Cursor { at: row.created_at, id: row.mitigation_id.as_uuid() }
}
