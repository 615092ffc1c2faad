//! Mitigations and decisions.

use prefix_core::decision as domain;
use prefix_core::flowspec::Dscp;
use prefix_core::lease::Lease as DomainLease;
use prefix_core::mitigation::{Carpet, Mitigation as Row, SpeakerPart};
use prefix_core::signal::Correlation as DomainCorrelation;

use super::{ports, text, texts};
use crate::{
    BgpState, Correlation, DecidedRule, Decision, Lease, Mitigation, PacketLength, Protocol, SpeakerState,
    TraceEntry, Victims,
};

/// So many attacked hosts of a carpet are shown; the others are counted.
const MOST_ADDRESSES: usize = 100;

impl Mitigation {
    /// Shows a row, with its decision and the whole correlation where `in_full`.
    ///
    /// What only the running daemon knows is left open: `shadowed_by`, `bgp.intended` and `bgp.peers_established`.
    pub fn of(row: &Row, in_full: bool) -> Self {
        let key = row.key();
        let (action, matching, parts) = (row.action.parts(), &row.matching, &row.speaker.parts);
        Self {
            mitigation_id: row.mitigation_id.into(),
            pop: row.pop.to_string(),
            status: row.status.into(),
            parent_id: row.parent_id.map(Into::into),
            role: Some(row.role().into()),
            shadowed_by: None,
            superseded_by: row.superseded_by.map(Into::into),
            warnings: row.warnings.clone(),
            end_reason: row.end_reason.map(Into::into),
            guardrail: row.guardrail.map(Into::into),
            customer_id: text(row.customer_id.as_ref()),
            service_id: text(row.service_id.as_ref()),
            victims: row.carpet.as_deref().map(Victims::from),
            victim_ip: row.victim_ip.ip(),
            vector: Some(row.vector.to_string()),
            dst_prefix: Some(matching.dst_prefix.as_network()),
            protocol: matching.protocol.map(Protocol::Number),
            dst_ports: ports(matching.dst_ports.only()),
            excluded_dst_ports: ports(matching.dst_ports.excluded()),
            src_ports: ports(matching.src_ports.ranges()),
            excluded_src_ports: ports(matching.excluded_src_ports.ranges()),
            tcp_flags: matching.tcp_flags.words(),
            fragment: texts(&matching.fragment.words()),
            packet_length: matching.packet_length.map(Into::into),
            dscp: matching.dscp.iter().copied().collect(),
            icmp_type: matching.icmp_type.iter().copied().collect(),
            flow: text(row.route.as_ref()),
            nlri: key.as_ref().map(|key| key.nlri().to_string()),
            scope_hash: key.as_ref().map(|key| key.nlri().scope_hash().to_string()),
            action_type: Some(action.action_type.into()),
            rate_bps: action.rate_bps.map(Into::into),
            rate_pps: action.rate_pps.map(Into::into),
            redirect_to: text(action.redirect_to.as_ref()),
            dscp_mark: action.dscp_mark.map(Dscp::get),
            playbook: text(row.playbook.as_ref()),
            step: row.progress.step.into(),
            leases: row.leases.iter().map(Lease::from).collect(),
            bgp: BgpState {
                intended: false,
                announced: row.speaker.announced,
                last_confirmed_at: row.speaker.last_confirmed_at,
                peers_established: 0,
                error: row.speaker.error.clone(),
                speakers: (!parts.is_empty()).then(|| parts.iter().map(SpeakerState::from).collect()),
            },
            created_at: Some(row.created_at),
            updated_at: Some(row.updated_at),
            expires_at: Some(row.expires_at),
            withdrawn_at: row.withdrawn_at,
            triggering_event_id: row.triggering_event_id.map(Into::into),
            last_event_id: row.last_event_id.map(Into::into),
            reason: row.reason.clone(),
            acknowledged_at: row.acknowledged_at,
            acknowledged_by: row.acknowledged_by.clone(),
            correlation: row.correlation.as_ref().map(|found| Correlation::of(found, in_full)),
            dry_run: row.dry_run,
            decision: in_full.then(|| Decision::from(&row.decision)),
        }
    }
}

impl From<&Carpet> for Victims {
    fn from(carpet: &Carpet) -> Self {
        let addresses = carpet.all_hosts().take(MOST_ADDRESSES).map(prefix_core::address::VictimIp::ip);
        let count = u64::try_from(carpet.all_hosts().count()).unwrap_or(u64::MAX);
        Self { count, addresses: addresses.collect() }
    }
}

impl From<&SpeakerPart> for SpeakerState {
    fn from(part: &SpeakerPart) -> Self {
        Self {
            name: part.name.to_string(),
            announced: part.announced,
            last_confirmed_at: part.last_confirmed_at,
            error: part.error.clone(),
        }
    }
}

impl From<prefix_core::matching::PacketLength> for PacketLength {
    fn from(length: prefix_core::matching::PacketLength) -> Self {
        Self { min: length.min, max: length.max }
    }
}

impl Correlation {
    fn of(found: &DomainCorrelation, in_full: bool) -> Self {
        Self {
            signal_group_id: Some(found.signal_group_id.into()),
            derived_confidence: Some(found.derived_confidence.value()),
            source_count: Some(found.source_count),
            corroboration_met: Some(found.corroboration_met),
            contributing_sources: in_full.then(|| texts(&found.contributing_sources)),
            explanation: in_full.then(|| found.explanation.clone()),
        }
    }
}

impl From<&DomainLease> for Lease {
    fn from(lease: &DomainLease) -> Self {
        Self {
            source: lease.source.to_string(),
            last_event_at: Some(lease.last_event_at),
            expires_at: Some(lease.expires_at()),
        }
    }
}

impl From<&domain::Decision> for Decision {
    fn from(decision: &domain::Decision) -> Self {
        let trace = decision.trace.iter().map(|entry| TraceEntry {
            stage: entry.stage.into(),
            result: entry.result.into(),
            detail: entry.detail.clone(),
        });
        Self {
            outcome: decision.outcome.into(),
            customer_id: text(decision.customer_id.as_ref()),
            service_id: text(decision.service_id.as_ref()),
            profile: decision.profile.clone(),
            playbook: text(decision.playbook.as_ref()),
            step: decision.step.map(Into::into),
            rule: decision.rule.as_ref().map(DecidedRule::from),
            companions: (!decision.companions.is_empty())
                .then(|| decision.companions.iter().map(DecidedRule::from).collect()),
            guardrail: decision.guardrail.map(Into::into),
            trace: trace.collect(),
        }
    }
}

impl From<&domain::DecidedRule> for DecidedRule {
    fn from(rule: &domain::DecidedRule) -> Self {
        Self {
            flow: Some(rule.flow.clone()),
            nlri: Some(rule.nlri.to_string()),
            action_type: Some(rule.action_type.into()),
            rate_bps: rule.rate_bps.map(Into::into),
            rate_pps: rule.rate_pps.map(Into::into),
            ttl_seconds: Some(rule.ttl_seconds.seconds()),
            role: rule.role.map(Into::into),
        }
    }
}
