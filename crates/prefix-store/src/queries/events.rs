//! Events, and their recording: oldest first, for a simulation.

use chrono::{DateTime, TimeDelta};
use diesel::result::QueryResult;
use prefix_core::name::{ExternalEventId, SourceName, VectorName};
use prefix_core::ports::{EventQuery, HistoryQuery, ReadSet};

use crate::executor::Executor;
use crate::key;
use crate::page::{Place, is_full};
use crate::row::define::record;
use crate::row::{EndRow, EventRow, Parsed};
use crate::sql::{Record, Sql};
use crate::sql_type::{Id, Micros};

record! {
    /// The place of an event in lists.
    PlaceRow of events { ingested_at: Micros, event_id: Id }
}

/// One event with its raw details, wherever it is.
pub(crate) fn by_id(id: Id) -> Sql<EventRow> {
    Sql::select_and("raw_details", "FROM events WHERE event_id = ?").bind(id)
}

/// The last ends of these episodes.
pub(crate) fn ends(reads: &ReadSet) -> Sql<EndRow> {
    let keys: Vec<Vec<u8>> = reads.ends.iter().map(|(source, id)| key::of_end(source, id)).collect();
    Sql::select("FROM episode_ends").any("end_key", keys)
}

/// The last end of an episode.
pub(crate) fn end(source: &SourceName, id: &ExternalEventId) -> Sql<EndRow> {
    Sql::select("FROM episode_ends").filter("end_key = ?", key::of_end(source, id))
}

/// The same where its id says when it was made: so only the parts of two days are looked at. `None` for any other id.
pub(crate) fn by_id_and_time(id: Id) -> Option<Sql<EventRow>> {
    let (seconds, _) = id.0.get_timestamp()?.to_unix();
    let made = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
    let (begin, end) = (made - TimeDelta::hours(1), made + TimeDelta::hours(1));
    let sql = Sql::select_and(
        "raw_details",
        "FROM events WHERE event_id = ? AND ingested_at >= ? AND ingested_at < ?",
    );
    Some(sql.bind(id).bind(Micros::from(begin)).bind(Micros::from(end)))
}

fn listed() -> Sql<EventRow> {
    Sql::select_and("NULL AS raw_details", "FROM events")
}

/// A page of events.
pub(crate) fn page(query: &EventQuery) -> Sql<EventRow> {
    let mut sql = listed();
    if let Some(source) = &query.source {
        sql = of_source(sql, source).filter("source = ?", source.as_str());
    }
    sql.filter_some("victim_ip = ?", query.victim_ip.map(|victim| victim.to_string()))
        .filter_some("vector = ?", query.vector.as_ref().map(VectorName::as_str))
        .page(&query.page, "ingested_at", "event_id")
}

/// By its key only: whoever reads rows compares the name as well.
fn of_source<R>(sql: Sql<R>, source: &SourceName) -> Sql<R> {
    sql.filter("source_key = ?", key::of_text(source.as_str()))
}

/// The next events behind a place, and the place behind which there may be more.
pub(crate) async fn history(
    executor: &mut impl Executor,
    query: &HistoryQuery,
    after: Option<Place>,
    limit: i64,
) -> QueryResult<(Vec<EventRow>, Option<Place>)> {
    // an address has few events: its own index beats those of the sources
    if query.victim_ip.is_some() || query.sources.len() < 2 {
        let source = query.sources.iter().next().filter(|_| query.victim_ip.is_none());
        let mut sql = ended(begun(listed(), query, after, source), query);
        if let Some(source) = source {
            sql = sql.filter("source = ?", source.as_str());
        } else if !query.sources.is_empty() {
            sql = sql.any("source", query.sources.iter().map(SourceName::as_str).collect::<Vec<_>>());
        }
        let rows = executor.fetch_all(ordered(sql).push(" LIMIT ?").bind(limit)).await?;
        let next = rows.last().map(EventRow::place).filter(|_| is_full(rows.len(), limit));
        return Ok((rows, next));
    }
    // An index by time holds the events of one source, or of all. The places of the next events come from the indexes
    // alone, so that of each source only those are read that are wanted.
    let mut places: Vec<Place> = Vec::new();
    for source in &query.sources {
        let sql = ended(begun(Sql::<PlaceRow>::select("FROM events"), query, after, Some(source)), query);
        let rows = executor.fetch_all(ordered(sql).push(" LIMIT ?").bind(limit)).await?;
        places.extend(rows.into_iter().map(|row| (row.ingested_at, row.event_id)));
    }
    places.sort_unstable();
    places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let Some(&(at, id)) = places.last() else { return Ok((Vec::new(), None)) };
    let mut rows: Vec<EventRow> = Vec::with_capacity(places.len());
    for source in &query.sources {
        let sql = begun(listed(), query, after, Some(source))
            // ends the range of the index, which SQLite does not let a pair of columns do
            .filter("ingested_at <= ?", at)
            .filter("(ingested_at, event_id) <= (?, ?)", at)
            .bind(id)
            .filter("source = ?", source.as_str());
        rows.extend(executor.fetch_all(ordered(sql)).await?);
    }
    rows.sort_unstable_by_key(EventRow::place);
    if rows.len() > places.len() {
        // stored between the two looks
        rows.truncate(places.len());
        let next = rows.last().map(EventRow::place);
        return Ok((rows, next));
    }
    Ok((rows, Some((at, id)).filter(|_| is_full(places.len(), limit))))
}

fn ended<R>(sql: Sql<R>, query: &HistoryQuery) -> Sql<R> {
    sql.filter("ingested_at < ?", Micros::from(query.end))
}

fn ordered<R>(sql: Sql<R>) -> Sql<R> {
    sql.push(" ORDER BY ingested_at, event_id")
}

/// Without an end.
fn begun<R: Record>(
    sql: Sql<R>,
    query: &HistoryQuery,
    after: Option<Place>,
    source: Option<&SourceName>,
) -> Sql<R> {
    let sql = match source {
        Some(source) => of_source(sql, source),
        None => sql,
    };
    let sql = sql.filter_some("victim_ip = ?", query.victim_ip.map(|victim| victim.to_string()));
    // one of the two, so that an index range begins there whatever the planner thinks
    let start = Micros::from(query.start);
    match after {
        Some((at, id)) if at >= start => sql.filter("(ingested_at, event_id) > (?, ?)", at).bind(id),
        _ => sql.filter("ingested_at >= ?", start),
    }
}
