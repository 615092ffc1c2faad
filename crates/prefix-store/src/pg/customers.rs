//! The counters of customers, which pops share. They are changed by what is added, at the very end of a transaction, under
//! the condition that the quota is kept; so nobody has to hold them while deciding.

use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;

use crate::executor::Executor;
use crate::facts::Counts;
use crate::sql::Sql;
use crate::writes::{CUSTOMER, CustomerDelta, Writes};

/// Makes the counters that were not there when they were read.
pub(super) async fn add_new(
    mut client: &AsyncPgConnection,
    writes: &Writes<'_>,
    counts: Option<&Counts>,
) -> QueryResult<usize> {
    let is_known = |name: &str| counts.is_some_and(|counts| counts.customers.contains_key(name));
    let names = writes.customers.iter().map(|customer| customer.name).filter(|name| !is_known(name));
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(0);
    }
    let add = Sql::new(
        "INSERT INTO quota_counters (scope, name, active) SELECT ?, n.name, 0 FROM UNNEST(?) AS n (name) \
         ON CONFLICT DO NOTHING",
    );
    Executor::execute(&mut client, add.bind(CUSTOMER).bind(names)).await
}

/// Changes them. One that would exceed the quota, and is not as it was read either, is a conflict.
pub(super) async fn change(
    mut client: &AsyncPgConnection,
    writes: &Writes<'_>,
    counts: Option<&Counts>,
) -> QueryResult<usize> {
    if writes.customers.is_empty() {
        return Ok(0);
    }
    let limit = i64::try_from(writes.limits.customer).unwrap_or(i64::MAX);
    let most = |customer: &CustomerDelta<'_>| {
        counts.map_or(limit, |counts| {
            let seen = counts.customers.get(customer.name).copied().unwrap_or(0);
            limit.max(seen + customer.active)
        })
    };
    let names: Vec<&str> = writes.customers.iter().map(|customer| customer.name).collect();
    let number = i64::try_from(names.len()).unwrap_or(i64::MAX);
    let change = Sql::new(
        "WITH changed AS (
            UPDATE quota_counters AS q SET active = q.active + c.active FROM UNNEST(?, ?, ?) AS c (name, active, most)
            WHERE q.scope = ? AND q.name = c.name AND (c.active <= 0 OR q.active + c.active <= c.most) RETURNING 1
        )
        SELECT CASE WHEN count(*) = ? THEN 0 ELSE
            ('prefixd conflict: customers reached their quota in between, but for ' || count(*))::bigint END
        FROM changed",
    )
    .bind(names)
    .bind(writes.customers.iter().map(|customer| customer.active).collect::<Vec<i64>>())
    .bind(writes.customers.iter().map(most).collect::<Vec<i64>>())
    .bind(CUSTOMER)
    .bind(number);
    Executor::execute(&mut client, change).await
}
