//! Mitigations.

use prefix_core::mitigation::Status;
use prefix_core::name::{CustomerId, Pop, VectorName};
use prefix_core::ports::{MitigationQuery, ReadSet};

use crate::page::Place;
use crate::row::MitigationRow;
use crate::row::define::record;
use crate::sql::Sql;
use crate::sql_type::Id;

/// The rows of mitigations that one index holds in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StatusPartition {
    /// All.
    Any,
    /// Those that are not final, of these statuses.
    Unfinished(Vec<&'static str>),
    /// Final ones of one status.
    Closed(&'static str),
}

impl StatusPartition {
    /// The partitions that hold the asked-for statuses. A page is merged from one page of each.
    pub(crate) fn of(query: &MitigationQuery) -> Vec<Self> {
        if query.status.is_empty() {
            return vec![Self::Any];
        }
        let asked = |status: &Status| query.status.contains(status);
        let (closed, open): (Vec<Status>, Vec<Status>) =
            Status::ALL.into_iter().filter(asked).partition(|status| status.is_final());
        let mut partitions: Vec<Self> =
            closed.into_iter().map(|status| Self::Closed(status.as_str())).collect();
        if !open.is_empty() {
            partitions.push(Self::Unfinished(open.into_iter().map(Status::as_str).collect()));
        }
        partitions
    }
}

record! {
    /// The id of a mitigation.
    MitigationIdRow of mitigations { mitigation_id: Id }
}

/// One mitigation.
pub(crate) fn by_id(id: Id) -> Sql<MitigationRow> {
    Sql::select("FROM mitigations WHERE mitigation_id = ?").bind(id)
}

/// Those of these ids that exist, in no order.
pub(crate) fn by_ids(ids: Vec<Id>) -> Sql<MitigationRow> {
    Sql::select("FROM mitigations").any("mitigation_id", ids)
}

/// A page of one partition.
pub(crate) fn page(query: &MitigationQuery, partition: &StatusPartition) -> Sql<MitigationRow> {
    let mut sql = Sql::select("FROM mitigations");
    let mut of_pop = "pop = ?";
    match partition {
        StatusPartition::Any => {}
        StatusPartition::Unfinished(status) => {
            // few rows are unfinished, so their own index beats that of the pop, which this hides
            of_pop = "pop || '' = ?";
            sql = sql.only("phase <> 'final'").any("status", status.clone());
        }
        StatusPartition::Closed(status) => sql = sql.filter("closed_as = ?", *status),
    }
    sql = sql
        .filter_some("customer_id = ?", query.customer_id.as_ref().map(CustomerId::as_str))
        .filter_some("victim_ip = ?", query.victim_ip.map(|victim| victim.to_string()))
        .filter_some("vector = ?", query.vector.as_ref().map(VectorName::as_str))
        .filter_some(of_pop, query.pop.as_ref().map(Pop::as_str));
    sql = in_document(sql, query);
    // as text: a partial index is found by its condition
    sql = match query.acknowledged {
        Some(true) => sql.only("acknowledged"),
        Some(false) => sql.only("NOT acknowledged"),
        None => sql,
    };
    sql.page(&query.page, "created_at", "mitigation_id")
}

/// The document as PostgreSQL reads it: it refuses the escape of a NUL, which any text of a document may hold. An escaped
/// backslash before `u0000` becomes another text, and stays one.
macro_rules! document {
    ($path:literal) => {
        concat!(r"replace(doc, '\u0000', '\ufffd')::json", $path)
    };
}

/// What only the document of a row says: looked at in the rows that the other conditions leave, in the order of their
/// index.
fn in_document(mut sql: Sql<MitigationRow>, query: &MitigationQuery) -> Sql<MitigationRow> {
    if let Some(source) = &query.source {
        sql = sql
            .only("EXISTS (SELECT 1 FROM ")
            .push_by_dialect(
                concat!(
                    "json_array_elements(",
                    document!(" -> 'leases'"),
                    ") AS lease WHERE lease ->> 'source' = ?)"
                ),
                "json_each(doc, '$.leases') AS lease WHERE lease.value ->> 'source' = ?)",
            )
            .bind(source.as_str());
    }
    if let Some(action) = query.action_type {
        let of_pg = document!(" -> 'action' ->> 'action_type' = ?");
        sql = sql.only("").push_by_dialect(of_pg, "doc ->> '$.action.action_type' = ?").bind(action.as_str());
    }
    if let Some(prefix) = query.within {
        sql = sql
            .only("")
            .push_by_dialect("victim_ip::inet <<= ?::inet", "is_within(victim_ip, ?)")
            .bind(prefix.to_string());
    }
    sql
}

/// The next mitigations of a pop that are not final, oldest first.
pub(crate) fn unfinished(pop: &str, after: Option<Place>, limit: i64) -> Sql<MitigationRow> {
    let mut sql = Sql::select("FROM mitigations").only("phase <> 'final'").filter("pop || '' = ?", pop);
    if let Some((at, id)) = after {
        sql = sql.filter("(created_at, mitigation_id) > (?, ?)", at).bind(id);
    }
    sql.push(" ORDER BY created_at, mitigation_id LIMIT ?").bind(limit)
}

/// The ids of mitigations that are not final.
pub(crate) fn unfinished_ids(pop: Option<&str>, customer: Option<&str>) -> Sql<MitigationIdRow> {
    // few rows are unfinished, so their own index beats the others, which this hides
    Sql::select("FROM mitigations")
        .only("phase <> 'final'")
        .filter_some("pop || '' = ?", pop)
        .filter_some("customer_id || '' = ?", customer)
        .push(" ORDER BY created_at, mitigation_id")
}

/// The oldest queued mitigations of the pop, as many as are asked for.
pub(crate) fn queued(reads: &ReadSet) -> Sql<MitigationRow> {
    Sql::select(
        "FROM mitigations WHERE pop = ? AND queued_at IS NOT NULL ORDER BY queued_at, mitigation_id LIMIT ?",
    )
    .bind(reads.pop.as_str())
    .bind(i64::from(reads.queued))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_statuses_is_read_from_the_indexes_that_hold_them() {
        let of = |status: &[Status]| {
            StatusPartition::of(&MitigationQuery { status: status.to_vec(), ..Default::default() })
        };
        assert_eq!(of(&[]), [StatusPartition::Any]);
        assert_eq!(
            of(&[Status::Active, Status::Withdrawn, Status::Pending]),
            [StatusPartition::Closed("withdrawn"), StatusPartition::Unfinished(vec!["pending", "active"])]
        );
    }
}
