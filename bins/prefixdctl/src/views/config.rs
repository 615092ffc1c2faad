//! Differences between files and what runs, as rows.

use crate::output::{Cell, Column, Shown};
use prefix_client::ConfigChange;

fn value(value: &serde_json::Value) -> Cell {
    match value {
        serde_json::Value::Null => Cell::Empty,
        serde_json::Value::String(text) => Cell::text(text),
        other => Cell::text(other),
    }
}

/// The columns of a difference.
pub(crate) const CHANGES: &[Column<ConfigChange>] = &[
    Column::new("file", Shown::Always, |row| Cell::text(&row.file)),
    Column::new("path", Shown::Always, |row| Cell::text(&row.path)),
    Column::new("old", Shown::Always, |row| value(&row.old)),
    Column::new("new", Shown::Always, |row| value(&row.new)),
];
