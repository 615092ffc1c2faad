//! The counters of customers, which pops share, and those of companions, which belong to a pop. They are changed by what is
//! added, at the very end of a transaction, for customers under the condition that the quota is kept; so nobody has to hold
//! them while deciding.

use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;

use crate::executor::Executor;
use crate::facts::Counts;
use crate::sql::Sql;
use crate::writes::{CUSTOMER, CounterDelta, Writes};

/// Makes the counters that were not there when they were read.
pub(super) async fn add_new(
    mut client: &AsyncPgConnection,
    writes: &Writes<'_>,
    counts: Option<&Counts>,
) -> QueryResult<usize> {
    let is_known = |counter: &&CounterDelta<'_>| {
        counter.scope == CUSTOMER && counts.is_some_and(|counts| counts.customers.contains_key(counter.name))
    };
    let new: Vec<&CounterDelta<'_>> = writes.counters.iter().filter(|counter| !is_known(counter)).collect();
    if new.is_empty() {
        return Ok(0);
    }
    let add = Sql::new(
        "INSERT INTO quota_counters (scope, name, active) SELECT n.scope, n.name, 0 FROM UNNEST(?, ?) AS n (scope, name) \
         ON CONFLICT DO NOTHING",
    );
    let (scopes, names): (Vec<&str>, Vec<&str>) =
        new.into_iter().map(|counter| (counter.scope, counter.name)).unzip();
    Executor::execute(&mut client, add.bind(scopes).bind(names)).await
}

/// Changes them. A customer that would exceed the quota, and is not as it was read either, is a conflict.
pub(super) async fn change(
    mut client: &AsyncPgConnection,
    writes: &Writes<'_>,
    counts: Option<&Counts>,
) -> QueryResult<usize> {
    if writes.counters.is_empty() {
        return Ok(0);
    }
    let limit = i64::try_from(writes.limits.customer).unwrap_or(i64::MAX);
    let most = |counter: &CounterDelta<'_>| {
        // whoever changes companions holds the pop, and has decided over what there is
        if counter.scope != CUSTOMER {
            return i64::MAX;
        }
        counts.map_or(limit, |counts| {
            let seen = counts.customers.get(counter.name).copied().unwrap_or(0);
            limit.max(seen + counter.active)
        })
    };
    let number = i64::try_from(writes.counters.len()).unwrap_or(i64::MAX);
    let change = Sql::new(
        "WITH changed AS (
            UPDATE quota_counters AS q SET active = q.active + c.active
            FROM UNNEST(?, ?, ?, ?) AS c (scope, name, active, most)
            WHERE q.scope = c.scope AND q.name = c.name AND (c.active <= 0 OR q.active + c.active <= c.most)
            RETURNING 1
        )
        SELECT CASE WHEN count(*) = ? THEN 0 ELSE
            ('prefixd conflict: customers reached their quota in between, but for ' || count(*))::bigint END
        FROM changed",
    )
    .bind(writes.counters.iter().map(|counter| counter.scope).collect::<Vec<&str>>())
    .bind(writes.counters.iter().map(|counter| counter.name).collect::<Vec<&str>>())
    .bind(writes.counters.iter().map(|counter| counter.active).collect::<Vec<i64>>())
    .bind(writes.counters.iter().map(most).collect::<Vec<i64>>())
    .bind(number);
    Executor::execute(&mut client, change).await
}
