//! The queries that read the same in both databases, written once. Each backend expands the macro with its own
//! connection; one of them awaits.

pub(crate) mod history;
pub(crate) mod signals;

use prefix_core::mitigation::Status;
use prefix_core::page::PageRequest;
use prefix_core::store::{MitigationQuery, PopStats, StoreError, Totals};
use std::collections::BTreeMap;

use crate::writes::tally;

/// The rows of mitigations that one index holds in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Band {
    /// All.
    Any,
    /// Those that are not final, of these statuses.
    Unfinished(Vec<&'static str>),
    /// Final ones of one status.
    Closed(&'static str),
}

impl Band {
    /// The bands that hold the asked-for statuses. A page is merged from one page of each.
    pub(crate) fn of(query: &MitigationQuery) -> Vec<Self> {
        if query.status.is_empty() {
            return vec![Self::Any];
        }
        let asked = |status: &Status| query.status.contains(status);
        let (closed, open): (Vec<Status>, Vec<Status>) =
            Status::ALL.into_iter().filter(asked).partition(|status| status.is_final());
        let mut bands: Vec<Self> = closed.into_iter().map(|status| Self::Closed(status.as_str())).collect();
        if !open.is_empty() {
            bands.push(Self::Unfinished(open.into_iter().map(Status::as_str).collect()));
        }
        bands
    }
}

/// How many rows to fetch: one more than asked for says whether there is a next page.
pub(crate) fn fetch(page: &PageRequest) -> i64 {
    i64::from(page.limit) + 1
}

/// A stored count: kind, name, number. A shard can be below zero, the sum never is.
pub(crate) type TallyRow = (String, String, i64);

fn count(total: i64) -> u64 {
    u64::try_from(total).unwrap_or(0)
}

/// The counts by pop.
pub(crate) fn stats(rows: Vec<TallyRow>) -> Result<BTreeMap<prefix_core::name::Pop, PopStats>, StoreError> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (kind, name, total) in rows {
        match kind.as_str() {
            tally::ACTIVE => sums.entry(name).or_default().0 += total,
            tally::MITIGATIONS => sums.entry(name).or_default().1 += total,
            _ => {}
        }
    }
    sums.into_iter()
        .map(|(name, (active, total))| {
            let pop = name.parse().map_err(|error| crate::row::corrupt("tallies", &name, error))?;
            Ok((pop, PopStats { active: count(active), total: count(total) }))
        })
        .collect()
}

/// The counts of everything.
pub(crate) fn totals(rows: &[TallyRow]) -> Totals {
    let sum = |wanted: &str| rows.iter().filter(|row| row.0 == wanted).map(|row| row.2).sum();
    Totals { mitigations: count(sum(tally::MITIGATIONS)), events: count(sum(tally::EVENTS)) }
}

/// The pops that have audit entries, each found by one look into the index.
pub(crate) const AUDIT_POPS: &str = "WITH RECURSIVE pops (pop) AS (
        SELECT min(pop) FROM audit_entries
        UNION ALL
        SELECT (SELECT min(e.pop) FROM audit_entries AS e WHERE e.pop > pops.pop) FROM pops WHERE pops.pop IS NOT NULL
    ) SELECT pop FROM pops WHERE pop IS NOT NULL";

/// A row of [`AUDIT_POPS`].
#[derive(diesel::QueryableByName)]
pub(crate) struct AuditPop {
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub(crate) pop: String,
}

