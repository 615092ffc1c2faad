//! What every admission reads and locks: quota counters, the rate of new rules, revisions of what is kept in memory.

use diesel::result::{Error, QueryResult};
use prefix_core::ports::{IdempotencyRecord, ReadSet};

use crate::executor::Executor;
use crate::row::ReplyRow;
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Micros;
use crate::writes::Writes;

/// So many seconds of admissions are kept; a minute is needed.
const KEPT_SECONDS: i64 = 300;

record! {
    /// The one row of the admission.
    AdmissionRow of admission { active: i64, safelist_revision: i64, panic_revision: i64 }
}

record! {
    /// A quota counter.
    CounterRow of quota_counters { scope: String, name: String, active: i64 }
}

record! {
    /// How many rules were let in within a second.
    SecondRow of admissions { total: i64 }
}

/// The row of the admission as it is.
pub(crate) fn row() -> Sql<AdmissionRow> {
    Sql::select("FROM admission")
}

/// The same for a unit of work: on PostgreSQL whoever holds it is alone until the transaction ends, on SQLite every
/// writer is.
pub(crate) fn lock() -> Sql<AdmissionRow> {
    row().push_by_dialect(" FOR UPDATE", "")
}

/// The revision of the safelist.
pub(crate) async fn revision(executor: &mut impl Executor) -> QueryResult<i64> {
    let row = executor.fetch_one(row()).await?;
    row.map(|row| row.safelist_revision).ok_or(Error::NotFound)
}

/// How many rules of the pop were let in, for each second of the last minute.
pub(crate) fn last_minute(reads: &ReadSet) -> Sql<SecondRow> {
    // the second of a minute ago counts whole: rather one too many than one too few
    Sql::select("FROM admissions WHERE pop = ? AND second >= ?")
        .bind(reads.pop.as_str())
        .bind(reads.now.timestamp() - 60)
}

/// Changes the row of the admission.
pub(crate) fn touch(writes: &Writes<'_>) -> Sql {
    Sql::new(
        "UPDATE admission SET active = active + ?, safelist_revision = safelist_revision + ?, \
         panic_revision = panic_revision + ?",
    )
    .bind(writes.global)
    .bind(i64::from(writes.safelist))
    .bind(i64::from(writes.panic))
}

/// Counts admissions in their second.
pub(crate) fn count(writes: &Writes<'_>) -> Sql {
    Sql::new(
        "INSERT INTO admissions (pop, second, total) VALUES (?, ?, ?) \
         ON CONFLICT (pop, second) DO UPDATE SET total = admissions.total + EXCLUDED.total",
    )
    .bind(writes.pop)
    .bind(writes.second)
    .bind(writes.admitted)
}

/// Forgets the seconds that no rate needs any more.
pub(crate) fn forget(writes: &Writes<'_>) -> Sql {
    Sql::new("DELETE FROM admissions WHERE pop = ? AND second < ?")
        .bind(writes.pop)
        .bind(writes.second - KEPT_SECONDS)
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
