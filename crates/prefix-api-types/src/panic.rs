//! The kill switch (http-api.md §9).

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;

use crate::PanicId;
use crate::lenient::Always;
use crate::word::words;

words! {
    /// How a panic began.
    pub enum PanicOrigin from prefix_core::panic::PanicOrigin {
        /// Over the API.
        Api = "api",
        /// By `prefixdctl panic --direct`, past API and storage.
        Direct = "direct",
    }
}

/// What is to be frozen.
#[wire(body)]
pub struct NewPanic {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
    /// At this pop only; missing or `all` = at every pop.
    #[schema(example = "fra1")]
    pub pop: Option<String>,
    /// Of this customer only; missing = of everybody.
    pub customer_id: Option<String>,
}

/// What is to be thawed.
#[wire(body)]
pub struct Thaw {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
    /// Only this one; missing = everything.
    pub panic_id: Option<PanicId>,
}

/// What a panic did.
#[wire]
pub struct PanicStarted {
    pub panic_id: Always<PanicId>,
    /// Why.
    pub reason: String,
    /// Frozen at this pop only; null = at every pop.
    pub pop: Option<String>,
    /// Frozen for this customer only; null = for everybody.
    pub customer_id: Option<String>,
    pub started_at: Always<DateTime<Utc>>,
    /// Who.
    pub started_by: String,
    /// Mitigations of the scope that had not ended.
    pub rules: u64,
    /// So many of them have ended: their rules are gone, as the speaker confirmed.
    pub withdrawn: u64,
    /// So many are on their way out, for as long as it takes.
    pub withdrawing: u64,
    /// What may have been meant otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What is frozen.
#[wire]
#[derive(Default)]
pub struct PanicState {
    /// Whether anything is.
    pub frozen: bool,
    /// Oldest first.
    pub scopes: Vec<PanicScope>,
}

/// One scope that is frozen.
#[wire]
pub struct PanicScope {
    pub panic_id: Always<PanicId>,
    /// Why.
    pub reason: String,
    /// This pop only; null = every pop.
    pub pop: Option<String>,
    /// This customer only; null = everybody.
    pub customer_id: Option<String>,
    pub started_at: Always<DateTime<Utc>>,
    /// Who.
    pub started_by: String,
    /// `api`, or `direct` if it was `prefixdctl panic --direct`.
    #[schema(example = "api")]
    pub origin: Always<PanicOrigin>,
}
