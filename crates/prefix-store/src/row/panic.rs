//! The row of a panic scope.

use diesel::prelude::{Insertable, Queryable, Selectable};
use prefix_core::panic::PanicScope;
use prefix_core::store::StoreError;

use super::{corrupt, json};
use crate::schema::panic_scopes;
use crate::sql_type::{Id, Micros};

/// A stored scope.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = panic_scopes)]
pub(crate) struct PanicRow {
    panic_id: Id,
    doc: String,
}

impl PanicRow {
    pub(crate) fn parse(self) -> Result<PanicScope, StoreError> {
        serde_json::from_str(&self.doc).map_err(|error| corrupt("panic_scopes", self.panic_id.0, error))
    }
}

/// A scope to put.
#[derive(Debug, Insertable)]
#[diesel(table_name = panic_scopes, treat_none_as_default_value = false)]
pub(crate) struct NewPanic {
    pub(crate) panic_id: Id,
    pub(crate) started_at: Micros,
    pub(crate) is_thawed: bool,
    pub(crate) doc: String,
}

impl NewPanic {
    pub(crate) fn new(scope: &PanicScope) -> Result<Self, StoreError> {
        Ok(Self {
            panic_id: Id(scope.panic_id.as_uuid()),
            started_at: scope.started_at.into(),
            is_thawed: scope.thawed.is_some(),
            doc: json("panic scope", scope)?,
        })
    }
}
