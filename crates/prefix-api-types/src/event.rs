//! Events: what detectors report, and what became of it (http-api.md §3).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use prefix_api_macros::wire;

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{
    BitsPerSecond, Decision, EventId, Guardrail, MitigationId, MitigationStatus, PacketLength,
    PacketsPerSecond, PortRange, Protocol, RawJson, Seconds, SignalGroupId,
};

words! {
    /// What a detector says.
    pub enum EventAction from prefix_core::event::EventAction {
        /// The attack is on.
        Ban = "ban",
        /// The attack is over.
        Unban = "unban",
    }
}

words! {
    /// What became of an event.
    pub enum EventStatus from prefix_core::event::EventStatus {
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

/// A stored event: what a detector reported, and what became of it.
#[wire]
pub struct Event {
    /// Our identifier.
    pub event_id: EventId,
    /// The detector's identifier of the attack episode.
    pub external_event_id: Option<String>,
    /// Who reported.
    pub source: String,
    /// The detector's own time.
    pub event_timestamp: Always<DateTime<Utc>>,
    /// The server's time of receipt.
    pub ingested_at: Always<DateTime<Utc>>,
    /// The address under attack; of a whole prefix the network address.
    #[schema(example = "203.0.113.10")]
    pub victim_ip: IpAddr,
    /// The prefix that was reported as a whole.
    #[schema(example = "203.0.113.0/24")]
    pub victim_prefix: Option<IpNetwork>,
    /// The kind of attack; null in an unban that names none.
    #[schema(example = "udp_flood")]
    pub vector: Option<String>,
    /// The protocol as it was reported: a word or a number.
    #[schema(schema_with = Protocol::nullable_schema)]
    pub protocol: Option<Protocol>,
    /// Bits per second.
    #[schema(minimum = 0)]
    pub bps: Option<BitsPerSecond>,
    /// Packets per second.
    #[schema(minimum = 0)]
    pub pps: Option<PacketsPerSecond>,
    /// The destination ports most hit, in the order of the report, each once.
    pub top_dst_ports: Vec<PortRange>,
    /// The same list as a text of JSON.
    #[schema(example = "[53,123]")]
    pub top_dst_ports_json: String,
    /// What else the packets of the attack share.
    #[serde(rename = "match")]
    pub matches: IfAny<EventMatch>,
    /// How sure the detector was.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// Ban or unban.
    #[schema(schema_with = EventAction::schema, required = true)]
    pub action: Option<EventAction>,
    /// What became of it.
    #[schema(schema_with = EventStatus::schema, required = true)]
    pub status: Option<EventStatus>,
    /// The mitigation it made, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// The signal group it joined.
    pub signal_group_id: Option<SignalGroupId>,
    /// What the detector sent along, as it came; only when asked for by id.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::lenient::present")]
    pub raw_details: Option<RawJson>,
    /// Why it was or was not mitigated; only when asked for by id.
    pub decision: IfAny<Decision>,
}

/// A detector's report. Unknown members are ignored; null counts as missing.
#[wire(body)]
pub struct NewEvent {
    /// The detector's time, in the years 1970 to 9999; default now. Information only.
    pub timestamp: Option<DateTime<Utc>>,
    /// Who reports. The prefix `operator:` is reserved.
    #[schema(min_length = 1, max_length = 1024, example = "fastnetmon")]
    pub source: String,
    /// The address under attack; required unless `victim_prefix` is there.
    #[schema(example = "203.0.113.10")]
    pub victim_ip: Option<IpAddr>,
    /// Instead of `victim_ip`: a whole attacked prefix. A `carpet` entry of playbooks.yaml must cover it.
    #[schema(example = "203.0.113.0/24")]
    pub victim_prefix: Option<IpNetwork>,
    /// The kind of attack; required for a ban.
    #[schema(example = "udp_flood")]
    pub vector: Option<String>,
    /// `udp`, `tcp`, `icmp`, `gre`, `any` or a number from 0 to 255, for vectors that fix none.
    #[schema(value_type = Option<serde_json::Value>, example = "udp")]
    pub protocol: Option<Protocol>,
    /// Bits per second.
    #[schema(minimum = 0)]
    pub bps: Option<BitsPerSecond>,
    /// Packets per second.
    #[schema(minimum = 0)]
    pub pps: Option<PacketsPerSecond>,
    /// The destination ports most hit, the strongest first.
    #[schema(max_items = 4096)]
    pub top_dst_ports: Vec<PortRange>,
    /// What else the packets of the attack share: it narrows the rule.
    #[serde(rename = "match")]
    pub matches: Option<EventMatch>,
    /// How sure the detector is; default of the source.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// `ban` (default) or `unban`.
    #[schema(example = "ban")]
    pub action: Option<EventAction>,
    /// The detector's identifier of the attack episode.
    #[schema(min_length = 1, max_length = 1024)]
    pub event_id: Option<String>,
    /// Anything; stored as it came, never interpreted.
    pub raw_details: Option<RawJson>,
}

/// What the packets of an attack share besides protocol and destination ports. It narrows the rule, never widens it.
#[wire(body)]
#[derive(Default)]
pub struct EventMatch {
    /// Source ports.
    #[schema(max_items = 1024)]
    pub src_ports: Vec<PortRange>,
    /// Length of the IP packet.
    pub packet_length: Option<PacketLength>,
    /// All hold: `syn`, `!ack`, ...
    pub tcp_flags: Vec<String>,
    /// Any of `is_fragment`, `first_fragment`, `last_fragment`, `dont_fragment`.
    pub fragment: Vec<String>,
    /// ICMP types, 0 to 255.
    #[schema(max_items = 256)]
    pub icmp_type: Vec<u8>,
}

/// Several reports.
#[wire(body)]
pub struct NewEvents {
    /// In the order in which they are acted on.
    #[wire(strict)]
    #[schema(min_items = 1, max_items = 100)]
    pub events: Vec<NewEvent>,
}

/// What became of an event.
#[wire]
pub struct EventAnswer {
    /// Our identifier.
    pub event_id: EventId,
    /// The detector's identifier.
    pub external_event_id: Option<String>,
    /// What became of it (http-api.md §3.1).
    #[schema(example = "accepted")]
    pub status: EventStatus,
    /// The mitigation it made, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// Where that stands now.
    #[schema(example = "active")]
    pub mitigation_status: Option<MitigationStatus>,
    /// The signal group it joined.
    pub signal_group_id: Option<SignalGroupId>,
    /// With `queued`: what the mitigation waits for.
    pub guardrail: IfAny<Guardrail>,
    /// With `queued`: when it may be let in.
    pub retry_after_seconds: IfAny<Seconds>,
    /// With `released`, if nobody reports it any more: until when it is kept, because the rule flaps
    /// (`timers.flap_hold_seconds`).
    pub expires_at: IfAny<DateTime<Utc>>,
    /// If an unban touched more than one mitigation: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mitigations: Vec<ReleasedMitigation>,
    /// Why; with `?explain=true`.
    pub decision: IfAny<Decision>,
}

/// What an unban did to one mitigation.
#[wire(as = TouchedAnswer)]
pub struct ReleasedMitigation {
    pub mitigation_id: MitigationId,
    /// `withdrawn` or `released`.
    pub status: EventStatus,
    pub mitigation_status: Always<MitigationStatus>,
    /// With `released`, if nobody reports it any more: until when it is kept.
    pub expires_at: IfAny<DateTime<Utc>>,
}

/// What became of the events of a batch.
#[wire]
pub struct BatchAnswer {
    /// How many were not rejected.
    pub accepted: usize,
    /// How many were.
    pub rejected: usize,
    /// One per event, in order.
    pub results: Vec<BatchResult>,
}

/// What became of one event of a batch.
#[wire(as = BatchItemAnswer)]
#[derive(Default)]
pub struct BatchResult {
    /// Its place in the batch, from 0.
    #[wire(strict)]
    pub index: usize,
    /// Our identifier; the nil UUID if nothing was stored.
    pub event_id: Always<EventId>,
    /// The detector's identifier.
    pub external_event_id: Option<String>,
    /// As of a single event, or `rejected`.
    pub status: EventStatus,
    /// The mitigation it made, renewed or released, or the `rejected` row.
    pub mitigation_id: IfAny<MitigationId>,
    /// Where that stands now.
    pub mitigation_status: IfAny<MitigationStatus>,
    /// Why it was rejected.
    pub error: IfAny<String>,
    /// The guardrail that refused it, or that it waits for.
    pub guardrail: IfAny<Guardrail>,
    /// When sending it again may help.
    pub retry_after_seconds: IfAny<Seconds>,
    /// With `released`, if nobody reports it any more: until when it is kept, because the rule flaps.
    pub expires_at: IfAny<DateTime<Utc>>,
}
