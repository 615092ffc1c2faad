//! What is asked of the database: functions that return a statement, or run several over a connection of either database.

pub(crate) mod access;
pub(crate) mod admission;
pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod mitigations;
pub(crate) mod panic;
pub(crate) mod retention;
pub(crate) mod safelist;
pub(crate) mod signals;
pub(crate) mod statistics;

use crate::row::define::record;
use crate::sql::Sql;

record! {
    /// The epoch of a pop.
    EpochRow of leadership { epoch: i64 }
}

/// The epoch of a pop; no row if nobody ever led it.
pub(crate) fn epoch(pop: &str) -> Sql<EpochRow> {
    Sql::select("FROM leadership WHERE pop = ?").bind(pop)
}

record! {
    /// A number that a query makes.
    NumberRow { number: i64 }
}
