//! Audit entries as rows.

use crate::output::{Cell, Column, Shown};
use prefix_client::AuditEntry;

/// Who did it: the name, or for the daemon itself its kind.
fn actor(row: &AuditEntry) -> Cell {
    Cell::text(row.actor_id.as_deref().unwrap_or(row.actor_type.as_str()))
}

/// The reason, the one detail that people ask for first.
fn reason(row: &AuditEntry) -> Cell {
    const LONGEST: usize = 80;
    let Some(text) = row.details.get("reason").and_then(serde_json::Value::as_str) else {
        return Cell::Empty;
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cell::Text(format!("{}…", &text[..end])),
        None => Cell::text(text),
    }
}

/// The columns of the audit trail.
pub(crate) const AUDIT: &[Column<AuditEntry>] = &[
    Column::new("seq", Shown::Always, |row| Cell::optional(row.seq)),
    Column::new("time", Shown::Always, |row| Cell::time(row.timestamp)),
    Column::new("actor", Shown::Table, actor),
    Column::new("actor_type", Shown::Wide, |row| Cell::text(&row.actor_type)),
    Column::new("actor", Shown::Wide, |row| Cell::optional(row.actor_id.as_ref())),
    Column::new("action", Shown::Always, |row| Cell::text(&row.action)),
    Column::new("target_type", Shown::Wide, |row| Cell::optional(row.target_type.as_ref())),
    Column::new("target", Shown::Always, |row| Cell::optional(row.target_id.as_ref())),
    Column::new("reason", Shown::Table, reason),
    Column::new("audit_id", Shown::Wide, |row| Cell::text(row.audit_id)),
    Column::new("hash", Shown::Wide, |row| Cell::optional(row.hash.as_ref())),
    Column::new("details", Shown::Wide, |row| Cell::text(&row.details)),
];
