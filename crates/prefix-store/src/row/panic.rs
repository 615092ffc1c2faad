//! The row of a panic scope.

use prefix_core::panic::PanicScope;
use prefix_core::ports::StoreError;

use super::define::{record, row};
use super::{corrupt, json};
use crate::sql_type::{Id, Micros};

record! {
    /// A stored scope.
    PanicRow of panic_scopes { panic_id: Id, doc: String }
}

impl PanicRow {
    pub(crate) fn parse(self) -> Result<PanicScope, StoreError> {
        serde_json::from_str(&self.doc).map_err(|error| corrupt("panic_scopes", self.panic_id.0, error))
    }
}

row! {
    /// A scope to put.
    NewPanic of panic_scopes put if ("", "") {
        Key panic_id: Id,
        Once started_at: Micros,
        Always is_thawed: bool,
        Always doc: String,
    }
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
