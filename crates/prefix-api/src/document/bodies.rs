//! What clients send, for the document only: `crate::request` reads it.
#![allow(dead_code, reason = "read by the derive only")]

pub(crate) mod signals;

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A detector's report. Unknown members are ignored; null counts as missing.
#[derive(ToSchema)]
#[schema(as = NewEvent)]
pub(crate) struct EventBody {
    /// The detector's time, in the years 1970 to 9999; default now. Information only.
    timestamp: Option<DateTime<Utc>>,
    /// Who reports. The prefix `operator:` is reserved.
    #[schema(min_length = 1, max_length = 1024, example = "fastnetmon")]
    source: String,
    /// The address under attack.
    #[schema(example = "203.0.113.10")]
    victim_ip: String,
    /// The kind of attack; required for a ban.
    #[schema(example = "udp_flood")]
    vector: Option<String>,
    /// `udp`, `tcp`, `icmp`, `gre`, `any` or a number from 0 to 255, for vectors that fix none.
    #[schema(value_type = Option<Value>, example = "udp")]
    protocol: Option<Value>,
    /// Bits per second.
    #[schema(minimum = 0)]
    bps: Option<i64>,
    /// Packets per second.
    #[schema(minimum = 0)]
    pps: Option<i64>,
    /// The destination ports most hit, in any order.
    #[schema(max_items = 1024)]
    top_dst_ports: Option<Vec<u16>>,
    /// How sure the detector is; default of the source.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
    /// `ban` (default) or `unban`.
    #[schema(example = "ban")]
    action: Option<String>,
    /// The detector's identifier of the attack episode.
    #[schema(min_length = 1, max_length = 1024)]
    event_id: Option<String>,
    /// Anything; stored as it came, never interpreted.
    raw_details: Option<Value>,
}

/// Several reports.
#[derive(ToSchema)]
#[schema(as = NewEvents)]
pub(crate) struct BatchBody {
    /// In the order in which they are acted on.
    #[schema(min_items = 1, max_items = 100)]
    events: Vec<EventBody>,
}

/// A rule by hand. `operator_id` is accepted and ignored: the identity is the caller's.
#[derive(ToSchema)]
#[schema(as = NewMitigation)]
pub(crate) struct ManualBody {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
    /// The address under attack.
    #[schema(example = "203.0.113.10")]
    victim_ip: String,
    /// `udp`, `tcp`, `icmp`, `gre`, `any`, the empty text (any), or a number from 0 to 255.
    #[schema(value_type = Value, example = "udp")]
    protocol: Value,
    /// `police`, `discard`, `redirect`, `mark` or `rtbh`.
    #[schema(example = "police")]
    action: String,
    /// Bits per second; `police` needs this or `rate_pps`.
    #[schema(minimum = 0)]
    rate_bps: Option<i64>,
    /// Packets per second.
    #[schema(minimum = 0)]
    rate_pps: Option<i64>,
    /// Route target; `redirect` needs it.
    #[schema(example = "65000:100")]
    redirect_to: Option<String>,
    /// Code point; `mark` needs it.
    #[schema(maximum = 63)]
    dscp_mark: Option<u8>,
    /// Default `timers.default_ttl_seconds`.
    ttl_seconds: Option<u32>,
    /// Must contain `victim_ip`; default the host.
    #[schema(example = "203.0.113.10/32")]
    dst_prefix: Option<String>,
    /// A label; default `unknown`.
    vector: Option<String>,
    /// Exactly these destination ports.
    #[schema(max_items = 1024)]
    dst_ports: Option<Vec<u16>>,
    /// Every destination port but these; not together with `dst_ports`.
    #[schema(max_items = 1024)]
    excluded_dst_ports: Option<Vec<u16>>,
    /// Exactly these source ports.
    #[schema(max_items = 1024)]
    src_ports: Option<Vec<u16>>,
    /// All must hold: `syn`, `!ack`, ...
    tcp_flags: Option<Vec<String>>,
    /// Any of `is_fragment`, `first_fragment`, `last_fragment`, `dont_fragment`.
    fragment: Option<Vec<String>>,
    /// Length of the IP packet.
    packet_length: Option<PacketLengthBody>,
    /// DSCP values, 0 to 63.
    #[schema(max_items = 64)]
    dscp: Option<Vec<u8>>,
    /// ICMP types, 0 to 255.
    #[schema(max_items = 256)]
    icmp_type: Option<Vec<u8>>,
}

