//! Mitigations: a rule, why it exists, how long it stays, and whether routers have it (http-api.md §4).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use prefix_api_macros::wire;

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{
    BitsPerSecond, Decision, EventId, Guardrail, MitigationId, PacketsPerSecond, PortRange, Protocol,
    SignalGroupId,
};

words! {
    /// The state of a mitigation.
    pub enum MitigationStatus from prefix_core::mitigation::Status {
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
    pub enum ActionType from prefix_core::flowspec::ActionType {
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
    pub enum EndReason from prefix_core::mitigation::EndReason {
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
        /// A carpet took its place, or it gave back to the rules of its hosts.
        Superseded = "superseded",
    }
}

words! {
    /// What a rule is within the rule set of a decision.
    pub enum Role from prefix_core::mitigation::Role {
        /// What the decision is about.
        Main = "main",
        /// Ports that the service serves, policed at what it can take.
        Served = "served",
        /// Answers that the service asked for, policed at what it can take.
        Answers = "answers",
        /// Fragments other than the first, which carry no ports.
        Fragments = "fragments",
    }
}

/// The attacked hosts of a carpet rule.
#[wire]
pub struct Victims {
    /// How many there are.
    pub count: u64,
    /// The first 100 of them, ascending.
    pub addresses: Vec<IpAddr>,
}

/// A mitigation: one rule, from its first report until the speaker confirmed that it is gone.
#[wire]
pub struct Mitigation {
    /// Its identifier.
    pub mitigation_id: MitigationId,
    /// The site that announces it.
    #[schema(example = "fra1")]
    pub pop: String,
    /// Where it stands.
    #[schema(schema_with = MitigationStatus::schema)]
    pub status: MitigationStatus,
    /// The mitigation it accompanies; null for a main rule.
    pub parent_id: Option<MitigationId>,
    /// What its rule is within its rule set.
    #[schema(schema_with = Role::nullable_schema)]
    pub role: Option<Role>,
    /// A living rule of the same victim that routers apply first (RFC 8955 §5.1).
    pub shadowed_by: Option<MitigationId>,
    /// The mitigation that took its rule over.
    pub superseded_by: Option<MitigationId>,
    /// What the rule may miss or hit, for people.
    pub warnings: Vec<String>,
    /// Why it ended or is ending.
    #[schema(schema_with = EndReason::nullable_schema)]
    pub end_reason: Option<EndReason>,
    /// The guardrail that refused it, or that it waits for.
    #[schema(schema_with = Guardrail::nullable_schema)]
    pub guardrail: Option<Guardrail>,
    /// Whose address it is.
    pub customer_id: Option<String>,
    /// Which service of the customer.
    pub service_id: Option<String>,
    /// Of a carpet rule: the attacked hosts that it holds.
    pub victims: Option<Victims>,
    /// The address under attack; of a carpet rule the network address.
    #[schema(example = "203.0.113.10")]
    pub victim_ip: IpAddr,
    /// The kind of attack.
    #[schema(example = "udp_flood")]
    pub vector: Always<String>,
    /// The destination of the rule.
    #[schema(example = "203.0.113.10/32")]
    pub dst_prefix: Always<IpNetwork>,
    /// IP protocol number; null = any.
    #[schema(value_type = Option<u8>)]
    pub protocol: Option<Protocol>,
    /// Destination ports, sorted; empty = any, or those of `excluded_dst_ports`.
    pub dst_ports: Vec<PortRange>,
    /// Every destination port but these, sorted.
    pub excluded_dst_ports: Vec<PortRange>,
    /// Source ports, sorted; empty = any, or all but those of `excluded_src_ports`.
    pub src_ports: Vec<PortRange>,
    /// Every source port but these, sorted: only a main rule from which answers to the service were cut out has them.
    pub excluded_src_ports: Vec<PortRange>,
    /// TCP flags, all of which must hold: `syn`, `!ack`, ...
    pub tcp_flags: Vec<String>,
    /// Kinds of fragments, any of which matches.
    pub fragment: Vec<String>,
    /// Length of the IP packet in bytes.
    #[schema(schema_with = PacketLength::nullable_schema)]
    pub packet_length: Option<PacketLength>,
    /// DSCP values, sorted.
    pub dscp: Vec<u8>,
    /// ICMP types, sorted.
    pub icmp_type: Vec<u8>,
    /// The rule for people, exactly as it is on the wire; null only in a `rejected` row without a rule.
    #[schema(example = "dst 203.0.113.10/32 proto udp dport <53|>53")]
    pub flow: Option<String>,
    /// The bytes of the rule, hexadecimal: its identity.
    pub nlri: Option<String>,
    /// First 16 bytes of SHA-256 over the bytes of the rule.
    pub scope_hash: Option<String>,
    /// What is done with matching packets.
    #[schema(schema_with = ActionType::schema, required = true)]
    pub action_type: Option<ActionType>,
    /// Bits per second, of `police`.
    #[schema(minimum = 0)]
    pub rate_bps: Option<BitsPerSecond>,
    /// Packets per second, of `police`.
    #[schema(minimum = 0)]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Route target, of `redirect`.
    #[schema(example = "65000:100")]
    pub redirect_to: Option<String>,
    /// Code point, of `mark`.
    #[schema(maximum = 63)]
    pub dscp_mark: Option<u8>,
    /// The playbook; null for manual ones.
    pub playbook: Option<String>,
    /// The running step, 0-based.
    pub step: u32,
    /// Who holds it up.
    pub leases: Vec<Lease>,
    /// What is known of the rule at the speaker.
    #[wire(lenient)]
    pub bgp: BgpState,
    /// When it was written down first.
    pub created_at: Always<DateTime<Utc>>,
    /// When it changed last.
    pub updated_at: Always<DateTime<Utc>>,
    /// When it ends unless a report renews it.
    pub expires_at: Always<DateTime<Utc>>,
    /// When the speaker confirmed the removal.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The event that made it; null for manual ones.
    pub triggering_event_id: Option<EventId>,
    /// The newest event.
    pub last_event_id: Option<EventId>,
    /// Why, in the words of an operator or of the refusing guardrail.
    pub reason: Option<String>,
    /// When an operator saw it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Which one.
    pub acknowledged_by: Option<String>,
    /// The corroboration behind it; null without correlation.
    pub correlation: Option<Correlation>,
    /// Made while nothing was announced.
    pub dry_run: bool,
    /// Why it is as it is; only when asked for by id or with `?explain=true`.
    pub decision: IfAny<Decision>,
}

/// What one source holds on a mitigation.
#[wire]
pub struct Lease {
    /// Who holds it.
    pub source: String,
    /// The last report.
    pub last_event_at: Always<DateTime<Utc>>,
    /// When it lapses by itself.
    pub expires_at: Always<DateTime<Utc>>,
}

/// What is known of a rule at the speaker.
#[wire(as = Bgp)]
#[derive(Default)]
pub struct BgpState {
    /// The rule is wanted at the speaker.
    pub intended: bool,
    /// The rule was seen in the speaker's table.
    pub announced: bool,
    /// When the speaker last confirmed it.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// Established sessions that carry its family; 0: no router has it.
    pub peers_established: u32,
    /// What went wrong last; `stale`: an escalated step is not at every speaker yet.
    pub error: IfAny<String>,
    /// What each speaker has, where the pop has several. `announced` is true if one of them has the rule, and the
    /// mitigation ends once every one has confirmed that it is gone.
    pub speakers: IfAny<Vec<SpeakerState>>,
}

/// What one of several speakers has of a rule.
#[wire(as = BgpSpeaker)]
pub struct SpeakerState {
    /// Its name in `bgp.speakers`.
    pub name: String,
    /// The rule was seen in its table.
    pub announced: bool,
    /// When it last confirmed the rule.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub error: IfAny<String>,
}

/// The corroboration behind a mitigation.
#[wire]
pub struct Correlation {
    /// The group of signals.
    pub signal_group_id: Always<SignalGroupId>,
    /// The confidence of all of them together.
    pub derived_confidence: Always<f64>,
    /// How many sources.
    pub source_count: Always<u32>,
    /// The quorum was met.
    pub corroboration_met: Always<bool>,
    /// Which sources; null in lists.
    pub contributing_sources: Option<Vec<String>>,
    /// How the confidence came about; null in lists.
    pub explanation: Option<String>,
}

/// Lengths of IP packets in bytes, both included.
#[wire]
#[derive(Copy)]
pub struct PacketLength {
    /// The shortest.
    #[wire(strict)]
    pub min: u16,
    /// The longest.
    #[wire(strict)]
    pub max: u16,
}

#[cfg(feature = "openapi")]
impl PacketLength {
    fn nullable_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

        let bytes = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(20)).maximum(Some(9216));
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
            .property("min", bytes())
            .property("max", bytes())
            .required("min")
            .required("max")
            .into()
    }
}

