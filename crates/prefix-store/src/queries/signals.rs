//! The queries about signal groups, corroborating signals and sources, for both databases.

use prefix_core::signal::GroupStatus;
use prefix_core::store::GroupQuery;

/// The statuses whose lists hold what is asked for; `None` is the list of all. A page is merged from one page of each.
pub(crate) fn group_lists(query: &GroupQuery) -> Vec<Option<GroupStatus>> {
    if query.status.is_empty() {
        return vec![None];
    }
    GroupStatus::ALL.into_iter().filter(|status| query.status.contains(status)).map(Some).collect()
}

/// A source, its newest signal and how many there are.
pub(crate) type ActivityRow = (String, Option<crate::sql_type::Micros>, i64);

/// As `queries!`.
macro_rules! signal_queries {
    ($connection:ty, $backend:ty, [$($async:tt)?], [$($await:tt)*]) => {
        use diesel::dsl::{count_star, max};
        use diesel::prelude::*;
        use diesel::result::QueryResult;
        use prefix_core::signal::GroupStatus;
        use prefix_core::store::{CorroborationHistoryQuery, GroupQuery};

        use crate::page::Place;
        use crate::predicate::{Older, Open, Younger};
        use crate::queries::{fetch, signals::ActivityRow};
        use crate::row::{CorroborationRow, GroupRow, ListedCorroboration};
        use crate::schema::{corroborations, events, signal_groups};
        use crate::sql_type::{Id, Micros};

        diesel::alias!(corroborations as newest: Newest);

        pub(super) $($async)? fn group(
            connection: &mut $connection,
            id: Id,
        ) -> QueryResult<Option<GroupRow>> {
            let row = signal_groups::table.find(id).select(GroupRow::as_select());
            row.first(connection)$($await)*.optional()
        }

        pub(super) $($async)? fn groups(
            connection: &mut $connection,
            query: &GroupQuery,
            status: Option<GroupStatus>,
        ) -> QueryResult<Vec<GroupRow>> {
            use crate::schema::signal_groups::dsl;

            let mut rows = dsl::signal_groups.select(GroupRow::as_select()).into_boxed::<$backend>();
            if let Some(status) = status {
                rows = rows.filter(dsl::status.eq(status.as_str()));
            }
            if let Some(pop) = &query.pop {
                rows = rows.filter(dsl::pop.eq(pop.as_str()));
            }
            if let Some(victim) = &query.victim_ip {
                rows = rows.filter(dsl::victim_ip.eq(victim.to_string()));
            }
            if let Some(vector) = &query.vector {
                rows = rows.filter(dsl::vector.eq(vector.as_str()));
            }
            if let Some(start) = query.page.start {
                rows = rows.filter(dsl::created_at.ge(Micros::from(start)));
            }
            if let Some(end) = query.page.end {
                rows = rows.filter(dsl::created_at.lt(Micros::from(end)));
            }
            if let Some(cursor) = query.page.cursor {
                let columns = "created_at, group_id";
                rows = rows.filter(Older { columns, at: cursor.at.into(), id: Id(cursor.id) });
            }
            rows.order((dsl::created_at.desc(), dsl::group_id.desc()))
                .limit(fetch(&query.page))
                .load(connection)$($await)*
        }

        /// Open groups of a pop, those whose window ends first.
        pub(super) $($async)? fn open_groups(
            connection: &mut $connection,
            pop: &str,
            limit: i64,
        ) -> QueryResult<Vec<GroupRow>> {
            signal_groups::table
                .filter(Open)
                .filter(signal_groups::pop.eq(pop))
                .order((signal_groups::window_ends_at, signal_groups::group_id))
                .limit(limit)
                .select(GroupRow::as_select())
                .load(connection)$($await)*
        }

        /// The newest corroborating signals received by a pop that are not over.
        pub(super) $($async)? fn live_corroborations(
            connection: &mut $connection,
            pop: &str,
            now: Micros,
            limit: i64,
        ) -> QueryResult<Vec<ListedCorroboration>> {
            // the newest are found in the index alone, and only their rows are read
            let ids = newest
                .filter(newest.field(corroborations::received_by).eq(pop))
                .filter(newest.field(corroborations::expires_at).gt(now))
                .order((
                    newest.field(corroborations::received_at).desc(),
                    newest.field(corroborations::signal_id).desc(),
                ))
                .limit(limit)
                .select(newest.field(corroborations::signal_id));
            corroborations::table
                .filter(corroborations::signal_id.eq_any(ids))
                .select(ListedCorroboration::as_select())
                .load(connection)$($await)*
        }

        /// The newest corroborating signals that wait for a group, with their raw details, in no order.
        pub(super) $($async)? fn waiting(
            connection: &mut $connection,
            pop: &str,
            now: Micros,
            source: Option<&str>,
            limit: i64,
        ) -> QueryResult<Vec<CorroborationRow>> {
            let mut ids = newest
                .filter(newest.field(corroborations::received_by).eq(pop))
                .filter(newest.field(corroborations::expires_at).gt(now))
                .filter(newest.field(corroborations::is_attached).eq(false))
                .select(newest.field(corroborations::signal_id))
                .into_boxed::<$backend>();
            if let Some(source) = source {
                ids = ids.filter(newest.field(corroborations::source).eq(source));
            }
            let ids = ids
                .order((
                    newest.field(corroborations::received_at).desc(),
                    newest.field(corroborations::signal_id).desc(),
                ))
                .limit(limit);
            corroborations::table
                .filter(corroborations::signal_id.eq_any(ids))
                .select(CorroborationRow::as_select())
                .load(connection)$($await)*
        }

        /// How many corroborating signals of each source wait for a group.
        pub(super) $($async)? fn waiting_counts(
            connection: &mut $connection,
            pop: &str,
            now: Micros,
        ) -> QueryResult<Vec<(String, i64)>> {
            corroborations::table
                .filter(corroborations::received_by.eq(pop))
                .filter(corroborations::expires_at.gt(now))
                .filter(corroborations::is_attached.eq(false))
                .group_by(corroborations::source)
                .select((corroborations::source, count_star()))
                .load(connection)$($await)*
        }

        /// The corroborating signals that a pop has received since, by source.
        pub(super) $($async)? fn activity(
            connection: &mut $connection,
            pop: &str,
            since: Micros,
        ) -> QueryResult<Vec<ActivityRow>> {
            corroborations::table
                .filter(corroborations::received_by.eq(pop))
                .filter(corroborations::received_at.ge(since))
                .group_by(corroborations::source)
                .select((corroborations::source, max(corroborations::received_at), count_star()))
                .load(connection)$($await)*
        }

        /// The next corroborating signals of a pop behind a place, and the place behind which there may be more.
        pub(super) $($async)? fn recorded(
            connection: &mut $connection,
            query: &CorroborationHistoryQuery,
            after: Option<Place>,
            limit: i64,
        ) -> QueryResult<(Vec<ListedCorroboration>, Option<Place>)> {
            use crate::schema::corroborations::dsl;

            let start = Micros::from(query.start);
            let mut rows = dsl::corroborations
                .filter(dsl::received_by.eq(query.pop.as_str()))
                .filter(dsl::received_at.lt(Micros::from(query.end)))
                .order((dsl::received_at, dsl::signal_id))
                .limit(limit)
                .select(ListedCorroboration::as_select())
                .into_boxed::<$backend>();
            rows = match after {
                Some((at, id)) if at >= start => {
                    rows.filter(Younger { columns: "received_at, signal_id", at, id })
                }
                _ => rows.filter(dsl::received_at.ge(start)),
            };
            let rows: Vec<ListedCorroboration> = rows.load(connection)$($await)*?;
            let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
            let next = rows.last().map(ListedCorroboration::place).filter(|_| is_full);
            Ok((rows, next))
        }

        /// The time of a source's newest event or corroborating signal. The key is a range and stands in the order, so
        /// that no index by time alone will do: it would be read from its end to a source that fell silent long ago.
        pub(super) $($async)? fn last_heard(
            connection: &mut $connection,
            source: &str,
        ) -> QueryResult<Option<Micros>> {
            let key = crate::key::of_text(source);
            let event: Option<Micros> = events::table
                .filter(events::source_key.ge(key))
                .filter(events::source_key.le(key))
                .filter(events::source.eq(source))
                .order((events::source_key.desc(), events::ingested_at.desc()))
                .select(events::ingested_at)
                .first(connection)$($await)*
                .optional()?;
            let corroboration: Option<Micros> = corroborations::table
                .filter(corroborations::source_key.ge(key))
                .filter(corroborations::source_key.le(key))
                .filter(corroborations::source.eq(source))
                .order((corroborations::source_key.desc(), corroborations::received_at.desc()))
                .select(corroborations::received_at)
                .first(connection)$($await)*
                .optional()?;
            Ok(event.max(corroboration))
        }
    };
}

pub(crate) use signal_queries;
