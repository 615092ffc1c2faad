//! The safelist: prefixes that no rule touches (http-api.md §8).

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use prefix_api_macros::wire;

use crate::MitigationId;
use crate::lenient::{Always, IfAny};

/// An entry of the safelist: no rule touches this prefix.
#[wire]
pub struct SafelistEntry {
    /// What is safe.
    #[schema(example = "203.0.113.0/28")]
    pub prefix: IpNetwork,
    /// Since when.
    pub added_at: Always<DateTime<Utc>>,
    /// By whom; `config` for entries of the configuration file.
    pub added_by: Always<String>,
    /// Why.
    pub reason: IfAny<String>,
    /// From when on it no longer counts.
    pub expires_at: IfAny<DateTime<Utc>>,
}

/// What is to be safe.
#[wire(body)]
pub struct NewSafelistEntry {
    /// Without host bits; an address stands for itself alone.
    #[schema(example = "203.0.113.0/28")]
    pub prefix: IpNetwork,
    /// Why.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
    /// From when on it no longer counts.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A new or changed entry of the safelist.
#[wire(as = SafelistAnswer)]
pub struct SafelistAdded {
    /// The entry.
    #[serde(flatten)]
    pub entry: SafelistEntry,
    /// What is being withdrawn because of it.
    pub withdrawn_mitigations: Vec<MitigationId>,
}
