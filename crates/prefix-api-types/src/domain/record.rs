//! Events, the audit log, the safelist and panics.

use prefix_core::audit::AuditEntry as DomainAudit;
use prefix_core::audit_chain::{self, ChainHash, Verdict};
use prefix_core::event::Event as Row;
use prefix_core::matching::PacketMatch;
use prefix_core::panic::PanicScope as DomainScope;
use prefix_core::safelist::SafelistEntry as DomainEntry;

use super::{ports, text, texts};
use crate::{
    AuditEntry, ChainBreak, ChainVerdict, Decision, Event, EventMatch, PanicScope, RawJson, SafelistEntry,
};

impl Event {
    /// Shows an event, with its raw details and decision where `in_full`.
    pub fn of(event: &Row, in_full: bool) -> Self {
        let report = &event.report;
        let top_dst_ports = ports(report.top_dst_ports.as_slice());
        Self {
            event_id: event.event_id.into(),
            external_event_id: text(report.external_event_id.as_ref()),
            source: report.source.to_string(),
            event_timestamp: Some(report.timestamp),
            ingested_at: Some(event.ingested_at),
            victim_ip: report.victim_ip.ip(),
            victim_prefix: report.victim_prefix.map(|prefix| prefix.as_network()),
            vector: text(report.vector.as_ref()),
            protocol: report.protocol.map(Into::into),
            bps: report.bps.map(Into::into),
            pps: report.pps.map(Into::into),
            top_dst_ports_json: serde_json::to_string(&top_dst_ports).unwrap_or_default(),
            top_dst_ports,
            matches: EventMatch::of(&report.matches),
            confidence: report.confidence.map(prefix_core::confidence::Confidence::value),
            action: Some(report.action.into()),
            status: Some(event.status.into()),
            mitigation_id: event.mitigation_id.map(Into::into),
            signal_group_id: event.signal_group_id.map(Into::into),
            raw_details: in_full.then(|| RawJson::or_null(report.raw_details.as_deref())),
            decision: in_full.then(|| Decision::from(&event.decision)),
        }
    }
}

impl EventMatch {
    /// Shows what a report says of the packets; `None` if it says nothing.
    fn of(matches: &PacketMatch) -> Option<Self> {
        (!matches.is_empty()).then(|| Self {
            src_ports: ports(matches.src_ports.ranges()),
            packet_length: matches.packet_length.map(Into::into),
            tcp_flags: matches.tcp_flags.words(),
            fragment: texts(&matches.fragment.words()),
            icmp_type: matches.icmp_type.iter().copied().collect(),
        })
    }
}

impl From<&DomainAudit> for AuditEntry {
    /// The same document that the chain hashes.
    fn from(entry: &DomainAudit) -> Self {
        let hash = |hash: ChainHash| hash.to_string();
        Self {
            audit_id: entry.audit_id.into(),
            seq: entry.seal.map(|seal| seal.seq),
            timestamp: Some(entry.timestamp),
            schema_version: DomainAudit::SCHEMA_VERSION,
            actor_type: entry.actor.kind.into(),
            actor_id: entry.actor.id.clone(),
            action: entry.action.clone(),
            target_type: entry.target_type.clone(),
            target_id: entry.target_id.clone(),
            details: audit_chain::document(entry).remove("details").unwrap_or_default(),
            prev_hash: entry.seal.map(|seal| hash(seal.prev_hash)),
            hash: entry.seal.map(|seal| hash(seal.hash)),
        }
    }
}

impl From<Verdict> for ChainVerdict {
    fn from(verdict: Verdict) -> Self {
        let broken = verdict.broken.map(|broken| ChainBreak {
            seq: Some(broken.seq),
            audit_id: broken.audit_id.map(Into::into),
            problem: broken.problem.into(),
        });
        Self {
            valid: broken.is_none(),
            checked: verdict.checked,
            first_seq: verdict.first_seq,
            last_seq: verdict.last_seq,
            head_hash: text(verdict.head_hash.as_ref()),
            broken,
        }
    }
}

impl From<&DomainEntry> for SafelistEntry {
    fn from(entry: &DomainEntry) -> Self {
        Self {
            prefix: entry.prefix.as_network(),
            added_at: Some(entry.added_at),
            added_by: Some(entry.added_by.clone()),
            reason: entry.reason.clone(),
            expires_at: entry.expires_at,
        }
    }
}

