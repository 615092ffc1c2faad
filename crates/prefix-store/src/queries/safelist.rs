//! The safelist.

use diesel::result::QueryResult;

use super::admission;
use crate::executor::Executor;
use crate::row::SafelistRow;
use crate::sql::Sql;

/// Every entry.
pub(crate) fn entries() -> Sql<SafelistRow> {
    Sql::select("FROM safelist ORDER BY prefix")
}

/// Removes entries.
pub(crate) fn remove(prefixes: Vec<String>) -> Sql {
    Sql::new("DELETE FROM safelist").any("prefix", prefixes)
}

/// Revision and entries as of one moment; no entries if the revision is the known one.
pub(crate) async fn changed_since(
    executor: &mut impl Executor,
    known: Option<i64>,
) -> QueryResult<(i64, Option<Vec<SafelistRow>>)> {
    loop {
        let revision = admission::revision(executor).await?;
        if known == Some(revision) {
            return Ok((revision, None));
        }
        let rows = executor.fetch_all(entries()).await?;
        if admission::revision(executor).await? == revision {
            return Ok((revision, Some(rows)));
        }
    }
}
