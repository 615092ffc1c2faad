//! The audit trail.

use crate::model::lenient::or_default;
use crate::model::query::Pairs;
use crate::page::Listed;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

/// One entry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AuditEntry {
    /// Its id.
    pub audit_id: Uuid,
    /// Its place in the chain; missing until it is sealed.
    pub seq: Option<u64>,
    /// When it happened.
    pub timestamp: Option<DateTime<Utc>>,
    /// `system`, `detector` or `operator`.
    #[serde(default, deserialize_with = "or_default")]
    pub actor_type: String,
    /// Who.
    pub actor_id: Option<String>,
    /// What.
    #[serde(default, deserialize_with = "or_default")]
    pub action: String,
    /// To what kind of thing.
    pub target_type: Option<String>,
    /// To which.
    pub target_id: Option<String>,
    /// All about it.
    #[serde(default, deserialize_with = "or_default")]
    pub details: serde_json::Value,
    /// The entry's hash; missing until it is sealed.
    pub hash: Option<String>,
}

impl Listed for AuditEntry {
    const KEY: &'static str = "entries";
}

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only this action.
    pub action: Option<String>,
    /// Only by this actor.
    pub actor_id: Option<String>,
    /// Only to this kind of thing.
    pub target_type: Option<String>,
    /// Only to this thing.
    pub target_id: Option<String>,
    /// Only at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl AuditQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        Pairs::default()
            .with("action", self.action.as_ref())
            .with("actor_id", self.actor_id.as_ref())
            .with("target_type", self.target_type.as_ref())
            .with("target_id", self.target_id.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}
