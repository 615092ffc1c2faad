//! Events: reports of detectors, and their results.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::{Prefix, VictimIp};
use crate::confidence::Confidence;
use crate::decision::Decision;
use crate::id::{EventId, GroupId, MitigationId};
use crate::matching::PacketMatch;
use crate::name::{ExternalEventId, Identity, SourceName, VectorName};
use crate::port::PortList;
use crate::protocol::Protocol;
use crate::rate::{BitsPerSecond, PacketsPerSecond};

words! {
    /// Whether an attack begins or goes on, or is over.
    #[derive(Default)]
    pub enum EventAction {
        /// The address is under attack.
        #[default]
        Ban = "ban",
        /// The attack is over, according to this source.
        Unban = "unban",
    }
}

/// What is noted of a report that names port 0 alone: fragments, which have no ports, are counted there. The mitigation is
/// one of fragments then, and an unban that names what was reported finds it by this note.
pub fn note_of_fragments(reported: &VectorName) -> String {
    format!(
        "top_dst_ports of the report is 0 alone, which stands for fragments: {reported} counts as fragment_flood"
    )
}

/// Whether a source repeats its reports while the attack lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reports {
    /// Reports again while the attack lasts.
    #[default]
    Repeat,
    /// Reports the beginning and the end only.
    Edge,
}

/// What a report can cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// It may start a mitigation.
    #[default]
    Full,
    /// It counts in addition to others and never starts a mitigation alone (`alert` of FastNetMon Advanced).
    Supporting,
    /// The attack comes from the address instead of going to it: there is nothing to filter.
    Outgoing,
}

/// What a detector reports, checked and typed, before anything is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The detector's own time: information only.
    pub timestamp: DateTime<Utc>,
    /// The name of the source.
    pub source: SourceName,
    /// The address under attack; of a whole prefix its first address.
    pub victim_ip: VictimIp,
    /// The prefix that is attacked as a whole; never that of one address.
    pub victim_prefix: Option<Prefix>,
    /// The kind of attack; a ban always names one.
    pub vector: Option<VectorName>,
    /// The protocol, for vectors that fix none.
    pub protocol: Option<Protocol>,
    /// The size of the attack in bits per second.
    pub bps: Option<BitsPerSecond>,
    /// The size of the attack in packets per second.
    pub pps: Option<PacketsPerSecond>,
    /// The destination ports most hit, 1..=65535, in the order of the report: the strongest first.
    pub top_dst_ports: PortList,
    /// What else the packets of the attack share: it narrows the rule.
    pub matches: PacketMatch,
    /// Whether `matches` is evidence that a detector drew from samples: what of it does not fit the rule is left out and
    /// named. Else it is a statement, and refused where it does not fit.
    pub sampled: bool,
    /// The confidence of the detector, 0 to 1.
    pub confidence: Option<Confidence>,
    /// Ban or unban.
    pub action: EventAction,
    /// The detector's identifier of the attack episode.
    pub external_event_id: Option<ExternalEventId>,
    /// Of an unban: when the episode ended by the detector's clock. A later ban of that episode which began no later
    /// than this (`timestamp`) is a late copy.
    pub ended_at: Option<DateTime<Utc>>,
    /// What it can cause.
    pub reach: Reach,
    /// How its adapter says that its source reports. The configuration of the source wins, except over
    /// [`Reports::Repeat`]: what says of itself that it holds for one TTL is never held longer.
    pub reports: Option<Reports>,
    /// What was sent and could not be read, and what was concluded from samples, one sentence each: named in the decision
    /// and in the warnings of the rule.
    pub unread: Vec<String>,
    /// JSON text as it came: stored, never interpreted.
    pub raw_details: Option<String>,
}

impl Report {
    /// What is attacked: an address, or a whole prefix.
    pub fn victim(&self) -> Prefix {
        self.victim_prefix.unwrap_or_else(|| self.victim_ip.host_prefix())
    }

    /// The episode whose last end decides over it: that of a ban whose adapter says that an attack began, because a late
    /// copy may come after the end.
    pub fn end_read(&self) -> Option<(SourceName, ExternalEventId)> {
        let may_be_late = self.action == EventAction::Ban && self.reports == Some(Reports::Edge);
        let id = self.external_event_id.clone().filter(|_| may_be_late || self.ended_at.is_some())?;
        Some((self.source.clone(), id))
    }

    /// The episode that this unban ends at every victim: that of a source whose adapter says that its ids are never used
    /// twice (Alertmanager's fingerprint, FastNetMon's uuid). The end may name another victim than the beginning, or none.
    pub fn ends_everywhere(&self) -> Option<(&SourceName, &ExternalEventId)> {
        let ends = self.action == EventAction::Unban && self.reports == Some(Reports::Edge);
        self.external_event_id.as_ref().filter(|_| ends).map(|id| (&self.source, id))
    }
}

words! {
    /// The result of an event, as the API answers it.
    pub enum EventStatus {
        /// A new mitigation exists.
        Accepted = "accepted",
        /// A live mitigation was renewed.
        Extended = "extended",
        /// Refused for now; the mitigation waits.
        Queued = "queued",
        /// Correlation waits for corroboration.
        Held = "held",
        /// No playbook matches, or its step says `skip`.
        AcceptedNoPlaybook = "accepted_no_playbook",
        /// No customer prefix covers the address, or the signal cannot start a mitigation alone.
        AcceptedNoMitigation = "accepted_no_mitigation",
        /// The last lease is gone; the rule is being withdrawn.
        Withdrawn = "withdrawn",
        /// This source's lease is gone, the rule stays.
        Released = "released",
        /// The episode is known, but no mitigation is live.
        NoActiveMitigation = "no_active_mitigation",
        /// Nothing is known from this source for that id or address.
        NotFound = "not_found",
        /// Refused by a guardrail; the event is stored all the same.
        Rejected = "rejected",
    }
}

/// A stored event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The identifier that prefixd assigned.
    pub event_id: EventId,
    /// The server's time of receipt: everything that lasts is counted from here.
    pub ingested_at: DateTime<Utc>,
    /// What was reported.
    pub report: Report,
    /// The identity behind the source, for correlation.
    pub identity: Identity,
    /// Its result.
    pub status: EventStatus,
    /// The mitigation that it created, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// The signal group it joined.
    pub signal_group_id: Option<GroupId>,
    /// The decision that led to the result.
    pub decision: Decision,
}
