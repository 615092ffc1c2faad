//! Mitigations: a rule, why it exists, how long it stays, and whether routers have it.

use crate::id::{EventId, MitigationId, SignalGroupId};
use crate::model::decision::Decision;
use crate::model::lenient::or_default;
use crate::model::network::Protocol;
use crate::model::query::Pairs;
use crate::page::Listed;
use crate::rate::{BitsPerSecond, PacketsPerSecond};
use crate::word::words;
use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

words! {
    /// The state of a mitigation.
    pub enum MitigationStatus {
        /// Waits for a quota, the pace of new rules, or the end of a quiet period.
        Queued = "queued",
        /// Stored, not yet confirmed by the speaker.
        Pending = "pending",
        /// Confirmed, in its first step.
        Active = "active",
        /// Confirmed, in a later step.
        Escalated = "escalated",
        /// Going; repeated until the speaker confirms.
        Withdrawing = "withdrawing",
        /// Gone on demand.
        Withdrawn = "withdrawn",
        /// Gone by time.
        Expired = "expired",
        /// Refused by a guardrail; never announced.
        Rejected = "rejected",
    }
}

impl MitigationStatus {
    /// True if the status never changes again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Withdrawn | Self::Expired | Self::Rejected)
    }
}

words! {
    /// What routers do with the packets of a rule.
    pub enum ActionType {
        /// Limit them to a rate.
        Police = "police",
        /// Drop them all.
        Discard = "discard",
        /// Send them elsewhere.
        Redirect = "redirect",
        /// Mark them with a DSCP.
        Mark = "mark",
        /// Drop everything to the host, upstream too.
        Rtbh = "rtbh",
    }
}

words! {
    /// Why a mitigation ended.
    pub enum EndReason {
        /// Nobody reported the attack any more.
        Ttl = "ttl",
        /// It had lived as long as a rule may.
        MaxLifetime = "max_lifetime",
        /// A person withdrew it.
        Operator = "operator",
        /// The last detector called the attack over.
        DetectorUnban = "detector_unban",
        /// The kill switch.
        Panic = "panic",
        /// Its destination became safelisted.
        Safelist = "safelist",
        /// It no longer passed the checks after a change of configuration.
        Revalidation = "revalidation",
        /// It was only rehearsed, and the rehearsal ended.
        DryRunEnded = "dry_run_ended",
    }
}

/// A range of packet lengths in bytes, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketLength {
    /// The shortest.
    pub min: u16,
    /// The longest.
    pub max: u16,
}

/// One source's claim on a mitigation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// Who holds it.
    #[serde(default, deserialize_with = "or_default")]
    pub source: String,
    /// The last report.
    pub last_event_at: Option<DateTime<Utc>>,
    /// When it lapses.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Where the rule is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct BgpState {
    /// Should it be announced?
    #[serde(default, deserialize_with = "or_default")]
    pub intended: bool,
    /// Is it in the speaker's table?
    #[serde(default, deserialize_with = "or_default")]
    pub announced: bool,
    /// When that was last seen.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// How many established sessions carry its family; 0 = no router has it.
    #[serde(default, deserialize_with = "or_default")]
    pub peers_established: u32,
    /// What is in the way.
    pub error: Option<String>,
}

/// How several detectors agreed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Correlation {
    /// The group of signals.
    pub signal_group_id: Option<SignalGroupId>,
    /// The confidence of the whole group, 0 to 1.
    pub derived_confidence: Option<f64>,
    /// How many sources are in it.
    pub source_count: Option<u32>,
    /// Was it enough?
    pub corroboration_met: Option<bool>,
    /// Who reported.
    pub contributing_sources: Option<Vec<String>>,
    /// In words.
    pub explanation: Option<String>,
}

/// A mitigation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Mitigation {
    /// Its id.
    pub mitigation_id: MitigationId,
    /// The site that announces it.
    #[serde(default, deserialize_with = "or_default")]
    pub pop: String,
    /// Its state.
    pub status: MitigationStatus,
    /// The mitigation that this one accompanies (its fragments).
    pub parent_id: Option<MitigationId>,
    /// A living rule of the same victim that routers apply first (RFC 8955 §5.1).
    pub shadowed_by: Option<MitigationId>,
    /// The mitigation that took the rule over while this one was going.
    pub superseded_by: Option<MitigationId>,
    /// The code of the guardrail that refused it, or for which it waits.
    pub guardrail: Option<String>,
    /// What the rule may miss.
    #[serde(default, deserialize_with = "or_default")]
    pub warnings: Vec<String>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// Whose address it is.
    pub customer_id: Option<String>,
    /// What runs there.
    pub service_id: Option<String>,
    /// The attacked address.
    pub victim_ip: IpAddr,
    /// The kind of attack.
    pub vector: Option<String>,
    /// The destination of the rule.
    pub dst_prefix: Option<IpNetwork>,
    /// The protocol it matches; missing = any.
    pub protocol: Option<Protocol>,
    /// The destination ports it matches.
    #[serde(default, deserialize_with = "or_default")]
    pub dst_ports: Vec<u16>,
    /// The destination ports it spares.
    #[serde(default, deserialize_with = "or_default")]
    pub excluded_dst_ports: Vec<u16>,
    /// The source ports it matches.
    #[serde(default, deserialize_with = "or_default")]
    pub src_ports: Vec<u16>,
    /// The rule for people, exactly as it is on the wire.
    pub flow: Option<String>,
    /// The rule's identity in hex.
    pub nlri: Option<String>,
    /// What routers do with matching packets.
    pub action_type: Option<ActionType>,
    /// The rate of a `police` action in bits.
    pub rate_bps: Option<BitsPerSecond>,
    /// The rate of a `police` action in packets.
    pub rate_pps: Option<PacketsPerSecond>,
    /// The route target of a `redirect`.
    pub redirect_to: Option<String>,
    /// The DSCP of a `mark`, 0 to 63.
    pub dscp_mark: Option<u8>,
    /// The playbook; missing for a rule made by hand.
    pub playbook: Option<String>,
    /// The running step, from 0.
    #[serde(default, deserialize_with = "or_default")]
    pub step: u32,
    /// Who reports the attack.
    #[serde(default, deserialize_with = "or_default")]
    pub leases: Vec<Lease>,
    /// Where the rule is.
    #[serde(default, deserialize_with = "or_default")]
    pub bgp: BgpState,
    /// When it was stored.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// When it goes, if nobody reports again.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the speaker confirmed that it is gone.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The event that made it.
    pub triggering_event_id: Option<EventId>,
    /// The last event that renewed it.
    pub last_event_id: Option<EventId>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// When somebody took note.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who took note.
    pub acknowledged_by: Option<String>,
    /// How several detectors agreed.
    pub correlation: Option<Correlation>,
    /// Made in dry-run: counted, never announced.
    #[serde(default, deserialize_with = "or_default")]
    pub dry_run: bool,
    /// Why it exists; only for one mitigation.
    pub decision: Option<Decision>,
}

