//! What is frozen, as rows and in words.

use crate::output::{Cell, Column, Shown};
use prefix_client::{PanicScope, PanicStarted};

/// A scope in words.
pub(crate) fn scope_of(pop: Option<&str>, customer: Option<&str>) -> String {
    let pop = pop.map_or_else(|| "every site".to_owned(), |pop| format!("site {pop}"));
    match customer {
        Some(customer) => format!("{pop}, customer {customer} only"),
        None => pop,
    }
}

fn narrowed(limit: Option<&String>, all: &str) -> Cell {
    Cell::text(limit.map_or(all, String::as_str))
}

/// The columns of what is frozen.
pub(crate) const FROZEN: &[Column<PanicScope>] = &[
    Column::new("id", Shown::Always, |row| Cell::optional(row.panic_id)),
    Column::new("pop", Shown::Table, |row| narrowed(row.pop.as_ref(), "all")),
    Column::new("pop", Shown::Wide, |row| Cell::optional(row.pop.as_ref())),
    Column::new("customer", Shown::Table, |row| narrowed(row.customer_id.as_ref(), "all")),
    Column::new("customer", Shown::Wide, |row| Cell::optional(row.customer_id.as_ref())),
    Column::new("since", Shown::Always, |row| Cell::time(row.started_at)),
    Column::new("by", Shown::Always, |row| Cell::text(&row.started_by)),
    Column::new("origin", Shown::Wide, |row| Cell::optional(row.origin.as_ref())),
    Column::new("reason", Shown::Always, |row| Cell::text(&row.reason)),
];

/// The columns of what a panic did.
pub(crate) const PANIC: &[Column<PanicStarted>] = &[
    Column::new("id", Shown::Always, |row| Cell::optional(row.panic_id)),
    Column::new("pop", Shown::Always, |row| Cell::optional(row.pop.as_ref())),
    Column::new("customer", Shown::Always, |row| Cell::optional(row.customer_id.as_ref())),
    Column::new("since", Shown::Always, |row| Cell::time(row.started_at)),
    Column::new("by", Shown::Always, |row| Cell::text(&row.started_by)),
    Column::new("reason", Shown::Always, |row| Cell::text(&row.reason)),
    Column::new("rules", Shown::Always, |row| Cell::text(row.rules)),
    Column::new("withdrawn", Shown::Always, |row| Cell::text(row.withdrawn)),
    Column::new("withdrawing", Shown::Always, |row| Cell::text(row.withdrawing)),
];
