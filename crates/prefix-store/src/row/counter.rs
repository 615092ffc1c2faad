//! Counters beside the rows. What is written is a change, which the database adds to what is there.

use super::define::row;

row! {
    /// How the active rules of a pop or customer change.
    QuotaCounterDelta<'a> of quota_counters put if ("", "") {
        Key scope: &'static str,
        Key name: &'a str,
        Added active: i64,
    }
}

row! {
    /// How a count of rows changes. In PostgreSQL writers of the same count meet on one of several shards.
    TallyDelta<'a> of tallies put if ("", "") {
        Key kind: &'static str,
        Key name: &'a str,
        Key shard: i16,
        Added total: i64,
    }
}