impl From<&DomainScope> for PanicScope {
    fn from(scope: &DomainScope) -> Self {
        Self {
            panic_id: Some(scope.panic_id.into()),
            reason: scope.reason.clone(),
            pop: text(scope.pop.as_ref()),
            customer_id: text(scope.customer_id.as_ref()),
            started_at: Some(scope.started_at),
            started_by: scope.started_by.clone(),
            origin: Some(scope.origin.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use prefix_core::audit::{Actor, AuditAction};
    use prefix_core::event::{EventAction, EventStatus, Report};
    use prefix_core::protocol::Protocol;
    use serde_json::{Value, json};

    use super::*;

    fn stored() -> Row {
        Row {
            event_id: uuid::Uuid::nil().into(),
            ingested_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            report: Report {
                timestamp: DateTime::from_timestamp(1_795_000_000, 5_000).unwrap(),
                source: "fastnetmon".parse().unwrap(),
                victim_ip: "::ffff:203.0.113.10".parse().unwrap(),
                vector: None,
                protocol: Some(Protocol::Udp),
                bps: None,
                pps: None,
                top_dst_ports: [123, 53].into(),
                matches: PacketMatch::default(),
                confidence: None,
                action: EventAction::Unban,
                external_event_id: None,
                ended_at: None,
                victim_prefix: None,
                reach: prefix_core::event::Reach::Full,
                reports: None,
                sampled: false,
                unread: Vec::new(),
                raw_details: Some(r#"{"rate": 1.10, "id": 12345678901234567890123}"#.into()),
            },
            identity: "fastnetmon".parse().unwrap(),
            status: EventStatus::NotFound,
            mitigation_id: None,
            signal_group_id: None,
            decision: prefix_core::decision::Decision::open(),
        }
    }

    #[test]
    fn absent_values_are_null_and_never_left_out() {
        let shown = serde_json::to_value(Event::of(&stored(), false)).unwrap();
        for member in
            ["external_event_id", "vector", "bps", "pps", "confidence", "mitigation_id", "signal_group_id"]
        {
            assert_eq!(shown.get(member), Some(&Value::Null), "{member}");
        }
        assert_eq!(shown["top_dst_ports_json"], "[123,53]");
        assert_eq!(shown["victim_ip"], "203.0.113.10");
        assert_eq!(shown["event_timestamp"], "2026-11-18T11:06:40.000005Z");
        assert!(shown.get("raw_details").is_none() && shown.get("decision").is_none());
    }

    #[test]
    fn raw_details_are_shown_letter_by_letter() {
        let text = serde_json::to_string(&Event::of(&stored(), true)).unwrap();
        assert!(text.contains(r#""raw_details":{"rate": 1.10, "id": 12345678901234567890123}"#), "{text}");
    }

    #[test]
    fn what_was_shown_can_be_read_back() {
        for with_details in [false, true] {
            let shown = Event::of(&stored(), with_details);
            let read: Event = serde_json::from_str(&serde_json::to_string(&shown).unwrap()).unwrap();
            assert_eq!(read, shown);
        }
    }

    #[test]
    fn an_event_without_details_shows_null() {
        let mut stored = stored();
        stored.report.raw_details = None;
        let shown = serde_json::to_value(Event::of(&stored, true)).unwrap();
        assert_eq!(shown.get("raw_details"), Some(&Value::Null));
    }

    #[test]
    fn an_entry_has_the_shape_of_the_contract() {
        let details =
            json!({"request_id": "r", "before": {"bps": 9_007_199_254_740_993_u64, "n": -5, "x": 1.5}});
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let entry = DomainAudit::new(at, Actor::SYSTEM, AuditAction::Start, details);
        let shown = serde_json::to_value(AuditEntry::from(&entry)).unwrap();
        assert_eq!(
            shown,
            json!({
                "audit_id": entry.audit_id, "seq": null, "timestamp": "2026-11-18T11:06:40.000000Z",
                "schema_version": 1, "actor_type": "system", "action": "start",
                "details": {"request_id": "r", "before": {"bps": "9007199254740993", "n": -5, "x": 1.5}},
                "prev_hash": null, "hash": null,
            })
        );
        let read: AuditEntry = serde_json::from_value(shown).unwrap();
        assert_eq!(read, AuditEntry::from(&entry));
    }

    #[test]
    fn what_is_shown_is_what_is_hashed() {
        let at = DateTime::from_timestamp_nanos(1_795_000_000_123_456_789);
        let details = json!({"n": u64::MAX, "x": 0.1, "deep": [{"m": i64::MIN}], "text": "ü"});
        let plain = DomainAudit::new(at, Actor::SYSTEM, AuditAction::Start, details);
        let mut sealed = [
            plain.clone(),
            DomainAudit { actor: Actor::operator("alice"), ..plain.clone() }.on("mitigation", 7),
        ];
        audit_chain::seal(None, &mut sealed);
        for entry in sealed.iter().chain([&plain]) {
            let shown = serde_json::to_value(AuditEntry::from(entry)).unwrap();
            assert_eq!(shown, Value::Object(audit_chain::document(entry)));
        }
    }
}
