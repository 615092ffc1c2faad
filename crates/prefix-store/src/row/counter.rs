//! Counters beside the rows. What is written is a change, which the database adds to what is there.

use super::define::row;

row! {
    /// How the active rules of a customer change.
    QuotaCounterDelta<'a> of quota_counters put if ("", "") {
        Key scope: &'static str,
        Key name: &'a str,
        Added active: i64,
    }
}

row! {
    /// How a count of rows changes, where it is added up at once.
    TallyDelta of tallies put if ("", "") {
        Key kind: &'static str,
        Key name: String,
        Key shard: i16,
        Added total: i64,
    }
}

row! {
    /// The same where it is only noted: nobody waits for anybody.
    TallyNote of tally_log {
        Once kind: &'static str,
        Once name: String,
        Once total: i64,
    }
}

impl TallyDelta {
    /// As a note.
    pub(crate) fn note(&self) -> TallyNote {
        TallyNote { kind: self.kind, name: self.name.clone(), total: self.total }
    }
}
