//! Counts of stored rows, for people and graphs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::name::Pop;

/// Counts of a pop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PopStats {
    /// Mitigations that are pending, active, escalated or withdrawing.
    pub active: u64,
    /// All mitigations.
    pub total: u64,
}

/// Counts of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All mitigations.
    pub mitigations: u64,
    /// All events.
    pub events: u64,
}

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesMetric {
    /// New mitigations.
    Mitigations,
    /// Received events.
    Events,
}

/// A series of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// What is counted.
    pub metric: SeriesMetric,
    /// From here, inclusive.
    pub start: DateTime<Utc>,
    /// To here, exclusive.
    pub end: DateTime<Utc>,
    /// Length of a bucket, at least a second; buckets are aligned to the epoch.
    pub bucket: TimeDelta,
}

/// One count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins.
    pub start: DateTime<Utc>,
    /// How many.
    pub count: u64,
}

/// How many rows there are, and how many came when.
#[async_trait]
pub trait Statistics: Send + Sync {
    /// How many mitigations and events there are, by pop. Active = pending + active + escalated + withdrawing.
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError>;

    /// All mitigations and events.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Counts per bucket of time. Empty buckets are left out.
    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError>;
}