/// `queries!(Connection, Backend, [async], [.await])`: the functions, with the module's own `RunQueryDsl` in scope.
macro_rules! queries {
    ($connection:ty, $backend:ty, [$($async:tt)?], [$($await:tt)*]) => {
        use diesel::prelude::*;
        use diesel::result::QueryResult;
        use prefix_core::name::Pop;
        use prefix_core::store::{AuditQuery, EventQuery, MitigationQuery};

        use crate::predicate::{Acknowledged, Frozen, Older, Unacknowledged, Unfinished, Younger};
        use crate::queries::{AUDIT_POPS, AuditPop, Band, TallyRow, fetch};
        use crate::row::{AuditRow, EventRow, ListedEvent, MitigationRow, PanicRow, SafelistRow, SealRow};
        use crate::schema::{
            admission, audit_chain, audit_entries, audit_queue, audit_seals, events, leadership, mitigations,
            panic_scopes, safelist, tallies,
        };
        use crate::sql_type::{Id, Micros};

        pub(super) $($async)? fn mitigation(
            connection: &mut $connection,
            id: Id,
        ) -> QueryResult<Option<MitigationRow>> {
            let row = mitigations::table.find(id).select(MitigationRow::as_select());
            row.first(connection)$($await)*.optional()
        }

        pub(super) $($async)? fn mitigations(
            connection: &mut $connection,
            query: &MitigationQuery,
            band: &Band,
        ) -> QueryResult<Vec<MitigationRow>> {
            use crate::schema::mitigations::dsl;

            let mut rows = dsl::mitigations.select(MitigationRow::as_select()).into_boxed::<$backend>();
            match band {
                Band::Any => {}
                Band::Unfinished(status) => {
                    rows = rows.filter(Unfinished).filter(dsl::status.eq_any(status.clone()));
                }
                Band::Closed(status) => rows = rows.filter(dsl::closed_as.eq(*status)),
            }
            if let Some(customer) = &query.customer_id {
                rows = rows.filter(dsl::customer_id.eq(customer.as_str()));
            }
            if let Some(victim) = &query.victim_ip {
                rows = rows.filter(dsl::victim_ip.eq(victim.to_string()));
            }
            if let Some(vector) = &query.vector {
                rows = rows.filter(dsl::vector.eq(vector.as_str()));
            }
            match (&query.pop, band) {
                // few rows are unfinished, so their own index beats that of the pop, which this hides
                (Some(pop), Band::Unfinished(_)) => rows = rows.filter(dsl::pop.concat("").eq(pop.as_str())),
                (Some(pop), _) => rows = rows.filter(dsl::pop.eq(pop.as_str())),
                (None, _) => {}
            }
            match query.acknowledged {
                Some(true) => rows = rows.filter(Acknowledged),
                Some(false) => rows = rows.filter(Unacknowledged),
                None => {}
            }
            if let Some(start) = query.page.start {
                rows = rows.filter(dsl::created_at.ge(Micros::from(start)));
            }
            if let Some(end) = query.page.end {
                rows = rows.filter(dsl::created_at.lt(Micros::from(end)));
            }
            if let Some(cursor) = query.page.cursor {
                let columns = "created_at, mitigation_id";
                rows = rows.filter(Older { columns, at: cursor.at.into(), id: Id(cursor.id) });
            }
            rows.order((dsl::created_at.desc(), dsl::mitigation_id.desc()))
                .limit(fetch(&query.page))
                .load(connection)$($await)*
        }

        /// The next mitigations of a pop that are not final, oldest first.
        pub(super) $($async)? fn unfinished(
            connection: &mut $connection,
            pop: &str,
            after: Option<Younger>,
            limit: i64,
        ) -> QueryResult<Vec<MitigationRow>> {
            use crate::schema::mitigations::dsl;

            let mut rows = dsl::mitigations
                .select(MitigationRow::as_select())
                .filter(dsl::pop.concat("").eq(pop))
                .filter(Unfinished)
                .into_boxed::<$backend>();
            if let Some(after) = after {
                rows = rows.filter(after);
            }
            rows.order((dsl::created_at, dsl::mitigation_id)).limit(limit).load(connection)$($await)*
        }

        pub(super) $($async)? fn event(
            connection: &mut $connection,
            id: Id,
        ) -> QueryResult<Option<EventRow>> {
            events::table.find(id).select(EventRow::as_select()).first(connection)$($await)*.optional()
        }

        pub(super) $($async)? fn events(
            connection: &mut $connection,
            query: &EventQuery,
        ) -> QueryResult<Vec<ListedEvent>> {
            use crate::schema::events::dsl;

            let mut rows = dsl::events.select(ListedEvent::as_select()).into_boxed::<$backend>();
            if let Some(source) = &query.source {
                let key = crate::key::of_text(source.as_str());
                rows = rows.filter(dsl::source_key.eq(key)).filter(dsl::source.eq(source.as_str()));
            }
            if let Some(victim) = &query.victim_ip {
                rows = rows.filter(dsl::victim_ip.eq(victim.to_string()));
            }
            if let Some(vector) = &query.vector {
                rows = rows.filter(dsl::vector.eq(vector.as_str()));
            }
            if let Some(start) = query.page.start {
                rows = rows.filter(dsl::ingested_at.ge(Micros::from(start)));
            }
            if let Some(end) = query.page.end {
                rows = rows.filter(dsl::ingested_at.lt(Micros::from(end)));
            }
            if let Some(cursor) = query.page.cursor {
                let columns = "ingested_at, event_id";
                rows = rows.filter(Older { columns, at: cursor.at.into(), id: Id(cursor.id) });
            }
            rows.order((dsl::ingested_at.desc(), dsl::event_id.desc()))
                .limit(fetch(&query.page))
                .load(connection)$($await)*
        }

        /// Audit entries. An index by time holds those of one pop; a list of every pop begins with a page of each.
        pub(super) $($async)? fn audit(
            connection: &mut $connection,
            query: &AuditQuery,
        ) -> QueryResult<Vec<(AuditRow, Option<SealRow>)>> {
            let filters = [&query.action, &query.actor_id, &query.target_type, &query.target_id];
            if query.pop.is_some() || filters.into_iter().any(Option::is_some) {
                return audit_of(connection, query, query.pop.as_ref().map(Pop::as_str))$($await)*;
            }
            let mut rows = Vec::new();
            let pops: Vec<AuditPop> = diesel::sql_query(AUDIT_POPS).load(connection)$($await)*?;
            for AuditPop { pop } in pops {
                rows.extend(audit_of(connection, query, Some(&pop))$($await)*?);
            }
            rows.sort_by_key(|(entry, _)| std::cmp::Reverse(entry.place()));
            rows.truncate(usize::try_from(fetch(&query.page)).unwrap_or(usize::MAX));
            Ok(rows)
        }

        $($async)? fn audit_of(
            connection: &mut $connection,
            query: &AuditQuery,
            pop: Option<&str>,
        ) -> QueryResult<Vec<(AuditRow, Option<SealRow>)>> {
            use crate::schema::audit_entries::dsl;

            let sealed = audit_seals::table.on(audit_seals::audit_id.eq(dsl::audit_id));
            let mut rows = dsl::audit_entries
                .left_join(sealed)
                .select((AuditRow::as_select(), Option::<SealRow>::as_select()))
                .into_boxed::<$backend>();
            if let Some(pop) = pop {
                rows = rows.filter(dsl::pop.eq(pop));
            }
            if let Some(action) = &query.action {
                rows = rows.filter(dsl::action.eq(action.as_str()));
            }
            if let Some(actor) = &query.actor_id {
                let key = crate::key::of_text(actor);
                rows = rows.filter(dsl::actor_key.eq(key)).filter(dsl::actor_id.eq(actor.as_str()));
            }
            if let Some(kind) = &query.target_type {
                rows = rows.filter(dsl::target_type.eq(kind.as_str()));
            }
            if let Some(target) = &query.target_id {
                let key = crate::key::of_text(target);
                rows = rows.filter(dsl::target_key.eq(key)).filter(dsl::target_id.eq(target.as_str()));
            }
            if let Some(start) = query.page.start {
                rows = rows.filter(dsl::at.ge(Micros::from(start)));
            }
            if let Some(end) = query.page.end {
                rows = rows.filter(dsl::at.lt(Micros::from(end)));
            }
            if let Some(cursor) = query.page.cursor {
                let columns = "audit_entries.at, audit_entries.audit_id";
                rows = rows.filter(Older { columns, at: cursor.at.into(), id: Id(cursor.id) });
            }
            rows.order((dsl::at.desc(), dsl::audit_id.desc()))
                .limit(fetch(&query.page))
                .load(connection)$($await)*
        }

        /// The oldest entries of a pop that are not sealed, each with its place in the queue. `None`: it is gone.
        pub(super) $($async)? fn unsealed(
            connection: &mut $connection,
            pop: &str,
            limit: i64,
        ) -> QueryResult<Vec<(i64, Option<AuditRow>)>> {
            audit_queue::table
                .left_join(audit_entries::table.on(audit_entries::audit_id.eq(audit_queue::audit_id)))
                .filter(audit_queue::pop.eq(pop))
                .order(audit_queue::position)
                .limit(limit)
                .select((audit_queue::position, Option::<AuditRow>::as_select()))
                .load(connection)$($await)*
        }

        /// The newest sealed entry of a pop.
        pub(super) $($async)? fn chain_head(
            connection: &mut $connection,
            pop: &str,
        ) -> QueryResult<Option<(i64, Vec<u8>)>> {
            let row = audit_chain::table.find(pop).select((audit_chain::seq, audit_chain::hash));
            row.first(connection)$($await)*.optional()
        }

        /// Sealed entries of a pop. One that was deleted, or moved to another pop, is left out.
        pub(super) $($async)? fn chain(
            connection: &mut $connection,
            pop: &str,
            from: i64,
            limit: i64,
        ) -> QueryResult<Vec<(AuditRow, Option<SealRow>)>> {
            let is_same =
                audit_entries::audit_id.eq(audit_seals::audit_id).and(audit_entries::pop.eq(audit_seals::pop));
            audit_seals::table
                .inner_join(audit_entries::table.on(is_same))
                .filter(audit_seals::pop.eq(pop))
                .filter(audit_seals::seq.ge(from))
                .order(audit_seals::seq)
                .limit(limit)
                .select((AuditRow::as_select(), SealRow::as_select()))
                .load::<(AuditRow, SealRow)>(connection)$($await)*
                .map(|rows| rows.into_iter().map(|(entry, seal)| (entry, Some(seal))).collect())
        }

        /// The epoch of a pop, or nothing if nobody ever led it.
        pub(super) $($async)? fn epoch(
            connection: &mut $connection,
            pop: &str,
        ) -> QueryResult<Option<i64>> {
            let row = leadership::table.find(pop).select(leadership::epoch);
            row.first(connection)$($await)*.optional()
        }

        /// Those that are not thawed, oldest first.
        pub(super) $($async)? fn panic_scopes(connection: &mut $connection) -> QueryResult<Vec<PanicRow>> {
            panic_scopes::table
                .filter(Frozen)
                .order((panic_scopes::started_at, panic_scopes::panic_id))
                .select(PanicRow::as_select())
                .load(connection)$($await)*
        }

        pub(super) $($async)? fn panic_scope(
            connection: &mut $connection,
            id: Id,
        ) -> QueryResult<Option<PanicRow>> {
            let row = panic_scopes::table.find(id).select(PanicRow::as_select());
            row.first(connection)$($await)*.optional()
        }

        /// The ids of mitigations that are not final.
        pub(super) $($async)? fn unfinished_ids(
            connection: &mut $connection,
            pop: Option<&str>,
            customer: Option<&str>,
        ) -> QueryResult<Vec<Id>> {
            use crate::schema::mitigations::dsl;

            let mut rows =
                dsl::mitigations.select(dsl::mitigation_id).filter(Unfinished).into_boxed::<$backend>();
            // few rows are unfinished, so their own index beats the others, which this hides
            if let Some(pop) = pop {
                rows = rows.filter(dsl::pop.concat("").eq(pop));
            }
            if let Some(customer) = customer {
                rows = rows.filter(dsl::customer_id.concat("").eq(customer));
            }
            rows.order((dsl::created_at, dsl::mitigation_id)).load(connection)$($await)*
        }

        pub(super) $($async)? fn safelist_revision(connection: &mut $connection) -> QueryResult<i64> {
            admission::table.select(admission::safelist_revision).first(connection)$($await)*
        }

        pub(super) $($async)? fn safelist(connection: &mut $connection) -> QueryResult<Vec<SafelistRow>> {
            let rows = safelist::table.select(SafelistRow::as_select()).order(safelist::prefix);
            rows.load(connection)$($await)*
        }

        pub(super) $($async)? fn tallies(connection: &mut $connection) -> QueryResult<Vec<TallyRow>> {
            let rows = tallies::table.select((tallies::kind, tallies::name, tallies::total));
            rows.load(connection)$($await)*
        }

        pub(super) $($async)? fn ping(connection: &mut $connection) -> QueryResult<i16> {
            admission::table.select(admission::id).first(connection)$($await)*
        }
    };
}

pub(crate) use queries;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_statuses_is_read_from_the_indexes_that_hold_them() {
        let of =
            |status: &[Status]| Band::of(&MitigationQuery { status: status.to_vec(), ..Default::default() });
        assert_eq!(of(&[]), [Band::Any]);
        assert_eq!(
            of(&[Status::Active, Status::Withdrawn, Status::Pending]),
            [Band::Closed("withdrawn"), Band::Unfinished(vec!["pending", "active"])]
        );
    }
}