/// A rule by hand. `operator_id` is accepted and ignored: the identity is the caller's.
#[wire(body)]
pub struct NewMitigation {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
    /// The address under attack.
    #[schema(example = "203.0.113.10")]
    pub victim_ip: IpAddr,
    /// `udp`, `tcp`, `icmp`, `gre`, `any`, the empty text (any), or a number from 0 to 255.
    #[schema(value_type = serde_json::Value, example = "udp")]
    pub protocol: Protocol,
    /// `police`, `discard`, `redirect`, `mark` or `rtbh`.
    #[schema(example = "police")]
    pub action: ActionType,
    /// Bits per second; `police` needs this or `rate_pps`.
    #[schema(minimum = 0)]
    pub rate_bps: Option<BitsPerSecond>,
    /// Packets per second.
    #[schema(minimum = 0)]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Route target; `redirect` needs it.
    #[schema(example = "65000:100")]
    pub redirect_to: Option<String>,
    /// Code point; `mark` needs it.
    #[schema(maximum = 63)]
    pub dscp_mark: Option<u8>,
    /// Default `timers.default_ttl_seconds`.
    #[schema(value_type = Option<u32>)]
    pub ttl_seconds: Option<u64>,
    /// Must contain `victim_ip`; default the host.
    #[schema(example = "203.0.113.10/32")]
    pub dst_prefix: Option<IpNetwork>,
    /// A label; default `unknown`.
    pub vector: Option<String>,
    /// Exactly these destination ports.
    #[schema(max_items = 1024)]
    pub dst_ports: Vec<PortRange>,
    /// Every destination port but these; not together with `dst_ports`.
    #[schema(max_items = 1024)]
    pub excluded_dst_ports: Vec<PortRange>,
    /// Exactly these source ports.
    #[schema(max_items = 1024)]
    pub src_ports: Vec<PortRange>,
    /// All must hold: `syn`, `!ack`, ...
    pub tcp_flags: Vec<String>,
    /// Any of `is_fragment`, `first_fragment`, `last_fragment`, `dont_fragment`.
    pub fragment: Vec<String>,
    /// Length of the IP packet.
    pub packet_length: Option<PacketLength>,
    /// DSCP values, 0 to 63.
    #[schema(max_items = 64)]
    pub dscp: Vec<u8>,
    /// ICMP types, 0 to 255.
    #[schema(max_items = 256)]
    pub icmp_type: Vec<u8>,
}

