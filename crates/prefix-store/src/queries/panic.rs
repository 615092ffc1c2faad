//! Panic scopes.

use crate::row::PanicRow;
use crate::sql::Sql;
use crate::sql_type::Id;

/// One panic scope.
pub(crate) fn by_id(id: Id) -> Sql<PanicRow> {
    Sql::select("FROM panic_scopes WHERE panic_id = ?").bind(id)
}

/// Those that are not thawed, oldest first.
pub(crate) fn active() -> Sql<PanicRow> {
    Sql::select("FROM panic_scopes WHERE NOT is_thawed ORDER BY started_at, panic_id")
}
