//! Counts: of everything, of pops, and over time (http-api.md §11).

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;

use crate::word::words;

words! {
    /// What a series counts.
    pub enum Series {
        /// New mitigations.
        Mitigations = "mitigations",
        /// Events received.
        Events = "events",
    }
}

/// Counts of everything.
#[wire(as = StatsAnswer)]
#[derive(Default)]
pub struct Stats {
    /// Active mitigations of all pops.
    pub total_active: u64,
    /// All mitigations.
    pub total_mitigations: u64,
    /// All events.
    pub total_events: u64,
    /// By pop.
    pub pops: Vec<PopCount>,
}

/// Counts of a pop.
#[wire(as = PopCounts)]
pub struct PopCount {
    /// The pop.
    pub pop: String,
    /// Mitigations whose rule is wanted or still to be removed.
    pub active: u64,
    /// All mitigations.
    pub total: u64,
}

/// A series of counts without gaps.
#[wire(as = SeriesAnswer)]
pub struct Timeseries {
    /// `mitigations` or `events`.
    pub metric: Series,
    /// Oldest first.
    pub buckets: Vec<Bucket>,
}

/// A count.
#[wire(as = BucketAnswer)]
pub struct Bucket {
    /// Where the bucket begins.
    pub bucket: DateTime<Utc>,
    /// How many.
    #[wire(strict)]
    pub count: u64,
}
