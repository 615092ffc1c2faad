//! Writes a change set: one prepared statement per row, which SQLite runs as fast as any longer one.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::store::StoredReply;

use crate::error::Failure;
use crate::row::NewReply;
use crate::schema::{
    admission, admissions, audit_entries, events, mitigations, quota_counters, replies, safelist, tallies,
};
use crate::sql_type::Micros;
use crate::writes::{Update, Writes};

/// So many seconds of admissions are kept; a minute is needed.
const KEPT_SECONDS: i64 = 300;

/// Writes everything.
pub(super) fn all(connection: &mut SqliteConnection, writes: &Writes<'_>) -> Result<(), Failure> {
    counters(connection, writes)?;
    for change in writes.releases.iter().chain(&writes.updates) {
        update(connection, change)?;
    }
    for row in &writes.mitigations {
        diesel::insert_into(mitigations::table).values(row).execute(connection)?;
    }
    for row in &writes.events {
        diesel::insert_into(events::table).values(row).execute(connection)?;
    }
    for row in &writes.audit {
        diesel::insert_into(audit_entries::table).values(row).execute(connection)?;
    }
    for row in &writes.replies {
        reply(connection, row)?;
    }
    for prefix in &writes.safelist_remove {
        diesel::delete(safelist::table.find(prefix)).execute(connection)?;
    }
    for entry in &writes.safelist_put {
        diesel::insert_into(safelist::table)
            .values(entry)
            .on_conflict(safelist::prefix)
            .do_update()
            .set(safelist::doc.eq(&entry.doc))
            .execute(connection)?;
    }
    Ok(())
}

fn counters(connection: &mut SqliteConnection, writes: &Writes<'_>) -> QueryResult<()> {
    if writes.touches_admission() {
        diesel::update(admission::table)
            .set((
                admission::active.eq(admission::active + writes.global),
                admission::safelist_revision.eq(admission::safelist_revision + i64::from(writes.safelist)),
            ))
            .execute(connection)?;
    }
    for counter in &writes.counters {
        diesel::insert_into(quota_counters::table)
            .values((
                quota_counters::scope.eq(counter.scope),
                quota_counters::name.eq(counter.name),
                quota_counters::active.eq(counter.by),
            ))
            .on_conflict((quota_counters::scope, quota_counters::name))
            .do_update()
            .set(quota_counters::active.eq(quota_counters::active + counter.by))
            .execute(connection)?;
    }
    if writes.admitted > 0 {
        diesel::insert_into(admissions::table)
            .values((
                admissions::pop.eq(writes.pop),
                admissions::second.eq(writes.second),
                admissions::total.eq(writes.admitted),
            ))
            .on_conflict((admissions::pop, admissions::second))
            .do_update()
            .set(admissions::total.eq(admissions::total + writes.admitted))
            .execute(connection)?;
        let old = admissions::second.lt(writes.second - KEPT_SECONDS);
        diesel::delete(admissions::table.filter(admissions::pop.eq(writes.pop)).filter(old))
            .execute(connection)?;
    }
    for tally in &writes.tallies {
        diesel::insert_into(tallies::table)
            .values((
                tallies::kind.eq(tally.kind),
                tallies::name.eq(tally.name),
                tallies::shard.eq(0),
                tallies::total.eq(tally.by),
            ))
            .on_conflict((tallies::kind, tallies::name, tallies::shard))
            .do_update()
            .set(tallies::total.eq(tallies::total + tally.by))
            .execute(connection)?;
    }
    Ok(())
}

fn update(connection: &mut SqliteConnection, update: &Update<'_>) -> Result<(), Failure> {
    let row = &update.row;
    let target = mitigations::table
        .filter(mitigations::mitigation_id.eq(row.mitigation_id))
        .filter(mitigations::revision.eq(update.revision));
    let inner = (
        mitigations::revision.eq(row.revision),
        mitigations::status.eq(row.status),
        mitigations::doc.eq(&row.doc),
    );
    // SQLite rewrites the index entries of every column that is named, whether it changes or not
    let changed = if update.is_inner {
        diesel::update(target).set(inner).execute(connection)?
    } else {
        let outer = (
            mitigations::phase.eq(row.phase),
            mitigations::queued_at.eq(row.queued_at),
            mitigations::closed_as.eq(row.closed_as),
            mitigations::closed_at.eq(row.closed_at),
            mitigations::route_kind.eq(row.route_kind),
            mitigations::nlri.eq(row.nlri.as_deref()),
            mitigations::acknowledged.eq(row.acknowledged),
        );
        diesel::update(target).set((inner, outer)).execute(connection)?
    };
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::conflict(format!(
        "mitigation {} is no longer at revision {}",
        row.mitigation_id.0, update.revision
    )))
}

fn reply(connection: &mut SqliteConnection, row: &NewReply<'_>) -> QueryResult<()> {
    let lapsed =
        Micros::from_micros(row.created_at.get() - StoredReply::KEPT.num_microseconds().unwrap_or(i64::MAX));
    diesel::delete(replies::table.find(&row.reply_id).filter(replies::created_at.le(lapsed)))
        .execute(connection)?;
    diesel::insert_into(replies::table).values(row).execute(connection).map(drop)
}
