//! Writes a change set: one prepared statement per row, which SQLite runs as fast as any longer one.

use std::fmt::Display;

use chrono::Utc;
use diesel::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use futures::executor::block_on;

use super::{execute, snapshot};
use crate::error::Failure;
use crate::executor::Executor;
use crate::queries::{access, admission, audit, safelist};
use crate::row::QuotaCounterDelta;
use crate::row::define::{Row, Update};
use crate::sql::Sql;
use crate::sql_type::Micros;
use crate::writes::{Changed, CounterDelta, Link, Writes};

/// Writes everything.
pub(super) fn all(connection: &mut SqliteConnection, writes: &Writes<'_>) -> Result<(), Failure> {
    if writes.touches_standing() {
        execute(connection, admission::touch(writes))?;
    }
    for link in &writes.links {
        append(connection, writes, link)?;
    }
    let counter = |delta: &CounterDelta<'_>| {
        let counter = QuotaCounterDelta { scope: delta.scope, name: delta.name, active: delta.active };
        block_on(connection.insert(&[counter])).map(drop)
    };
    writes.counters.iter().try_for_each(counter)?;
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
    insert(connection, &writes.ends)?;
    if insert(connection, &writes.replies)? < writes.replies.len() {
        return Err(Failure::conflict("an idempotency record of the same key is stored already"));
    }
    if !writes.safelist_remove.is_empty() {
        execute(connection, safelist::remove(writes.safelist_remove.clone()))?;
    }
    insert(connection, &writes.safelist_put)?;
    insert(connection, &writes.panic_put)?;
    insert(connection, &writes.new_operators)?;
    for change in &writes.changed_operators {
        update(connection, change, &format_args!("operator {}", change.row.operator_id.0))?;
    }
    insert(connection, &writes.tokens)?;
    for ended in writes.ended_sessions {
        execute(connection, access::end_sessions(ended))?;
    }
    insert(connection, &writes.sessions)?;
    insert(connection, &writes.preferences)?;
    if writes.shrinks {
        execute(connection, access::rise())?;
    }
    Ok(())
}

/// So many seconds of a pop's log are kept; a minute is needed.
const KEPT_SECONDS: i64 = 300;
/// Old rows of the log are deleted at each of so many new ones.
const PRUNED_EVERY: i64 = 64;

/// The next row of a pop's log.
fn append(connection: &mut SqliteConnection, writes: &Writes<'_>, link: &Link) -> Result<(), Failure> {
    let pop = link.pop.as_str();
    let head = snapshot::head(connection, pop)?;
    let (version, active) = (head.version + 1, head.active + link.active);
    let standing = head.standing + i64::from(writes.touches_standing());
    let append = Sql::new(
        "INSERT INTO pop_log (pop, version, at, second, instance, epoch, standing, active, granted, admitted) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(pop)
    .bind(version)
    .bind(Micros::from(Utc::now()))
    .bind(writes.second)
    .bind(writes.instance)
    .bind(writes.epoch)
    .bind(standing)
    .bind(active)
    .bind(active)
    .bind(link.admitted);
    execute(connection, append)?;
    if link.active != 0 {
        execute(connection, Sql::new("UPDATE admission SET granted = granted + ?").bind(link.active))?;
    }
    if version % PRUNED_EVERY == 0 {
        let old = Sql::new("DELETE FROM pop_log WHERE pop = ? AND version < ? AND second < ?");
        execute(connection, old.bind(pop).bind(version).bind(writes.second - KEPT_SECONDS))?;
    }
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
