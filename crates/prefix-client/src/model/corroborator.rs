//! Sources that only corroborate: what they send, and what waits.

use crate::id::{MitigationId, SignalGroupId, SignalId};
use crate::model::lenient::or_default;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A corroborating signal to be sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewCorroboration {
    /// Who sends it.
    pub source: String,
    /// Only about attacks of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// About this customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// About this site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop: Option<String>,
    /// About this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// About this interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// How sure it is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Anything to keep with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_details: Option<Box<RawValue>>,
}

/// The answer to a corroborating signal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CorroborationAnswer {
    /// Its id.
    pub signal_id: SignalId,
    /// `attached` or `cached`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The groups that it joined.
    #[serde(default, deserialize_with = "or_default")]
    pub attached_group_ids: Vec<SignalGroupId>,
    /// The mitigations that it completed the quorum of.
    #[serde(default, deserialize_with = "or_default")]
    pub mitigation_ids: Vec<MitigationId>,
}

/// Which corroborating sources were heard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CorroboratorActivity {
    /// From here on.
    pub since: Option<DateTime<Utc>>,
    /// Those that were.
    #[serde(default, deserialize_with = "or_default")]
    pub sources: Vec<SourceActivity>,
}

/// When a source was heard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SourceActivity {
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub source: String,
    /// Its newest signal.
    pub last_seen: Option<DateTime<Utc>>,
    /// How many there were.
    #[serde(default, deserialize_with = "or_default")]
    pub count: u64,
}

/// The corroborating signals that wait for a group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CorroboratorCache {
    /// The server's time.
    pub now: Option<DateTime<Utc>>,
    /// How many wait, whatever is listed.
    #[serde(default, deserialize_with = "or_default")]
    pub total: u64,
    /// How many of each source.
    #[serde(default, deserialize_with = "or_default")]
    pub by_source: Vec<SourceCount>,
    /// Newest first.
    #[serde(default, deserialize_with = "or_default")]
    pub signals: Vec<CachedSignal>,
}

/// How many of a source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SourceCount {
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub source: String,
    /// How many.
    #[serde(default, deserialize_with = "or_default")]
    pub count: u64,
}

/// A corroborating signal that waits.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CachedSignal {
    /// Its id.
    pub signal_id: SignalId,
    /// Who sent it.
    #[serde(default, deserialize_with = "or_default")]
    pub source: String,
    /// Only about attacks of this kind.
    pub vector: Option<String>,
    /// About this customer.
    pub customer_id: Option<String>,
    /// About this site.
    pub pop: Option<String>,
    /// About this service.
    pub service_id: Option<String>,
    /// About this interface.
    pub interface: Option<String>,
    /// How sure it is, 0 to 1.
    pub confidence: Option<f64>,
    /// The weight of its source.
    pub weight: Option<f64>,
    /// When it came.
    pub ingested_at: Option<DateTime<Utc>>,
    /// Until when it waits.
    pub expires_at: Option<DateTime<Utc>>,
    /// Anything that was sent along.
    pub raw_details: Option<serde_json::Value>,
    /// The groups that it joined.
    #[serde(default, deserialize_with = "or_default")]
    pub attached_group_ids: Vec<SignalGroupId>,
}
