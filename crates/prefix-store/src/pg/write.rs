//! Writes a change set: a handful of statements, sent at once. Where nothing has to be looked at in between, `COMMIT`
//! follows in the same round trip.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::begin::Session;
use super::bulk::{
    AddToCounters, AddToTallies, Changed, ChangedGroup, InsertAudit, InsertEvents, InsertGroups,
    InsertMitigations, InsertReplies, NoteChanges, PutCorroborations, PutPanic, PutSafelist, Sharded,
    UpdateGroups, UpdateMitigations,
};
use crate::error::Failure;
use crate::schema::{admissions, safelist};
use crate::statement::{CountAdmissions, TouchAdmission};
use crate::writes::Writes;

/// So many seconds of admissions are kept; a minute is needed.
const KEPT_SECONDS: i64 = 300;

/// Writers of the same tally meet on one of so many rows.
const SHARDS: i16 = 16;

/// The end of the transaction, as a prepared statement: those wait for each other, so it is never sent too early.
#[derive(Clone, Copy, Debug, QueryId)]
pub(super) struct Commit;

impl QueryFragment<Pg> for Commit {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("COMMIT");
        Ok(())
    }
}

/// Runs a statement unless it has nothing to do.
macro_rules! unless_empty {
    ($client:expr, $bulk:expr) => {{
        let bulk = $bulk;
        let mut client: &AsyncPgConnection = $client;
        async move { if bulk.is_empty() { Ok(0) } else { bulk.execute(&mut client).await } }
    }};
}

/// Writes everything and commits.
pub(super) async fn all(
    client: &AsyncPgConnection,
    session: Session,
    writes: &Writes<'_>,
    shard: i16,
) -> Result<(), Failure> {
    let released: Vec<Changed<'_>> = writes.releases.iter().map(Changed::of).collect();
    let updated: Vec<Changed<'_>> = writes.updates.iter().map(Changed::of).collect();
    let closed_groups: Vec<ChangedGroup<'_>> = writes.closed_groups.iter().map(ChangedGroup::of).collect();
    let changed_groups: Vec<ChangedGroup<'_>> = writes.changed_groups.iter().map(ChangedGroup::of).collect();
    let tallies: Vec<Sharded<'_>> =
        writes.tallies.iter().map(|tally| Sharded::of(tally, shard.rem_euclid(SHARDS))).collect();
    // Counts of changed rows decide whether the transaction may be committed. And behind a pooler a prepared statement
    // must be closed before the transaction ends, that of the commit as well.
    let is_checked = !released.is_empty()
        || !updated.is_empty()
        || !closed_groups.is_empty()
        || !changed_groups.is_empty()
        || !writes.replies.is_empty()
        || session == Session::Pooled;
    let commit_now = async {
        let mut client = client;
        if is_checked { Ok(0) } else { Commit.execute(&mut client).await }
    };
    // First what others compete for, in the order in which everybody locks it. Each of these futures sends exactly what
    // it has to send when it is polled first, or when it is its turn to prepare a statement: none may await an answer
    // before it sends another statement, which would then come behind the commit.
    let (
        first,
        counters,
        releases,
        updates,
        mitigations,
        group_ends,
        group_updates,
        groups,
        corroborations,
        events,
        audit,
        replies,
        removed,
        put,
        panic,
        noted,
        seconds,
        tally,
        commit,
    ) = futures::join!(
        admission(client, writes),
        unless_empty!(client, AddToCounters::new(&writes.counters)),
        unless_empty!(client, UpdateMitigations::new(&released)),
        unless_empty!(client, UpdateMitigations::new(&updated)),
        unless_empty!(client, InsertMitigations::new(&writes.mitigations)),
        unless_empty!(client, UpdateGroups::new(&closed_groups)),
        unless_empty!(client, UpdateGroups::new(&changed_groups)),
        unless_empty!(client, InsertGroups::new(&writes.groups)),
        unless_empty!(client, PutCorroborations::new(&writes.corroborations)),
        unless_empty!(client, InsertEvents::new(&writes.events)),
        unless_empty!(client, InsertAudit::new(&writes.audit)),
        unless_empty!(client, InsertReplies::new(&writes.replies)),
        remove_safelist(client, writes),
        unless_empty!(client, PutSafelist::new(&writes.safelist_put)),
        unless_empty!(client, PutPanic::new(&writes.panic_put)),
        unless_empty!(client, NoteChanges::new(writes)),
        admitted(client, writes),
        unless_empty!(client, AddToTallies::new(&tallies)),
        commit_now,
    );
    // In the order of sending: the first error is the cause, those behind it say that the transaction is aborted.
    first?;
    counters?;
    expect(releases?, released.len(), "a mitigation")?;
    expect(updates?, updated.len(), "a mitigation")?;
    mitigations?;
    expect(group_ends?, closed_groups.len(), "a signal group")?;
    expect(group_updates?, changed_groups.len(), "a signal group")?;
    groups?;
    corroborations?;
    events?;
    audit?;
    expect(replies?, writes.replies.len(), "a stored reply")?;
    removed?;
    put?;
    panic?;
    noted?;
    seconds?;
    tally?;
    commit?;
    if is_checked {
        let mut client = client;
        match session {
            Session::Kept => drop(Commit.execute(&mut client).await?),
            Session::Pooled => client.batch_execute("COMMIT").await?,
        }
    }
    Ok(())
}

fn expect(changed: usize, expected: usize, what: &str) -> Result<(), Failure> {
    if changed == expected {
        return Ok(());
    }
    Err(Failure::conflict(format!(
        "{what} was changed in between ({changed} of {expected} are as they were read)"
    )))
}

async fn admission(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if !writes.touches_admission() {
        return Ok(0);
    }
    let (safelist, panic) = (i64::from(writes.safelist), i64::from(writes.panic));
    TouchAdmission { global: writes.global, safelist: &safelist, panic: &panic }.execute(&mut client).await
}

async fn admitted(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.admitted == 0 {
        return Ok(0);
    }
    let mut other = client;
    let count = CountAdmissions { pop: writes.pop, second: writes.second, total: writes.admitted };
    let add = count.execute(&mut client);
    let old = admissions::table
        .filter(admissions::pop.eq(writes.pop))
        .filter(admissions::second.lt(writes.second - KEPT_SECONDS));
    let (added, removed) = futures::join!(add, diesel::delete(old).execute(&mut other));
    added.and(removed)
}

async fn remove_safelist(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.safelist_remove.is_empty() {
        return Ok(0);
    }
    let gone = safelist::table.filter(safelist::prefix.eq_any(&writes.safelist_remove));
    diesel::delete(gone).execute(&mut client).await
}
