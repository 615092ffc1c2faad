//! Recorded events, oldest first, for both databases.

/// As `queries!`.
macro_rules! history_queries {
    ($connection:ty, $backend:ty, [$($async:tt)?], [$($await:tt)*]) => {
        use diesel::prelude::*;
        use diesel::result::QueryResult;
        use prefix_core::name::SourceName;
        use prefix_core::store::HistoryQuery;

        use crate::predicate::{UpTo, Younger};
        use crate::row::ListedEvent;
        use crate::schema::events::{self, dsl};
        use crate::sql_type::{Id, Micros};

        const PLACE: &str = "ingested_at, event_id";

        /// The next events behind a place; fewer than `limit` only at the end.
        pub(super) $($async)? fn history(
            connection: &mut $connection,
            query: &HistoryQuery,
            after: Option<(Micros, Id)>,
            limit: i64,
        ) -> QueryResult<Vec<ListedEvent>> {
            // an address has few events: its own index beats those of the sources
            if query.victim_ip.is_some() || query.sources.len() < 2 {
                let source = query.sources.iter().next().filter(|_| query.victim_ip.is_none());
                let mut rows = recorded(query, after, source);
                if query.victim_ip.is_some() && !query.sources.is_empty() {
                    let sources: Vec<&str> = query.sources.iter().map(SourceName::as_str).collect();
                    rows = rows.filter(dsl::source.eq_any(sources));
                }
                return rows.limit(limit).select(ListedEvent::as_select()).load(connection)$($await)*;
            }
            // An index by time holds the events of one source, or of all. The places of the next events come from the
            // indexes alone, so that of each source only those are read that are wanted.
            let mut places: Vec<(Micros, Id)> = Vec::new();
            for source in &query.sources {
                let of_source = recorded(query, after, Some(source)).limit(limit);
                places.extend(
                    of_source
                        .select((dsl::ingested_at, dsl::event_id))
                        .load::<(Micros, Id)>(connection)$($await)*?,
                );
            }
            places.sort_unstable();
            places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let Some((at, id)) = places.pop() else { return Ok(Vec::new()) };
            let mut rows: Vec<ListedEvent> = Vec::with_capacity(places.len() + 1);
            for source in &query.sources {
                let until = UpTo { columns: PLACE, at, id };
                let of_source = recorded(query, after, Some(source)).filter(until).limit(limit);
                rows.extend(of_source.select(ListedEvent::as_select()).load(connection)$($await)*?);
            }
            rows.sort_unstable_by_key(ListedEvent::place);
            rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(rows)
        }

        fn recorded<'a>(
            query: &'a HistoryQuery,
            after: Option<(Micros, Id)>,
            source: Option<&'a SourceName>,
        ) -> events::BoxedQuery<'a, $backend> {
            let mut rows = dsl::events.into_boxed::<$backend>();
            if let Some(source) = source {
                let key = crate::key::of_text(source.as_str());
                rows = rows.filter(dsl::source_key.eq(key)).filter(dsl::source.eq(source.as_str()));
            }
            if let Some(victim) = query.victim_ip {
                rows = rows.filter(dsl::victim_ip.eq(victim.to_string()));
            }
            // one of the two, so that an index range begins there whatever the planner thinks
            let start = Micros::from(query.start);
            rows = match after {
                Some((at, id)) if at >= start => rows.filter(Younger { columns: PLACE, at, id }),
                _ => rows.filter(dsl::ingested_at.ge(start)),
            };
            rows.filter(dsl::ingested_at.lt(Micros::from(query.end))).order((dsl::ingested_at, dsl::event_id))
        }
    };
}

pub(crate) use history_queries;
