//! Which of many keys are known: one index probe per key, whatever the planner believes about the table. `LIMIT`
//! keeps it from joining the tables as a whole.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Text};

macro_rules! lookup {
    ($(#[$doc:meta])* $name:ident: $key:literal, $second:literal) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name {
            /// Positions in the caller's list, the answer.
            pub(super) numbers: Vec<i64>,
            pub(super) keys: Vec<i64>,
            pub(super) sources: Vec<String>,
            pub(super) seconds: Vec<String>,
        }

        impl QueryFragment<Pg> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_sql("SELECT k.number FROM UNNEST(");
                out.push_bind_param::<Array<BigInt>, _>(&self.numbers)?;
                out.push_sql(", ");
                out.push_bind_param::<Array<BigInt>, _>(&self.keys)?;
                out.push_sql(", ");
                out.push_bind_param::<Array<Text>, _>(&self.sources)?;
                out.push_sql(", ");
                out.push_bind_param::<Array<Text>, _>(&self.seconds)?;
                out.push_sql(concat!(
                    ") AS k (number, key, source, second) CROSS JOIN LATERAL (SELECT 1 FROM events AS e WHERE e.",
                    $key, " = k.key AND e.source = k.source AND e.", $second, " = k.second LIMIT 1) AS found"
                ));
                Ok(())
            }
        }

        impl Query for $name {
            type SqlType = BigInt;
        }

        impl QueryId for $name {
            type QueryId = Self;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
    };
}

lookup!(
    /// Episodes that were reported.
    KnownEpisodes: "episode_key", "external_event_id"
);
lookup!(
    /// Victims that a source reported.
    KnownSightings: "sighting_key", "victim_ip"
);
