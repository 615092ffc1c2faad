//! The row of an episode's end.

use chrono::{DateTime, Utc};
use prefix_core::name::{ExternalEventId, SourceName};

use super::define::{record, row};
use crate::key;
use crate::sql_type::Micros;

record! {
    /// An end as it is read.
    EndRow of episode_ends { end_key: Vec<u8>, ended_at: Micros }
}

row! {
    /// An end to store, in the place of an earlier one.
    NewEnd of episode_ends put if (
        " WHERE episode_ends.ended_at < EXCLUDED.ended_at",
        " WHERE episode_ends.ended_at < EXCLUDED.ended_at"
    ) {
        Key end_key: Vec<u8>,
        Always ended_at: Micros,
        Always noted_at: Micros,
    }
}

impl NewEnd {
    pub(crate) fn new(
        (source, id): &(SourceName, ExternalEventId),
        ended_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        Self { end_key: key::of_end(source, id), ended_at: ended_at.into(), noted_at: now.into() }
    }
}
