//! Events: what detectors report, and what became of it.

use crate::id::{EventId, MitigationId, SignalGroupId};
use crate::model::decision::Decision;
use crate::model::lenient::or_default;
use crate::model::mitigation::MitigationStatus;
use crate::model::network::Protocol;
use crate::model::query::Pairs;
use crate::page::Listed;
use crate::rate::{BitsPerSecond, PacketsPerSecond};
use crate::word::words;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::net::IpAddr;

words! {
    /// What a detector says.
    pub enum EventAction {
        /// The attack is on.
        Ban = "ban",
        /// The attack is over.
        Unban = "unban",
    }
}

words! {
    /// What became of an event.
    pub enum EventStatus {
        /// A new mitigation exists.
        Accepted = "accepted",
        /// A living mitigation was renewed.
        Extended = "extended",
        /// Wanted, but waits for a quota, the pace of new rules or a quiet period.
        Queued = "queued",
        /// Waits for corroboration.
        Held = "held",
        /// No playbook matches.
        AcceptedNoPlaybook = "accepted_no_playbook",
        /// Stored, but not to be mitigated.
        AcceptedNoMitigation = "accepted_no_mitigation",
        /// The last lease is gone and the rule with it.
        Withdrawn = "withdrawn",
        /// This lease is gone, others hold the rule.
        Released = "released",
        /// Nothing of this episode lives any more.
        NoActiveMitigation = "no_active_mitigation",
        /// Nothing is known of this episode.
        NotFound = "not_found",
        /// Refused: by a guardrail, or as a faulty item of a batch.
        Rejected = "rejected",
    }
}

/// An event to be sent.
#[derive(Debug, Clone, Serialize)]
pub struct NewEvent {
    /// The detector's time; missing = the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// The name of the detector, 1 to 1024 characters.
    pub source: String,
    /// The attacked address.
    pub victim_ip: IpAddr,
    /// The kind of attack; a ban needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// The attack's protocol, for the vectors that leave it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The attack in bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bps: Option<BitsPerSecond>,
    /// The attack in packets per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pps: Option<PacketsPerSecond>,
    /// The attacked ports, 1 to 65535.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top_dst_ports: Vec<u16>,
    /// How sure the detector is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Begin or end; missing = begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<EventAction>,
    /// The detector's id of the attack episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Anything the detector wants to keep with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_details: Option<Box<RawValue>>,
}

impl NewEvent {
    /// A report of `source` that `victim_ip` is under attack by `vector`.
    pub fn ban(source: impl Into<String>, victim_ip: IpAddr, vector: impl Into<String>) -> Self {
        Self {
            timestamp: None,
            source: source.into(),
            victim_ip,
            vector: Some(vector.into()),
            protocol: None,
            bps: None,
            pps: None,
            top_dst_ports: Vec::new(),
            confidence: None,
            action: None,
            event_id: None,
            raw_details: None,
        }
    }

    /// A report of `source` that the attack on `victim_ip` is over.
    pub fn unban(source: impl Into<String>, victim_ip: IpAddr) -> Self {
        Self { action: Some(EventAction::Unban), vector: None, ..Self::ban(source, victim_ip, "") }
    }
}

/// The answer to an event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventAnswer {
    /// The server's id.
    pub event_id: EventId,
    /// The detector's id.
    pub external_event_id: Option<String>,
    /// What became of it.
    pub status: EventStatus,
    /// The mitigation it made or touched.
    pub mitigation_id: Option<MitigationId>,
    /// That mitigation's status now.
    pub mitigation_status: Option<MitigationStatus>,
    /// The group it joined.
    pub signal_group_id: Option<SignalGroupId>,
    /// Why a `queued` one waits.
    pub guardrail: Option<String>,
    /// When a `queued` one is worth asking for again, in seconds.
    pub retry_after_seconds: Option<f64>,
    /// The decision, if it was asked for.
    pub decision: Option<Decision>,
    /// All the mitigations that an unban touched, if more than one.
    #[serde(default, deserialize_with = "or_default")]
    pub mitigations: Vec<ReleasedMitigation>,
}

/// One of several mitigations that an unban touched.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReleasedMitigation {
    /// The mitigation.
    pub mitigation_id: MitigationId,
    /// What the unban did to it.
    pub status: EventStatus,
    /// Its status now.
    pub mitigation_status: Option<MitigationStatus>,
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BatchAnswer {
    /// How many items were stored and not refused.
    #[serde(default, deserialize_with = "or_default")]
    pub accepted: usize,
    /// How many were not.
    #[serde(default, deserialize_with = "or_default")]
    pub rejected: usize,
    /// One entry for each item, in order.
    #[serde(default, deserialize_with = "or_default")]
    pub results: Vec<BatchResult>,
}

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BatchResult {
    /// The item's place in the request, from 0.
    pub index: usize,
    /// The server's id; nil if nothing was stored.
    pub event_id: Option<EventId>,
    /// The detector's id.
    pub external_event_id: Option<String>,
    /// What became of it.
    pub status: EventStatus,
    /// The mitigation it made or touched.
    pub mitigation_id: Option<MitigationId>,
    /// That mitigation's status now.
    pub mitigation_status: Option<MitigationStatus>,
    /// Why it was rejected.
    pub error: Option<String>,
    /// The guardrail that refused it or makes it wait.
    pub guardrail: Option<String>,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// The server's id.
    pub event_id: EventId,
    /// The detector's id.
    pub external_event_id: Option<String>,
    /// The detector.
    #[serde(default, deserialize_with = "or_default")]
    pub source: String,
    /// The detector's time.
    pub event_timestamp: Option<DateTime<Utc>>,
    /// The server's time of receipt.
    pub ingested_at: Option<DateTime<Utc>>,
    /// The attacked address.
    pub victim_ip: IpAddr,
    /// The kind of attack.
    pub vector: Option<String>,
    /// The attack's protocol.
    pub protocol: Option<Protocol>,
    /// The attack in bits per second.
    pub bps: Option<BitsPerSecond>,
    /// The attack in packets per second.
    pub pps: Option<PacketsPerSecond>,
    /// The attacked ports.
    #[serde(default, deserialize_with = "or_default")]
    pub top_dst_ports: Vec<u16>,
    /// How sure the detector is, 0 to 1.
    pub confidence: Option<f64>,
    /// Begin or end.
    pub action: Option<EventAction>,
    /// What became of it.
    pub status: Option<EventStatus>,
    /// The mitigation it made or touched.
    pub mitigation_id: Option<MitigationId>,
    /// The group it joined.
    pub signal_group_id: Option<SignalGroupId>,
    /// Anything the detector kept with it; only for one event.
    pub raw_details: Option<serde_json::Value>,
    /// Why it was, or was not, mitigated; only for one event.
    pub decision: Option<Decision>,
}

impl Listed for Event {
    const KEY: &'static str = "events";
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Only of this detector.
    pub source: Option<String>,
    /// Only on this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Only received at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only received before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl EventQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        Pairs::default()
            .with("source", self.source.as_ref())
            .with("victim_ip", self.victim_ip.as_ref())
            .with("vector", self.vector.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}
