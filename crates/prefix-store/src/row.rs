//! Rows: domain values as the tables hold them, and back. What is filtered, ordered or unique has a column, everything
//! else stands in one JSON text, which needs no migration when the domain grows.

mod audit;
mod event;
mod mitigation;
mod panic;
mod safelist;

pub(crate) use audit::{AuditRow, NewAudit, SealRow, head, vanished};
pub(crate) use event::{EventRow, ListedEvent, NewEvent};
pub(crate) use mitigation::{MitigationRow, NewMitigation, phase_of, route_kind};
pub(crate) use panic::{NewPanic, PanicRow};
pub(crate) use safelist::{NewReply, NewSafelistEntry, ReplyRow, SafelistRow};

use std::fmt::Display;

use chrono::{DateTime, Utc};
use prefix_core::mitigation::Mitigation;
use prefix_core::store::StoreError;

use crate::sql_type::Micros;

/// A row that cannot be read.
pub(crate) fn corrupt(table: &'static str, id: impl Display, problem: impl Display) -> StoreError {
    StoreError::Corrupt { table, problem: format!("{id}: {problem}") }
}

/// Counts and logs a row that is left out, or shown as unreadable, because it cannot be read.
pub(crate) fn unreadable(table: &'static str, id: impl Display, problem: impl Display) {
    metrics::counter!("prefixd_db_row_parse_errors_total", "table" => table).increment(1);
    tracing::error!(table, %id, %problem, "a stored row cannot be read; a newer prefixd or another program wrote it");
}

/// The mitigations of these rows, without those that cannot be read: one bad row shall not keep all others from being
/// announced, expired or shown.
pub(crate) fn readable(rows: Vec<MitigationRow>) -> Vec<Mitigation> {
    let parse = |row: MitigationRow| {
        let id = row.mitigation_id.0;
        row.parse().inspect_err(|error| unreadable("mitigations", id, error)).ok()
    };
    rows.into_iter().filter_map(parse).collect()
}

fn time(table: &'static str, id: impl Display, micros: Micros) -> Result<DateTime<Utc>, StoreError> {
    micros.time().ok_or_else(|| corrupt(table, id, format!("{} is no time", micros.get())))
}

/// PostgreSQL has no text with a NUL character, so nobody gets one stored: a text means the same in both databases.
fn without_nul<'a>(what: &str, text: &'a str) -> Result<&'a str, StoreError> {
    if text.contains('\0') {
        return Err(StoreError::Invalid(format!("{what} contains a NUL character")));
    }
    Ok(text)
}

fn json<T: serde::Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Invalid(format!("{what} has no JSON form: {error}")))
}
