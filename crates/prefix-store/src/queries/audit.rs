//! The audit log and its chain.

use diesel::result::QueryResult;
use prefix_core::name::Pop;
use prefix_core::ports::AuditQuery;

use crate::executor::Executor;
use crate::key;
use crate::page;
use crate::row::define::record;
use crate::row::{AuditRow, HeadRow, NewAudit, SealRow, Sealed, SealedAuditRow, UnsealedRow};
use crate::sql::{Record, Sql, VALUES_AT_ONCE};

/// The pops that have audit entries, each found by one look into the index.
const POPS: &str = "WITH RECURSIVE pops (pop) AS (
        SELECT min(pop) FROM audit_entries
        UNION ALL
        SELECT (SELECT min(e.pop) FROM audit_entries AS e WHERE e.pop > pops.pop) FROM pops WHERE pops.pop IS NOT NULL
    ) SELECT pop FROM pops WHERE pop IS NOT NULL";

record! {
    /// A row of [`POPS`].
    PopRow { pop: String }
}

/// A page of audit entries. An index by time holds those of one pop; a list of every pop begins with a page of each.
pub(crate) async fn page(
    executor: &mut impl Executor,
    query: &AuditQuery,
) -> QueryResult<Vec<SealedAuditRow>> {
    let filters = [&query.action, &query.actor_id, &query.target_type, &query.target_id];
    if query.pop.is_some() || filters.into_iter().any(Option::is_some) {
        return executor.fetch_all(page_of(query, query.pop.as_ref().map(Pop::as_str))).await;
    }
    let mut rows = Vec::new();
    for PopRow { pop } in executor.fetch_all(Sql::new(POPS)).await? {
        rows.extend(executor.fetch_all(page_of(query, Some(&pop))).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.entry.place()));
    rows.truncate(page::overfull(query.page.limit));
    Ok(rows)
}

fn page_of(query: &AuditQuery, pop: Option<&str>) -> Sql<SealedAuditRow> {
    let key = |text: &Option<String>| text.as_deref().map(key::of_text);
    sealed("FROM audit_entries LEFT JOIN audit_seals ON audit_seals.audit_id = audit_entries.audit_id")
        .filter_some("audit_entries.pop = ?", pop)
        .filter_some("action = ?", query.action.as_deref())
        .filter_some("actor_key = ?", key(&query.actor_id))
        .filter_some("actor_id = ?", query.actor_id.as_deref())
        .filter_some("target_type = ?", query.target_type.as_deref())
        .filter_some("target_key = ?", key(&query.target_id))
        .filter_some("target_id = ?", query.target_id.as_deref())
        .page(&query.page, "audit_entries.at", "audit_entries.audit_id")
}

fn sealed(from: &'static str) -> Sql<SealedAuditRow> {
    Sql::new("SELECT ").push(AuditRow::COLUMNS).push(", ").push(SealRow::COLUMNS).push(" ").push(from)
}

/// The oldest entries of a pop that are not sealed, each with its place in the queue.
pub(crate) fn unsealed(pop: &str, limit: i64) -> Sql<UnsealedRow> {
    Sql::new("SELECT ")
        .push(AuditRow::COLUMNS)
        .push(
            ", audit_queue.position FROM audit_queue LEFT JOIN audit_entries \
             ON audit_entries.audit_id = audit_queue.audit_id \
             WHERE audit_queue.pop = ? ORDER BY audit_queue.position LIMIT ?",
        )
        .bind(pop)
        .bind(limit)
}

/// Puts a new entry behind those that wait for their seal.
pub(crate) fn enqueue(row: &NewAudit<'_>) -> Sql {
    Sql::new("INSERT INTO audit_queue (pop, audit_id) VALUES (?, ?)").bind(row.pop).bind(row.audit_id)
}

/// The newest sealed entry of a pop.
pub(crate) fn chain_head(pop: &str) -> Sql<HeadRow> {
    Sql::select("FROM audit_chain WHERE pop = ?").bind(pop)
}

/// Seals up to `limit` entries that wait, in the order of the queue; returns how many.
pub(crate) async fn seal(executor: &mut impl Executor, pop: &str, limit: u32) -> QueryResult<u32> {
    let head = executor.fetch_one(chain_head(pop)).await?;
    let waiting = executor.fetch_all(unsealed(pop, limit.into())).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let Sealed { positions, seals, head } = Sealed::new(pop, head, waiting);
    executor.insert(&seals).await?;
    for positions in positions.chunks(VALUES_AT_ONCE) {
        let dequeue = Sql::new("DELETE FROM audit_queue").filter("pop = ?", pop);
        executor.execute(dequeue.any("position", positions.to_vec())).await?;
    }
    if let Some(head) = head {
        let put = Sql::new(
            "INSERT INTO audit_chain (pop, seq, hash) VALUES (?, ?, ?) \
             ON CONFLICT (pop) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash",
        );
        executor.execute(put.bind(pop).bind(head.seq).bind(head.hash.as_bytes().to_vec())).await?;
    }
    Ok(u32::try_from(positions.len()).unwrap_or(limit))
}

/// Sealed entries of a pop. One that was deleted, or moved to another pop, is left out.
pub(crate) fn chain(pop: &str, from: i64, limit: i64) -> Sql<SealedAuditRow> {
    sealed(
        "FROM audit_seals JOIN audit_entries \
         ON audit_entries.audit_id = audit_seals.audit_id AND audit_entries.pop = audit_seals.pop \
         WHERE audit_seals.pop = ? AND audit_seals.seq >= ? ORDER BY audit_seals.seq LIMIT ?",
    )
    .bind(pop)
    .bind(from)
    .bind(limit)
}