/// Lengths of IP packets in bytes, both included.
#[derive(ToSchema)]
#[schema(as = PacketLength)]
pub(crate) struct PacketLengthBody {
    /// The shortest.
    min: u16,
    /// The longest.
    max: u16,
}

/// Why a mitigation ends.
#[derive(ToSchema)]
#[schema(as = Withdraw)]
pub(crate) struct WithdrawBody {
    /// Stored as `<operator>: <reason>`.
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
}

/// Which mitigations end, and why.
#[derive(ToSchema)]
#[schema(as = WithdrawMany)]
pub(crate) struct WithdrawManyBody {
    #[schema(min_items = 1, max_items = 100)]
    mitigation_ids: Vec<Uuid>,
    /// Stored as `<operator>: <reason>`.
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
}

/// Which mitigations were seen.
#[derive(ToSchema)]
#[schema(as = Acknowledge)]
pub(crate) struct AcknowledgeBody {
    #[schema(min_items = 1, max_items = 100)]
    mitigation_ids: Vec<Uuid>,
}

/// What is to be safe.
#[derive(ToSchema)]
#[schema(as = NewSafelistEntry)]
pub(crate) struct SafelistBody {
    /// Without host bits; an address stands for itself alone.
    #[schema(example = "203.0.113.0/28")]
    prefix: String,
    /// Why.
    #[schema(max_length = 1024)]
    reason: Option<String>,
    /// From when on it no longer counts.
    expires_at: Option<DateTime<Utc>>,
}

/// What is to be frozen.
#[derive(ToSchema)]
#[schema(as = NewPanic)]
pub(crate) struct PanicBody {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
    /// At this pop only; missing or `all` = at every pop.
    #[schema(example = "fra1")]
    pop: Option<String>,
    /// Of this customer only; missing = of everybody.
    customer_id: Option<String>,
}

/// What is to be thawed.
#[derive(ToSchema)]
#[schema(as = Thaw)]
pub(crate) struct ThawBody {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
    /// Only this one; missing = everything.
    panic_id: Option<Uuid>,
}

/// Playbooks, in the form of playbooks.yaml. A member that is left out stays as it is; unknown members are refused.
#[derive(ToSchema)]
#[schema(as = NewPlaybooks)]
pub(crate) struct PlaybooksBody {
    /// All of them; the first that matches is used.
    #[schema(min_items = 1)]
    playbooks: Vec<Value>,
    /// The own vectors, by name.
    #[schema(value_type = Option<Object>)]
    vectors: Option<Value>,
    /// Used when nothing matches; null = none.
    default_playbook: Option<String>,
}

/// What is run through a configuration: `events` or `history`.
#[derive(ToSchema)]
#[schema(as = NewSimulation)]
pub(crate) struct SimulationBody {
    /// Events that never happened; each needs its `timestamp`, which is its time of receipt.
    #[schema(min_items = 1, max_items = 1000)]
    events: Option<Vec<EventBody>>,
    /// A part of what is recorded: at most 7 days and 100,000 events.
    history: Option<RecordedBody>,
    /// In the place of the playbooks that run, as for `PUT /v1/config/playbooks`.
    playbooks: Option<PlaybooksBody>,
    /// In the place of the correlation that runs, as for `PUT /v1/config/correlation`.
    correlation: Option<Value>,
    /// In the place of the guardrails that run: the section of prefixd.yaml. A key that is left out stays as it is.
    guardrails: Option<Value>,
}

/// A part of what is recorded.
#[derive(ToSchema)]
#[schema(as = RecordedEvents)]
pub(crate) struct RecordedBody {
    /// Received from here on.
    start: DateTime<Utc>,
    /// Received before.
    end: DateTime<Utc>,
    /// Of these sources; all if it is missing or empty.
    #[schema(max_items = 1000)]
    sources: Option<Vec<String>>,
    /// Against this address.
    victim_ip: Option<String>,
}
