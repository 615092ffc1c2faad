//! Looks many keys up by one index probe each, whatever the planner believes about the table.
//!
//! A cached plan that was made while few rows were unfinished would read all of them for each key when an attack has
//! made thousands. So each of these statements leaves the planner no choice: `LIMIT` and `OFFSET` keep it from joining
//! the tables as a whole, no condition implies that of a partial index with other columns, and `|| ''` hides the
//! columns by which no index shall be taken.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Binary, Text};

use crate::sql_type::{Instant, Micros, Uid};

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
                    $key, " = k.key AND e.source = k.source AND e.", $second, " || '' = k.second LIMIT 1) AS found"
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

/// The columns of [`crate::row::MitigationRow`].
type MitigationColumns = (Uid, BigInt, Instant, Text);

/// The columns of [`crate::row::GroupRow`].
type GroupColumns = (Uid, BigInt, Instant, Instant, Text);

macro_rules! static_query {
    ($name:ident, $columns:ty) => {
        impl Query for $name<'_> {
            type SqlType = $columns;
        }

        impl QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
    };
}

/// The mitigations of these victims that are not final.
#[derive(Debug)]
pub(super) struct UnfinishedOfVictims<'a> {
    pub(super) pop: &'a str,
    pub(super) victims: Vec<String>,
}

static_query!(UnfinishedOfVictims, MitigationColumns);

impl QueryFragment<Pg> for UnfinishedOfVictims<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT m.mitigation_id, m.revision, m.created_at, m.doc FROM UNNEST(");
        out.push_bind_param::<Array<Text>, _>(&self.victims)?;
        out.push_sql(
            ") AS k (victim) CROSS JOIN LATERAL (SELECT mitigation_id, revision, created_at, doc FROM mitigations \
             WHERE victim_ip = k.victim AND closed_at IS NULL AND pop || '' = ",
        );
        out.push_bind_param::<Text, _>(self.pop)?;
        out.push_sql(" OFFSET 0) AS m");
        Ok(())
    }
}

/// The final mitigations of these victims that ended, or were rejected, late enough.
#[derive(Debug)]
pub(super) struct ClosedOfVictims<'a> {
    pub(super) pop: &'a str,
    pub(super) victims: Vec<String>,
    /// The earlier of the other two.
    pub(super) since: Micros,
    pub(super) recent_since: Micros,
    pub(super) rejected_since: Micros,
}

static_query!(ClosedOfVictims, MitigationColumns);

impl QueryFragment<Pg> for ClosedOfVictims<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT m.mitigation_id, m.revision, m.created_at, m.doc FROM UNNEST(");
        out.push_bind_param::<Array<Text>, _>(&self.victims)?;
        out.push_sql(
            ") AS k (victim) CROSS JOIN LATERAL (SELECT mitigation_id, revision, created_at, doc FROM mitigations \
             WHERE victim_ip = k.victim AND closed_at >= ",
        );
        out.push_bind_param::<Instant, _>(&self.since)?;
        out.push_sql(" AND pop || '' = ");
        out.push_bind_param::<Text, _>(self.pop)?;
        out.push_sql(" AND closed_at >= CASE closed_as WHEN 'rejected' THEN ");
        out.push_bind_param::<Instant, _>(&self.rejected_since)?;
        out.push_sql(" ELSE ");
        out.push_bind_param::<Instant, _>(&self.recent_since)?;
        out.push_sql(" END OFFSET 0) AS m");
        Ok(())
    }
}

/// The mitigations of these rules that are not final.
#[derive(Debug)]
pub(super) struct UnfinishedOfRoutes<'a> {
    pub(super) pop: &'a str,
    pub(super) kinds: Vec<&'static str>,
    pub(super) nlri: Vec<&'a [u8]>,
}

static_query!(UnfinishedOfRoutes, MitigationColumns);

impl QueryFragment<Pg> for UnfinishedOfRoutes<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT m.mitigation_id, m.revision, m.created_at, m.doc FROM UNNEST(");
        out.push_bind_param::<Array<Text>, _>(&self.kinds)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.nlri)?;
        out.push_sql(
            ") AS k (kind, nlri) CROSS JOIN LATERAL (SELECT mitigation_id, revision, created_at, doc \
             FROM mitigations WHERE nlri = k.nlri AND closed_at IS NULL AND route_kind = k.kind AND pop || '' = ",
        );
        out.push_bind_param::<Text, _>(self.pop)?;
        out.push_sql(" OFFSET 0) AS m");
        Ok(())
    }
}

/// The open signal groups of these victims.
#[derive(Debug)]
pub(super) struct OpenGroupsOfVictims<'a> {
    pub(super) pop: &'a str,
    pub(super) victims: Vec<String>,
}

static_query!(OpenGroupsOfVictims, GroupColumns);

impl QueryFragment<Pg> for OpenGroupsOfVictims<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT g.group_id, g.revision, g.created_at, g.window_ends_at, g.doc FROM UNNEST(");
        out.push_bind_param::<Array<Text>, _>(&self.victims)?;
        out.push_sql(
            ") AS k (victim) CROSS JOIN LATERAL (SELECT group_id, revision, created_at, window_ends_at, doc \
             FROM signal_groups WHERE victim_ip = k.victim AND status = 'open' AND pop = ",
        );
        out.push_bind_param::<Text, _>(self.pop)?;
        out.push_sql(" OFFSET 0) AS g");
        Ok(())
    }
}
