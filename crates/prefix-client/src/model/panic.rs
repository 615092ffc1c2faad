//! The kill switch.

use crate::id::PanicId;
use crate::model::lenient::or_default;
use crate::word::words;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

words! {
    /// How a panic began.
    pub enum PanicOrigin {
        /// Over the API.
        Api = "api",
        /// By `prefixdctl panic --direct`, past API and storage.
        Direct = "direct",
    }
}

/// What is to be frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPanic {
    /// Why.
    pub reason: String,
    /// At this site only; without it, at every site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop: Option<String>,
    /// Of this customer only; without it, of everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
}

/// Something that is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PanicScope {
    /// Its id; none in a rehearsal.
    pub panic_id: Option<PanicId>,
    /// Why.
    #[serde(default, deserialize_with = "or_default")]
    pub reason: String,
    /// At this site only; none = at every site.
    pub pop: Option<String>,
    /// Of this customer only; none = of everybody.
    pub customer_id: Option<String>,
    /// Since when.
    pub started_at: Option<DateTime<Utc>>,
    /// By whom.
    #[serde(default, deserialize_with = "or_default")]
    pub started_by: String,
    /// How.
    pub origin: Option<PanicOrigin>,
}

/// What a panic did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PanicStarted {
    /// What is frozen.
    #[serde(flatten)]
    pub scope: PanicScope,
    /// Rules of the scope that were there.
    #[serde(default, deserialize_with = "or_default")]
    pub rules: u64,
    /// Rules of which the speaker has confirmed that they are gone.
    #[serde(default, deserialize_with = "or_default")]
    pub withdrawn: u64,
    /// Rules that are on their way out.
    #[serde(default, deserialize_with = "or_default")]
    pub withdrawing: u64,
    /// What the caller may have meant otherwise.
    #[serde(default, deserialize_with = "or_default")]
    pub warnings: Vec<String>,
}

/// What is frozen now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PanicState {
    /// Is anything frozen?
    #[serde(default, deserialize_with = "or_default")]
    pub frozen: bool,
    /// Each pull of the switch that was not thawed.
    #[serde(default, deserialize_with = "or_default")]
    pub scopes: Vec<PanicScope>,
}
