//! The safelist: what is never filtered.

use crate::id::MitigationId;
use crate::model::lenient::or_default;
use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SafelistEntry {
    /// The prefix.
    pub prefix: IpNetwork,
    /// When it was added.
    pub added_at: Option<DateTime<Utc>>,
    /// Who added it; `config` = the configuration file.
    pub added_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it stops counting.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An entry to be added, or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewSafelistEntry {
    /// The prefix; its host bits must be zero.
    pub prefix: IpNetwork,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it stops counting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// The answer to an addition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SafelistAdded {
    /// The entry.
    #[serde(flatten)]
    pub entry: SafelistEntry,
    /// The mitigations that were withdrawn because of it.
    #[serde(default, deserialize_with = "or_default")]
    pub withdrawn_mitigations: Vec<MitigationId>,
}
