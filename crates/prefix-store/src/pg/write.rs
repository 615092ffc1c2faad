//! Writes a change set: a handful of statements, sent at once. Where nothing has to be looked at in between, `COMMIT`
//! follows in the same round trip.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::begin::Session;
use crate::error::Failure;
use crate::executor::Executor;
use crate::queries::{admission, safelist};
use crate::row::NewAudit;
use crate::row::define::{Insert, Row, Update};
use crate::sql::Sql;
use crate::sql_type::Id;
use crate::writes::{Changed, Writes};

/// The end of the transaction, as a prepared statement: those wait for each other, so it is never sent too early.
#[derive(Clone, Copy, Debug, QueryId)]
pub(super) struct Commit;

impl QueryFragment<Pg> for Commit {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("COMMIT");
        Ok(())
    }
}

/// New audit entries, and their places in the queue of those that wait for their seal.
#[derive(Debug)]
struct InsertAudit<'a>(Insert<<NewAudit<'a> as Row>::Columns<'a>>);

impl QueryFragment<Pg> for InsertAudit<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH new AS (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(
            " RETURNING pop, audit_id) INSERT INTO audit_queue (pop, audit_id) SELECT pop, audit_id FROM new",
        );
        Ok(())
    }
}

impl QueryId for InsertAudit<'_> {
    type QueryId = InsertAudit<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

/// Writes everything and commits.
pub(super) async fn all(
    client: &AsyncPgConnection,
    session: Session,
    writes: &Writes<'_>,
) -> Result<(), Failure> {
    // Counts of changed rows decide whether the transaction may be committed. And behind a pooler a prepared statement
    // must be closed before the transaction ends, that of the commit as well.
    let is_checked = !writes.releases.is_empty()
        || !writes.updates.is_empty()
        || !writes.closed_groups.is_empty()
        || !writes.changed_groups.is_empty()
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
        touch_admission(client, writes),
        insert(client, &writes.counters),
        update(client, &writes.releases),
        update(client, &writes.updates),
        insert(client, &writes.mitigations),
        update(client, &writes.closed_groups),
        update(client, &writes.changed_groups),
        insert(client, &writes.groups),
        insert(client, &writes.corroborations),
        insert(client, &writes.events),
        insert_audit(client, writes),
        insert(client, &writes.replies),
        remove_safelist(client, writes),
        insert(client, &writes.safelist_put),
        insert(client, &writes.panic_put),
        note_changes(client, writes),
        count_admissions(client, writes),
        insert(client, &writes.tallies),
        commit_now,
    );
    // In the order of sending: the first error is the cause, those behind it say that the transaction is aborted.
    first?;
    counters?;
    expect(releases?, writes.releases.len(), "a mitigation")?;
    expect(updates?, writes.updates.len(), "a mitigation")?;
    mitigations?;
    expect(group_ends?, writes.closed_groups.len(), "a signal group")?;
    expect(group_updates?, writes.changed_groups.len(), "a signal group")?;
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

// None of these sends anything if there is nothing to write.

async fn insert<R: Row>(mut client: &AsyncPgConnection, rows: &[R]) -> QueryResult<usize> {
    client.insert(rows).await
}

async fn insert_audit(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.audit.is_empty() {
        return Ok(0);
    }
    InsertAudit(Insert(NewAudit::columns(writes.audit.iter()))).execute(&mut client).await
}

async fn update<R: Row>(mut client: &AsyncPgConnection, changed: &[Changed<R>]) -> QueryResult<usize> {
    if changed.is_empty() {
        return Ok(0);
    }
    Update::<_, true>(R::columns(changed.iter().map(|changed| &changed.row))).execute(&mut client).await
}

async fn touch_admission(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if !writes.touches_admission() {
        return Ok(0);
    }
    Executor::execute(&mut client, admission::touch(writes)).await
}

async fn count_admissions(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.admitted == 0 {
        return Ok(0);
    }
    let mut other = client;
    let count = Executor::execute(&mut client, admission::count(writes));
    let forget = Executor::execute(&mut other, admission::forget(writes));
    let (counted, forgotten) = futures::join!(count, forget);
    counted.and(forgotten)
}

async fn remove_safelist(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.safelist_remove.is_empty() {
        return Ok(0);
    }
    Executor::execute(&mut client, safelist::remove(writes.safelist_remove.clone())).await
}

/// Notes the changed mitigations in the change feed: one row per pop.
async fn note_changes(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    let (pops, ids): (Vec<&str>, Vec<Id>) = writes.changed().map(|row| (row.pop, row.mitigation_id)).unzip();
    if ids.is_empty() {
        return Ok(0);
    }
    let note = Sql::new(
        "INSERT INTO changes (pop, instance, ids) SELECT c.pop, ?, array_agg(c.id) FROM UNNEST(?, ?) AS c (pop, id) \
         GROUP BY c.pop",
    );
    Executor::execute(&mut client, note.bind(writes.instance).bind(pops).bind(ids)).await
}
