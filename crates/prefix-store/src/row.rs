//! Rows: domain values as the tables hold them, and back. What is filtered, ordered or unique has a column, everything
//! else stands in one JSON text, which needs no migration when the domain grows.

mod access;
mod audit;
mod counter;
pub(crate) mod define;
mod episode_end;
mod event;
mod mitigation;
mod panic;
mod safelist;
mod signal;

pub(crate) use access::{
    NewOperator, NewPreferences, NewSession, NewToken, OperatorRow, PreferencesRow, SessionRow, TokenRow,
};
pub(crate) use audit::{AuditRow, HeadRow, NewAudit, SealRow, Sealed, SealedAuditRow, UnsealedRow};
pub(crate) use counter::{QuotaCounterDelta, TallyDelta, TallyNote};
pub(crate) use episode_end::{EndRow, NewEnd};
pub(crate) use event::{EventRow, NewEvent};
pub(crate) use mitigation::{MitigationRow, NewMitigation, phase_of, route_kind};
pub(crate) use panic::{NewPanic, PanicRow};
pub(crate) use safelist::{NewReply, NewSafelistEntry, ReplyRow, SafelistRow};
pub(crate) use signal::{
    CorroborationRow, GroupRow, NewCorroboration, NewGroup, activity, corroborations, groups, groups_of,
    newest_first, waiting,
};

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use prefix_core::ports::StoreError;

use crate::page::Place;
use crate::sql_type::Micros;

/// A row that cannot be read.
pub(crate) fn corrupt(table: &'static str, id: impl Display, problem: impl Display) -> StoreError {
    StoreError::Corrupt { table, problem: format!("{id}: {problem}") }
}

/// So many unreadable rows are remembered by name.
const MOST_UNREADABLE: usize = 100;

/// What could not be read since this process began: table and id.
static UNREADABLE: Mutex<BTreeSet<(&str, String)>> = Mutex::new(BTreeSet::new());

/// The rows that this process could not read, table and id, at most a hundred of them.
pub(crate) fn unreadable_rows() -> Vec<(&'static str, String)> {
    UNREADABLE.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// Counts, logs and remembers a row that is left out, or shown as unreadable, because it cannot be read.
pub(crate) fn unreadable(table: &'static str, id: impl Display, problem: impl Display) {
    let mut known = UNREADABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() < MOST_UNREADABLE {
        known.insert((table, id.to_string()));
    }
    drop(known);
    metrics::counter!("prefixd_db_row_parse_errors_total", "table" => table).increment(1);
    tracing::error!(table, %id, %problem, "a stored row cannot be read; a newer prefixd or another program wrote it");
}

/// A row that holds one value of the domain, and its place in lists.
pub(crate) trait Parsed: Sized {
    type Value;
    const TABLE: &'static str;

    /// The time and id by which lists are ordered.
    fn place(&self) -> Place;

    /// The value.
    fn parse(self) -> Result<Self::Value, StoreError>;

    /// The value, if the row can be read: one bad row shall not keep all others from being announced, expired or shown.
    fn readable(self) -> Option<Self::Value> {
        let (_, id) = self.place();
        self.parse().inspect_err(|error| unreadable(Self::TABLE, id.0, error)).ok()
    }
}

/// The values of these rows, without those that cannot be read.
pub(crate) fn readable<R: Parsed>(rows: Vec<R>) -> Vec<R::Value> {
    rows.into_iter().filter_map(R::readable).collect()
}

pub(crate) fn time(
    table: &'static str,
    id: impl Display,
    micros: Micros,
) -> Result<DateTime<Utc>, StoreError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    /// Counts what has the label that is looked for.
    #[derive(Default)]
    struct OfMitigations(Arc<AtomicU64>);

    impl Recorder for OfMitigations {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            assert_eq!(key.name(), "prefixd_db_row_parse_errors_total");
            let of_mitigations =
                key.labels().any(|label| label.key() == "table" && label.value() == "mitigations");
            if of_mitigations { Counter::from_arc(Arc::clone(&self.0)) } else { Counter::noop() }
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn a_row_that_is_left_out_is_counted() {
        let recorder = OfMitigations::default();
        metrics::with_local_recorder(&recorder, || {
            unreadable("mitigations", 1, "unheard of");
            unreadable("mitigations", 2, "unheard of");
            unreadable("events", 3, "unheard of");
        });
        assert_eq!(recorder.0.load(Ordering::Relaxed), 2);
    }
}
