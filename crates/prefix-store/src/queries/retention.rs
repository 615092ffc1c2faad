//! Which rows are too old.

use chrono::{DateTime, Utc};
use prefix_core::ports::Retention;

use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Micros;
use crate::writes::tally;

/// The rows that one statement deletes, and gives back as `name`.
pub(crate) struct Expired {
    pg: &'static str,
    sqlite: &'static str,
    before: Micros,
    /// The kind of count that becomes smaller, for each `name`.
    pub(crate) tally: Option<&'static str>,
}

const EVENTS: &str = "DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events AS e WHERE ingested_at < ? AND NOT EXISTS (
        SELECT 1 FROM mitigations AS m WHERE m.mitigation_id = e.mitigation_id AND m.phase <> 'final')
    ORDER BY ingested_at LIMIT ?) RETURNING '' AS name";

const MITIGATIONS_PG: &str = "DELETE FROM mitigations WHERE mitigation_id IN (
    SELECT mitigation_id FROM mitigations WHERE created_at < ? AND closed_at < ?
    ORDER BY created_at LIMIT ?) RETURNING pop AS name";

/// The plus sign keeps SQLite from an index that is not in the order of creation.
const MITIGATIONS_SQLITE: &str = "DELETE FROM mitigations WHERE mitigation_id IN (
    SELECT mitigation_id FROM mitigations WHERE created_at < ? AND +closed_at < ?
    ORDER BY created_at LIMIT ?) RETURNING pop AS name";

const REPLIES: &str = "DELETE FROM replies WHERE reply_id IN (
    SELECT reply_id FROM replies WHERE created_at < ? ORDER BY created_at LIMIT ?) RETURNING '' AS name";

const GROUPS: &str = "DELETE FROM signal_groups WHERE group_id IN (
    SELECT group_id FROM signal_groups AS g WHERE window_ends_at < ? AND status <> 'open' AND NOT EXISTS (
        SELECT 1 FROM mitigations AS m WHERE m.mitigation_id = g.mitigation_id AND m.phase <> 'final')
    ORDER BY window_ends_at LIMIT ?) RETURNING '' AS name";

const CORROBORATIONS: &str = "DELETE FROM corroborations WHERE signal_id IN (
    SELECT signal_id FROM corroborations WHERE expires_at < ? ORDER BY expires_at LIMIT ?) RETURNING '' AS name";

record! {
    /// How far retention has come.
    HorizonRow of retention { horizon: Micros }
}

/// Where the horizon stands before it was ever moved.
const NEVER: Micros = Micros::from_micros(0);

impl HorizonRow {
    /// `None` before it was ever moved.
    pub(crate) fn parse(self) -> Option<DateTime<Utc>> {
        Some(self.horizon).filter(|horizon| *horizon != NEVER)?.time()
    }
}

/// How far retention has come.
pub(crate) fn horizon() -> Sql<HorizonRow> {
    Sql::select("FROM retention WHERE id = 1")
}

/// Moves the horizon, if it is still where it was.
pub(crate) fn move_horizon(from: Option<DateTime<Utc>>, to: DateTime<Utc>) -> Sql {
    Sql::new("UPDATE retention SET horizon = ? WHERE id = 1 AND horizon = ?")
        .bind(Micros::from(to))
        .bind(from.map_or(NEVER, Micros::from))
}

/// How many of `left` rows a kind may have, if so many kinds, this one included, are still to come: each gets the same, and
/// what one does not use is left to those after it.
pub(crate) fn share(left: i64, kinds: usize) -> i64 {
    let kinds = i64::try_from(kinds).unwrap_or(i64::MAX).max(1);
    (left + kinds - 1) / kinds
}

/// What is to be deleted, in this order: the last one may be the most, and has whatever the others leave.
pub(crate) fn expired(retention: &Retention) -> Vec<Expired> {
    let all = [
        (REPLIES, REPLIES, retention.replies_before, None),
        (GROUPS, GROUPS, retention.groups_before, None),
        (CORROBORATIONS, CORROBORATIONS, retention.corroborations_before, None),
        (MITIGATIONS_PG, MITIGATIONS_SQLITE, retention.mitigations_before, Some(tally::MITIGATIONS)),
        (EVENTS, EVENTS, retention.events_before, Some(tally::EVENTS)),
    ];
    all.into_iter()
        .filter_map(|(pg, sqlite, before, tally)| Some(Expired { pg, sqlite, before: before?.into(), tally }))
        .collect()
}

impl Expired {
    /// Adds the statement to `sql`: at most `limit` rows.
    pub(crate) fn push_to<R>(&self, sql: Sql<R>, limit: i64) -> Sql<R> {
        // every value but the last one is the time
        let times = self.pg.matches('?').count() - 1;
        let sql = sql.push_by_dialect(self.pg, self.sqlite);
        (0..times).fold(sql, |sql, _| sql.bind(self.before)).bind(limit)
    }
}
