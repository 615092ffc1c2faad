//! What became of each of several, as rows.

use crate::output::{Cell, Column, Shown, Tone};
use crate::views::events::status;
use prefix_client::{BatchResult, BulkResult, BulkStatus, SignalResult};

/// The columns of a batch of events.
pub(crate) const BATCH: &[Column<BatchResult>] = &[
    Column::new("index", Shown::Always, |row| Cell::text(row.index)),
    Column::new("event", Shown::Always, |row| Cell::optional(row.event_id.filter(|id| !id.is_nil()))),
    Column::new("external_id", Shown::Wide, |row| Cell::optional(row.external_event_id.as_ref())),
    Column::new("status", Shown::Always, |row| status(Some(&row.status))),
    Column::new("mitigation", Shown::Always, |row| Cell::optional(row.mitigation_id)),
    Column::new("mitigation_status", Shown::Wide, |row| Cell::optional(row.mitigation_status.as_ref())),
    Column::new("guardrail", Shown::Wide, |row| Cell::optional(row.guardrail.as_ref())),
    Column::new("error", Shown::Always, |row| Cell::optional(row.error.as_ref())),
];

fn signal_status(row: &SignalResult) -> Cell {
    match row.status.as_str() {
        "error" => Cell::Toned(Tone::Bad, "error".to_owned()),
        _ => status(Some(&row.status)),
    }
}

/// The columns of the items of a foreign payload.
pub(crate) const SIGNALS: &[Column<SignalResult>] = &[
    Column::new("index", Shown::Always, |row| Cell::text(row.index)),
    Column::new("event", Shown::Always, |row| Cell::optional(row.event_id)),
    Column::new("status", Shown::Always, signal_status),
    Column::new("mitigation", Shown::Always, |row| Cell::optional(row.mitigation_id)),
    Column::new("mitigation_status", Shown::Wide, |row| Cell::optional(row.mitigation_status.as_ref())),
    Column::new("guardrail", Shown::Wide, |row| Cell::optional(row.guardrail.as_ref())),
    Column::new("error", Shown::Always, |row| Cell::optional(row.error.as_ref())),
];

fn bulk_status(row: &BulkResult) -> Cell {
    let tone = match row.status {
        BulkStatus::Error => Tone::Bad,
        BulkStatus::Withdrawing => Tone::Warn,
        _ => Tone::Good,
    };
    Cell::Toned(tone, row.status.to_string())
}

/// The columns of a change to several mitigations.
pub(crate) const BULK: &[Column<BulkResult>] = &[
    Column::new("id", Shown::Always, |row| Cell::text(row.mitigation_id)),
    Column::new("status", Shown::Always, bulk_status),
    Column::new("error", Shown::Always, |row| Cell::optional(row.error.as_ref())),
];
