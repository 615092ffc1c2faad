//! Deletes what is too old, a few rows at a time.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use prefix_core::store::Retention;

use super::writer::{End, Slot};
use crate::error::Failure;
use crate::schema::tallies;
use crate::sql_type::{Instant, Micros};
use crate::writes::tally;

#[derive(QueryableByName)]
struct Gone {
    #[diesel(sql_type = Text)]
    name: String,
}

const EVENTS: &str = "DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events AS e WHERE ingested_at < ?1 AND NOT EXISTS (
        SELECT 1 FROM mitigations AS m WHERE m.mitigation_id = e.mitigation_id AND m.phase <> 'final')
    ORDER BY ingested_at LIMIT ?2) RETURNING '' AS name";

const MITIGATIONS: &str = "DELETE FROM mitigations WHERE mitigation_id IN (
    SELECT mitigation_id FROM mitigations WHERE created_at < ?1 AND +closed_at < ?1
    ORDER BY created_at LIMIT ?2) RETURNING pop AS name";

const REPLIES: &str = "DELETE FROM replies WHERE reply_id IN (
    SELECT reply_id FROM replies WHERE created_at < ?1 ORDER BY created_at LIMIT ?2) RETURNING '' AS name";

const GROUPS: &str = "DELETE FROM signal_groups WHERE group_id IN (
    SELECT group_id FROM signal_groups AS g WHERE window_ends_at < ?1 AND status <> 'open' AND NOT EXISTS (
        SELECT 1 FROM mitigations AS m WHERE m.mitigation_id = g.mitigation_id AND m.phase <> 'final')
    ORDER BY window_ends_at LIMIT ?2) RETURNING '' AS name";

const CORROBORATIONS: &str = "DELETE FROM corroborations WHERE signal_id IN (
    SELECT signal_id FROM corroborations WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2) RETURNING '' AS name";

/// At most `limit` rows in all.
pub(super) fn run(slot: &mut Slot, retention: &Retention, limit: u32) -> Result<u64, Failure> {
    slot.transaction(|connection| {
        let mut left = i64::from(limit);
        let steps = [
            (EVENTS, retention.events_before, Some(tally::EVENTS)),
            (MITIGATIONS, retention.mitigations_before, Some(tally::MITIGATIONS)),
            (REPLIES, retention.replies_before, None),
            (GROUPS, retention.groups_before, None),
            (CORROBORATIONS, retention.corroborations_before, None),
        ];
        for (sql, before, kind) in steps {
            let Some(before) = before else { continue };
            let gone: Vec<Gone> = diesel::sql_query(sql)
                .bind::<Instant, _>(Micros::from(before))
                .bind::<BigInt, _>(left)
                .load(connection)?;
            left -= i64::try_from(gone.len()).unwrap_or(left);
            if let Some(kind) = kind {
                uncount(connection, kind, &gone)?;
            }
        }
        let gone = i64::from(limit) - left;
        Ok((u64::try_from(gone).unwrap_or(0), if gone == 0 { End::Rollback } else { End::Commit }))
    })
}

fn uncount(connection: &mut SqliteConnection, kind: &str, gone: &[Gone]) -> QueryResult<()> {
    for row in gone.chunk_by(|a, b| a.name == b.name) {
        let by = i64::try_from(row.len()).unwrap_or(0);
        diesel::update(tallies::table.find((kind, &row[0].name, 0)))
            .set(tallies::total.eq(tallies::total - by))
            .execute(connection)?;
    }
    Ok(())
}
