//! Which rows are too old.

use prefix_core::ports::Retention;

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

const ENDS: &str = "DELETE FROM episode_ends WHERE end_key IN (
    SELECT end_key FROM episode_ends WHERE noted_at < ? ORDER BY noted_at LIMIT ?) RETURNING '' AS name";

const GROUPS: &str = "DELETE FROM signal_groups WHERE group_id IN (
    SELECT group_id FROM signal_groups AS g WHERE window_ends_at < ? AND status <> 'open' AND NOT EXISTS (
        SELECT 1 FROM mitigations AS m WHERE m.mitigation_id = g.mitigation_id AND m.phase <> 'final')
    ORDER BY window_ends_at LIMIT ?) RETURNING '' AS name";

const CORROBORATIONS: &str = "DELETE FROM corroborations WHERE signal_id IN (
    SELECT signal_id FROM corroborations WHERE expires_at < ? ORDER BY expires_at LIMIT ?) RETURNING '' AS name";

/// What is to be deleted, in this order.
pub(crate) fn expired(retention: &Retention) -> impl Iterator<Item = Expired> {
    let all = [
        (EVENTS, EVENTS, retention.events_before, Some(tally::EVENTS)),
        (MITIGATIONS_PG, MITIGATIONS_SQLITE, retention.mitigations_before, Some(tally::MITIGATIONS)),
        (REPLIES, REPLIES, retention.replies_before, None),
        (ENDS, ENDS, retention.events_before, None),
        (GROUPS, GROUPS, retention.groups_before, None),
        (CORROBORATIONS, CORROBORATIONS, retention.corroborations_before, None),
    ];
    all.into_iter()
        .filter_map(|(pg, sqlite, before, tally)| Some(Expired { pg, sqlite, before: before?.into(), tally }))
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
