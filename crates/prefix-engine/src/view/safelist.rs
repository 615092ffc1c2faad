//! An entry of the safelist as it is shown (http-api.md §8).

use chrono::{DateTime, Utc};
use prefix_core::address::Prefix;
use prefix_core::safelist::SafelistEntry;
use serde::{Deserialize, Serialize};

/// An entry of the safelist: no rule touches this prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SafelistEntry))]
pub struct SafelistObject {
    /// What is safe.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "203.0.113.0/28"))]
    pub prefix: Prefix,
    /// Since when.
    pub added_at: DateTime<Utc>,
    /// By whom; `config` for entries of the configuration file.
    pub added_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From when on it no longer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Shows an entry.
pub fn safelist(entry: &SafelistEntry) -> SafelistObject {
    SafelistObject {
        prefix: entry.prefix,
        added_at: entry.added_at,
        added_by: entry.added_by.clone(),
        reason: entry.reason.clone(),
        expires_at: entry.expires_at,
    }
}
