//! What admissions read and write: the log of a pop, quota counters, revisions of what is kept in memory.

use diesel::result::{Error, QueryResult};
use prefix_core::ports::{IdempotencyRecord, ReadSet};

use crate::executor::Executor;
use crate::row::ReplyRow;
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Micros;
use crate::writes::Writes;

record! {
    /// The one row of the admission: what all pops hold of the global quota, and what binds all of them.
    AdmissionRow of admission { granted: i64, safelist_revision: i64, panic_revision: i64 }
}

record! {
    /// The quota counter of a customer.
    CounterRow of quota_counters { name: String, active: i64 }
}

record! {
    /// The newest row of a pop's log.
    HeadRow of pop_log { pop: String, version: i64, standing: i64, active: i64, granted: i64 }
}

record! {
    /// Rules that were let in by one unit of work.
    AdmittedRow of pop_log { admitted: i64 }
}

/// The newest row of a pop's log: no decision counts that was made over an older one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its number; 0 if there is none.
    pub(crate) version: i64,
    /// Grows with what binds every pop.
    pub(crate) standing: i64,
    /// Rules that count toward the quotas.
    pub(crate) active: i64,
    /// So many the pop may have without asking for more.
    pub(crate) granted: i64,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        let HeadRow { version, standing, active, granted, .. } = row;
        Self { version, standing, active, granted }
    }
}

/// The row of the admission as it is.
pub(crate) fn row() -> Sql<AdmissionRow> {
    Sql::select("FROM admission")
}

/// The revision of the safelist.
pub(crate) async fn revision(executor: &mut impl Executor) -> QueryResult<i64> {
    let row = executor.fetch_one(row()).await?;
    row.map(|row| row.safelist_revision).ok_or(Error::NotFound)
}

/// The newest row of a pop's log.
pub(crate) fn head(pop: &str) -> Sql<HeadRow> {
    Sql::select("FROM pop_log WHERE pop = ? ORDER BY version DESC LIMIT 1").bind(pop)
}

/// The rules of the pop that were let in during the last minute.
pub(crate) fn last_minute(reads: &ReadSet) -> Sql<AdmittedRow> {
    // the second of a minute ago counts whole: rather one too many than one too few
    Sql::select("FROM pop_log WHERE pop = ? AND second >= ? AND admitted > 0")
        .bind(reads.pop.as_str())
        .bind(minute_ago(reads))
}

/// The first second that counts toward the rate of new rules.
pub(crate) fn minute_ago(reads: &ReadSet) -> i64 {
    reads.now.timestamp() - 60
}

/// What binds every pop has changed.
pub(crate) fn touch(writes: &Writes<'_>) -> Sql {
    Sql::new(
        "UPDATE admission SET safelist_revision = safelist_revision + ?, panic_revision = panic_revision + ?",
    )
    .bind(i64::from(writes.safelist))
    .bind(i64::from(writes.panic))
}

/// The idempotency record of this id, if it still counts.
pub(crate) fn reply(id: Vec<u8>, reads: &ReadSet) -> Sql<ReplyRow> {
    current(Sql::select("FROM replies").filter("reply_id = ?", id), reads)
}

/// The idempotency records of these ids that still count.
pub(crate) fn replies(ids: Vec<Vec<u8>>, reads: &ReadSet) -> Sql<ReplyRow> {
    current(Sql::select("FROM replies").any("reply_id", ids), reads)
}

fn current(sql: Sql<ReplyRow>, reads: &ReadSet) -> Sql<ReplyRow> {
    sql.filter("created_at > ?", Micros::from(reads.now - IdempotencyRecord::KEPT))
}
