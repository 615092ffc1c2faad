//! Counts: of everything, of pops, and over time.

use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use prefix_api_types::{Bucket, Pop, PopCount, Series, Stats, Timeseries};
use prefix_core::ports::{SeriesMetric, SeriesQuery};
use prefix_diagnostics::Diagnostic;

use super::{Reply, checked, ok};
use crate::api::Api;
use crate::query::Query;
use crate::value;

/// How many mitigations and events there are.
#[utoipa::path(
    get, path = "/v1/stats", tag = "operation", operation_id = "stats",
    responses((status = 200, description = "The counts.", body = Stats))
)]
pub(crate) async fn get(api: Data<Api>) -> Reply {
    let totals = api.engine.totals().await?;
    let pops = api.engine.pops().await?;
    ok(&Stats {
        total_active: pops.iter().map(|(_, counts)| counts.active).sum(),
        total_mitigations: totals.mitigations,
        total_events: totals.events,
        pops: pops
            .into_iter()
            .map(|(pop, counts)| PopCount {
                pop: pop.to_string(),
                active: counts.active,
                total: counts.total,
            })
            .collect(),
    })
}

/// The pops, the own one always among them.
#[utoipa::path(
    get, path = "/v1/pops", tag = "operation", operation_id = "list_pops",
    responses((status = 200, description = "The pops.", body = Vec<Pop>))
)]
pub(crate) async fn pops(api: Data<Api>) -> Reply {
    let pops = api.engine.pops().await?.into_iter().map(|(pop, counts)| Pop {
        pop: pop.to_string(),
        active_mitigations: counts.active,
        total_mitigations: counts.total,
    });
    ok(&pops.collect::<Vec<_>>())
}

/// New mitigations or events over time, up to now.
#[utoipa::path(
    get, path = "/v1/stats/timeseries", tag = "operation", operation_id = "timeseries",
    params(
        ("metric" = Option<String>, Query, description = "`mitigations` (default) or `events`."),
        ("range" = Option<String>, Query, description = "How far back, up to `7d`; default `24h`."),
        ("bucket" = Option<String>, Query, description = "Length of a bucket, from `5m`; default `1h`."),
    ),
    responses((status = 200, description = "The series, gaps filled with 0.", body = Timeseries))
)]
pub(crate) async fn timeseries(api: Data<Api>, mut query: Query) -> Reply {
    let metric =
        query.word("metric", &[("mitigations", SeriesMetric::Mitigations), ("events", SeriesMetric::Events)]);
    let metric = metric.unwrap_or(SeriesMetric::Mitigations);
    let (shortest, longest) = (TimeDelta::minutes(5), TimeDelta::days(7));
    let range =
        query.optional("range", |text| duration(text, shortest, longest)).unwrap_or(TimeDelta::hours(24));
    let bucket = query.optional("bucket", |text| duration(text, shortest, longest));
    let bucket = bucket.unwrap_or(TimeDelta::hours(1).min(range));
    if query.errors.is_empty() && bucket > range {
        query.errors.push(Diagnostic::query("bucket", "must not be longer than range"));
    }
    checked(query.finish())?;
    let (start, end) = window(api.now(), range, bucket);
    let series = api.engine.series(&SeriesQuery { metric, start, end, bucket }).await?;
    let metric = match metric {
        SeriesMetric::Mitigations => Series::Mitigations,
        SeriesMetric::Events => Series::Events,
    };
    let buckets = series.into_iter().map(|one| Bucket { bucket: one.start, count: one.count }).collect();
    ok(&Timeseries { metric, buckets })
}

/// Whole buckets, the last of which holds `now`.
fn window(now: DateTime<Utc>, range: TimeDelta, bucket: TimeDelta) -> (DateTime<Utc>, DateTime<Utc>) {
    let (seconds, length) = (now.timestamp(), bucket.num_seconds().max(1));
    let end = (seconds.div_euclid(length) + 1) * length;
    let buckets = (range.num_seconds() + length - 1) / length;
    let at = |second| DateTime::from_timestamp(second, 0).unwrap_or(now);
    (at(end - buckets * length), at(end))
}

fn duration(text: &str, shortest: TimeDelta, longest: TimeDelta) -> Result<TimeDelta, String> {
    let wrong = || {
        format!("must be a number with s, m, h or d behind it, from 5m to 7d, not {}", value::quoted(text))
    };
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    let plain = (1..=7).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = if plain { digits.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    let length = TimeDelta::seconds(number * unit);
    if (shortest..=longest).contains(&length) { Ok(length) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_range() {
        let read = |text: &str| duration(text, TimeDelta::minutes(5), TimeDelta::days(7));
        assert_eq!(read("24h"), Ok(TimeDelta::days(1)));
        assert_eq!(read("7d"), Ok(TimeDelta::days(7)));
        assert_eq!(read("300s"), Ok(TimeDelta::minutes(5)));
        for bad in ["", "h", "4m", "8d", "1.5h", "-1h", "24", "99999999999d", "1é", "+5m"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_bucket_holds_now() {
        let now = DateTime::from_timestamp(1_795_000_123, 0).unwrap();
        let (start, end) = window(now, TimeDelta::hours(24), TimeDelta::hours(1));
        assert!(start < now && now < end && end - now <= TimeDelta::hours(1));
        assert_eq!(end - start, TimeDelta::hours(24));
    }
}
