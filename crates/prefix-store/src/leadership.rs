//! What both databases know of leadership: which candidacies they take, and whose work they refuse.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use prefix_core::ports::{Candidacy, ClockReading, Epoch, StoreError};

/// An instance that has not reported itself for so long is gone.
pub(crate) const GONE_AFTER: TimeDelta = TimeDelta::seconds(10);

/// The texts of a candidacy can be stored.
pub(crate) fn check(candidacy: &Candidacy) -> Result<(), StoreError> {
    let texts = [&candidacy.speaker, &candidacy.mode, &candidacy.configuration];
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(StoreError::Invalid("a candidacy contains a NUL character".into()));
    }
    Ok(())
}

/// Refuses the work of a leader whose epoch is over.
pub(crate) fn check_epoch(asked: Option<Epoch>, current: Option<i64>) -> Result<(), StoreError> {
    match asked {
        Some(Epoch(asked)) if current != Some(asked) => Err(StoreError::Deposed),
        _ => Ok(()),
    }
}

/// What the database's clock showed, in microseconds since 1970; `None` beyond what a calendar holds.
pub(crate) fn clock_reading(micros: i64, after: Duration, before: Option<Duration>) -> Option<ClockReading> {
    Some(ClockReading { time: DateTime::from_timestamp_micros(micros)?, after, before })
}
