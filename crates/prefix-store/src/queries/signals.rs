//! Signal groups, corroborating signals and sources.

use diesel::result::QueryResult;
use prefix_core::name::{Pop, VectorName};
use prefix_core::ports::{CorroborationHistoryQuery, GroupQuery};
use prefix_core::signal::GroupStatus;

use crate::executor::Executor;
use crate::key;
use crate::page::{Place, is_full};
use crate::row::define::record;
use crate::row::{CorroborationRow, GroupRow, Parsed};
use crate::sql::Sql;
use crate::sql_type::{Id, Micros};

/// The statuses whose lists hold what is asked for; `None` is the list of all. A page is merged from one page of each.
pub(crate) fn group_lists(query: &GroupQuery) -> Vec<Option<GroupStatus>> {
    if query.status.is_empty() {
        return vec![None];
    }
    GroupStatus::ALL.into_iter().filter(|status| query.status.contains(status)).map(Some).collect()
}

record! {
    /// How many signals of a source there are.
    SourceCountRow { source: String, total: i64 }
}

record! {
    /// The same with the time of the newest.
    SourceActivityRow { source: String, total: i64, last_seen: Micros }
}

record! {
    /// When something came.
    TimeRow { at: Micros }
}

/// One group.
pub(crate) fn group(id: Id) -> Sql<GroupRow> {
    Sql::select("FROM signal_groups WHERE group_id = ?").bind(id)
}

/// Those of these ids that exist, in no order.
pub(crate) fn groups_by_ids(ids: Vec<Id>) -> Sql<GroupRow> {
    Sql::select("FROM signal_groups").any("group_id", ids)
}

/// A page of groups of one status, or of all.
pub(crate) fn groups(query: &GroupQuery, status: Option<GroupStatus>) -> Sql<GroupRow> {
    Sql::select("FROM signal_groups")
        .filter_some("status = ?", status.map(GroupStatus::as_str))
        .filter_some("pop = ?", query.pop.as_ref().map(Pop::as_str))
        .filter_some("victim_ip = ?", query.victim_ip.map(|victim| victim.to_string()))
        .filter_some("vector = ?", query.vector.as_ref().map(VectorName::as_str))
        .page(&query.page, "created_at", "group_id")
}

/// Open groups of a pop, those whose window ends first.
pub(crate) fn open_groups(pop: &str, limit: i64) -> Sql<GroupRow> {
    Sql::select(
        "FROM signal_groups WHERE status = 'open' AND pop = ? ORDER BY window_ends_at, group_id LIMIT ?",
    )
    .bind(pop)
    .bind(limit)
}

/// The newest corroborating signals received by a pop that are not over, without their raw details, in no order.
pub(crate) fn live_corroborations(pop: &str, now: Micros, limit: i64) -> Sql<CorroborationRow> {
    // the newest are found in the index alone, and only their rows are read
    Sql::select_and(
        "NULL AS raw_details",
        "FROM corroborations WHERE signal_id IN (SELECT newest.signal_id FROM corroborations AS newest \
         WHERE newest.received_by = ? AND newest.expires_at > ? \
         ORDER BY newest.received_at DESC, newest.signal_id DESC LIMIT ?)",
    )
    .bind(pop)
    .bind(now)
    .bind(limit)
}

/// The newest corroborating signals that wait for a group, with their raw details, in no order.
pub(crate) fn waiting(pop: &str, now: Micros, source: Option<&str>, limit: i64) -> Sql<CorroborationRow> {
    let mut sql = Sql::select_and(
        "raw_details",
        "FROM corroborations WHERE signal_id IN (SELECT newest.signal_id FROM corroborations AS newest \
         WHERE newest.received_by = ? AND newest.expires_at > ? AND newest.is_attached = ?",
    )
    .bind(pop)
    .bind(now)
    .bind(false);
    if let Some(source) = source {
        sql = sql.push(" AND newest.source = ?").bind(source);
    }
    sql.push(" ORDER BY newest.received_at DESC, newest.signal_id DESC LIMIT ?)").bind(limit)
}

/// How many corroborating signals of each source wait for a group.
pub(crate) fn waiting_counts(pop: &str, now: Micros) -> Sql<SourceCountRow> {
    Sql::new(
        "SELECT source, count(*) AS total FROM corroborations \
         WHERE received_by = ? AND expires_at > ? AND is_attached = ? GROUP BY source",
    )
    .bind(pop)
    .bind(now)
    .bind(false)
}

/// The corroborating signals that a pop has received since, by source.
pub(crate) fn activity(pop: &str, since: Micros) -> Sql<SourceActivityRow> {
    Sql::new(
        "SELECT source, max(received_at) AS last_seen, count(*) AS total FROM corroborations \
         WHERE received_by = ? AND received_at >= ? GROUP BY source",
    )
    .bind(pop)
    .bind(since)
}

/// The next corroborating signals of a pop behind a place, and the place behind which there may be more.
pub(crate) async fn history(
    executor: &mut impl Executor,
    query: &CorroborationHistoryQuery,
    after: Option<Place>,
    limit: i64,
) -> QueryResult<(Vec<CorroborationRow>, Option<Place>)> {
    let start = Micros::from(query.start);
    let sql = Sql::select_and("NULL AS raw_details", "FROM corroborations")
        .filter("received_by = ?", query.pop.as_str())
        .filter("received_at < ?", Micros::from(query.end));
    let sql = match after {
        Some((at, id)) if at >= start => sql.filter("(received_at, signal_id) > (?, ?)", at).bind(id),
        _ => sql.filter("received_at >= ?", start),
    };
    let sql = sql.push(" ORDER BY received_at, signal_id LIMIT ?").bind(limit);
    let rows: Vec<CorroborationRow> = executor.fetch_all(sql).await?;
    let next = rows.last().map(CorroborationRow::place).filter(|_| is_full(rows.len(), limit));
    Ok((rows, next))
}

/// The time of a source's newest event or corroborating signal. The key is a range and stands in the order, so that no
/// index by time alone will do: it would be read from its end to a source that fell silent long ago.
pub(crate) async fn last_heard(executor: &mut impl Executor, source: &str) -> QueryResult<Option<Micros>> {
    let newest = [
        "SELECT ingested_at AS at FROM events WHERE source_key >= ? AND source_key <= ? AND source = ? \
         ORDER BY source_key DESC, ingested_at DESC LIMIT 1",
        "SELECT received_at AS at FROM corroborations WHERE source_key >= ? AND source_key <= ? AND source = ? \
         ORDER BY source_key DESC, received_at DESC LIMIT 1",
    ];
    let mut last = None;
    for text in newest {
        let key = key::of_text(source);
        let row = executor.fetch_one(Sql::<TimeRow>::new(text).bind(key).bind(key).bind(source)).await?;
        last = last.max(row.map(|row| row.at));
    }
    Ok(last)
}
