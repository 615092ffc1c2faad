//! A mitigation as it is shown (http-api.md §4.1).

use chrono::{DateTime, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::decision::Decision;
use prefix_core::flowspec::{ActionType, Dscp, Fragment, Nlri, RouteTarget, ScopeHash, TcpFlags};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::lease::Lease;
use prefix_core::matching::PacketLength;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::name::{CustomerId, PlaybookName, Pop, ServiceId, SourceName, VectorName};
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_core::signal::Correlation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(feature = "openapi")]
use super::schema;
use crate::answer::MitigationView;

/// A mitigation: one rule, from its first report until the speaker confirmed that it is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Mitigation))]
pub struct MitigationObject {
    /// Its identifier.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub mitigation_id: MitigationId,
    /// The site that announces it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "fra1"))]
    pub pop: Pop,
    /// Where it stands.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::status))]
    pub status: Status,
    /// The mitigation it accompanies (fragments).
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub parent_id: Option<MitigationId>,
    /// A living rule of the same victim that routers apply first (RFC 8955 §5.1).
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub shadowed_by: Option<MitigationId>,
    /// The mitigation that took its rule over.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub superseded_by: Option<MitigationId>,
    /// What the rule may miss or hit, for people.
    pub warnings: Vec<String>,
    /// Why it ended or is ending.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::end_reason))]
    pub end_reason: Option<EndReason>,
    /// The guardrail that refused it, or that it waits for.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::optional_guardrail))]
    pub guardrail: Option<Guardrail>,
    /// Whose address it is.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub customer_id: Option<CustomerId>,
    /// Which service of the customer.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub service_id: Option<ServiceId>,
    /// The address under attack.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "203.0.113.10"))]
    pub victim_ip: VictimIp,
    /// The kind of attack.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "udp_flood"))]
    pub vector: VectorName,
    /// The destination of the rule.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "203.0.113.10/32"))]
    pub dst_prefix: Prefix,
    /// IP protocol number; null = any.
    pub protocol: Option<u8>,
    /// Destination ports, sorted; empty = any, or those of `excluded_dst_ports`.
    pub dst_ports: Vec<u16>,
    /// Every destination port but these, sorted.
    pub excluded_dst_ports: Vec<u16>,
    /// Source ports, sorted; empty = any.
    pub src_ports: Vec<u16>,
    /// TCP flags, all of which must hold: `syn`, `!ack`, ...
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub tcp_flags: TcpFlags,
    /// Kinds of fragments, any of which matches.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub fragment: Fragment,
    /// Length of the IP packet in bytes.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::packet_length))]
    pub packet_length: Option<PacketLength>,
    /// DSCP values, sorted.
    pub dscp: Vec<u8>,
    /// ICMP types, sorted.
    pub icmp_type: Vec<u8>,
    /// The rule for people, exactly as it is on the wire; null only in a `rejected` row without a rule.
    #[cfg_attr(feature = "openapi", schema(example = "dst 203.0.113.10/32 proto udp dport <53|>53"))]
    pub flow: Option<String>,
    /// The bytes of the rule, hexadecimal: its identity.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub nlri: Option<Nlri>,
    /// First 16 bytes of SHA-256 over the bytes of the rule.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub scope_hash: Option<ScopeHash>,
    /// What is done with matching packets.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::action_type))]
    pub action_type: ActionType,
    /// Bits per second, of `police`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>, minimum = 0))]
    pub rate_bps: Option<BitsPerSecond>,
    /// Packets per second, of `police`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>, minimum = 0))]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Route target, of `redirect`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "65000:100"))]
    pub redirect_to: Option<RouteTarget>,
    /// Code point, of `mark`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u8>, maximum = 63))]
    pub dscp_mark: Option<Dscp>,
    /// The playbook; null for manual ones.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub playbook: Option<PlaybookName>,
    /// The running step, 0-based.
    pub step: u16,
    /// Who holds it up.
    pub leases: Vec<LeaseObject>,
    /// What is known of the rule at the speaker.
    pub bgp: BgpObject,
    /// When it was written down first.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// When it ends unless a report renews it.
    pub expires_at: DateTime<Utc>,
    /// When the speaker confirmed the removal.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The event that made it; null for manual ones.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub triggering_event_id: Option<EventId>,
    /// The newest event.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub last_event_id: Option<EventId>,
    /// Why, in the words of an operator or of the refusing guardrail.
    pub reason: Option<String>,
    /// When an operator saw it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Which one.
    pub acknowledged_by: Option<String>,
    /// The corroboration behind it; null without correlation.
    pub correlation: Option<CorrelationObject>,
    /// Made while nothing was announced.
    pub dry_run: bool,
    /// Why it is as it is; only when asked for by id or with `?explain=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::DecisionSchema>))]
    pub decision: Option<Decision>,
}

