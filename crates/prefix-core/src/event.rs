//! Events: what a detector reported, and what became of it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::VictimIp;
use crate::confidence::Confidence;
use crate::decision::Decision;
use crate::id::{EventId, GroupId, MitigationId};
use crate::name::{ExternalEventId, Identity, SourceName, VectorName};
use crate::protocol::Protocol;
use crate::rate::{BitsPerSecond, PacketsPerSecond};

/// Begins or goes on, or is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// The address is under attack.
    #[default]
    Ban,
    /// The attack is over, says this source.
    Unban,
}

/// Whether a source says "still".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reports {
    /// Reports again while the attack lasts.
    #[default]
    Repeat,
    /// Says began and ended only.
    Edge,
}

/// How far a report goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// It may start a mitigation.
    #[default]
    Full,
    /// It counts beside others and never starts a mitigation alone (`alert` of FastNetMon Advanced).
    Supporting,
    /// The attack comes from the address instead of going to it: there is nothing to filter.
    Outgoing,
}

/// What a detector reports, checked and typed, before anything is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The detector's own time: information only.
    pub timestamp: DateTime<Utc>,
    /// Who reports.
    pub source: SourceName,
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The kind of attack; a ban always names one.
    pub vector: Option<VectorName>,
    /// The protocol, for vectors that fix none.
    pub protocol: Option<Protocol>,
    /// The size of the attack in bits per second.
    pub bps: Option<BitsPerSecond>,
    /// The size of the attack in packets per second.
    pub pps: Option<PacketsPerSecond>,
    /// The destination ports most hit, 1..=65535.
    pub top_dst_ports: BTreeSet<u16>,
    /// How sure the detector is.
    pub confidence: Option<Confidence>,
    /// Ban or unban.
    pub action: EventAction,
    /// The detector's identifier of the attack episode.
    pub external_event_id: Option<ExternalEventId>,
    /// How far it goes.
    pub reach: Reach,
    /// How its adapter says that its source reports; the configuration of the source wins.
    pub reports: Option<Reports>,
    /// JSON text as it came: stored, never interpreted.
    pub raw_details: Option<String>,
}

/// What became of an event, as the API answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// A new mitigation exists.
    Accepted,
    /// A living mitigation was renewed.
    Extended,
    /// Wanted, but refused for now; the mitigation waits.
    Queued,
    /// Correlation waits for corroboration.
    Held,
    /// No playbook matches, or its step says `skip`.
    AcceptedNoPlaybook,
    /// The address is not ours, or the signal cannot mitigate alone.
    AcceptedNoMitigation,
    /// The last lease is gone; the rule is being withdrawn.
    Withdrawn,
    /// This source's lease is gone, the rule stays.
    Released,
    /// The episode is known but nothing lives.
    NoActiveMitigation,
    /// Nothing is known from this source for that id or address.
    NotFound,
    /// Refused by a guardrail; the event is stored all the same.
    Rejected,
}

impl EventStatus {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Extended => "extended",
            Self::Queued => "queued",
            Self::Held => "held",
            Self::AcceptedNoPlaybook => "accepted_no_playbook",
            Self::AcceptedNoMitigation => "accepted_no_mitigation",
            Self::Withdrawn => "withdrawn",
            Self::Released => "released",
            Self::NoActiveMitigation => "no_active_mitigation",
            Self::NotFound => "not_found",
            Self::Rejected => "rejected",
        }
    }
}

/// A stored event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Our identifier.
    pub event_id: EventId,
    /// The server's time of receipt: everything that lasts is counted from here.
    pub ingested_at: DateTime<Utc>,
    /// What was reported.
    pub report: Report,
    /// Who was behind it, for correlation.
    pub identity: Identity,
    /// What became of it.
    pub status: EventStatus,
    /// The mitigation it made, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// The signal group it joined.
    pub signal_group_id: Option<GroupId>,
    /// Why.
    pub decision: Decision,
}
