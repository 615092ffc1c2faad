//! Query parameters: only what was asked for is sent.

use chrono::{DateTime, Utc};
use prefix_api_types::{ActionType, GroupStatus, MitigationStatus};
use serde::Serialize;
use serde_json::Value;
use std::net::IpAddr;

/// The members of a query that have a value. A list is one value, separated by commas.
pub(crate) fn pairs(query: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(members)) = serde_json::to_value(query) else { return Vec::new() };
    let pairs = members.into_iter().filter(|(_, value)| !value.is_null());
    pairs.map(|(name, value)| (name, text(value))).filter(|(_, text)| !text.is_empty()).collect()
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(items) => items.into_iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PageQuery {
    /// Only created, or received, at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only created, or received, before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

/// Which events to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EventQuery {
    /// Only of this detector.
    pub source: Option<String>,
    /// Only on this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Which part of them.
    #[serde(flatten)]
    pub page: PageQuery,
}

/// Which mitigations to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MitigationQuery {
    /// Only in one of these states.
    pub status: Vec<MitigationStatus>,
    /// Only of this customer.
    pub customer_id: Option<String>,
    /// Only of exactly this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Of this site; `all` = of every site; missing = of the answering instance's.
    pub pop: Option<String>,
    /// Only those (not) taken note of.
    pub acknowledged: Option<bool>,
    /// Only those with a lease of this source.
    pub source: Option<String>,
    /// Only those with this action.
    pub action_type: Option<ActionType>,
    /// Only of addresses within this prefix, such as `203.0.113.0/24`.
    pub within: Option<String>,
    /// Which part of them.
    #[serde(flatten)]
    pub page: PageQuery,
}

/// Which signal groups to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GroupQuery {
    /// Only in one of these states.
    pub status: Vec<GroupStatus>,
    /// Only on exactly this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Of this site; `all` = of every site; missing = of the answering instance's.
    pub pop: Option<String>,
    /// Which part of them.
    #[serde(flatten)]
    pub page: PageQuery,
}

/// Which entries to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditQuery {
    /// Only this action.
    pub action: Option<String>,
    /// Only by this actor.
    pub actor_id: Option<String>,
    /// Only to this kind of thing.
    pub target_type: Option<String>,
    /// Only to this thing.
    pub target_id: Option<String>,
    /// Which part of them.
    #[serde(flatten)]
    pub page: PageQuery,
}

/// What of the chain to check.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChainQuery {
    /// From this entry on; without it, from the first.
    pub from_seq: Option<i64>,
    /// Up to this entry; without it, to the last.
    pub to_seq: Option<i64>,
    /// A hash noted earlier, which must be part of the chain.
    pub expect: Option<String>,
}
