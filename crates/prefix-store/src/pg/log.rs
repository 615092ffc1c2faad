//! The log of a pop: each unit of work that changes which rules there are appends one row, with the number after the one
//! that it decided over. The primary key makes that number unique, so of two that decided over the same rules one is
//! refused. The pop's lock is there for fairness: who has it knows that nobody comes in between.

use std::collections::HashMap;

use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use prefix_core::name::Pop;
use prefix_core::ports::ReadSet;

use crate::error::{Failure, GrantNeeded};
use crate::executor::Executor;
use crate::facts::Counts;
use crate::key;
use crate::queries::admission::{Head, HeadRow};
use crate::sql::Sql;
use crate::writes::{Link, Writes};

/// The pops that have a log, found by one index probe each: the beginning of a statement.
pub(super) const POPS: &str = "WITH RECURSIVE pops AS (
    (SELECT pop FROM pop_log ORDER BY pop LIMIT 1)
    UNION ALL
    SELECT (SELECT l.pop FROM pop_log AS l WHERE l.pop > p.pop ORDER BY l.pop LIMIT 1)
    FROM pops AS p WHERE p.pop IS NOT NULL
)";

/// The newest row `h` of each pop `p` that stands before it.
pub(super) const NEWEST: &str = " CROSS JOIN LATERAL (
    SELECT l.pop, l.version, l.standing, l.active, l.granted, l.at FROM pop_log AS l
    WHERE l.pop = p.pop ORDER BY l.version DESC LIMIT 1) AS h";

/// A row to append.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    link: &'a Link,
    /// True if the lock of the pop is held already.
    is_locked: bool,
    head: Head,
}

/// What is to be appended for these changes, in the order of the locks.
///
/// `counts` are those of the own pop, which the unit of work decided over; the heads of other pops are read now.
pub(super) async fn entries<'a>(
    client: &mut AsyncPgConnection,
    reads: &ReadSet,
    writes: &'a Writes<'_>,
    counts: Option<&Counts>,
    locked: Option<&Pop>,
    is_forced: bool,
) -> Result<Vec<Entry<'a>>, Failure> {
    let is_own = |pop: &str| pop == reads.pop.as_str();
    let comes_first = |link: &Link| {
        locked.is_some_and(|own| {
            link.pop != own.as_str() && key::of_admission(&link.pop) < key::of_admission(own.as_str())
        })
    };
    if writes.links.iter().any(comes_first) {
        return Err(Failure::needs_several());
    }
    let known = counts.filter(|_| writes.links.iter().any(|link| is_own(&link.pop)));
    let unknown: Vec<&str> = writes
        .links
        .iter()
        .map(|link| link.pop.as_str())
        .filter(|pop| known.is_none() || !is_own(pop))
        .collect();
    let mut heads = read(client, unknown).await?;
    if let Some(counts) = known {
        heads.insert(reads.pop.to_string(), counts.head.clone());
    }
    let limit = i64::try_from(writes.limits.global).unwrap_or(i64::MAX);
    let is_overdrawn = counts.is_some_and(|counts| counts.granted > limit) && !is_forced;
    let mut entries = Vec::new();
    for link in &writes.links {
        let head = heads.remove(&link.pop).unwrap_or_default();
        let rules = head.active + link.active;
        if link.active > 0 && (rules > head.granted || is_overdrawn) {
            return Err(Failure::needs(GrantNeeded { pop: link.pop.clone(), rules, limit, ceiling: None }));
        }
        let is_locked = locked.is_some_and(|pop| pop.as_str() == link.pop);
        entries.push(Entry { link, is_locked, head });
    }
    Ok(entries)
}

async fn read(client: &mut AsyncPgConnection, pops: Vec<&str>) -> QueryResult<HashMap<String, Head>> {
    if pops.is_empty() {
        return Ok(HashMap::new());
    }
    let heads: Sql<HeadRow> = Sql::new("SELECT h.* FROM UNNEST(?) AS p (pop)").bind(pops).push(NEWEST);
    let rows = client.fetch_all(heads).await?;
    Ok(rows.into_iter().map(|row| (row.pop.clone(), Head::from(row))).collect())
}

/// Waits for the locks that are not held yet. Each is a statement of its own: they are taken in this order.
pub(super) async fn lock(client: &AsyncPgConnection, entries: &[Entry<'_>]) -> QueryResult<()> {
    let locks = entries.iter().filter(|entry| !entry.is_locked).map(|entry| async move {
        let lock = Sql::new("SELECT pg_advisory_xact_lock(?)").bind(key::of_admission(&entry.link.pop));
        let mut client = client;
        Executor::execute(&mut client, lock).await
    });
    futures::future::try_join_all(locks).await.map(drop)
}

/// Appends all of them.
pub(super) async fn append(
    mut client: &AsyncPgConnection,
    writes: &Writes<'_>,
    entries: &[Entry<'_>],
) -> QueryResult<usize> {
    if entries.is_empty() {
        return Ok(0);
    }
    let column = |value: fn(&Entry<'_>) -> i64| entries.iter().map(value).collect::<Vec<i64>>();
    let pops: Vec<&str> = entries.iter().map(|entry| entry.link.pop.as_str()).collect();
    let append = Sql::new(
        "INSERT INTO pop_log (pop, version, standing, active, granted, admitted, second, instance, epoch)
         SELECT n.*, ?, ?, ? FROM UNNEST(?, ?, ?, ?, ?, ?) AS n",
    )
    .bind(writes.second)
    .bind(writes.instance)
    .bind(writes.epoch)
    .bind(pops)
    .bind(column(|entry| entry.head.version + 1))
    .bind(column(|entry| entry.head.standing))
    .bind(column(|entry| entry.head.active + entry.link.active))
    .bind(column(|entry| entry.head.granted))
    .bind(column(|entry| entry.link.admitted));
    Executor::execute(&mut client, append).await
}