/// What one source holds on a mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Lease))]
pub struct LeaseObject {
    /// Who holds it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceName,
    /// The last report.
    pub last_event_at: DateTime<Utc>,
    /// When it lapses by itself.
    pub expires_at: DateTime<Utc>,
}

/// What is known of a rule at the speaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Bgp))]
pub struct BgpObject {
    /// The rule is wanted at the speaker.
    pub intended: bool,
    /// The rule was seen in the speaker's table.
    pub announced: bool,
    /// When the speaker last confirmed it.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// Established sessions that carry its family; 0: no router has it.
    pub peers_established: u32,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The corroboration behind a mitigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Correlation))]
pub struct CorrelationObject {
    /// The group of signals.
    pub signal_group_id: Uuid,
    /// The confidence of all of them together.
    pub derived_confidence: f64,
    /// How many sources.
    pub source_count: u32,
    /// The quorum was met.
    pub corroboration_met: bool,
    /// Which sources; null in lists.
    pub contributing_sources: Option<Vec<String>>,
    /// How the confidence came about; null in lists.
    pub explanation: Option<String>,
}

/// Shows a mitigation; `with_decision` where one mitigation was asked for.
pub fn mitigation(view: &MitigationView, with_decision: bool) -> MitigationObject {
    let row = &view.mitigation;
    let key = row.key();
    let parts = row.action.parts();
    MitigationObject {
        mitigation_id: row.mitigation_id,
        pop: row.pop.clone(),
        status: row.status,
        parent_id: row.parent_id,
        shadowed_by: view.shadowed_by,
        superseded_by: row.superseded_by,
        warnings: row.warnings.clone(),
        end_reason: row.end_reason,
        guardrail: row.guardrail,
        customer_id: row.customer_id.clone(),
        service_id: row.service_id.clone(),
        victim_ip: row.victim_ip,
        vector: row.vector.clone(),
        dst_prefix: row.matching.dst_prefix,
        protocol: row.matching.protocol,
        dst_ports: row.matching.dst_ports.only(),
        excluded_dst_ports: row.matching.dst_ports.excluded(),
        src_ports: row.matching.src_ports.iter().copied().collect(),
        tcp_flags: row.matching.tcp_flags,
        fragment: row.matching.fragment,
        packet_length: row.matching.packet_length,
        dscp: row.matching.dscp.iter().copied().collect(),
        icmp_type: row.matching.icmp_type.iter().copied().collect(),
        flow: row.route.as_ref().map(ToString::to_string),
        scope_hash: key.as_ref().map(|key| key.nlri().scope_hash()),
        nlri: key.map(|key| key.nlri().clone()),
        action_type: parts.action_type,
        rate_bps: parts.rate_bps,
        rate_pps: parts.rate_pps,
        redirect_to: parts.redirect_to,
        dscp_mark: parts.dscp_mark,
        playbook: row.playbook.clone(),
        step: row.progress.step,
        leases: row.leases.iter().map(lease).collect(),
        bgp: bgp(row, view),
        created_at: row.created_at,
        updated_at: row.updated_at,
        expires_at: row.expires_at,
        withdrawn_at: row.withdrawn_at,
        triggering_event_id: row.triggering_event_id,
        last_event_id: row.last_event_id,
        reason: row.reason.clone(),
        acknowledged_at: row.acknowledged_at,
        acknowledged_by: row.acknowledged_by.clone(),
        correlation: row.correlation.as_ref().map(|found| correlation(found, with_decision)),
        dry_run: row.dry_run,
        decision: (with_decision && view.explained).then(|| row.decision.clone()),
    }
}

fn correlation(found: &Correlation, in_full: bool) -> CorrelationObject {
    let sources = || found.contributing_sources.iter().map(ToString::to_string).collect();
    CorrelationObject {
        signal_group_id: found.signal_group_id.as_uuid(),
        derived_confidence: found.derived_confidence.value(),
        source_count: found.source_count,
        corroboration_met: found.corroboration_met,
        contributing_sources: in_full.then(sources),
        explanation: in_full.then(|| found.explanation.clone()),
    }
}

fn lease(lease: &Lease) -> LeaseObject {
    LeaseObject {
        source: lease.source.clone(),
        last_event_at: lease.last_event_at,
        expires_at: lease.expires_at(),
    }
}

fn bgp(row: &Mitigation, view: &MitigationView) -> BgpObject {
    BgpObject {
        intended: view.intended,
        announced: row.speaker.announced,
        last_confirmed_at: row.speaker.last_confirmed_at,
        peers_established: view.peers_established,
        error: row.speaker.error.clone(),
    }
}
