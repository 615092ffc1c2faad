//! Safelist entries as rows.

use crate::output::{Cell, Column, Shown};
use prefix_client::SafelistEntry;

/// The columns of the safelist.
pub(crate) const SAFELIST: &[Column<SafelistEntry>] = &[
    Column::new("prefix", Shown::Always, |row| Cell::text(row.prefix)),
    Column::new("added", Shown::Always, |row| Cell::time(row.added_at)),
    Column::new("by", Shown::Always, |row| Cell::optional(row.added_by.as_ref())),
    Column::new("expires", Shown::Always, |row| Cell::time(row.expires_at)),
    Column::new("reason", Shown::Always, |row| Cell::optional(row.reason.as_ref())),
];
