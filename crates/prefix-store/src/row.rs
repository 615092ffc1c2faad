//! Rows: domain values as the tables hold them, and back. What is filtered, ordered or unique has a column, everything
//! else stands in one JSON text, which needs no migration when the domain grows.

mod audit;
mod event;
mod mitigation;
mod safelist;

pub(crate) use audit::{AuditRow, NewAudit};
pub(crate) use event::{EventRow, ListedEvent, NewEvent};
pub(crate) use mitigation::{MitigationRow, NewMitigation, phase_of, route_kind};
pub(crate) use safelist::{NewReply, NewSafelistEntry, ReplyRow, SafelistRow};

use std::fmt::Display;

use chrono::{DateTime, Utc};
use prefix_core::store::StoreError;

use crate::sql_type::Micros;

/// A row that cannot be read.
pub(crate) fn corrupt(table: &'static str, id: impl Display, problem: impl Display) -> StoreError {
    StoreError::Corrupt { table, problem: format!("{id}: {problem}") }
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