/// Why a mitigation ends.
#[wire(body)]
pub struct Withdraw {
    /// Stored as `<operator>: <reason>`.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
    /// A remark of the caller, ignored by the server: the identity is that of the credentials.
    #[schema(ignore)]
    pub operator_id: Option<String>,
}

/// Which mitigations end, and why.
#[wire(body)]
pub struct WithdrawMany {
    #[wire(strict)]
    #[schema(min_items = 1, max_items = 100)]
    pub mitigation_ids: Vec<MitigationId>,
    /// Stored as `<operator>: <reason>`.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
    /// A remark of the caller, ignored by the server: the identity is that of the credentials.
    #[schema(ignore)]
    pub operator_id: Option<String>,
}

/// Which mitigations were seen.
#[wire(body)]
pub struct Acknowledge {
    #[wire(strict)]
    #[schema(min_items = 1, max_items = 100)]
    pub mitigation_ids: Vec<MitigationId>,
}

words! {
    /// What a bulk operation did to one mitigation.
    pub enum BulkStatus {
        /// It has ended.
        Withdrawn = "withdrawn",
        /// It is ending.
        Withdrawing = "withdrawing",
        /// It is marked as seen.
        Acknowledged = "acknowledged",
        /// Nothing was done.
        Error = "error",
    }
}

/// What became of one mitigation of a bulk operation.
#[wire(as = BulkItemAnswer)]
pub struct BulkResult {
    pub mitigation_id: MitigationId,
    /// `withdrawn`, `withdrawing`, `acknowledged` or `error`.
    #[wire(lenient)]
    pub status: BulkStatus,
    /// Why nothing was done.
    pub error: IfAny<String>,
}

/// What a bulk withdraw did.
#[wire(as = WithdrawnAnswer)]
pub struct BulkWithdrawn {
    /// How many are withdrawn or being withdrawn.
    pub withdrawn: usize,
    /// How many are not.
    pub failed: usize,
    /// One per id, in order.
    pub results: Vec<BulkResult>,
}

/// What a bulk acknowledge did.
#[wire(as = AcknowledgedAnswer)]
pub struct Acknowledged {
    /// How many are acknowledged now.
    pub acknowledged: usize,
    /// How many were refused.
    pub failed: usize,
    /// One per id, in order.
    pub results: Vec<BulkResult>,
}
