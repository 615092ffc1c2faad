//! What a change would do.

use serde::{Deserialize, Serialize};

use crate::MitigationId;

/// The answer to a change with `?dry_run=true`: nothing was stored, announced or audited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
#[allow(clippy::struct_field_names, reason = "the member's name is that of the contract")]
pub struct DryRun<T> {
    /// Always true.
    #[serde(default)]
    pub dry_run: bool,
    /// The normal answer, where there is one.
    #[serde(default = "none")]
    pub result: Option<T>,
    /// Living mitigations that would have been changed or withdrawn.
    #[serde(default, deserialize_with = "crate::lenient::or_default")]
    pub affected_mitigations: Vec<MitigationId>,
}

fn none<T>() -> Option<T> {
    None
}
