//! The verdict on the audit chain as a row.

use crate::output::{Cell, Column, Shown};
use prefix_client::ChainVerdict;

/// Its columns.
pub(crate) const VERDICT: &[Column<ChainVerdict>] = &[
    Column::new("valid", Shown::Always, |row| Cell::text(row.valid)),
    Column::new("checked", Shown::Always, |row| Cell::text(row.checked)),
    Column::new("first_seq", Shown::Always, |row| Cell::optional(row.first_seq)),
    Column::new("last_seq", Shown::Always, |row| Cell::optional(row.last_seq)),
    Column::new("head_hash", Shown::Always, |row| Cell::optional(row.head_hash.as_ref())),
    Column::new("problem", Shown::Always, |row| Cell::optional(row.broken.as_ref().map(|it| &it.problem))),
    Column::new("problem_seq", Shown::Always, |row| {
        Cell::optional(row.broken.as_ref().and_then(|it| it.seq))
    }),
    Column::new("problem_id", Shown::Always, |row| {
        Cell::optional(row.broken.as_ref().and_then(|it| it.audit_id))
    }),
];
