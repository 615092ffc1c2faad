//! Credentials end at once, on every instance: whoever stores something on behalf of one shares a lock while it commits,
//! and sees whether the access revision is still the one that it decided over; whoever ends one has that lock alone. So a
//! commit comes before the end, or is refused by it. The lock is taken last and held for the commit only; whoever has it
//! alone waits for nothing else, because the row of the revision is changed by nobody without it.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use prefix_core::ports::EndedSessions;

use super::write::{insert, update};
use crate::error::CONFLICT;
use crate::executor::Executor;
use crate::key;
use crate::queries::access;
use crate::sql::Sql;
use crate::sql_type::Id;
use crate::writes::Writes;

/// Writes who may do what, then takes the lock and looks at the revision. All of it is sent when it is polled first, as
/// `write::all` wants it.
pub(super) async fn all(client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<()> {
    let (new, changed, tokens, ended, sessions, preferences, held, unchanged, risen) = futures::join!(
        insert(client, &writes.new_operators),
        update(client, &writes.changed_operators),
        insert(client, &writes.tokens),
        end_sessions(client, writes),
        insert(client, &writes.sessions),
        insert(client, &writes.preferences),
        hold(client, writes),
        check(client, writes),
        rise(client, writes),
    );
    // in the order of sending: the first error is the cause
    [new, changed, tokens, ended, sessions, preferences, held, unchanged, risen]
        .into_iter()
        .try_for_each(|sent| sent.map(drop))
}

// Each of these sends one statement, or none.

/// Takes the lock: alone where a credential ends, shared where one is used.
async fn hold(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    let lock: Sql = if writes.shrinks {
        Sql::new("SELECT pg_advisory_xact_lock(?)")
    } else if writes.held_at.is_some() {
        Sql::new("SELECT pg_advisory_xact_lock_shared(?)")
    } else {
        return Ok(0);
    };
    Executor::execute(&mut client, lock.bind(key::of_access())).await
}

/// Raises an error if a credential has ended since it was decided on behalf of some.
async fn check(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    let Some(revision) = writes.held_at else { return Ok(0) };
    StillAt { revision }.execute(&mut client).await
}

/// A credential has ended or shrunk.
async fn rise(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if !writes.shrinks {
        return Ok(0);
    }
    Executor::execute(&mut client, access::rise()).await
}

/// Ends sessions, in one statement.
async fn end_sessions(mut client: &AsyncPgConnection, writes: &Writes<'_>) -> QueryResult<usize> {
    if writes.ended_sessions.is_empty() {
        return Ok(0);
    }
    let (mut ids, mut operators, mut spared) = (Vec::new(), Vec::new(), Vec::new());
    for ended in writes.ended_sessions {
        match ended {
            EndedSessions::One(id) => ids.push(Id(id.as_uuid())),
            EndedSessions::OfOperator(operator, but) => {
                operators.push(Id(operator.as_uuid()));
                spared.extend(but.map(|id| Id(id.as_uuid())));
            }
        }
    }
    let delete: Sql = Sql::new(
        "DELETE FROM sessions WHERE session_id = ANY (?) OR operator_id = ANY (?) AND session_id <> ALL (?)",
    );
    Executor::execute(&mut client, delete.bind(ids).bind(operators).bind(spared)).await
}

/// Finds the access revision as it was, or raises an error that says that something came in between.
#[derive(Debug)]
struct StillAt {
    revision: i64,
}

impl QueryFragment<Pg> for StillAt {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT CASE WHEN revision = ");
        out.push_bind_param::<BigInt, _>(&self.revision)?;
        out.push_sql(" THEN 0 ELSE ('");
        out.push_sql(CONFLICT);
        out.push_sql(": a credential ended in between, ' || revision)::bigint END FROM access_revision");
        Ok(())
    }
}

impl QueryId for StillAt {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Connection> diesel::RunQueryDsl<Connection> for StillAt {}
