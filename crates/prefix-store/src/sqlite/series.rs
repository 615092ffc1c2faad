//! Counts per bucket of time, from an index alone.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use prefix_core::store::{Bucket, SeriesMetric, SeriesQuery};

use crate::sql_type::Micros;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    bucket: i64,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

pub(super) fn load(connection: &mut SqliteConnection, query: &SeriesQuery) -> QueryResult<Vec<Bucket>> {
    let (table, column) = match query.metric {
        SeriesMetric::Mitigations => ("mitigations", "created_at"),
        SeriesMetric::Events => ("events", "ingested_at"),
    };
    let width = query.bucket.num_microseconds().unwrap_or(i64::MAX).max(1);
    let sql = format!(
        "SELECT {column} / ?1 AS bucket, count(*) AS total FROM {table} \
         WHERE {column} >= ?2 AND {column} < ?3 GROUP BY 1 ORDER BY 1"
    );
    let rows: Vec<Row> = diesel::sql_query(sql)
        .bind::<BigInt, _>(width)
        .bind::<BigInt, _>(Micros::from(query.start).get())
        .bind::<BigInt, _>(Micros::from(query.end).get())
        .load(connection)?;
    let bucket = |row: Row| {
        let start = Micros::from_micros(row.bucket.saturating_mul(width)).time()?;
        Some(Bucket { start, count: u64::try_from(row.total).unwrap_or(0) })
    };
    Ok(rows.into_iter().filter_map(bucket).collect())
}
