//! The condition of the daemon.

use crate::model::lenient::or_default;
use crate::model::network::PeerState;
use crate::model::panic::PanicState;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The short answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HealthSummary {
    /// `ok`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The daemon's version.
    #[serde(default, deserialize_with = "or_default")]
    pub version: String,
    /// Who gets in: `none`, `bearer`, `credentials`, `mtls`.
    #[serde(default, deserialize_with = "or_default")]
    pub auth_mode: String,
    /// Can it take events, as far as it last knew?
    pub ready: Option<bool>,
}

/// The long answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HealthDetail {
    /// `healthy` or `degraded`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The daemon's version.
    #[serde(default, deserialize_with = "or_default")]
    pub version: String,
    /// The site.
    #[serde(default, deserialize_with = "or_default")]
    pub pop: String,
    /// `dry-run` or `enforced`.
    #[serde(default, deserialize_with = "or_default")]
    pub mode: String,
    /// How long it runs.
    #[serde(default, deserialize_with = "or_default")]
    pub uptime_seconds: u64,
    /// The BGP sessions by peer.
    #[serde(default, deserialize_with = "or_default")]
    pub bgp_sessions: BTreeMap<String, PeerState>,
    /// Rules that are confirmed.
    #[serde(default, deserialize_with = "or_default")]
    pub active_mitigations: u64,
    /// Rules that are not confirmed yet.
    #[serde(default, deserialize_with = "or_default")]
    pub pending_mitigations: u64,
    /// Rules that wait for a quota, the pace of new rules, or the end of a quiet period; missing = not told.
    pub queued_mitigations: Option<u64>,
    /// Rules that should be gone and are not.
    #[serde(default, deserialize_with = "or_default")]
    pub withdraw_stuck: u64,
    /// Rules of others in the speaker.
    #[serde(default, deserialize_with = "or_default")]
    pub foreign_rules: u64,
    /// `connected`, or `error: ...`.
    #[serde(default, deserialize_with = "or_default")]
    pub database: String,
    /// The speaker.
    #[serde(default, deserialize_with = "or_default")]
    pub gobgp: Speaker,
    /// The guard that takes overdue rules away.
    pub guard: Option<Guard>,
    /// Which instance announces.
    pub leader: Option<Leader>,
    /// The kill switch, without its scopes.
    pub panic: Option<PanicState>,
    /// When the running configuration was read.
    pub config_loaded_at: Option<DateTime<Utc>>,
    /// Who gets in.
    pub auth_mode: Option<String>,
    /// What is wrong, in words.
    #[serde(default, deserialize_with = "or_default")]
    pub problems: Vec<String>,
}

impl HealthDetail {
    /// True if nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.status == "healthy"
    }

    /// True if rules reach the speaker.
    pub fn is_enforced(&self) -> bool {
        self.mode == "enforced"
    }
}

/// The connection to the BGP speaker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Speaker {
    /// `connected`, `mock`, or what is wrong in a word.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// What is wrong.
    pub error: Option<String>,
}

/// The guard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Guard {
    /// `spawn`, `external` or `off`.
    #[serde(default, deserialize_with = "or_default")]
    pub mode: String,
    /// Was its heartbeat seen lately?
    #[serde(default, deserialize_with = "or_default")]
    pub alive: bool,
    /// When it was last seen.
    pub last_seen: Option<DateTime<Utc>>,
}

/// Which instance announces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Leader {
    /// The site.
    pub pop: Option<String>,
    /// Is it the answering one?
    #[serde(default, deserialize_with = "or_default")]
    pub is_leader: bool,
    /// The instance that leads.
    pub instance: Option<String>,
}
