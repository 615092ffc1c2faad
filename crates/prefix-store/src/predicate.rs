//! Conditions that Diesel cannot say: comparisons of whole keys, which one index range answers, and constants that
//! must stand in the statement as text, because a partial index is found by its text only.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType};

use crate::sql_type::{Id, Instant, Micros, Uid};

macro_rules! condition {
    ($name:ident) => {
        impl Expression for $name {
            type SqlType = Bool;
        }

        impl<QS> AppearsOnTable<QS> for $name {}

        impl<QS> SelectableExpression<QS> for $name {}

        impl ValidGrouping<()> for $name {
            type IsAggregate = is_aggregate::No;
        }
    };
}

macro_rules! constant {
    ($(#[$doc:meta])* $name:ident = $sql:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, QueryId)]
        pub(crate) struct $name;

        condition!($name);

        impl<DB: Backend> QueryFragment<DB> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }
    };
}

constant!(
    /// Mitigations that are not final.
    Unfinished = "phase <> 'final'"
);
constant!(
    /// Acknowledged mitigations.
    Acknowledged = "acknowledged"
);
constant!(
    /// Mitigations that nobody acknowledged.
    Unacknowledged = "NOT acknowledged"
);

constant!(
    /// Signal groups whose window runs.
    Open = "status = 'open'"
);
constant!(
    /// Panic scopes that are not thawed.
    Frozen = "NOT is_thawed"
);

macro_rules! beyond {
    ($(#[$doc:meta])* $name:ident = $comparison:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name {
            /// The columns of time and id.
            pub(crate) columns: &'static str,
            pub(crate) at: Micros,
            pub(crate) id: Id,
        }

        condition!($name);

        impl QueryId for $name {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl<DB> QueryFragment<DB> for $name
        where
            DB: Backend + HasSqlType<Instant> + HasSqlType<Uid>,
            Micros: ToSql<Instant, DB>,
            Id: ToSql<Uid, DB>,
        {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.push_sql("(");
                out.push_sql(self.columns);
                out.push_sql($comparison);
                out.push_bind_param::<Instant, _>(&self.at)?;
                out.push_sql(", ");
                out.push_bind_param::<Uid, _>(&self.id)?;
                out.push_sql(")");
                Ok(())
            }
        }
    };
}

beyond!(
    /// Rows that come after this place in a list that begins with the newest.
    Older = ") < ("
);
beyond!(
    /// Rows that come after this place in a list that begins with the oldest.
    Younger = ") > ("
);
beyond!(
    /// This place and what comes before it in a list that begins with the oldest.
    UpTo = ") <= ("
);