impl Listed for Mitigation {
    const KEY: &'static str = "mitigations";
}

/// Which mitigations to list.
#[derive(Debug, Clone, Default)]
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
    /// Only created at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only created before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl MitigationQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let status = self.status.iter().map(MitigationStatus::as_str).collect::<Vec<_>>().join(",");
        Pairs::default()
            .with("status", Some(&status).filter(|status| !status.is_empty()))
            .with("customer_id", self.customer_id.as_ref())
            .with("victim_ip", self.victim_ip.as_ref())
            .with("vector", self.vector.as_ref())
            .with("pop", self.pop.as_ref())
            .with("acknowledged", self.acknowledged.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}

/// A rule made by hand.
#[derive(Debug, Clone, Serialize)]
pub struct NewMitigation {
    /// Why.
    pub reason: String,
    /// The attacked address.
    pub victim_ip: IpAddr,
    /// The protocol it matches.
    pub protocol: Protocol,
    /// What routers do with matching packets.
    pub action: ActionType,
    /// The destination ports it matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dst_ports: Vec<u16>,
    /// The destination ports it spares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_dst_ports: Vec<u16>,
    /// The source ports it matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub src_ports: Vec<u16>,
    /// The flags that must all hold: `syn`, `!ack`, ...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp_flags: Vec<String>,
    /// Any of `is_fragment`, `first_fragment`, `last_fragment`, `dont_fragment`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fragment: Vec<String>,
    /// The packet lengths it matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_length: Option<PacketLength>,
    /// The DSCPs it matches, 0 to 63.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dscp: Vec<u8>,
    /// The ICMP types it matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub icmp_type: Vec<u8>,
    /// The rate of a `police` action in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<BitsPerSecond>,
    /// The rate of a `police` action in packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_pps: Option<PacketsPerSecond>,
    /// The route target of a `redirect`, such as `65000:100`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    /// The DSCP of a `mark`, 0 to 63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp_mark: Option<u8>,
    /// How long it lives; missing = the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// A destination wider than the victim; it must contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst_prefix: Option<IpNetwork>,
    /// A label; its template is not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
}

impl NewMitigation {
    /// A rule that drops everything of `protocol` to `victim_ip`; narrow it by setting more.
    pub fn discard(victim_ip: IpAddr, protocol: Protocol, reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            victim_ip,
            protocol,
            action: ActionType::Discard,
            dst_ports: Vec::new(),
            excluded_dst_ports: Vec::new(),
            src_ports: Vec::new(),
            tcp_flags: Vec::new(),
            fragment: Vec::new(),
            packet_length: None,
            dscp: Vec::new(),
            icmp_type: Vec::new(),
            rate_bps: None,
            rate_pps: None,
            redirect_to: None,
            dscp_mark: None,
            ttl_seconds: None,
            dst_prefix: None,
            vector: None,
        }
    }
}

/// The answer to a withdrawal of several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BulkWithdrawn {
    /// How many are gone or going.
    #[serde(default, deserialize_with = "or_default")]
    pub withdrawn: usize,
    /// How many are not.
    #[serde(default, deserialize_with = "or_default")]
    pub failed: usize,
    /// One entry for each.
    #[serde(default, deserialize_with = "or_default")]
    pub results: Vec<BulkResult>,
}

/// The answer to taking note of several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Acknowledged {
    /// How many are now noted.
    #[serde(default, deserialize_with = "or_default")]
    pub acknowledged: usize,
    /// How many are not.
    #[serde(default, deserialize_with = "or_default")]
    pub failed: usize,
    /// One entry for each.
    #[serde(default, deserialize_with = "or_default")]
    pub results: Vec<BulkResult>,
}

/// What became of one of several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BulkResult {
    /// The mitigation.
    pub mitigation_id: MitigationId,
    /// `withdrawn`, `withdrawing`, `acknowledged` or `error`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// Why it failed.
    pub error: Option<String>,
}
