//! Counts per bucket of time, from an index alone.

use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Double};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use prefix_core::store::{Bucket, SeriesMetric, SeriesQuery};

use crate::sql_type::{Instant, Micros};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Instant)]
    bucket: Micros,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

pub(super) async fn load(client: &mut AsyncPgConnection, query: SeriesQuery) -> QueryResult<Vec<Bucket>> {
    let (table, column) = match query.metric {
        SeriesMetric::Mitigations => ("mitigations", "created_at"),
        SeriesMetric::Events => ("events", "ingested_at"),
    };
    let sql = format!(
        "SELECT date_bin($1 * INTERVAL '1 microsecond', {column}, TIMESTAMPTZ 'epoch') AS bucket, \
         count(*) AS total FROM {table} WHERE {column} >= $2 AND {column} < $3 GROUP BY 1 ORDER BY 1"
    );
    let width = query.bucket.num_microseconds().unwrap_or(i64::MAX).max(1);
    #[allow(clippy::cast_precision_loss, reason = "exact up to 285 years")]
    let width = width as f64;
    let rows: Vec<Row> = diesel::sql_query(sql)
        .bind::<Double, _>(width)
        .bind::<Instant, _>(Micros::from(query.start))
        .bind::<Instant, _>(Micros::from(query.end))
        .load(client)
        .await?;
    let bucket =
        |row: Row| Some(Bucket { start: row.bucket.time()?, count: u64::try_from(row.total).unwrap_or(0) });
    Ok(rows.into_iter().filter_map(bucket).collect())
}
