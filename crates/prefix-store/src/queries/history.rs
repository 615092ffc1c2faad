//! Recorded events, oldest first, for both databases.

/// As `queries!`.
macro_rules! history_queries {
    ($connection:ty, $backend:ty, [$($async:tt)?], [$($await:tt)*]) => {
        use diesel::prelude::*;
        use diesel::result::QueryResult;
        use prefix_core::name::SourceName;
        use prefix_core::ports::HistoryQuery;

        use crate::predicate::{UpTo, Younger};
        use crate::row::ListedEvent;
        use crate::schema::events::{self, dsl};
        use crate::page::Place;
        use crate::sql_type::Micros;

        const PLACE: &str = "ingested_at, event_id";

        /// The next events behind a place, and the place behind which there may be more.
        pub(super) $($async)? fn history(
            connection: &mut $connection,
            query: &HistoryQuery,
            after: Option<Place>,
            limit: i64,
        ) -> QueryResult<(Vec<ListedEvent>, Option<Place>)> {
            let is_full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= limit);
            // an address has few events: its own index beats those of the sources
            if query.victim_ip.is_some() || query.sources.len() < 2 {
                let source = query.sources.iter().next().filter(|_| query.victim_ip.is_none());
                let mut rows = recorded(query, after, source);
                if let Some(source) = source {
                    rows = rows.filter(dsl::source.eq(source.as_str()));
                } else if !query.sources.is_empty() {
                    let sources: Vec<&str> = query.sources.iter().map(SourceName::as_str).collect();
                    rows = rows.filter(dsl::source.eq_any(sources));
                }
                let rows = rows.limit(limit).select(ListedEvent::as_select());
                let rows: Vec<ListedEvent> = rows.load(connection)$($await)*?;
                let next = rows.last().map(ListedEvent::place).filter(|_| is_full(rows.len()));
                return Ok((rows, next));
            }
            // An index by time holds the events of one source, or of all. The places of the next events come from the
            // indexes alone, so that of each source only those are read that are wanted.
            let mut places: Vec<Place> = Vec::new();
            for source in &query.sources {
                let of_source = recorded(query, after, Some(source)).limit(limit);
                let of_source = of_source.select((dsl::ingested_at, dsl::event_id));
                places.extend(of_source.load::<Place>(connection)$($await)*?);
            }
            places.sort_unstable();
            places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let Some(&(at, id)) = places.last() else { return Ok((Vec::new(), None)) };
            let mut rows: Vec<ListedEvent> = Vec::with_capacity(places.len());
            for source in &query.sources {
                let of_source = begun(query, after, Some(source))
                    // ends the range of the index, which SQLite does not let a pair of columns do
                    .filter(dsl::ingested_at.le(at))
                    .filter(UpTo { columns: PLACE, at, id })
                    .filter(dsl::source.eq(source.as_str()));
                rows.extend(of_source.select(ListedEvent::as_select()).load(connection)$($await)*?);
            }
            rows.sort_unstable_by_key(ListedEvent::place);
            if rows.len() > places.len() {
                // stored between the two looks
                rows.truncate(places.len());
                let next = rows.last().map(ListedEvent::place);
                return Ok((rows, next));
            }
            Ok((rows, Some((at, id)).filter(|_| is_full(places.len()))))
        }

        fn recorded<'a>(
            query: &'a HistoryQuery,
            after: Option<Place>,
            source: Option<&'a SourceName>,
        ) -> events::BoxedQuery<'a, $backend> {
            begun(query, after, source).filter(dsl::ingested_at.lt(Micros::from(query.end)))
        }

        /// Without an end. `source` by its key only: whoever reads rows compares the name as well.
        fn begun<'a>(
            query: &'a HistoryQuery,
            after: Option<Place>,
            source: Option<&'a SourceName>,
        ) -> events::BoxedQuery<'a, $backend> {
            let mut rows = dsl::events.into_boxed::<$backend>();
            if let Some(source) = source {
                rows = rows.filter(dsl::source_key.eq(crate::key::of_text(source.as_str())));
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
            rows.order((dsl::ingested_at, dsl::event_id))
        }
    };
}

pub(crate) use history_queries;
