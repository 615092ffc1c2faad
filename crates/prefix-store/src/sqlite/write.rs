//! Writes a change set: one prepared statement per row, which SQLite runs as fast as any longer one.

use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use prefix_core::store::StoredReply;

use crate::error::Failure;
use crate::row::{NewCorroboration, NewReply};
use crate::schema::{
    admissions, audit_entries, audit_queue, events, mitigations, panic_scopes, replies, safelist,
    signal_groups,
};
use crate::sql_type::Micros;
use crate::statement::{
    AddToCounter, AddToTally, CountAdmissions, TouchAdmission, UpdateGroup, UpdateGroupStatus, UpdateInner,
    UpdateOuter,
};
use crate::writes::{GroupUpdate, Update, Writes};

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
    for change in writes.closed_groups.iter().chain(&writes.changed_groups) {
        update_group(connection, change)?;
    }
    for row in &writes.groups {
        diesel::insert_into(signal_groups::table).values(row).execute(connection)?;
    }
    for signal in &writes.corroborations {
        corroboration(connection, signal)?;
    }
    for row in &writes.events {
        diesel::insert_into(events::table).values(row).execute(connection)?;
    }
    for row in &writes.audit {
        diesel::insert_into(audit_entries::table).values(row).execute(connection)?;
        let place = (audit_queue::pop.eq(row.pop), audit_queue::audit_id.eq(row.audit_id));
        diesel::insert_into(audit_queue::table).values(place).execute(connection)?;
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
    for scope in &writes.panic_put {
        diesel::replace_into(panic_scopes::table).values(scope).execute(connection)?;
    }
    Ok(())
}

fn counters(connection: &mut SqliteConnection, writes: &Writes<'_>) -> QueryResult<()> {
    if writes.touches_admission() {
        let (safelist, panic) = (i64::from(writes.safelist), i64::from(writes.panic));
        TouchAdmission { global: writes.global, safelist: &safelist, panic: &panic }.execute(connection)?;
    }
    for counter in &writes.counters {
        AddToCounter { scope: counter.scope, name: counter.name, by: counter.by }.execute(connection)?;
    }
    if writes.admitted > 0 {
        CountAdmissions { pop: writes.pop, second: writes.second, total: writes.admitted }
            .execute(connection)?;
        let old = admissions::second.lt(writes.second - KEPT_SECONDS);
        diesel::delete(admissions::table.filter(admissions::pop.eq(writes.pop)).filter(old))
            .execute(connection)?;
    }
    for tally in &writes.tallies {
        AddToTally { kind: tally.kind, name: tally.name, by: tally.by }.execute(connection)?;
    }
    Ok(())
}

fn update(connection: &mut SqliteConnection, update: &Update<'_>) -> Result<(), Failure> {
    let row = &update.row;
    let inner = UpdateInner {
        id: row.mitigation_id,
        expected: update.revision,
        revision: row.revision,
        status: row.status,
        doc: &row.doc,
    };
    let changed = if update.is_inner {
        inner.execute(connection)?
    } else {
        let outer = UpdateOuter {
            inner,
            phase: row.phase,
            queued_at: row.queued_at,
            closed_as: row.closed_as,
            closed_at: row.closed_at,
            route_kind: row.route_kind,
            nlri: row.nlri.as_deref(),
            acknowledged: row.acknowledged,
        };
        outer.execute(connection)?
    };
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::conflict(format!(
        "mitigation {} is no longer at revision {}",
        row.mitigation_id.0, update.revision
    )))
}

fn update_group(connection: &mut SqliteConnection, update: &GroupUpdate<'_>) -> Result<(), Failure> {
    let row = &update.row;
    let inner = UpdateGroup {
        id: row.group_id,
        expected: update.revision,
        revision: row.revision,
        mitigation: row.mitigation_id,
        doc: &row.doc,
    };
    let changed = if update.is_inner {
        inner.execute(connection)?
    } else {
        UpdateGroupStatus { inner, status: row.status }.execute(connection)?
    };
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::conflict(format!(
        "signal group {} is no longer at revision {}",
        row.group_id.0, update.revision
    )))
}

/// The raw details of one that is known stay as they are.
fn corroboration(connection: &mut SqliteConnection, row: &NewCorroboration<'_>) -> QueryResult<()> {
    use crate::schema::corroborations::dsl;

    diesel::insert_into(dsl::corroborations)
        .values(row)
        .on_conflict(dsl::signal_id)
        .do_update()
        .set((
            dsl::received_by.eq(row.received_by),
            dsl::source.eq(row.source),
            dsl::source_key.eq(row.source_key),
            dsl::received_at.eq(row.received_at),
            dsl::expires_at.eq(row.expires_at),
            dsl::is_attached.eq(row.is_attached),
            dsl::doc.eq(&row.doc),
        ))
        .execute(connection)
        .map(drop)
}

fn reply(connection: &mut SqliteConnection, row: &NewReply<'_>) -> QueryResult<()> {
    let lapsed =
        Micros::from_micros(row.created_at.get() - StoredReply::KEPT.num_microseconds().unwrap_or(i64::MAX));
    diesel::delete(replies::table.find(&row.reply_id).filter(replies::created_at.le(lapsed)))
        .execute(connection)?;
    diesel::insert_into(replies::table).values(row).execute(connection).map(drop)
}
