//! The audit trail.

use crate::model::lenient::or_default;
use crate::model::query::Pairs;
use crate::page::Listed;
use crate::word::words;
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
    /// The hash of the entry before; missing until it is sealed.
    pub prev_hash: Option<String>,
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

words! {
    /// What is wrong with the chain.
    pub enum ChainProblem {
        /// The entry is not what was sealed.
        Hash = "hash",
        /// It does not follow the one before.
        Link = "link",
        /// Entries are missing.
        Gap = "gap",
        /// The hash noted earlier is not part of the chain: its end was cut off.
        ExpectMissing = "expect_missing",
    }
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ChainBreak {
    /// The number of the entry.
    pub seq: Option<i64>,
    /// The entry, if there is one.
    pub audit_id: Option<Uuid>,
    /// What is wrong.
    pub problem: ChainProblem,
}

/// What came out of a check of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ChainVerdict {
    /// Is it whole?
    pub valid: bool,
    /// How many entries were checked.
    #[serde(default, deserialize_with = "or_default")]
    pub checked: u64,
    /// The first of them.
    pub first_seq: Option<i64>,
    /// The last of them.
    pub last_seq: Option<i64>,
    /// The hash of the last one: to be noted somewhere else, and given as `expect` later.
    pub head_hash: Option<String>,
    /// The first fault.
    pub broken: Option<ChainBreak>,
}

/// What of the chain to check.
#[derive(Debug, Clone, Default)]
pub struct ChainQuery {
    /// From this entry on; without it, from the first.
    pub from_seq: Option<i64>,
    /// Up to this entry; without it, to the last.
    pub to_seq: Option<i64>,
    /// A hash noted earlier, which must be part of the chain.
    pub expect: Option<String>,
}

impl ChainQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        Pairs::default()
            .with("from_seq", self.from_seq.as_ref())
            .with("to_seq", self.to_seq.as_ref())
            .with("expect", self.expect.as_ref())
            .0
    }
}
