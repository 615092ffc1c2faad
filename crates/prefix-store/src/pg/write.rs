//! Writes a change set: a handful of statements, sent at once, and `COMMIT` with them: what others wait for is locked for
//! as long as the server needs, not for a round trip.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::begin::Session;
use super::{access, customers, log};
use crate::error::{CONFLICT, Failure};
use crate::executor::Executor;
use crate::facts::Counts;
use crate::queries::{admission, safelist};
use crate::row::define::{Insert, Row, Update};
use crate::row::{NewAudit, TallyDelta, TallyNote};
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
    entries: &[log::Entry<'_>],
    counts: Option<&Counts>,
) -> Result<(), Failure> {
    // First what waits for nobody; then what others compete for, in the order in which everybody locks it: pops, rows,
    // claims, customers. A statement that finds something else than was decided over raises an error, so the commit can
    // follow at once. Each of these futures sends exactly what
    // it has to send when it is polled first, or when it is its turn to prepare a statement: none may await an answer
    // before it sends another statement, which would then come behind the commit.
    let tallies: Vec<TallyNote> = writes.tallies.iter().map(TallyDelta::note).collect();
    let (
        events,
        audit,
        noted,
        tally,
        locked,
        appended,
        rows,
        releases,
        updates,
        mitigations,
        group_ends,
        group_updates,
        groups,
        corroborations,
        ends,
        replies,
        standing,
        removed,
        put,
        panic,
        new_customers,
        customers,
        access,
        commit,
    ) = futures::join!(
        insert(client, &writes.events),
        insert_audit(client, writes),
        note_changes(client, writes),
        insert(client, &tallies),
        log::lock(client, entries),
        log::append(client, writes, entries),
        lock_rows(client, writes),
        update(client, &writes.releases),
        update(client, &writes.updates),
        insert(client, &writes.mitigations),
        update(client, &writes.closed_groups),
        update(client, &writes.changed_groups),
        insert(client, &writes.groups),
        insert(client, &writes.corroborations),
        insert(client, &writes.ends),
        insert_all(client, &writes.replies),
        touch_standing(client, writes),
        remove_safelist(client, writes),
        insert(client, &writes.safelist_put),
        insert(client, &writes.panic_put),
        customers::add_new(client, writes, counts),
        customers::change(client, writes, counts),
        // last, so that its lock is held for the commit only
        access::all(client, writes),
        commit_now(client, session),
    );
    // In the order of sending: the first error is the cause, those behind it say that the transaction is aborted.
    events?;
    audit?;
    noted?;
    tally?;
    locked?;
    appended?;
    rows?;
    releases?;
    updates?;
    mitigations?;
    group_ends?;
    group_updates?;
    groups?;
    corroborations?;
    ends?;
    replies?;
    standing?;
    removed?;
    put?;
    panic?;
    new_customers?;
    customers?;
    access?;
    commit?;
    Ok(commit_later(client, session).await?)
}

/// Sends the commit behind what was sent before, where that may be. Behind a pooler it may not: a prepared statement has
/// to be closed before the transaction ends, that of the commit as well.
pub(super) async fn commit_now(mut client: &AsyncPgConnection, session: Session) -> QueryResult<usize> {
    match session {
        Session::Kept => Commit.execute(&mut client).await,
        Session::Pooled => Ok(0),
    }
}

/// Commits when everything is answered, where it could not be done at once.
pub(super) async fn commit_later(mut client: &AsyncPgConnection, session: Session) -> QueryResult<()> {
    match session {
        Session::Kept => Ok(()),
        Session::Pooled => client.batch_execute("COMMIT").await,
    }
}

/// Changes as many rows as there are, or raises an error that says that something came in between.
#[derive(Debug)]
struct Checked<Q> {
    change: Q,
    rows: i64,
    table: &'static str,
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Checked<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH changed AS (");
        self.change.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING 1) SELECT CASE WHEN count(*) = ");
        out.push_bind_param::<BigInt, _>(&self.rows)?;
        out.push_sql(" THEN 0 ELSE ('");
        out.push_sql(CONFLICT);
        out.push_sql(": rows of ");
        out.push_sql(self.table);
        out.push_sql(" changed in between, but for ' || count(*))::bigint END FROM changed");
        Ok(())
    }
}

impl<Q: QueryId> QueryId for Checked<Q> {
    type QueryId = Checked<Q::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q, Connection> diesel::RunQueryDsl<Connection> for Checked<Q> {}

fn checked<Q, R: Row>(change: Q, rows: &[R]) -> Checked<Q> {
    Checked { change, rows: i64::try_from(rows.len()).unwrap_or(i64::MAX), table: R::TABLE }
}

// None of these sends anything if there is nothing to write.

pub(super) async fn insert<R: Row>(mut client: &AsyncPgConnection, rows: &[R]) -> QueryResult<usize> {
    client.insert(rows).await
}

async fn insert_audit(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.audit.is_empty() {
        return Ok(0);
    }
    InsertAudit(Insert(NewAudit::columns(writes.audit.iter()))).execute(&mut client).await
}

pub(super) async fn update<R: Row>(
    mut client: &AsyncPgConnection,
    changed: &[Changed<R>],
) -> QueryResult<usize> {
    if changed.is_empty() {
        return Ok(0);
    }
    let update = Update::<_, true>(R::columns(changed.iter().map(|changed| &changed.row)));
    let rows = i64::try_from(changed.len()).unwrap_or(i64::MAX);
    Checked { change: update, rows, table: R::TABLE }.execute(&mut client).await
}

/// The same as [`insert`] of rows that others may have put in between.
async fn insert_all<R: Row>(mut client: &AsyncPgConnection, rows: &[R]) -> QueryResult<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    checked(Insert(R::columns(rows.iter())), rows).execute(&mut client).await
}

/// Where rows are both released and updated, none may be locked before one of a lower id.
async fn lock_rows(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    let ids = writes.rows_to_lock();
    if ids.is_empty() {
        return Ok(0);
    }
    let lock = Sql::new("SELECT mitigation_id FROM mitigations WHERE mitigation_id = ANY (?) ");
    let lock = lock.bind(ids).push("ORDER BY mitigation_id FOR NO KEY UPDATE");
    Executor::execute(&mut client, lock).await
}

async fn touch_standing(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if !writes.touches_standing() {
        return Ok(0);
    }
    Executor::execute(&mut client, admission::touch(writes)).await
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
