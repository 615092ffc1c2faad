//! Counts of rows.

use std::collections::BTreeMap;

use prefix_core::name::Pop;
use prefix_core::ports::{Bucket, PopStats, SeriesMetric, SeriesQuery, StoreError, Totals};

use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Micros;
use crate::writes::tally;

record! {
    /// A stored count. A part of one can be below zero, the sum never is.
    TallyRow { kind: String, name: String, total: i64 }
}

/// Every stored count.
pub(crate) fn tallies() -> Sql<TallyRow> {
    Sql::by_dialect(
        "SELECT kind, name, sum(total)::bigint AS total FROM (
             SELECT kind, name, total FROM tallies UNION ALL SELECT kind, name, total FROM tally_log
         ) AS parts GROUP BY kind, name",
        "SELECT kind, name, total FROM tallies",
    )
}

fn count(total: i64) -> u64 {
    u64::try_from(total).unwrap_or(0)
}

/// The counts by pop.
pub(crate) fn stats(rows: Vec<TallyRow>) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for TallyRow { kind, name, total } in rows {
        match kind.as_str() {
            tally::ACTIVE => sums.entry(name).or_default().0 += total,
            tally::MITIGATIONS => sums.entry(name).or_default().1 += total,
            _ => {}
        }
    }
    sums.into_iter()
        .map(|(name, (active, total))| {
            let pop = name.parse().map_err(|error| crate::row::corrupt("tallies", &name, error))?;
            Ok((pop, PopStats { active: count(active), total: count(total) }))
        })
        .collect()
}

/// The counts of everything.
pub(crate) fn totals(rows: &[TallyRow]) -> Totals {
    let sum = |wanted: &str| rows.iter().filter(|row| row.kind == wanted).map(|row| row.total).sum();
    Totals { mitigations: count(sum(tally::MITIGATIONS)), events: count(sum(tally::EVENTS)) }
}

record! {
    /// How many rows came within a bucket of time.
    BucketRow { bucket: Micros, total: i64 }
}

impl BucketRow {
    /// `None` if another program wrote times that no calendar holds.
    pub(crate) fn parse(self) -> Option<Bucket> {
        Some(Bucket { start: self.bucket.time()?, count: count(self.total) })
    }
}

/// Counts per bucket of time, from an index alone.
pub(crate) fn series(query: &SeriesQuery) -> Sql<BucketRow> {
    let (pg, sqlite, from) = match query.metric {
        SeriesMetric::Mitigations => (
            "SELECT date_bin(? * INTERVAL '1 microsecond', created_at, TIMESTAMPTZ 'epoch')",
            "SELECT created_at - created_at % ?",
            "FROM mitigations WHERE created_at >= ? AND created_at < ? GROUP BY 1 ORDER BY 1",
        ),
        SeriesMetric::Events => (
            "SELECT date_bin(? * INTERVAL '1 microsecond', ingested_at, TIMESTAMPTZ 'epoch')",
            "SELECT ingested_at - ingested_at % ?",
            "FROM events WHERE ingested_at >= ? AND ingested_at < ? GROUP BY 1 ORDER BY 1",
        ),
    };
    Sql::by_dialect(pg, sqlite)
        .bind(query.bucket.num_microseconds().unwrap_or(i64::MAX).max(1))
        .push(" AS bucket, count(*) AS total ")
        .push(from)
        .bind(Micros::from(query.start))
        .bind(Micros::from(query.end))
}
