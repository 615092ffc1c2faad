//! Writes a change set: one prepared statement per row, which SQLite runs as fast as any longer one.

use std::fmt::Display;

use diesel::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use futures::executor::block_on;

use super::execute;
use crate::error::Failure;
use crate::executor::Executor;
use crate::queries::{admission, audit, safelist};
use crate::row::define::{Row, Update};
use crate::writes::{Changed, Writes};

/// Writes everything.
pub(super) fn all(connection: &mut SqliteConnection, writes: &Writes<'_>) -> Result<(), Failure> {
    if writes.touches_admission() {
        execute(connection, admission::touch(writes))?;
    }
    insert(connection, &writes.counters)?;
    if writes.admitted > 0 {
        execute(connection, admission::count(writes))?;
        execute(connection, admission::forget(writes))?;
    }
    insert(connection, &writes.tallies)?;
    for change in writes.releases.iter().chain(&writes.updates) {
        update(connection, change, &format_args!("mitigation {}", change.row.mitigation_id.0))?;
    }
    insert(connection, &writes.mitigations)?;
    for change in writes.closed_groups.iter().chain(&writes.changed_groups) {
        update(connection, change, &format_args!("signal group {}", change.row.group_id.0))?;
    }
    insert(connection, &writes.groups)?;
    insert(connection, &writes.corroborations)?;
    insert(connection, &writes.events)?;
    insert(connection, &writes.audit)?;
    for row in &writes.audit {
        execute(connection, audit::enqueue(row))?;
    }
    if insert(connection, &writes.replies)? < writes.replies.len() {
        return Err(Failure::conflict("an idempotency record of the same key is stored already"));
    }
    if !writes.safelist_remove.is_empty() {
        execute(connection, safelist::remove(writes.safelist_remove.clone()))?;
    }
    insert(connection, &writes.safelist_put)?;
    insert(connection, &writes.panic_put)?;
    Ok(())
}

fn insert<R: Row>(connection: &mut SqliteConnection, rows: &[R]) -> QueryResult<usize> {
    block_on(connection.insert(rows))
}

fn update<R: Row>(
    connection: &mut SqliteConnection,
    change: &Changed<R>,
    what: &dyn Display,
) -> Result<(), Failure> {
    let changed = if change.is_indexed {
        Update::<_, true>(&change.row).execute(connection)?
    } else {
        Update::<_, false>(&change.row).execute(connection)?
    };
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::conflict(format!("{what} was changed in between")))
}
